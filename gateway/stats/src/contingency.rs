//! The contingency table of two samples of counts, and statistics that are sums over its classes.

use crate::goodness_of_fit::ChiSquared;
use crate::multinomial::{CLASSES_MAX, ClassesError};

/// The sum over all classes that are not empty in both of `part`: of the counts of a class in both samples, and of all
/// counts of both. Its degrees of freedom are those of a chi-squared. Nothing seen on one side is no difference.
///
/// # Errors
/// Where the samples do not have as many classes, or too many.
pub(crate) fn contingency(
    reference: &[u64],
    current: &[u64],
    part: impl Fn([f64; 2], [f64; 2]) -> f64,
) -> Result<ChiSquared, ClassesError> {
    let (counts, classes) = (current.len(), reference.len());
    if classes > CLASSES_MAX {
        return Err(ClassesError::Count(classes));
    }
    if counts != classes {
        return Err(ClassesError::Length { counts, classes });
    }
    let all = [reference, current].map(|counts| counts.iter().map(|count| *count as f64).sum::<f64>());
    if all.iter().any(|all| *all <= 0.0) {
        return Ok(ChiSquared::default());
    }
    let (mut statistic, mut seen) = (0.0, 0_usize);
    for (r, c) in reference.iter().zip(current) {
        let of_class = [*r as f64, *c as f64];
        if of_class.iter().any(|count| *count > 0.0) {
            seen += 1;
            statistic += part(of_class, all);
        }
    }
    Ok(ChiSquared { statistic, degrees: seen.saturating_sub(1) })
}
