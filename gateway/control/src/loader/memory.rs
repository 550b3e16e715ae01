//! Whether there is memory for a load, counted before it begins.

use crate::memory;

/// What an engine makes of a model's files, as a multiple of their bytes.
///
/// Measured as the most resident memory of `pointsman check`, without that for a model of a few bytes, on models of
/// 256 MiB of random FP32 weights, the files themselves (once) taken off: ONNX Runtime 1.31.1 takes 1.1 times
/// their bytes for matrix products (weights inside or beside the model), 2.0 for a table of rows and 2.4 for
/// convolutions; tract 0.23.9 takes 2.0 to 2.6. Rounded up.
const ENGINE_FACTOR: u64 = 3;

/// What a load takes that has nothing to do with the size of the model: threads, arenas, golden cases.
const BASE: u64 = 16 << 20;

/// There is not enough memory for a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "loading it takes about {} MiB, and of the {} MiB of memory that are left, {} MiB are kept free \
     (gates.memory_reserve); free memory, raise the limit of the process, or lower the reserve",
    mib(*need), mib(*available), mib(*reserve)
)]
pub struct Shortage {
    /// Bytes that the load would take.
    pub need: u64,
    /// Bytes that the process could still take.
    pub available: u64,
    /// Bytes that are kept free.
    pub reserve: u64,
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Bytes that it takes to load files of so many bytes: they are read whole, and an engine makes its own of them.
/// Nothing is known of 0 bytes.
pub(super) fn need(bytes: u64) -> u64 {
    if bytes == 0 { 0 } else { need_of_engine(bytes).saturating_add(bytes) }
}

/// Bytes that an engine takes for files of so many bytes that are in memory already.
pub(super) fn need_of_engine(bytes: u64) -> u64 {
    bytes.saturating_mul(ENGINE_FACTOR).saturating_add(BASE)
}

/// Whether a load may begin now.
///
/// # Errors
/// [`Shortage`].
pub(super) fn check(need: u64, reserve: usize) -> Result<(), Shortage> {
    // Where the system does not say what is left, nothing can be held against it.
    memory::available().map_or(Ok(()), |available| decide(need, available, reserve as u64))
}

/// Whether `need` bytes may be taken of those `available` when `reserve` of them are to stay.
fn decide(need: u64, available: u64, reserve: u64) -> Result<(), Shortage> {
    let fits = need == 0 || need.checked_add(reserve).is_some_and(|all| all <= available);
    if fits { Ok(()) } else { Err(Shortage { need, available, reserve }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_fits_up_to_the_last_byte_beside_the_reserve() {
        assert_eq!(decide(700, 1000, 300), Ok(()));
        assert_eq!(decide(701, 1000, 300), Err(Shortage { need: 701, available: 1000, reserve: 300 }));
        assert_eq!(decide(0, 0, 300), Ok(()), "nothing is known of it");
        assert!(decide(u64::MAX, u64::MAX, 1).is_err());
        let text = decide(1 << 30, 512 << 20, 256 << 20).expect_err("too much").to_string();
        for part in ["1024 MiB", "512 MiB", "256 MiB", "gates.memory_reserve"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_need_is_the_files_and_what_the_engine_makes_of_them() {
        assert_eq!(need(0), 0);
        assert_eq!(need(100 << 20), (416 << 20));
        assert_eq!(need(u64::MAX), u64::MAX);
    }
}
