//! The arm of a traffic split: what a request is counted under beside its version.

use std::fmt;
use std::sync::{Arc, LazyLock};

/// The way by which a request came to its version, by the name that answers, logs and metrics have.
///
/// Names other than those of the two fixed arms come from plans alone, never from a request, so that they can be labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arm {
    /// The model's default.
    #[default]
    Default,
    /// The caller named a version or an alias.
    Direct,
    /// An arm of the model's plan.
    Named(Arc<str>),
}

impl Arm {
    /// The name of the arm that takes what no other takes.
    pub const DEFAULT: &str = "default";
    /// The name of the arm of those who name a version.
    pub const DIRECT: &str = "direct";

    /// The name in answers, logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Default => Self::DEFAULT,
            Self::Direct => Self::DIRECT,
            Self::Named(name) => name,
        }
    }

    /// The same, for what keeps it: nothing is copied.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        static DEFAULT: LazyLock<Arc<str>> = LazyLock::new(|| Arm::DEFAULT.into());
        static DIRECT: LazyLock<Arc<str>> = LazyLock::new(|| Arm::DIRECT.into());
        match self {
            Self::Default => DEFAULT.clone(),
            Self::Direct => DIRECT.clone(),
            Self::Named(name) => name.clone(),
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
