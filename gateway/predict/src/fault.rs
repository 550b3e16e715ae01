//! A fault that can be switched on in a debug build, so that who looks for answers to the wrong caller can see
//! that they would be found. A release build has none of this.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use pointsman_core::RunOutputs;

/// The variable of the environment that switches it on, and its value.
const VARIABLE: &str = "POINTSMAN_FAULT";
const SWAP_ANSWERS: &str = "swap-answers";

/// Of so many runs of several requests, one is mixed up.
const ONE_OF: u64 = 50;

static SWAPS: LazyLock<bool> =
    LazyLock::new(|| std::env::var(VARIABLE).is_ok_and(|named| named == SWAP_ANSWERS));
static RUNS: AtomicU64 = AtomicU64::new(0);

/// The answers of a run, of which two have changed places now and then, where that is the fault.
pub(crate) fn swapped(mut answers: Vec<RunOutputs>) -> Vec<RunOutputs> {
    if *SWAPS && RUNS.fetch_add(1, Ordering::Relaxed).is_multiple_of(ONE_OF) && answers.len() > 1 {
        answers.swap(0, 1);
    }
    answers
}
