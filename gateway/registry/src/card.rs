//! The card of a model, `model.toml`: what its owner says about it and how it is to be served.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{
    BatchingPolicy, BreakingPolicy, ByteSize, DivisionPolicy, EngineChoice, Nonfinite, QueueDelay,
    VersionNumber, VersionSelector, read_duration,
};
use toml::{Table, Value};

use crate::problem::Problem;
use crate::table::{self, Keys};
use crate::tolerance::Tolerance;

/// The most worker threads that a card may ask for.
pub(crate) const WORKERS_MAX: usize = 1024;
/// The most rows that a card may let run together.
const BATCH_ROWS_MAX: usize = 4096;
/// The longest that a card may let a request wait for others.
const BATCH_DELAY_MAX: Duration = Duration::from_secs(10);
const DELAY_EXPECTED: &str = "give a time of 10 s at most, such as \"500us\" or \"2ms\"";
/// The most preferred numbers of rows.
const PREFERRED_MAX: usize = 16;
const PREFERRED_EXPECTED: &str = "give a list of up to 16 whole numbers from 1 to 4096, such as [4, 8]";
/// The most priorities.
pub(crate) const PRIORITY_LEVELS_MAX: usize = 64;
/// The longest queue that a card may ask for.
pub(crate) const QUEUE_MAX: usize = 1_000_000;
/// The smallest and the largest response cache that a card may ask for.
const CACHE_BYTES: RangeInclusive<ByteSize> = ByteSize(64 << 10)..=ByteSize(256 << 30);

/// What `model.toml` says. A key that is not there is `None`, so that a Triton configuration beside
/// it, or the gateway's own default, can fill the gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// What the model is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The version that answers requests that name none.
    pub serve: Option<Serve>,
    /// What happens when a new version appears; [`Card::on_new`] has the default.
    pub on_new: Option<OnNew>,
    /// Which versions are loaded.
    pub load: Option<Load>,
    /// The engine asked for.
    pub engine: Option<EngineChoice>,
    /// Worker threads of each version.
    pub workers: Option<usize>,
    /// Requests that may wait for each version.
    pub queue_max: Option<usize>,
    /// How long they may, where ever more come.
    pub queue_delay: Option<QueueDelay>,
    /// How many priorities requests can have.
    pub priority_levels: Option<usize>,
    /// The priority of a request that says none.
    pub priority_default: Option<usize>,
    /// How NaN and infinities are said in JSON.
    pub nonfinite: Option<Nonfinite>,
    /// Whether requests may be run together.
    pub batching: Option<BatchingPolicy>,
    /// The most rows of several requests that are run together, where they may be.
    pub batch_rows_max: Option<usize>,
    /// Numbers of rows that are run together as soon as they are there, ascending.
    pub batch_rows_preferred: Option<Arc<[u64]>>,
    /// How long a request waits for others to be run with.
    pub batch_delay: Option<Duration>,
    /// How far the answers of rows that are run together may lie from those alone, as a part of them;
    /// only where batching is allowed.
    pub batch_rtol: Option<Tolerance>,
    /// How far they may lie in any case.
    pub batch_atol: Option<Tolerance>,
    /// Bytes of requests and answers that each version keeps, to answer equal requests without a run; 0 for none.
    pub cache_bytes_max: Option<usize>,
    /// What becomes of a version that divides integers of a request.
    pub integer_division: Option<DivisionPolicy>,
    /// What becomes of a version that callers of the serving one cannot use.
    pub breaking: Option<BreakingPolicy>,
    /// Names that stand for versions.
    pub aliases: BTreeMap<String, VersionNumber>,
    /// Names of the columns of an input, by the input's name.
    pub features: BTreeMap<String, Arc<[String]>>,
    /// Names of the classes of an output, by the output's name.
    pub labels: BTreeMap<String, Arc<[String]>>,
}

/// Which version answers requests that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serve {
    /// The highest number there is.
    Latest,
    /// This one.
    Number(VersionNumber),
    /// The one that this alias stands for.
    Alias(String),
}

/// What happens when a new version appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNew {
    /// It takes over once it has passed its checks.
    Serve,
    /// It waits until it is promoted.
    Hold,
}

/// Which versions are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// The one that is served and those that an alias stands for.
    Serving,
    /// All there are.
    All,
    /// Those served or aliased, and these.
    Numbers(Vec<VersionNumber>),
}

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// Every problem of the file, each with its key, its value and what to do about it.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let table = table::parse(file, bytes).map_err(|problem| vec![problem])?;
        Self::read(file, table, true)
    }

    /// Reads a card out of a table that stands elsewhere: `[model.NAME]` of the gateway's configuration,
    /// which may name aliases of the card in the registry.
    ///
    /// # Errors
    /// As [`Card::parse`].
    pub fn from_table(file: &str, table: Table) -> Result<Self, Vec<Problem>> {
        Self::read(file, table, false)
    }

    /// Reads a card; `whole` where it has to have the aliases that it names.
    fn read(file: &str, table: Table, whole: bool) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keys = Keys::new(file, table, &mut problems);
        let card = Self {
            description: keys.text("description"),
            owner: keys.text("owner"),
            serve: keys.take("serve", "give \"latest\", a version's number or an alias", serve),
            on_new: keys.take("on_new", "give \"serve\" or \"hold\" (\"rollout:NAME\" is reserved)", on_new),
            load: keys.take("load", "give \"serving\", \"all\" or a list of versions' numbers", load),
            engine: keys.word("engine", &words(EngineChoice::ALL, EngineChoice::name)),
            workers: keys.count("workers", WORKERS_MAX),
            queue_max: keys.count("queue_max", QUEUE_MAX),
            queue_delay: keys.take("queue_delay", "give \"auto\", \"off\" or a time such as \"50ms\"", |v| {
                QueueDelay::parse(v.as_str()?)
            }),
            priority_levels: keys.count("priority_levels", PRIORITY_LEVELS_MAX),
            priority_default: keys.count("priority_default", PRIORITY_LEVELS_MAX),
            nonfinite: keys.word("nonfinite", &words(Nonfinite::ALL, Nonfinite::name)),
            batching: keys.word("batching", &words(BatchingPolicy::ALL, BatchingPolicy::name)),
            batch_rows_max: keys.count("batch_rows_max", BATCH_ROWS_MAX),
            batch_rows_preferred: keys.take("batch_rows_preferred", PREFERRED_EXPECTED, preferred),
            batch_delay: keys.take("batch_delay", DELAY_EXPECTED, |v| {
                read_duration(v.as_str()?).filter(|delay| *delay <= BATCH_DELAY_MAX)
            }),
            batch_rtol: keys.tolerance("batch_rtol"),
            batch_atol: keys.tolerance("batch_atol"),
            cache_bytes_max: keys.bytes_or_none("cache_bytes_max", CACHE_BYTES),
            integer_division: keys
                .word("integer_division", &words(DivisionPolicy::ALL, DivisionPolicy::name)),
            breaking: keys.word("breaking", &words(BreakingPolicy::ALL, BreakingPolicy::name)),
            aliases: aliases(&mut keys),
            features: keys.lists("inputs", "features"),
            labels: keys.lists("outputs", "labels"),
        };
        if let Some(Serve::Alias(alias)) = &card.serve
            && whole
            && !card.aliases.contains_key(alias)
        {
            let remedy = "add it to [aliases], or give \"latest\" or a version's number without quotes";
            keys.report("serve", &format!("= {alias:?}, which is no alias of this card"), remedy);
        }
        let tolerances = [("batch_rtol", card.batch_rtol), ("batch_atol", card.batch_atol)];
        if card.batching != Some(BatchingPolicy::Allow) {
            for (key, _) in tolerances.into_iter().filter(|(_, tolerance)| tolerance.is_some()) {
                let remedy = "add batching = \"allow\", or take it out: otherwise that of golden.json counts";
                keys.report(key, "counts with batching = \"allow\" alone", remedy);
            }
        }
        let levels = card.priority_levels.unwrap_or(1);
        if let Some(default) = card.priority_default.filter(|default| *default > levels) {
            let remedy = "give one of the priority_levels: 1 comes first";
            keys.report("priority_default", &format!("= {default}, and there are {levels} levels"), remedy);
        }
        keys.refuse_rest();
        if problems.is_empty() { Ok(card) } else { Err(problems) }
    }

    /// This card, and where it says nothing, `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let mut aliases = below.aliases;
        aliases.extend(self.aliases);
        let mut features = below.features;
        features.extend(self.features);
        let mut labels = below.labels;
        labels.extend(self.labels);
        Self {
            description: self.description.or(below.description),
            owner: self.owner.or(below.owner),
            serve: self.serve.or(below.serve),
            on_new: self.on_new.or(below.on_new),
            load: self.load.or(below.load),
            engine: self.engine.or(below.engine),
            workers: self.workers.or(below.workers),
            queue_max: self.queue_max.or(below.queue_max),
            queue_delay: self.queue_delay.or(below.queue_delay),
            priority_levels: self.priority_levels.or(below.priority_levels),
            priority_default: self.priority_default.or(below.priority_default),
            nonfinite: self.nonfinite.or(below.nonfinite),
            batching: self.batching.or(below.batching),
            batch_rows_max: self.batch_rows_max.or(below.batch_rows_max),
            batch_rows_preferred: self.batch_rows_preferred.or(below.batch_rows_preferred),
            batch_delay: self.batch_delay.or(below.batch_delay),
            batch_rtol: self.batch_rtol.or(below.batch_rtol),
            batch_atol: self.batch_atol.or(below.batch_atol),
            cache_bytes_max: self.cache_bytes_max.or(below.cache_bytes_max),
            integer_division: self.integer_division.or(below.integer_division),
            breaking: self.breaking.or(below.breaking),
            aliases,
            features,
            labels,
        }
    }

    /// What happens when a new version appears: as the card says, else it takes over exactly where
    /// the latest version is the one to serve.
    #[must_use]
    pub fn on_new(&self) -> OnNew {
        self.on_new.unwrap_or(match self.serve {
            None | Some(Serve::Latest) => OnNew::Serve,
            Some(Serve::Number(_) | Serve::Alias(_)) => OnNew::Hold,
        })
    }
}

/// The choices with the words that stand for them.
fn words<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> Vec<(&'static str, T)> {
    all.iter().map(|&choice| (name(choice), choice)).collect()
}

fn number(value: &Value) -> Option<VersionNumber> {
    VersionNumber::new(u64::try_from(value.as_integer()?).ok()?)
}

/// An alias is what can stand for a version in a path and is not read as a number there. `latest`
/// already means something.
fn is_alias(name: &str) -> bool {
    name != "latest" && matches!(VersionSelector::parse(name), Ok(VersionSelector::Alias(_)))
}

fn serve(value: &Value) -> Option<Serve> {
    match value.as_str() {
        Some("latest") => Some(Serve::Latest),
        Some(alias) => is_alias(alias).then(|| Serve::Alias(alias.to_owned())),
        None => number(value).map(Serve::Number),
    }
}

fn on_new(value: &Value) -> Option<OnNew> {
    match value.as_str()? {
        "serve" => Some(OnNew::Serve),
        "hold" => Some(OnNew::Hold),
        _ => None,
    }
}

fn load(value: &Value) -> Option<Load> {
    match value {
        Value::String(word) if word == "serving" => Some(Load::Serving),
        Value::String(word) if word == "all" => Some(Load::All),
        Value::Array(list) => list.iter().map(number).collect::<Option<_>>().map(Load::Numbers),
        _ => None,
    }
}

/// Numbers of rows, ascending.
fn preferred(value: &Value) -> Option<Arc<[u64]>> {
    let list = value.as_array().filter(|list| list.len() <= PREFERRED_MAX)?;
    let count =
        |item: &Value| usize::try_from(item.as_integer()?).ok().filter(|n| (1..=BATCH_ROWS_MAX).contains(n));
    let mut sizes = list.iter().map(|item| count(item).map(|n| n as u64)).collect::<Option<Vec<u64>>>()?;
    sizes.sort_unstable();
    sizes.dedup();
    Some(sizes.into())
}

fn aliases(keys: &mut Keys<'_>) -> BTreeMap<String, VersionNumber> {
    let mut aliases = BTreeMap::new();
    for (name, value) in keys.table("aliases").into_iter().flatten() {
        let key = format!("aliases.{name}");
        if !is_alias(&name) {
            let remedy = "an alias is 1 to 128 characters of A-Z a-z 0-9 _ . -, does not start with a dot, \
                          and is neither a number nor \"latest\"";
            keys.report(&key, "has a name that no alias can have", remedy);
        } else if let Some(version) = number(&value) {
            aliases.insert(name, version);
        } else {
            keys.refuse(&key, &value, "give a version's number");
        }
    }
    aliases
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(number: u64) -> VersionNumber {
        VersionNumber::new(number).expect("above zero")
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = Card::parse("iris/model.toml", text.as_bytes()).expect_err("a bad card");
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_full_card_is_read() {
        let text = r#"
            description = "Species of an iris"
            owner = "flowers"
            serve = "champion"
            load = [1, 3]
            engine = "tract"
            workers = 2
            queue_max = 64
            queue_delay = "50ms"
            priority_levels = 3
            priority_default = 2
            batch_rows_preferred = [8, 4, 8]
            batch_delay = "500us"
            nonfinite = "null"
            batching = "allow"
            batch_rtol = 0
            batch_atol = 0.5
            cache_bytes_max = "32MiB"
            integer_division = "allow"
            breaking = "allow"
            [aliases]
            champion = 2
            [inputs.X]
            features = ["sepal length", "sepal width"]
            [outputs.label]
            labels = ["setosa", "versicolor"]
        "#;
        let card = Card::parse("iris/model.toml", text.as_bytes()).expect("a good card");
        assert_eq!(card.serve, Some(Serve::Alias("champion".into())));
        assert_eq!(card.load, Some(Load::Numbers(vec![version(1), version(3)])));
        assert_eq!(card.engine, Some(EngineChoice::Tract));
        assert_eq!((card.workers, card.queue_max), (Some(2), Some(64)));
        assert_eq!(card.queue_delay, Some(QueueDelay::Within(Duration::from_millis(50))));
        assert_eq!((card.priority_levels, card.priority_default), (Some(3), Some(2)));
        assert_eq!(card.batch_rows_preferred.as_deref(), Some(&[4, 8][..]));
        assert_eq!(card.batch_delay, Some(Duration::from_micros(500)));
        assert_eq!(card.nonfinite, Some(Nonfinite::Null));
        assert_eq!(card.batching, Some(BatchingPolicy::Allow));
        assert_eq!((card.batch_rtol, card.batch_atol), (Tolerance::new(0.0), Tolerance::new(0.5)));
        assert_eq!(card.cache_bytes_max, Some(32 << 20));
        assert_eq!(card.integer_division, Some(DivisionPolicy::Allow));
        assert_eq!(card.breaking, Some(BreakingPolicy::Allow));
        assert_eq!(card.aliases["champion"], version(2));
        assert_eq!(card.features["X"].len(), 2);
        assert_eq!(card.labels["label"][1], "versicolor");
        assert_eq!(card.on_new(), OnNew::Hold);
        assert_eq!(Card::parse("x", b""), Ok(Card::default()));
        assert_eq!(Card::default().on_new(), OnNew::Serve);
    }

    #[test]
    fn every_problem_is_named_with_key_value_and_remedy() {
        let text = r#"
            serve = "winner"
            on_new = "maybe"
            workers = 0
            queue_max = 1.5
            queue_delay = "soon"
            priority_default = 2
            batch_rows_preferred = [0]
            batch_delay = "1m"
            batch_rtol = -1
            batch_atol = 1
            cache_bytes_max = "1KiB"
            speed = "fast"
            [aliases]
            007 = 1
            latest = 2
            good = -4
            [inputs.X]
            features = [1]
            colour = "red"
        "#;
        assert_eq!(
            problems(text),
            [
                "iris/model.toml: key on_new = \"maybe\"; give \"serve\" or \"hold\" (\"rollout:NAME\" is reserved)",
                "iris/model.toml: key workers = 0; give a whole number from 1 to 1024",
                "iris/model.toml: key queue_max = 1.5; give a whole number from 1 to 1000000",
                "iris/model.toml: key queue_delay = \"soon\"; give \"auto\", \"off\" or a time such as \"50ms\"",
                "iris/model.toml: key batch_rows_preferred = a list; give a list of up to 16 whole numbers from 1 to \
                 4096, such as [4, 8]",
                "iris/model.toml: key batch_delay = \"1m\"; give a time of 10 s at most, such as \"500us\" or \"2ms\"",
                "iris/model.toml: key batch_rtol = -1; give a number from 0 on",
                "iris/model.toml: key cache_bytes_max = \"1KiB\"; give 0, or bytes from \"64KiB\" to \"256GiB\"",
                "iris/model.toml: key aliases.007 has a name that no alias can have; an alias is 1 to 128 \
                 characters of A-Z a-z 0-9 _ . -, does not start with a dot, and is neither a number nor \"latest\"",
                "iris/model.toml: key aliases.good = -4; give a version's number",
                "iris/model.toml: key aliases.latest has a name that no alias can have; an alias is 1 to 128 \
                 characters of A-Z a-z 0-9 _ . -, does not start with a dot, and is neither a number nor \"latest\"",
                "iris/model.toml: key inputs.X.features = a list; give a list of texts",
                "iris/model.toml: key inputs.X.colour is unknown; the keys here are features",
                "iris/model.toml: key serve = \"winner\", which is no alias of this card; add it to [aliases], or \
                 give \"latest\" or a version's number without quotes",
                "iris/model.toml: key batch_atol counts with batching = \"allow\" alone; add batching = \"allow\", or \
                 take it out: otherwise that of golden.json counts",
                "iris/model.toml: key priority_default = 2, and there are 1 levels; give one of the priority_levels: \
                 1 comes first",
                "iris/model.toml: key speed is unknown; the keys here are description, owner, serve, on_new, load, \
                 engine, workers, queue_max, queue_delay, priority_levels, priority_default, nonfinite, batching, \
                 batch_rows_max, batch_rows_preferred, batch_delay, batch_rtol, batch_atol, \
                 cache_bytes_max, integer_division, breaking, \
                 aliases, inputs, outputs",
            ]
        );
    }

    #[test]
    fn a_cache_is_bounded_or_off() {
        let read = |value: &str| {
            let text = format!("cache_bytes_max = {value}");
            Card::parse("x", text.as_bytes()).map(|card| card.cache_bytes_max).ok()
        };
        for (value, bytes) in [("0", 0), ("\"0MiB\"", 0), ("65536", 65536), ("\"256GiB\"", 256 << 30)] {
            assert_eq!(read(value), Some(Some(bytes)), "{value}");
        }
        for bad in ["-1", "65535", "\"257GiB\"", "true", "\"64\"", "1.5"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn broken_syntax_is_named_with_its_line() {
        let found = problems("serve = 1\nowner = \n");
        assert!(found[0].starts_with("iris/model.toml: line 2: "), "{found:?}");
        let twice = problems("serve = 1\nserve = 2\n");
        assert!(twice[0].starts_with("iris/model.toml: line 2: "), "{twice:?}");
        assert!(Card::parse("x", b"owner = \"\xff\"").expect_err("not UTF-8")[0].what.contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn arbitrary_cards_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Card::parse("x", &bytes);
        }

        #[test]
        fn cards_of_card_like_pieces_never_panic(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                "serve", "=", "\"latest\"", "1", "-1", "\n", "[aliases]", "[inputs.X]", "load", "[", "]", "all",
                "features", ".", "engine", "1e400", "{", "}", ",", "'",
            ]), 0..40),
        ) {
            let _ = Card::parse("x", pieces.concat().as_bytes());
        }
    }
}
