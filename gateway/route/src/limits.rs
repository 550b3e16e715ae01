//! How large a plan may be.

/// The most bytes of a document.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// The most bytes of the name of an arm, experiment, layer or shadow.
pub const NAME_BYTES_MAX: usize = 64;
/// The most bytes of a salt, of the name of a header, cookie, parameter or tensor, and of a value of a rule.
pub const TEXT_BYTES_MAX: usize = 256;
/// The most rules.
pub const RULES_MAX: usize = 64;
/// The most values in the set of one rule.
pub const RULE_VALUES_MAX: usize = 256;
/// The most layers.
pub const LAYERS_MAX: usize = 8;
/// The most experiments in one layer.
pub const EXPERIMENTS_MAX: usize = 16;
/// The most arms in one experiment, the default arm left out.
pub const EXPERIMENT_ARMS_MAX: usize = 16;
/// The most arms in a plan, the default arm left out: each is a label of metrics.
pub const ARMS_MAX: usize = 64;
/// The most sources of a unit.
pub const UNITS_MAX: usize = 8;
/// The most metrics of outputs in one experiment.
pub const METRICS_MAX: usize = 8;
/// The largest place in a row, and the largest class, that a metric can be of.
pub const METRIC_INDEX_MAX: u32 = 65_535;
/// The most shadows.
pub const SHADOWS_MAX: usize = 8;
/// The largest index of a tensor's element that can be a unit.
pub const TENSOR_INDEX_MAX: usize = 1023;
/// The most lines of the header `cookie` that are looked through: HTTP/2 may bring each cookie in one of its own.
pub const COOKIE_LINES_MAX: usize = 64;
/// The most findings that are reported of one document.
pub const FINDINGS_MAX: usize = 100;
