//! Memory that models have left.

/// Gives free memory of the C heap back to the system. The runtime allocates there, and glibc keeps
/// what a model of some tens of megabytes leaves for allocations to come.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(super) fn release() {
    // SAFETY: the function takes no pointer, locks the heap by itself and moves nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have no such call, or keep little.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn release() {}
