//! How good a model's predictions turned out to be, by the labels that came.
//!
//! The joined pairs themselves are kept, up to a bound past which a fair sample of them is ([`Pairs`]); every figure is
//! computed from them when it is asked for. So windows, slices and versions can be asked for in any way, a label that is
//! corrected is corrected in every figure exactly, and what came in two parts is what came at once.
//!
//! What needs no labels is summed by the day for all predictions ([`Day`]): how many there were, which coverage is held
//! against, and how good they would be if their probabilities were true (CBPE).

mod build;
mod calibration;
mod compare;
mod coverage;
mod day;
mod figures;
mod page;
mod pairs;
mod report;
mod standing;
mod text;
mod window;

pub use self::day::{Day, Days};
pub use self::pairs::Pairs;
pub use self::report::{
    Ask, CalibrationBin, ClassFigures, Contest, CoverageReport, Estimated, Figure, Figures, Flip, Lead,
    QualityReport, Ranking, Series, Windowed,
};
pub use self::standing::{Concern, ConcernLimits, concerns};
pub use self::window::Window;
