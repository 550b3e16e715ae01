//! Whether two samples of counts come from one distribution, looked at once, by the ratio of likelihoods.

use crate::contingency::contingency;
use crate::goodness_of_fit::ChiSquared;
use crate::multinomial::ClassesError;

/// The logarithm of the likelihood ratio of the contingency table of two samples, G = 2 Σ O ln(O/E) over both
/// (Wilks, 1938): about chi-squared where both come from one distribution, as Pearson's is.
///
/// Far out, where rare alarms are decided, the two err to different sides: where few are expected in a class, Pearson's
/// is too large as soon as there are more, and this one where there are none. A p-value of the larger of both is wrong
/// only where both are.
///
/// # Errors
/// Where they do not have as many classes, or too many.
pub fn likelihood_ratio(reference: &[u64], current: &[u64]) -> Result<ChiSquared, ClassesError> {
    let found = contingency(reference, current, |[r, c], [n, m]| {
        let both = (r + c) / (n + m);
        let part = |count: f64, all: f64| if count > 0.0 { count * (count / all / both).ln() } else { 0.0 };
        2.0 * (part(r, n) + part(c, m))
    })?;
    Ok(ChiSquared { statistic: found.statistic.max(0.0), ..found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multinomial::CLASSES_MAX;

    #[test]
    fn known_answers() {
        // 2 Σ O ln(O/E) with E the means of both rows.
        let found = likelihood_ratio(&[500, 300, 200], &[450, 320, 230]).expect("classes");
        assert!((found.statistic - 5.372_793_0).abs() < 1e-6 && found.degrees == 2, "{found:?}");
        assert_eq!(likelihood_ratio(&[0, 0], &[3, 4]).expect("classes").p(), 1.0);
        assert_eq!(likelihood_ratio(&[5, 0, 5], &[5, 0, 5]).expect("classes").degrees, 1);
        assert!(likelihood_ratio(&[1], &[1, 2]).is_err());
        let many = vec![1; CLASSES_MAX + 1];
        assert!(likelihood_ratio(&many, &many).is_err());
    }

    #[test]
    fn it_is_near_what_is_exact_where_few_are_expected() {
        // 17 of 100 where 5 are expected: the binomial tail is 9.4e-6; Pearson's
        // statistic says 3.7e-8.
        let found = likelihood_ratio(&[50_000_000, 950_000_000], &[17, 83]).expect("classes").p();
        assert!(found > 3e-6 && found < 6e-5, "{found}");
    }
}
