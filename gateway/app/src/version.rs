//! What `pointsman --version` says.

/// The release.
pub(crate) const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The release, the commit it was built from and the engines compiled in.
pub(crate) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("POINTSMAN_COMMIT"),
    "; ",
    env!("POINTSMAN_ENGINES"),
    ")"
);
