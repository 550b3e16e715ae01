//! How often something happened among how many.

use serde::{Deserialize, Serialize};

/// More hits than tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{hits} hits of {tries} tries: there cannot be more of the one than of the other")]
pub struct TooManyHits {
    /// How often it happened.
    pub hits: u64,
    /// How often it could have happened.
    pub tries: u64,
}

/// Hits among tries, such as errors among requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u64, u64)", into = "(u64, u64)")]
pub struct Tally {
    hits: u64,
    tries: u64,
}

impl Tally {
    /// So many hits among so many tries.
    ///
    /// # Errors
    /// Where there are more hits than tries.
    pub fn new(hits: u64, tries: u64) -> Result<Self, TooManyHits> {
        if hits <= tries { Ok(Self { hits, tries }) } else { Err(TooManyHits { hits, tries }) }
    }

    /// How often it happened.
    #[must_use]
    pub const fn hits(self) -> u64 {
        self.hits
    }

    /// How often it could have happened.
    #[must_use]
    pub const fn tries(self) -> u64 {
        self.tries
    }

    /// How often it did not happen.
    #[must_use]
    pub const fn misses(self) -> u64 {
        self.tries - self.hits
    }

    /// Misses taken for hits.
    #[must_use]
    pub const fn turned(self) -> Self {
        Self { hits: self.tries - self.hits, tries: self.tries }
    }

    /// One try more. At the end of its range it stands still.
    pub fn push(&mut self, hit: bool) {
        if self.tries < u64::MAX {
            self.tries += 1;
            self.hits += u64::from(hit);
        }
    }

    /// Those of both. At the end of their range they stand still.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let tries = self.tries.saturating_add(other.tries);
        let hits = self.hits.saturating_add(other.hits);
        Self { hits: if hits < tries { hits } else { tries }, tries }
    }

    /// Hits over tries; nothing where there are none.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        (self.tries > 0).then(|| self.hits as f64 / self.tries as f64)
    }
}

impl TryFrom<(u64, u64)> for Tally {
    type Error = TooManyHits;
    fn try_from((hits, tries): (u64, u64)) -> Result<Self, TooManyHits> {
        Self::new(hits, tries)
    }
}

impl From<Tally> for (u64, u64) {
    fn from(tally: Tally) -> Self {
        (tally.hits, tally.tries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_hits_than_tries() {
        assert_eq!(Tally::new(3, 2), Err(TooManyHits { hits: 3, tries: 2 }));
        assert!(serde_json::from_str::<Tally>("[3, 2]").is_err());
        let mut tally: Tally = serde_json::from_str("[1, 2]").expect("a tally");
        tally.push(true);
        tally.push(false);
        assert_eq!((tally.hits(), tally.misses(), tally.rate()), (2, 2, Some(0.5)));
        assert_eq!(tally.turned().hits(), 2);
        assert_eq!(Tally::default().rate(), None);
        let mut full = Tally::new(5, u64::MAX).expect("a tally");
        full.push(true);
        assert_eq!(full.hits(), 5);
        let both = Tally::new(1, 2).expect("a tally").and(Tally::new(3, 3).expect("a tally"));
        assert_eq!((both.hits(), both.tries()), (4, 5));
        assert_eq!((full.and(full).hits(), full.and(full).tries()), (10, u64::MAX));
    }
}
