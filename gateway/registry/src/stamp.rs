//! A fingerprint of a version's folder: a change is seen by it without reading a file.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digester;

/// Which state a version's folder was in: a 64-bit fingerprint over the names, kinds, sizes, inode
/// numbers and times (of writing and of change) of the folder and of all that is in it, and over the
/// name of the model file. Equal stamps of one version mean that nothing was written in between;
/// different ones mean that something was touched, not that the version is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp(u64);

impl Stamp {
    /// The stamp with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Builds a stamp from parts. Each part goes in with its length, so that no two lists of parts look alike.
#[derive(Default)]
pub(crate) struct Stamper(Digester);

impl Stamper {
    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    pub(crate) fn finish(self) -> Stamp {
        Stamp(self.0.finish().first_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_follow_their_parts_and_where_these_end() {
        let stamp = |parts: &[&str]| {
            let mut stamper = Stamper::default();
            parts.iter().for_each(|part| stamper.add(part.as_bytes()));
            stamper.finish()
        };
        assert_eq!(stamp(&["ab", "c"]), stamp(&["ab", "c"]));
        assert_ne!(stamp(&["ab", "c"]), stamp(&["a", "bc"]));
        assert_ne!(stamp(&["ab", "c"]), stamp(&["c", "ab"]));
        assert_ne!(stamp(&["ab"]), stamp(&["ab", ""]));
        assert_eq!(Stamp::new(0x1f).to_string(), "000000000000001f");
    }
}
