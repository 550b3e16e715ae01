//! One output: whether it has the same form, and how far its values are apart.

use pointsman_core::{Datatype, Elements, OutputTensor, Tensor};

use crate::classes::Classes;
use crate::numbers::Numbers;
use crate::sample::Keys;
use crate::scores::Scores;
use crate::settings::{Kind, Settings};

/// Sums over one output of all pairs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    /// Pairs in which the primary gave it.
    pub(crate) pairs: u64,
    /// Of these: those in which the shadow did not, with another datatype, and of another shape.
    pub(crate) missing: u64,
    pub(crate) other_datatype: u64,
    pub(crate) other_shape: u64,
    pub(crate) agreed: u64,
    pub(crate) numbers: Numbers,
    pub(crate) classes: Classes,
}

/// What was found of one output of one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Found {
    /// It has the same form, and the same classes or numbers within the tolerance.
    pub(crate) agrees: bool,
    /// Elements, or classes, that are not the same.
    pub(crate) differing: u64,
    /// The largest difference of numbers.
    pub(crate) max_abs: f64,
    /// Something is not finite.
    pub(crate) primary_invalid: bool,
    pub(crate) shadow_invalid: bool,
}

impl Output {
    /// Takes in what the primary and the shadow gave.
    pub(crate) fn push(
        &mut self,
        primary: &OutputTensor,
        shadow: Option<&Tensor>,
        keys: Keys,
        settings: &Settings,
    ) -> Found {
        self.pairs += 1;
        let found = self.found(primary, shadow, keys, settings);
        self.agreed += u64::from(found.agrees);
        found
    }

    fn found(
        &mut self,
        primary: &OutputTensor,
        shadow: Option<&Tensor>,
        keys: Keys,
        settings: &Settings,
    ) -> Found {
        let differs = Found { agrees: false, differing: 1, ..Found::default() };
        let Some(shadow) = shadow else {
            self.missing += 1;
            return differs;
        };
        let tensor = &primary.tensor;
        let other_datatype = tensor.datatype() != shadow.datatype();
        self.other_datatype += u64::from(other_datatype);
        if tensor.shape() != shadow.shape() {
            self.other_shape += 1;
            // What cannot be compared can still be no number.
            return Found {
                shadow_invalid: is_invalid(shadow),
                primary_invalid: is_invalid(tensor),
                ..differs
            };
        }
        if other_datatype && [tensor, shadow].iter().any(|tensor| tensor.datatype() == Datatype::Bytes) {
            return differs;
        }
        let apart = self.numbers.push(tensor, shadow, keys, settings);
        let classes = self.same_classes(primary, shadow, settings);
        let apart = apart.unwrap_or_default();
        let primary_invalid = !apart.primary_finite && Elements::of(tensor).is_some();
        let shadow_invalid = !apart.shadow_finite && Elements::of(shadow).is_some();
        // Classes may be the same although a score is no number: that is not the same answer.
        let agrees =
            classes.unwrap_or(apart.is_close) && primary_invalid == shadow_invalid && !other_datatype;
        let differing = apart.not_close.max(u64::from(!agrees));
        Found { agrees, differing, max_abs: apart.max_abs, primary_invalid, shadow_invalid }
    }

    /// Whether the two decide for the same classes; nothing where the output says none.
    fn same_classes(&mut self, primary: &OutputTensor, shadow: &Tensor, settings: &Settings) -> Option<bool> {
        match kind(primary, settings) {
            Kind::Scores => {
                if self.classes.labels.is_none() {
                    self.classes.labels.clone_from(&primary.labels);
                }
                self.classes.push_scores(&primary.tensor, shadow, settings)
            }
            Kind::Labels => self.classes.push_labels(&primary.tensor, shadow),
            Kind::Numbers => None,
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.missing += other.missing;
        self.other_datatype += other.other_datatype;
        self.other_shape += other.other_shape;
        self.agreed += other.agreed;
        self.numbers.merge(&other.numbers);
        self.classes.merge(&other.classes);
    }
}

fn is_invalid(tensor: &Tensor) -> bool {
    Elements::of(tensor).is_some_and(|elements| !elements.are_finite())
}

/// What an output is, as declared or as the primary's values show. It is asked for each pair, so that it does not
/// matter which came first.
fn kind(output: &OutputTensor, settings: &Settings) -> Kind {
    if let Some(kind) = settings.outputs.get(&*output.name) {
        return *kind;
    }
    let is_float = Elements::of(&output.tensor).is_some_and(|elements| elements.are_floats());
    if !is_float {
        return Kind::Labels;
    }
    let scores = |scores: Scores<'_>| output.labels.is_some() || scores.are_distributions(&mut Vec::new());
    if Scores::of(&output.tensor).is_some_and(scores) { Kind::Scores } else { Kind::Numbers }
}

#[cfg(test)]
mod tests {
    use pointsman_core::{RequestId, Shape};

    use super::*;

    fn tensor(dims: &[u64], values: Vec<f32>) -> Tensor {
        Tensor::from_vec(Datatype::Fp32, Shape::new(dims).expect("small"), values).expect("fits")
    }

    fn output(tensor: Tensor, labels: bool) -> OutputTensor {
        let labels = labels.then(|| ["no".to_owned(), "yes".to_owned()].into());
        OutputTensor { name: "y".into(), tensor, labels }
    }

    fn found(primary: &OutputTensor, shadow: Option<&Tensor>, settings: &Settings) -> (Found, Output) {
        let mut sums = Output::default();
        let found = sums.push(primary, shadow, Keys::of(0, RequestId::generate()), settings);
        (found, sums)
    }

    #[test]
    fn what_an_output_is_shows_or_is_declared() {
        let settings = Settings::default();
        let declared = |kind| Settings { outputs: [("y".to_owned(), kind)].into(), ..Settings::default() };
        let column = output(tensor(&[2, 1], vec![0.2, 0.9]), false);
        assert_eq!(kind(&column, &settings), Kind::Numbers);
        assert_eq!(kind(&column, &declared(Kind::Scores)), Kind::Scores);
        let distribution = output(tensor(&[1, 2], vec![0.25, 0.75]), false);
        assert_eq!(kind(&distribution, &settings), Kind::Scores);
        assert_eq!(kind(&distribution, &declared(Kind::Numbers)), Kind::Numbers);
        assert_eq!(kind(&output(tensor(&[1, 2], vec![2.0, 7.0]), false), &settings), Kind::Numbers);
        assert_eq!(kind(&output(tensor(&[1, 2], vec![2.0, 7.0]), true), &settings), Kind::Scores);
        let whole = Tensor::from_vec(Datatype::Int64, Shape::new(&[1]).expect("small"), vec![3_i64]);
        assert_eq!(kind(&output(whole.expect("fits"), false), &settings), Kind::Labels);
    }

    #[test]
    fn scores_agree_by_their_classes_and_numbers_within_the_tolerance() {
        let settings = Settings::default();
        let scores = output(tensor(&[1, 2], vec![0.25, 0.75]), false);
        let (same, sums) = found(&scores, Some(&tensor(&[1, 2], vec![0.4, 0.6])), &settings);
        assert!(same.agrees && same.differing == 2 && (same.max_abs - 0.15).abs() < 1e-6);
        assert_eq!((sums.agreed, sums.numbers.all_close.hits()), (1, 0));
        let numbers = output(tensor(&[2], vec![1.0, 2.0]), false);
        assert!(!found(&numbers, Some(&tensor(&[2], vec![1.0, 2.1])), &settings).0.agrees);
        assert!(found(&numbers, Some(&tensor(&[2], vec![1.0, 2.000_1])), &settings).0.agrees);
    }

    #[test]
    fn another_form_is_not_the_same() {
        let settings = Settings::default();
        let numbers = output(tensor(&[2], vec![1.0, 2.0]), false);
        let (found_missing, sums) = found(&numbers, None, &settings);
        assert!(!found_missing.agrees && sums.missing == 1);
        let (found_shape, sums) = found(&numbers, Some(&tensor(&[2, 1], vec![1.0, f32::NAN])), &settings);
        assert!(!found_shape.agrees && found_shape.shadow_invalid && !found_shape.primary_invalid);
        assert_eq!((sums.other_shape, sums.numbers.close.tries()), (1, 0));
        let wide = Tensor::from_vec(Datatype::Fp64, Shape::new(&[2]).expect("small"), vec![1.0, 2.0]);
        let (found_wide, sums) = found(&numbers, Some(&wide.expect("fits")), &settings);
        assert!(!found_wide.agrees && sums.other_datatype == 1 && sums.numbers.all_close.hits() == 1);
        let text = Tensor::new(Datatype::Bytes, Shape::new(&[0]).expect("small"), Default::default());
        let none = output(tensor(&[0], Vec::new()), false);
        assert!(!found(&none, Some(&text.expect("empty")), &settings).0.agrees);
    }

    #[test]
    fn a_score_that_is_no_number_is_not_the_same_answer_though_the_class_is() {
        let scores = output(tensor(&[1, 3], vec![0.1, 0.2, 0.7]), false);
        let (found, _) =
            found(&scores, Some(&tensor(&[1, 3], vec![0.1, f32::NAN, 0.7])), &Settings::default());
        assert!(found.shadow_invalid && !found.primary_invalid && !found.agrees);
    }
}
