//! Shares of classes or bins.

use crate::multinomial::{CLASSES_MAX, ClassesError};
use crate::number::{OutOfRange, nonnegative, positive};

/// How far shares may be from a sum of 1: what rounding makes of ten thousand of them.
const SUM_TOLERANCE: f64 = 1e-9;

/// Shares of at least one class that sum to 1. A share may be 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution(Box<[f64]>);

impl Distribution {
    /// Shares as they are, such as the probabilities that a model gives.
    ///
    /// # Errors
    /// Where one is below 0 or no number, there are too few or too many, or they do not sum to 1.
    pub fn new(shares: &[f64]) -> Result<Self, ClassesError> {
        let sum = summed(shares.iter().copied())?;
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(ClassesError::Sum(sum));
        }
        Ok(Self(shares.into()))
    }

    /// Shares of counts.
    ///
    /// # Errors
    /// Where there are too few or too many classes, or nothing was counted.
    pub fn of_counts(counts: &[u64]) -> Result<Self, ClassesError> {
        Self::of(counts.iter().map(|count| *count as f64))
    }

    /// Shares of counts with half a one more in each class, so that none is 0 (Jeffreys' prior). What a class that
    /// was never seen before does to a divergence is then bounded by how much was seen, not by a constant that
    /// somebody chose.
    ///
    /// # Errors
    /// Where there are too few or too many classes.
    pub fn smoothed(counts: &[u64]) -> Result<Self, ClassesError> {
        Self::of(counts.iter().map(|count| *count as f64 + 0.5))
    }

    /// Shares of numbers that are not below 0, such as scores that do not quite sum to 1.
    ///
    /// # Errors
    /// Where one is below 0 or no number, there are too few or too many, or all are 0.
    pub fn normalised(weights: &[f64]) -> Result<Self, ClassesError> {
        Self::of(weights.iter().copied())
    }

    fn of(weights: impl ExactSizeIterator<Item = f64> + Clone) -> Result<Self, ClassesError> {
        let sum = positive("the sum of all classes", summed(weights.clone())?)?;
        Ok(Self(weights.map(|weight| weight / sum).collect()))
    }

    /// The shares.
    #[must_use]
    pub fn get(&self) -> &[f64] {
        &self.0
    }

    /// This and another of the same classes, to be compared.
    ///
    /// # Errors
    /// Where they do not have as many classes.
    pub fn against<'a>(&'a self, other: &'a Self) -> Result<Compared<'a>, ClassesError> {
        let (counts, classes) = (self.0.len(), other.0.len());
        if counts == classes {
            Ok(Compared { p: &self.0, q: &other.0 })
        } else {
            Err(ClassesError::Length { counts, classes })
        }
    }
}

/// Their sum, if there are neither too few nor too many, and each is a number of at least 0.
fn summed(weights: impl ExactSizeIterator<Item = f64>) -> Result<f64, ClassesError> {
    if !(1..=CLASSES_MAX).contains(&weights.len()) {
        return Err(ClassesError::Count(weights.len()));
    }
    let mut sum = 0.0;
    for weight in weights {
        sum += nonnegative("a share", weight)?;
    }
    if sum.is_finite() {
        Ok(sum)
    } else {
        Err(ClassesError::Share(OutOfRange { name: "the sum of all classes", value: sum, range: "finite" }))
    }
}

/// Two distributions of the same classes: p, such as the reference, and q.
#[derive(Clone, Copy, Debug)]
pub struct Compared<'a> {
    p: &'a [f64],
    q: &'a [f64],
}

impl Compared<'_> {
    fn sum(&self, term: impl Fn(f64, f64) -> f64) -> f64 {
        self.p.iter().zip(self.q).map(|(p, q)| term(*p, *q)).sum()
    }

    /// The population stability index Σ (p - q) ln(p/q), in nats; infinite where a class is in one alone.
    #[must_use]
    pub fn psi(&self) -> f64 {
        self.sum(psi_term)
    }

    /// Kullback and Leibler's divergence of q from p, Σ p ln(p/q), in nats; infinite where q lacks a class of p.
    #[must_use]
    pub fn kullback_leibler(&self) -> f64 {
        self.sum(relative_entropy).max(0.0)
    }

    /// Jensen and Shannon's divergence, in nats: from 0 to ln 2, also with empty classes.
    #[must_use]
    pub fn jensen_shannon(&self) -> f64 {
        let half = |p: f64, q: f64| {
            let middle = f64::midpoint(p, q);
            f64::midpoint(relative_entropy(p, middle), relative_entropy(q, middle))
        };
        self.sum(half).clamp(0.0, std::f64::consts::LN_2)
    }

    /// The same in bits: from 0 to 1.
    #[must_use]
    pub fn jensen_shannon_bits(&self) -> f64 {
        (self.jensen_shannon() / std::f64::consts::LN_2).min(1.0)
    }

    /// Its root in nats, a distance: what Evidently and scipy call Jensen-Shannon. That of NannyML is the root of the
    /// bits.
    #[must_use]
    pub fn jensen_shannon_distance(&self) -> f64 {
        self.jensen_shannon().sqrt()
    }

    /// Hellinger's distance √(½ Σ (√p - √q)²): from 0 to 1.
    #[must_use]
    pub fn hellinger(&self) -> f64 {
        (0.5 * self.sum(|p, q| (p.sqrt() - q.sqrt()).powi(2))).sqrt().min(1.0)
    }

    /// The total variation ½ Σ |p - q|: the share of the mass that is elsewhere, from 0 to 1.
    #[must_use]
    pub fn total_variation(&self) -> f64 {
        (0.5 * self.sum(|p, q| (p - q).abs())).min(1.0)
    }

    /// The largest difference of a class, max |p - q|.
    #[must_use]
    pub fn l_infinity(&self) -> f64 {
        self.p.iter().zip(self.q).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max)
    }

    /// The largest difference of the shares of all classes up to one, where classes have an order: Kolmogorov and
    /// Smirnov's statistic of bins, at most that of the numbers in them.
    #[must_use]
    pub fn kolmogorov_smirnov(&self) -> f64 {
        let (mut sum, mut largest) = (0.0_f64, 0.0_f64);
        for (p, q) in self.p.iter().zip(self.q) {
            sum += p - q;
            largest = largest.max(sum.abs());
        }
        largest.min(1.0)
    }
}

fn psi_term(p: f64, q: f64) -> f64 {
    if p == q { 0.0 } else { (p - q) * (p / q).ln() }
}

/// p ln(p/q), which is 0 where p is.
fn relative_entropy(p: f64, q: f64) -> f64 {
    if p == 0.0 { 0.0 } else { p * (p / q).ln() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(shares: &[f64]) -> Distribution {
        Distribution::new(shares).expect("shares")
    }

    fn near(found: f64, known: f64) {
        assert!((found - known).abs() < 6e-8, "{found}, not {known}");
    }

    #[test]
    fn known_answers() {
        let (p, q) = (shares(&[0.1, 0.2, 0.4, 0.2, 0.1]), shares(&[0.05, 0.15, 0.4, 0.25, 0.15]));
        let compared = p.against(&q).expect("the same classes");
        near(compared.psi(), 0.080_471_9);
        near(compared.kullback_leibler(), 0.041_675_9);
        near(q.against(&p).expect("the same classes").kullback_leibler(), 0.038_796_0);
        near(compared.jensen_shannon(), 0.009_948_01);
        near(compared.jensen_shannon_bits(), 0.014_352_0);
        near(compared.jensen_shannon_distance(), 0.099_739_7);
        near(compared.jensen_shannon_bits().sqrt(), 0.119_799_6);
        near(compared.hellinger(), 0.100_014_8);
        near(compared.total_variation(), 0.1);
        near(compared.l_infinity(), 0.05);
        near(compared.kolmogorov_smirnov(), 0.1);
        let (a, b) = (shares(&[0.7, 0.2, 0.1]), shares(&[0.6, 0.25, 0.15]));
        near(a.against(&b).expect("the same classes").kullback_leibler(), 0.022_730_3);
        let (a, b) = (shares(&[0.5, 0.3, 0.2, 0.0]), shares(&[0.4, 0.3, 0.2, 0.1]));
        near(a.against(&b).expect("the same classes").l_infinity(), 0.1);
    }

    #[test]
    fn a_class_that_is_new_weighs_as_much_as_was_seen() {
        let (reference, current) = ([500, 300, 200, 0], [400, 300, 250, 50]);
        let smoothed = Distribution::smoothed(&reference).expect("counts");
        let found =
            smoothed.against(&Distribution::smoothed(&current).expect("counts")).expect("classes").psi();
        near(found, 0.263_650_3);
        // What Evidently makes of it, with 0.0001 for the empty share.
        let filled = [(0.5, 0.4), (0.3, 0.3), (0.2, 0.25), (0.0001, 0.05)].map(|(p, q)| psi_term(p, q));
        near(filled[3], 0.310_108_9);
        near(filled.iter().sum(), 0.343_580_5);
        let bare = Distribution::of_counts(&reference).expect("counts");
        let compared = Distribution::of_counts(&current).expect("counts");
        assert_eq!(compared.against(&bare).expect("classes").psi(), f64::INFINITY);
        assert_eq!(compared.against(&bare).expect("classes").kullback_leibler(), f64::INFINITY);
        assert!(bare.against(&compared).expect("classes").kullback_leibler().is_finite());
        assert!(compared.against(&bare).expect("classes").jensen_shannon() < 0.05);
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        assert_eq!(Distribution::new(&[]), Err(ClassesError::Count(0)));
        let many = vec![1; CLASSES_MAX + 1];
        assert_eq!(Distribution::of_counts(&many), Err(ClassesError::Count(CLASSES_MAX + 1)));
        assert!(Distribution::of_counts(&many[1..]).is_ok());
        assert!(matches!(Distribution::of_counts(&[0, 0]), Err(ClassesError::Share(_))));
        assert!(matches!(Distribution::new(&[-0.1, 1.1]), Err(ClassesError::Share(_))));
        assert!(matches!(Distribution::new(&[f64::NAN, 1.0]), Err(ClassesError::Share(_))));
        assert!(matches!(Distribution::normalised(&[1e308, 1e308]), Err(ClassesError::Share(_))));
        assert_eq!(Distribution::new(&[0.5, 0.4]), Err(ClassesError::Sum(0.9)));
        assert!(shares(&[1.0]).against(&shares(&[0.5, 0.5])).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn divergences_keep_their_laws(pairs in prop::collection::vec((0..1000_u64, 0..1000_u64), 2..40), turn in 0..40_usize) {
            let (mut a, mut b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            a[0] += 1;
            b[0] += 1;
            let of = |counts: &[u64]| Distribution::of_counts(counts).expect("counts");
            let (p, q) = (of(&a), of(&b));
            let (here, back) = (p.against(&q).expect("classes"), q.against(&p).expect("classes"));
            // Bounds, and which of them is under which.
            let (js, h, tv) = (here.jensen_shannon(), here.hellinger(), here.total_variation());
            prop_assert!((0.0..=std::f64::consts::LN_2).contains(&js) && (0.0..=1.0).contains(&h));
            prop_assert!(h * h <= tv + 1e-12 && tv <= h * 2_f64.sqrt() + 1e-12);
            prop_assert!(here.l_infinity() <= tv + 1e-12 && here.kolmogorov_smirnov() <= tv + 1e-12);
            prop_assert!(2.0 * tv * tv <= here.kullback_leibler() + 1e-12);
            prop_assert!(!here.psi().is_nan() && here.psi() >= -1e-12);
            // The order of the two does not matter, nor that of the classes.
            prop_assert!((js - back.jensen_shannon()).abs() < 1e-12 && (h - back.hellinger()).abs() < 1e-12);
            let turned = turn % a.len();
            a.rotate_left(turned);
            b.rotate_left(turned);
            let (p, q) = (of(&a), of(&b));
            let moved = p.against(&q).expect("classes");
            prop_assert!((js - moved.jensen_shannon()).abs() < 1e-12);
            prop_assert!(p.against(&p).expect("classes").psi() == 0.0);
        }
    }
}
