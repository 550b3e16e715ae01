//! Numbers in order: what tests of whole distributions take.

/// The most numbers of one sample.
pub const SAMPLE_MAX: usize = 1_000_000;

/// Numbers that are no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// None, or too many.
    #[error("{0} numbers: a sample has from 1 to {SAMPLE_MAX}")]
    Count(usize),
    /// One of them is no number.
    #[error("a sample holds a NaN: leave it out, and count it")]
    NotANumber,
}

/// Sorted numbers, at least one. An infinite one stands for what was cut off, such as a request that timed out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample(Box<[f64]>);

impl Sample {
    /// Sorts numbers.
    ///
    /// # Errors
    /// Where there are none or too many, or one is NaN.
    pub fn new(mut numbers: Vec<f64>) -> Result<Self, SampleError> {
        if !(1..=SAMPLE_MAX).contains(&numbers.len()) {
            return Err(SampleError::Count(numbers.len()));
        }
        if numbers.iter().any(|number| number.is_nan()) {
            return Err(SampleError::NotANumber);
        }
        numbers.sort_unstable_by(f64::total_cmp);
        Ok(Self(numbers.into()))
    }

    /// The numbers, from the smallest.
    #[must_use]
    pub fn get(&self) -> &[f64] {
        &self.0
    }

    /// How many are below a number, and how many are at most it.
    pub(crate) fn below(&self, number: f64) -> usize {
        self.0.partition_point(|other| *other < number)
    }

    pub(crate) fn up_to(&self, number: f64) -> usize {
        self.0.partition_point(|other| *other <= number)
    }

    /// The number of a rank, from 1; ranks out of range are those of the ends.
    pub(crate) fn of_rank(&self, rank: usize) -> f64 {
        self.0[rank.clamp(1, self.0.len()) - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_sorted_and_bounded() {
        let sample = Sample::new(vec![3.0, f64::INFINITY, 1.0, 3.0]).expect("a sample");
        assert_eq!(sample.get(), [1.0, 3.0, 3.0, f64::INFINITY]);
        assert_eq!((sample.below(3.0), sample.up_to(3.0), sample.up_to(0.0)), (1, 3, 0));
        assert_eq!((sample.of_rank(0), sample.of_rank(2), sample.of_rank(9)), (1.0, 3.0, f64::INFINITY));
        assert_eq!(Sample::new(Vec::new()), Err(SampleError::Count(0)));
        assert_eq!(Sample::new(vec![1.0, f64::NAN]), Err(SampleError::NotANumber));
        assert!(Sample::new(vec![0.0; SAMPLE_MAX]).is_ok());
        assert_eq!(Sample::new(vec![0.0; SAMPLE_MAX + 1]), Err(SampleError::Count(SAMPLE_MAX + 1)));
    }
}
