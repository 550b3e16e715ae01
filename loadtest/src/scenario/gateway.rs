//! The gateway that a scenario starts.

use std::path::PathBuf;

use serde::Deserialize;

/// How a gateway is started, on free ports of loopback, and ended with the run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayTable {
    /// Its binary.
    #[serde(default = "GatewayTable::built")]
    pub(crate) binary: PathBuf,
    /// The registry that it serves.
    #[serde(default = "GatewayTable::shipped")]
    pub(crate) registry: PathBuf,
    /// Its configuration; the defaults without it.
    pub(crate) config: Option<PathBuf>,
    /// The core that it is bound to (with `taskset`); without it it is bound to none.
    pub(crate) core: Option<usize>,
}

impl GatewayTable {
    fn built() -> PathBuf {
        "target/release/pointsman".into()
    }

    fn shipped() -> PathBuf {
        "models".into()
    }
}

impl Default for GatewayTable {
    fn default() -> Self {
        Self { binary: Self::built(), registry: Self::shipped(), config: None, core: None }
    }
}
