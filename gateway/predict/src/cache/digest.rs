//! The digest by which answers are found.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

use pointsman_core::Tensor;
use siphasher::sip128::{Hasher128, SipHasher13};

/// The key of this process, made of the system's random numbers, as those of the standard library's maps are.
static KEY: LazyLock<[u64; 2]> = LazyLock::new(|| {
    let random = RandomState::new();
    [random.hash_one(0), random.hash_one(1)]
});

/// A digest of everything that a session is given. Every part says where it ends.
pub(crate) fn digest(inputs: &[Option<Tensor>], outputs: &[usize]) -> u128 {
    let [key, other] = *KEY;
    let mut hasher = SipHasher13::new_with_keys(key, other);
    for input in inputs {
        let parts = input.as_ref().map(|t| (t.datatype(), t.shape().dims(), &t.data()[..]));
        parts.hash(&mut hasher);
    }
    outputs.hash(&mut hasher);
    hasher.finish128().as_u128()
}
