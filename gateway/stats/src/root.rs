//! Where a monotone function crosses 0.

/// Halvings: more than a double has digits, whatever the first interval.
const HALVINGS: usize = 200;

/// Where `rises` turns from false to true between `below` and `above`, to the last digit: the last point at which it
/// is false, and the first at which it is true. It is taken to be false at `below` and true at `above`, without a
/// look.
pub(crate) fn turn(mut below: f64, mut above: f64, rises: impl Fn(f64) -> bool) -> (f64, f64) {
    for _ in 0..HALVINGS {
        let middle = below + (above - below) / 2.0;
        if middle <= below || middle >= above {
            break;
        }
        if rises(middle) {
            above = middle;
        } else {
            below = middle;
        }
    }
    (below, above)
}
