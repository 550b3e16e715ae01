//! Whether a model that divides integers of a request may be served.

use pointsman_core::DivisionPolicy;
use pointsman_registry::Settings;

use super::fault::LoadFault;
use super::gates::Gates;

/// Refuses a model whose `operators` divide integers of a request, in an engine in which that is `deadly`, unless
/// its card or else the configuration allows it.
///
/// # Errors
/// [`LoadFault::IntegerDivision`].
pub(super) fn check(
    engine: &'static str,
    deadly: bool,
    operators: &[String],
    gates: &Gates,
    settings: &Settings,
) -> Result<(), LoadFault> {
    let policy = settings.integer_division.unwrap_or(gates.integer_division);
    if deadly && !operators.is_empty() && policy == DivisionPolicy::Refuse {
        return Err(LoadFault::IntegerDivision { engine, operators: operators.to_vec() });
    }
    Ok(())
}
