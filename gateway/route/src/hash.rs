//! The hash that decides, over the byte layout that is published at the head of this crate.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Up to this many bytes XXH3 needs no state, and they are hashed from the stack.
const SHORT: usize = 240;

/// What a point is for. Points of different domains are independent, whatever the salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Which experiment of a layer a unit takes part in.
    Layer,
    /// Which arm of an experiment a unit gets.
    Arm,
    /// In which bucket a unit is counted.
    Bucket,
    /// Which requests a shadow sees.
    Shadow,
    /// Which requests a log samples.
    Log,
}

impl Domain {
    /// The bytes that stand first. The number counts versions of the layout.
    #[must_use]
    pub fn tag(self) -> &'static [u8; 8] {
        match self {
            Self::Layer => b"pm-lay-1",
            Self::Arm => b"pm-arm-1",
            Self::Bucket => b"pm-bkt-1",
            Self::Shadow => b"pm-shd-1",
            Self::Log => b"pm-log-1",
        }
    }
}

/// A domain and a salt, ready to give units their points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salted {
    prefix: Box<[u8]>,
}

impl Salted {
    /// Everything that stands before the unit. A salt is at most 4 GiB.
    #[must_use]
    pub fn new(domain: Domain, salt: &str) -> Self {
        let length = u32::try_from(salt.len()).unwrap_or(u32::MAX);
        Self { prefix: [domain.tag(), &length.to_le_bytes()[..], salt.as_bytes()].concat().into() }
    }

    /// The point of a unit in `[0, 1)`, in steps of 2^-64.
    #[must_use]
    pub fn point(&self, unit: &[u8]) -> u64 {
        let (start, length) = (self.prefix.len(), self.prefix.len() + unit.len());
        if length <= SHORT {
            let mut bytes = [0; SHORT];
            bytes[..start].copy_from_slice(&self.prefix);
            bytes[start..length].copy_from_slice(unit);
            return xxh3_64(&bytes[..length]);
        }
        let mut state = Xxh3::new();
        state.update(&self.prefix);
        state.update(unit);
        state.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with libxxhash 0.8.3 by Python's `xxhash`, as the crate's documentation shows them.
    const VECTORS: [(Domain, &str, &[u8], u64); 10] = [
        (Domain::Arm, "iris/petals/1", b"user-1", 0x7c69_d7d5_a48d_d8c5),
        (Domain::Arm, "iris/petals/1", b"user-2", 0xd63c_25e8_3d6a_03fc),
        (Domain::Arm, "iris/petals/2", b"user-1", 0xaaab_236f_d38c_b7df),
        (Domain::Layer, "iris/petals/1", b"user-1", 0xc4c5_2938_745d_bf1d),
        (Domain::Bucket, "iris/petals/1", b"user-1", 0x20bf_ed40_b40c_cb6d),
        (Domain::Arm, "ä", b"4711", 0x2e50_7463_ed05_e38d),
        (Domain::Arm, "iris/petals/1", &[b'u'; 1000], 0xfcfd_4e47_ec41_a6cf),
        (Domain::Arm, "iris/petals/1", &ID, 0x19d9_cdcd_d28e_6d6c),
        (Domain::Shadow, "iris/dark/1", &ID, 0xc70d_7d4f_c68f_13c5),
        (Domain::Log, "iris", &ID, 0x02f3_7808_59bd_05f5),
    ];
    const ID: [u8; 16] =
        [0x01, 0x8f, 0x3c, 0x6e, 0x7a, 0x1b, 0x7c, 0x2d, 0x8e, 0x4f, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55];

    #[test]
    fn points_are_those_that_are_published() {
        for (domain, salt, unit, point) in VECTORS {
            assert_eq!(Salted::new(domain, salt).point(unit), point, "{domain:?} {salt:?} {unit:?}");
        }
    }

    #[test]
    fn salts_and_units_are_told_apart() {
        let ab = Salted::new(Domain::Arm, "ab").point(b"c");
        assert_ne!(ab, Salted::new(Domain::Arm, "a").point(b"bc"));
        assert_ne!(ab, Salted::new(Domain::Layer, "ab").point(b"c"));
    }

    #[test]
    fn long_units_are_hashed_whole_and_like_short_ones() {
        let salted = Salted::new(Domain::Arm, "s");
        let unit = vec![b'u'; 4000];
        for length in [226, 227, 228, 229, 1000, 4000] {
            let whole: Vec<u8> = [&salted.prefix, &unit[..length]].concat();
            assert_eq!(salted.point(&unit[..length]), xxh3_64(&whole), "{length}");
        }
    }
}
