//! Classes of one output: which the two versions decide for, and how far their scores are apart.

use std::sync::Arc;

use pointsman_core::{Elements, Tensor};
use pointsman_stats::{Distribution, Errors, Tally};

use crate::confusion::{Class, Confusion};
use crate::quantiles::Quantiles;
use crate::scores::{Scores, decided, decisive, is_distribution, top};
use crate::settings::Settings;

/// Sums over the rows of tensors that say classes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classes {
    /// Rows that decide for the same class.
    pub(crate) rows: Tally,
    /// Classes among the highest of both, over those among the highest of the primary.
    pub(crate) top: Tally,
    /// Rows that the threshold decides, and those where only one of the two is over it.
    pub(crate) thresholded: u64,
    pub(crate) flips: Errors,
    /// How far distributions are apart, in nats.
    pub(crate) divergences: Divergences,
    /// What the shadow gives the primary's class, less what the primary gives it.
    pub(crate) delta: Quantiles,
    pub(crate) confusion: Confusion,
    /// Names of the classes, where the model has them.
    pub(crate) labels: Option<Arc<[String]>>,
}

/// Sums over rows that are distributions on both sides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Divergences {
    pub(crate) rows: u64,
    /// Kullback and Leibler's, of those where it is finite.
    pub(crate) kl: f64,
    /// Rows in which the shadow gives nothing to a class that the primary gives something.
    pub(crate) kl_infinite: u64,
    /// Jensen and Shannon's.
    pub(crate) js: f64,
    pub(crate) js_max: f64,
}

impl Classes {
    /// Takes in the scores of two tensors of the same shape. Whether all rows decide alike; nothing where there are no
    /// rows of scores.
    pub(crate) fn push_scores(
        &mut self,
        primary: &Tensor,
        shadow: &Tensor,
        settings: &Settings,
    ) -> Option<bool> {
        let (left, right) = (Scores::of(primary)?, Scores::of(shadow)?);
        let (mut p, mut q) = (Vec::with_capacity(left.classes()), Vec::with_capacity(left.classes()));
        let mut agree = true;
        for row in 0..left.rows() {
            left.read(row, &mut p);
            right.read(row, &mut q);
            agree &= self.push_row(&p, &q, settings);
        }
        Some(agree)
    }

    fn push_row(&mut self, p: &[f64], q: &[f64], settings: &Settings) -> bool {
        let (here, there) = (decided(p, settings.threshold), decided(q, settings.threshold));
        let agree = here == there;
        self.rows.push(agree);
        let class =
            |decided: Option<usize>| decided.map_or(Class::None, |class| Class::Number(class as i128));
        self.confusion.push(&class(here), &class(there));
        let (first, second) = (top(p, settings.top), top(q, settings.top));
        let (first, second) = (&first.0[..first.1], &second.0[..second.1]);
        first.iter().for_each(|class| self.top.push(second.contains(class)));
        let over = [p, q].map(|row| decisive(row) >= settings.threshold);
        self.thresholded += 1;
        match over {
            [false, true] => self.flips.canary += 1,
            [true, false] => self.flips.primary += 1,
            _ => {}
        }
        if let Some(class) = here {
            // Of one column, the score of class 1 is there alone.
            let of = |row: &[f64]| row.get(class.min(row.len().saturating_sub(1))).copied();
            if let (Some(before), Some(now)) = (of(p), of(q)) {
                self.delta.push(now - before);
            }
        }
        self.divergences.push(p, q);
        agree
    }

    /// Takes in two tensors whose elements are classes. Whether all are the same; nothing where they are floats.
    pub(crate) fn push_labels(&mut self, primary: &Tensor, shadow: &Tensor) -> Option<bool> {
        let mut agree = true;
        if let (Some(left), Some(right)) = (primary.strings(), shadow.strings()) {
            for (a, b) in left.zip(right) {
                agree &= self.push_label(&Class::text(a), &Class::text(b), a == b);
            }
            return Some(agree);
        }
        let (left, right) = (Elements::of(primary)?, Elements::of(shadow)?);
        for index in 0..primary.elements() {
            let (a, b) = (left.whole(index)?, right.whole(index)?);
            agree &= self.push_label(&Class::Number(a), &Class::Number(b), a == b);
        }
        Some(agree)
    }

    fn push_label(&mut self, primary: &Class, shadow: &Class, agree: bool) -> bool {
        self.rows.push(agree);
        self.confusion.push(primary, shadow);
        agree
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.rows = self.rows.and(other.rows);
        self.top = self.top.and(other.top);
        self.thresholded += other.thresholded;
        self.flips = self.flips.and(other.flips);
        self.divergences.merge(other.divergences);
        self.delta.merge(&other.delta);
        self.confusion.merge(&other.confusion);
        if self.labels.is_none() {
            self.labels.clone_from(&other.labels);
        }
    }
}

impl Divergences {
    fn push(&mut self, p: &[f64], q: &[f64]) {
        if p.len() < 2 || !is_distribution(p) || !is_distribution(q) {
            return;
        }
        // More classes than can be compared are left out; how many rows were not is told.
        let (Ok(p), Ok(q)) = (Distribution::normalised(p), Distribution::normalised(q)) else { return };
        let Ok(compared) = p.against(&q) else { return };
        let (kl, js) = (compared.kullback_leibler(), compared.jensen_shannon());
        self.rows += 1;
        if kl.is_finite() {
            self.kl += kl;
        } else {
            self.kl_infinite += 1;
        }
        self.js += js;
        self.js_max = self.js_max.max(js);
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.kl += other.kl;
        self.kl_infinite += other.kl_infinite;
        self.js += other.js;
        self.js_max = self.js_max.max(other.js_max);
    }

    /// The mean of Kullback and Leibler's divergence, over the rows where it is finite.
    pub(crate) fn kl_mean(&self) -> Option<f64> {
        let finite = self.rows - self.kl_infinite;
        (finite > 0).then(|| self.kl / finite as f64)
    }

    /// The mean of Jensen and Shannon's.
    pub(crate) fn js_mean(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.js / self.rows as f64)
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Datatype, Shape, StringTensorBuilder};

    use super::*;

    fn scores(values: &[f64], classes: u64) -> Tensor {
        let shape = Shape::new(&[values.len() as u64 / classes, classes]).expect("small");
        Tensor::from_vec(Datatype::Fp64, shape, values.to_vec()).expect("fits")
    }

    #[test]
    fn divergences_of_known_rows() {
        let mut classes = Classes::default();
        let (p, q) = (scores(&[0.7, 0.2, 0.1], 3), scores(&[0.6, 0.25, 0.15], 3));
        assert_eq!(classes.push_scores(&p, &q, &Settings::default()), Some(true));
        assert!((classes.divergences.kl_mean().expect("rows") - 0.022_730_3).abs() < 1e-7);
        assert!((classes.delta.at(0.0).expect("rows") + 0.1).abs() < 1e-12);
        let certain = scores(&[1.0, 0.0, 0.0], 3);
        assert_eq!(classes.push_scores(&p, &certain, &Settings::default()), Some(true));
        assert_eq!((classes.divergences.rows, classes.divergences.kl_infinite), (2, 1));
        assert!((classes.divergences.kl_mean().expect("rows") - 0.022_730_3).abs() < 1e-7);
        // Scores that are no distribution have classes, and no divergence.
        let logits = scores(&[3.0, -1.0, 0.5], 3);
        assert_eq!(
            classes.push_scores(&logits, &scores(&[0.0, 5.0, 1.0], 3), &Settings::default()),
            Some(false)
        );
        assert_eq!((classes.divergences.rows, classes.rows.hits(), classes.rows.tries()), (2, 2, 3));
    }

    #[test]
    fn the_threshold_flips_decisions_both_ways() {
        let mut classes = Classes::default();
        let (p, q) = (scores(&[0.4, 0.6, 0.5], 1), scores(&[0.5, 0.4, 0.9], 1));
        assert_eq!(classes.push_scores(&p, &q, &Settings::default()), Some(false));
        assert_eq!((classes.flips, classes.thresholded), (Errors { canary: 1, primary: 1 }, 3));
        assert_eq!(classes.confusion.count(&Class::Number(0), &Class::Number(1)), 1);
        assert_eq!((classes.rows.hits(), classes.rows.tries()), (1, 3));
    }

    #[test]
    fn the_top_overlaps_by_as_much_as_is_in_both() {
        let mut classes = Classes::default();
        let settings = Settings { top: 2, ..Settings::default() };
        let (p, q) = (scores(&[4.0, 3.0, 2.0, 1.0], 4), scores(&[4.0, 1.0, 3.0, 2.0], 4));
        classes.push_scores(&p, &q, &settings).expect("scores");
        assert_eq!((classes.top.hits(), classes.top.tries()), (1, 2));
    }

    #[test]
    fn labels_are_whole_numbers_or_texts() {
        let texts = |texts: &[&str]| {
            let mut builder = StringTensorBuilder::default();
            texts.iter().for_each(|text| builder.push(text.as_bytes()).expect("short"));
            let shape = Shape::new(&[texts.len() as u64]).expect("small");
            Tensor::new(Datatype::Bytes, shape, builder.finish()).expect("counted")
        };
        let mut classes = Classes::default();
        assert_eq!(classes.push_labels(&texts(&["a", "b"]), &texts(&["a", "c"])), Some(false));
        assert_eq!(classes.confusion.count(&Class::text(b"b"), &Class::text(b"c")), 1);
        let numbers = |values: Vec<i64>| {
            Tensor::from_vec(Datatype::Int64, Shape::new(&[2]).expect("small"), values).expect("fits")
        };
        let mut classes = Classes::default();
        assert_eq!(
            classes.push_labels(&numbers(vec![1, i64::MAX]), &numbers(vec![1, i64::MAX - 1])),
            Some(false)
        );
        assert_eq!((classes.rows.hits(), classes.rows.tries()), (1, 2));
        assert_eq!(classes.push_labels(&scores(&[1.0], 1), &scores(&[1.0], 1)), None);
    }
}
