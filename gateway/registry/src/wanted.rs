//! Which versions of a model are wanted: a function of what its card and configuration say.

use std::collections::BTreeSet;

use pointsman_core::VersionNumber;

use crate::card::{Card, Load, Serve};
use crate::problem::Problem;
use crate::triton::{TritonConfig, VersionPolicy};

/// The versions of a model that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The version that answers requests that name none.
    pub default: Option<VersionNumber>,
    /// All versions to be loaded, ascending, the default one among them.
    pub load: Vec<VersionNumber>,
    /// What is asked for and is not there. Files are relative to the model's folder, and empty for
    /// the folder itself.
    pub problems: Vec<Problem>,
}

/// Decides which of `versions` are wanted. What the card says comes before the configuration.
///
/// Without either, the highest version alone is served, as Triton and TensorFlow Serving do.
#[must_use]
pub fn serving(card: &Card, config: Option<&TritonConfig>, versions: &[VersionNumber]) -> Wanted {
    let mut wanted = Wanted::default();
    let there: BTreeSet<VersionNumber> = versions.iter().copied().collect();
    let Some(&latest) = there.last() else {
        wanted.report("", "has no version", "add a folder `1` with model.onnx in it");
        return wanted;
    };
    let policy = config.and_then(|config| config.policy.as_ref());
    let mut load = BTreeSet::new();
    match (&card.load, policy) {
        (Some(Load::All), _) | (None, Some(VersionPolicy::All)) => load.clone_from(&there),
        (Some(Load::Numbers(numbers)), _) => {
            load.extend(wanted.found(numbers, &there, "model.toml", "load names"));
        }
        (None, Some(VersionPolicy::Specific(numbers))) => {
            load.extend(wanted.found(numbers, &there, "config.pbtxt", "version_policy names"));
        }
        (None, Some(VersionPolicy::Latest(count))) => load.extend(there.iter().rev().take(*count)),
        (Some(Load::Serving), _) | (None, None) => {}
    }

    wanted.default = match &card.serve {
        Some(Serve::Number(number)) => {
            wanted.found(&[*number], &there, "model.toml", "serve names").into_iter().next()
        }
        // An alias that points nowhere is reported with the aliases.
        Some(Serve::Alias(alias)) => {
            card.aliases.get(alias).copied().filter(|version| there.contains(version))
        }
        Some(Serve::Latest) => Some(latest),
        None => match policy {
            // Triton serves the highest of those it was told to load.
            Some(VersionPolicy::Specific(_)) if card.load.is_none() => load.last().copied(),
            _ => Some(latest),
        },
    };
    load.extend(wanted.default);
    for (alias, version) in &card.aliases {
        load.extend(wanted.found(&[*version], &there, "model.toml", &format!("alias {alias} names")));
    }
    wanted.load = load.into_iter().collect();
    wanted
}

impl Wanted {
    /// Those of `numbers` that are there; the others are reported.
    fn found(
        &mut self,
        numbers: &[VersionNumber],
        there: &BTreeSet<VersionNumber>,
        file: &str,
        key: &str,
    ) -> Vec<VersionNumber> {
        let (found, missing): (Vec<_>, Vec<_>) = numbers.iter().partition(|n| there.contains(n));
        for version in missing {
            let what = format!("{key} version {version}, which is not there or not complete");
            self.report(file, &what, "complete its folder, or name another version");
        }
        found
    }

    fn report(&mut self, file: &str, what: &str, remedy: &str) {
        self.problems.push(Problem::new(file, what, remedy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> VersionNumber {
        VersionNumber::new(number).expect("above zero")
    }

    fn versions(numbers: &[u64]) -> Vec<VersionNumber> {
        numbers.iter().copied().map(version).collect()
    }

    /// Checks what is wanted of versions 1, 2, 3 and 10.
    fn check(
        card: &str,
        policy: Option<VersionPolicy>,
        default: Option<u64>,
        load: &[u64],
        problems: &[&str],
    ) {
        let card = Card::parse("model.toml", card.as_bytes()).expect("a good card");
        let config = TritonConfig { policy, ..TritonConfig::default() };
        let wanted = serving(&card, Some(&config), &versions(&[10, 1, 2, 3]));
        assert_eq!(wanted.default, default.map(version), "{card:?}");
        assert_eq!(wanted.load, versions(load), "{card:?}");
        let found: Vec<_> = wanted.problems.iter().map(|p| format!("{}: {}", p.file, p.what)).collect();
        assert_eq!(found, problems);
    }

    #[test]
    fn without_a_word_the_highest_number_is_served_alone() {
        check("", None, Some(10), &[10], &[]);
        check("serve = \"latest\"", None, Some(10), &[10], &[]);
    }

    #[test]
    fn the_default_and_the_aliased_are_loaded() {
        check("serve = 1\n[aliases]\nchampion = 1\nchallenger = 2", None, Some(1), &[1, 2], &[]);
        check("serve = \"best\"\n[aliases]\nbest = 3", None, Some(3), &[3], &[]);
    }

    #[test]
    fn load_adds_to_them() {
        check("load = \"all\"\nserve = 2", None, Some(2), &[1, 2, 3, 10], &[]);
        check("load = [1, 3]\nserve = 2", None, Some(2), &[1, 2, 3], &[]);
        check("load = []", None, Some(10), &[10], &[]);
    }

    #[test]
    fn tritons_policy_counts_where_the_card_says_nothing() {
        check("", Some(VersionPolicy::All), Some(10), &[1, 2, 3, 10], &[]);
        check("", Some(VersionPolicy::Latest(2)), Some(10), &[3, 10], &[]);
        check("", Some(VersionPolicy::Specific(versions(&[1, 3]))), Some(3), &[1, 3], &[]);
        check("serve = 2", Some(VersionPolicy::Specific(versions(&[1, 3]))), Some(2), &[1, 2, 3], &[]);
        check("load = \"serving\"", Some(VersionPolicy::All), Some(10), &[10], &[]);
        check("load = \"serving\"", Some(VersionPolicy::Specific(versions(&[1]))), Some(10), &[10], &[]);
    }

    #[test]
    fn what_is_not_there_is_named_and_the_rest_is_loaded() {
        check(
            "serve = 7",
            None,
            None,
            &[],
            &["model.toml: serve names version 7, which is not there or not complete"],
        );
        check(
            "serve = \"best\"\n[aliases]\nbest = 7\nother = 1",
            None,
            None,
            &[1],
            &["model.toml: alias best names version 7, which is not there or not complete"],
        );
        check(
            "load = [1, 8]",
            None,
            Some(10),
            &[1, 10],
            &["model.toml: load names version 8, which is not there or not complete"],
        );
        check(
            "",
            Some(VersionPolicy::Specific(versions(&[9]))),
            None,
            &[],
            &["config.pbtxt: version_policy names version 9, which is not there or not complete"],
        );
        assert_eq!(serving(&Card::default(), None, &[]).problems.len(), 1);
    }
}
