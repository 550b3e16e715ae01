//! Good models, damaged: cut off anywhere, and with single bits changed.

/// The model cut off at each percent of its length, and after each of its first and last bytes.
#[must_use]
pub fn truncations(model: &[u8]) -> Vec<Vec<u8>> {
    const EDGE: usize = 64;
    let percents = (1..100).map(|percent| model.len() * percent / 100);
    let edges = (1..EDGE.min(model.len())).chain(model.len().saturating_sub(EDGE)..model.len());
    percents.chain(edges).map(|length| model[..length].to_vec()).collect()
}

/// The model with one to four bits changed, in as many ways as there are seeds.
#[must_use]
pub fn bit_flips(model: &[u8], seeds: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    seeds.map(|seed| flipped(model, seed)).collect()
}

fn flipped(model: &[u8], seed: u64) -> Vec<u8> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % below
    };
    let mut bytes = model.to_vec();
    for _ in 0..=next(4) {
        let bit = next(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    bytes
}
