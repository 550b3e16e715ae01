//! One model as the reconciler knows it: a plain value, from which everything is decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pointsman_core::{BreakingPolicy, Signature, VersionNumber};
use pointsman_registry::{Card, FolderState, ModelListing, OnNew, Serve, Settings, Stamp, TritonConfig};
use pointsman_route::Document;

use crate::committed::{Committed, Mark, Override, Served};
use crate::loader::Gate;
use crate::plans;
use crate::rollout::Standing;

/// One model.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// What card and configuration say; the last that made sense.
    pub declared: Declared,
    /// What the registry has.
    pub found: BTreeMap<VersionNumber, Found>,
    /// Whether the registry says that the model is to leave.
    pub tombstone: bool,
    /// What serves by the journal's word.
    pub committed: Committed,
    /// Versions that are or were loaded, or were tried.
    pub versions: BTreeMap<VersionNumber, VersionState>,
    /// The rollout that is under way.
    pub rollout: Option<Standing>,
}

/// What the owners of a model and of the gateway say about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// The card, with what the gateway's configuration says in its place.
    pub card: Card,
    /// Its Triton configuration, where it has one.
    pub config: Option<TritonConfig>,
    /// How its versions are run, by both together.
    pub settings: Settings,
    /// What becomes of a version that callers of the serving one cannot use.
    pub breaking: BreakingPolicy,
    /// How callers that name no version are split, where the configuration says so.
    pub plan: Option<Document>,
}

/// A version in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its folder as it was seen.
    pub stamp: Stamp,
    /// The bytes of its files.
    pub bytes: u64,
    /// Whether it is complete.
    pub folder: FolderState,
}

/// What became of a version.
#[derive(Clone, Debug, Default)]
pub struct VersionState {
    /// It is loaded, and in the snapshot.
    pub ready: Option<Ready>,
    /// It is being loaded, from a folder that looked like this.
    pub loading: Option<Stamp>,
    /// The last try to load it failed.
    pub failure: Option<Failure>,
    /// It was the default, and stays loaded until then so that a rollback finds it.
    pub kept_until: Option<Instant>,
}

/// A version in the snapshot.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Tells one load of a version from another.
    pub incarnation: u64,
    /// The folder that it was read from.
    pub stamp: Stamp,
    /// SHA-256 over its files.
    pub digest: String,
    /// What it takes and gives.
    pub signature: Arc<Signature>,
    /// The digest of the schema that its requests are held against.
    pub schema: Option<String>,
}

/// A failed try to load a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The folder that was read.
    pub stamp: Stamp,
    /// Tries that failed in a row and count against it.
    pub attempts: u32,
    /// All tries that failed in a row: the next one waits the longer the more they are.
    pub tries: u32,
    /// When it is tried again by itself; never where nothing stands.
    pub retry_at: Option<Instant>,
    /// The gate that it failed at.
    pub gate: Gate,
    /// Why, in one line.
    pub reason: String,
}

impl Declared {
    /// What a listing says, whose card has the configuration's word in it already.
    #[must_use]
    pub fn of(listing: &ModelListing, breaking: BreakingPolicy) -> Self {
        let settings = listing.settings();
        let breaking = settings.breaking.unwrap_or(breaking);
        Self { card: listing.card.clone(), config: listing.config.clone(), settings, breaking, plan: None }
    }

    /// The declared `serve` as text: what an operator's word overrides.
    #[must_use]
    pub fn serve(&self) -> String {
        match &self.card.serve {
            None | Some(Serve::Latest) => "latest".into(),
            Some(Serve::Number(number)) => number.to_string(),
            Some(Serve::Alias(alias)) => format!("\"{alias}\""),
        }
    }

    /// What an alias stands for by declaration, as text.
    #[must_use]
    pub fn alias(&self, alias: &str) -> String {
        self.card.aliases.get(alias).map_or_else(|| "none".into(), VersionNumber::to_string)
    }
}

impl Model {
    /// The operator's word on `serve`, while the declaration that it overrides stands.
    #[must_use]
    pub fn serve_override(&self) -> Option<&Override<Served>> {
        self.committed.wishes.serve.as_ref().filter(|word| word.over == self.declared.serve())
    }

    /// The operator's word on an alias, while the declaration that it overrides stands.
    #[must_use]
    pub fn alias_override(&self, alias: &str) -> Option<&Override<Option<VersionNumber>>> {
        let word = self.committed.wishes.aliases.get(alias)?;
        (word.over == self.declared.alias(alias)).then_some(word)
    }

    /// What each alias is to stand for.
    #[must_use]
    pub fn aliases(&self) -> BTreeMap<String, VersionNumber> {
        let mut aliases = self.declared.card.aliases.clone();
        for alias in self.committed.wishes.aliases.keys() {
            match self.alias_override(alias).map(|word| word.value) {
                Some(Some(version)) => aliases.insert(alias.clone(), version),
                Some(None) => aliases.remove(alias),
                None => None,
            };
        }
        aliases
    }

    /// The version in the snapshot.
    #[must_use]
    pub fn ready(&self, version: VersionNumber) -> Option<&Ready> {
        self.versions.get(&version)?.ready.as_ref()
    }

    /// Why the version does not come by itself: while its folder, or what is loaded of it, is what it
    /// was when that was said.
    #[must_use]
    pub fn mark(&self, version: VersionNumber) -> Option<&Mark> {
        let mark = self.committed.marks.get(&version)?;
        let found = self.found.get(&version).map(|found| found.stamp);
        let same_folder = found.is_none() || mark.stamp.is_none() || found == mark.stamp;
        let same_digest = |ready: &Ready| Some(&ready.digest) == mark.digest.as_ref();
        (same_folder || self.ready(version).is_some_and(same_digest)).then_some(mark)
    }

    /// Looks at what was read of a version that may be marked: where that is what it was then, its folder
    /// was only touched, and the mark goes on counting; else it is another version, and the mark goes.
    /// Says whether it is to be kept out.
    pub(crate) fn recognise(&mut self, version: VersionNumber, stamp: Stamp, digest: &str) -> bool {
        let Some(mark) = self.committed.marks.get_mut(&version) else { return false };
        // Where it was marked before it was ever read, its folder alone says that it is the same.
        let same = mark.digest.as_ref().map_or(mark.stamp == Some(stamp), |marked| marked == digest);
        if same {
            mark.stamp = Some(stamp);
            mark.digest = Some(digest.to_owned());
            return mark.kind.keeps_out();
        }
        self.committed.marks.remove(&version);
        false
    }

    /// Why the last try to load it failed, while its folder is what it was then.
    #[must_use]
    pub fn failure(&self, version: VersionNumber) -> Option<&Failure> {
        let failure = self.versions.get(&version)?.failure.as_ref()?;
        let found = self.found.get(&version).map(|found| found.stamp);
        found.is_none_or(|stamp| stamp == failure.stamp).then_some(failure)
    }

    /// Whether the registry says that the version is to leave.
    #[must_use]
    pub fn has_tombstone(&self, version: VersionNumber) -> bool {
        let folder = self.found.get(&version).map(|found| &found.folder);
        self.tombstone || folder == Some(&FolderState::Tombstone)
    }

    /// Whether the version may be in the snapshot at all.
    #[must_use]
    pub fn is_withdrawn(&self, version: VersionNumber) -> bool {
        self.committed.wishes.unloaded
            || self.has_tombstone(version)
            || self.mark(version).is_some_and(|mark| mark.kind.keeps_out())
    }

    /// Notes what callers of the default version of `new` are promised, where it is loaded.
    pub(crate) fn promise(&self, new: &mut Committed) {
        // Where it is to be loaded yet, or nothing serves, what callers had goes on counting.
        if let Some(ready) = new.default.and_then(|default| self.ready(default)) {
            new.signature = Some(ready.signature.clone());
        }
    }

    /// What callers of a version were promised; nothing where that cannot be known.
    #[must_use]
    pub fn promised(&self, version: VersionNumber) -> Option<&Arc<Signature>> {
        let ready = self.ready(version).map(|ready| &ready.signature);
        let is_default = self.committed.default == Some(version);
        ready.or_else(|| self.committed.signature.as_ref().filter(|_| is_default))
    }

    /// Whether to serve `to` exposes no more than there was: the default was withdrawn, and `to` served before,
    /// or is nothing.
    #[must_use]
    pub fn leads_back(&self, to: Option<VersionNumber>) -> bool {
        self.committed.default.is_some_and(|from| self.is_withdrawn(from))
            && to.is_none_or(|to| self.committed.history.contains(&to))
    }

    /// Whether what is written over a version that serves takes its place by itself. What a rollout compares stays as it
    /// is: else it would conclude from what one content did that another one may answer.
    #[must_use]
    pub fn takes_overwritten(&self, version: VersionNumber) -> bool {
        self.declared.card.on_new() == OnNew::Serve && self.may_change(version)
    }

    /// Whether a version that is ready is to be loaded anew, for a schema that was written since. Its files are what they
    /// were, so it does not take over from itself: `on_new` is not asked.
    #[must_use]
    pub fn takes_schema(&self, version: VersionNumber) -> bool {
        let declared = self.declared.settings.schema.as_ref().map(|schema| &*schema.digest);
        let is_other = self.ready(version).is_some_and(|ready| ready.schema.as_deref() != declared);
        is_other && self.may_change(version)
    }

    /// Whether it may become another one by itself: nobody froze the model, and no rollout compares it.
    fn may_change(&self, version: VersionNumber) -> bool {
        let is_compared = self
            .rollout
            .as_ref()
            .is_some_and(|standing| standing.candidate == version || self.committed.default == Some(version));
        !self.committed.wishes.frozen && !is_compared
    }

    /// Whether callers were told that the version is there: it is the default, an alias or the plan names it, or
    /// it takes over.
    #[must_use]
    pub fn is_reached(&self, version: VersionNumber) -> bool {
        self.committed.default == Some(version)
            || self.committed.aliases.values().any(|v| *v == version)
            || plans::names(self, version)
            || self.rollout.as_ref().is_some_and(|standing| standing.candidate == version)
    }
}
