//! What an operator can wish for, by command line or admin API.

use std::fmt;

use pointsman_core::VersionNumber;

use crate::plans::{PlanTo, PlanWish};
use crate::rollout::{Event, Spec};

/// One wish about one model.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// This version answers callers that name none, whatever the declarations say.
    Promote {
        /// The version.
        version: VersionNumber,
        /// Also where callers of the serving version would break.
        allow_breaking: bool,
    },
    /// The version that answered before answers again.
    Rollback,
    /// This version is loaded beside the others; without a number, the model is served again and
    /// read anew.
    Load {
        /// The version.
        version: Option<VersionNumber>,
    },
    /// This version leaves, and is not `latest` again before it is asked for by name; without a
    /// number, the whole model leaves.
    Unload {
        /// The version.
        version: Option<VersionNumber>,
    },
    /// The alias stands for this version; without one, for nothing.
    Alias {
        /// The alias.
        alias: String,
        /// The version.
        version: Option<VersionNumber>,
        /// Also where callers of the alias would break.
        allow_breaking: bool,
    },
    /// This version, or the one that serves, stays whatever card, configuration and `latest` say.
    Pin {
        /// The version.
        version: Option<VersionNumber>,
    },
    /// The declarations count again.
    Unpin,
    /// Nothing changes by itself, and no wish but a rollback or a withdrawal is granted.
    Freeze,
    /// Changes are possible again.
    Unfreeze,
    /// Callers that name no version are split by another plan.
    Plan(PlanWish),
    /// A version takes over in stages, or what somebody says to one that does.
    Rollout(RolloutWish),
    /// All wishes are forgotten: card and configuration alone say what serves.
    Reset,
}

/// A wish about a rollout.
#[derive(Clone, Debug, PartialEq)]
pub enum RolloutWish {
    /// It begins.
    Start(Box<Spec>),
    /// Somebody holds it.
    Pause,
    /// Somebody lets it go on.
    Resume,
    /// Somebody wants the next stage, whatever is known.
    Advance,
    /// Somebody approves of what follows this stage.
    Approve,
    /// Somebody wants the candidate to answer everybody, whatever is known.
    Promote,
    /// Somebody ends it.
    Abort,
}

impl RolloutWish {
    /// What it is to the rollout.
    pub(crate) fn event(&self) -> Event {
        match self {
            Self::Start(_) => Event::Start,
            Self::Pause => Event::Pause,
            Self::Resume => Event::Resume,
            Self::Advance => Event::Advance,
            Self::Approve => Event::Approve,
            Self::Promote => Event::Promote,
            Self::Abort => Event::Abort,
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::Start(_) => "rollout start",
            Self::Pause => "rollout pause",
            Self::Resume => "rollout resume",
            Self::Advance => "rollout advance",
            Self::Approve => "rollout approve",
            Self::Promote => "rollout promote",
            Self::Abort => "rollout abort",
        }
    }
}

/// What a wish is about. Of two wishes about the same, the later one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject<'w> {
    /// The version for callers that name none.
    Default,
    /// Whether the model is served at all.
    Model,
    /// Whether a version is loaded.
    Version(VersionNumber),
    /// What an alias stands for.
    Alias(&'w str),
    /// Whether anything may change.
    Freeze,
    /// How callers are split.
    Plan,
    /// How a version takes over.
    Rollout,
}

impl Wish {
    /// The word of the command and of the journal.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Promote { .. } => "promote",
            Self::Rollback => "rollback",
            Self::Load { .. } => "load",
            Self::Unload { .. } => "unload",
            Self::Alias { .. } => "alias",
            Self::Pin { .. } => "pin",
            Self::Unpin => "unpin",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
            Self::Plan(PlanWish { to: PlanTo::Previous, .. }) => "plan rollback",
            Self::Plan(_) => "plan",
            Self::Rollout(wish) => wish.verb(),
            Self::Reset => "reset",
        }
    }

    /// The version that it names.
    #[must_use]
    pub fn version(&self) -> Option<VersionNumber> {
        match self {
            Self::Promote { version, .. } => Some(*version),
            Self::Load { version }
            | Self::Unload { version }
            | Self::Alias { version, .. }
            | Self::Pin { version } => *version,
            Self::Rollout(RolloutWish::Start(spec)) => Some(spec.candidate),
            Self::Rollback
            | Self::Unpin
            | Self::Freeze
            | Self::Unfreeze
            | Self::Plan(_)
            | Self::Rollout(_)
            | Self::Reset => None,
        }
    }

    /// Whether it can only take traffic away from versions. Such a wish takes effect first and is
    /// journalled next; every other one is journalled first.
    #[must_use]
    pub fn lowers(&self) -> bool {
        match self {
            Self::Rollback | Self::Unload { .. } | Self::Freeze => true,
            Self::Rollout(wish) => matches!(wish, RolloutWish::Pause | RolloutWish::Abort),
            _ => false,
        }
    }

    /// Whether it says that callers of what serves may break on this version.
    pub(crate) fn allows_breaking(&self, number: VersionNumber) -> bool {
        match self {
            Self::Promote { version, allow_breaking } => *allow_breaking && *version == number,
            Self::Alias { version, allow_breaking, .. } => *allow_breaking && *version == Some(number),
            _ => false,
        }
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        match self {
            Self::Promote { .. } | Self::Rollback | Self::Pin { .. } | Self::Unpin => Subject::Default,
            Self::Load { version: Some(version) } | Self::Unload { version: Some(version) } => {
                Subject::Version(*version)
            }
            Self::Load { version: None } | Self::Unload { version: None } | Self::Reset => Subject::Model,
            Self::Alias { alias, .. } => Subject::Alias(alias),
            Self::Freeze | Self::Unfreeze => Subject::Freeze,
            Self::Plan(_) => Subject::Plan,
            Self::Rollout(_) => Subject::Rollout,
        }
    }

    /// Whether this wish, coming after `earlier`, makes an end of it.
    pub(crate) fn supersedes(&self, earlier: &Self) -> bool {
        let same = self.subject() == earlier.subject();
        let whole = matches!(self, Self::Unload { version: None } | Self::Reset);
        let leaves = match self {
            Self::Unload { version: Some(version) } => earlier.version() == Some(*version),
            _ => false,
        };
        same || whole || leaves || matches!(self, Self::Freeze)
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())?;
        if let Self::Alias { alias, .. } = self {
            write!(f, " {alias}")?;
        }
        match self.version() {
            Some(version) => write!(f, " {version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> VersionNumber {
        VersionNumber::new(number).expect("above zero")
    }

    #[test]
    fn a_later_wish_ends_an_earlier_one_about_the_same() {
        let promote = |n| Wish::Promote { version: version(n), allow_breaking: false };
        let load = |n| Wish::Load { version: Some(version(n)) };
        let unload = |n| Wish::Unload { version: Some(version(n)) };
        let alias = |alias: &str, n| Wish::Alias {
            alias: alias.into(),
            version: Some(version(n)),
            allow_breaking: false,
        };
        for (later, earlier, ends) in [
            (promote(2), promote(1), true),
            (Wish::Rollback, promote(1), true),
            (promote(2), load(2), false),
            (load(2), load(3), false),
            (unload(2), load(2), true),
            (unload(2), promote(2), true),
            (unload(2), promote(3), false),
            (alias("a", 1), alias("b", 1), false),
            (alias("a", 2), alias("a", 1), true),
            (Wish::Unload { version: None }, alias("a", 1), true),
            (Wish::Load { version: None }, Wish::Unload { version: None }, true),
            (Wish::Load { version: None }, promote(1), false),
            (Wish::Reset, promote(1), true),
        ] {
            assert_eq!(later.supersedes(&earlier), ends, "{later} after {earlier}");
        }
    }
}
