//! What has changed: serving against training (skew) and now against before (drift), with what is chance left out.

mod distance;
mod judge;
mod report;
mod series;
mod settings;

pub use distance::{Distances, NumberDistances, distances};
pub use judge::{Judged, Verdict, judge};
pub use report::{Ask, AskError, BARS_MAX, Bar, ColumnReport, DriftReport, POINTS_MAX, PointReport, Summary};
pub use series::{Against, Point, Series, onset};
pub use settings::{COLUMN_LIMITS_MAX, ColumnLimits, Limits, Look, Rules, Statistic};
