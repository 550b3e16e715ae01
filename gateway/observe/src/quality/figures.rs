//! Figures of pairs.

use pointsman_core::Answer;
use pointsman_stats::{Alpha, Estimate, Inclusion, Scored, WeightedRatio, auc};

use super::calibration::Calibration;
use super::report::{ClassFigures, Figure, Figures};
use crate::labels::{Joined, Label};

/// Probabilities are kept this far from 0 and 1 in logarithms, as scikit-learn does for doubles.
const CLIP: f64 = f64::EPSILON;
/// The most classes that are shown, those with the most labels first.
const CLASSES_SHOWN: usize = 64;

/// A pair with the probability that it is there.
pub(super) type Weighed<'a> = (&'a Joined, Inclusion);

fn bounded(name: &str, found: Option<Estimate>) -> Option<Figure> {
    let Estimate { value, lower, upper, .. } = found?;
    Some(Figure { name: name.into(), value, lower: Some(lower), upper: Some(upper) })
}

/// A mean over pairs.
pub(super) fn mean_of(pairs: &[Weighed<'_>], value: impl Fn(&Joined) -> Option<f64>) -> WeightedRatio {
    let mut ratio = WeightedRatio::default();
    for (joined, included) in pairs {
        if let Some(value) = value(joined) {
            ratio.push(*included, value, 1.0);
        }
    }
    ratio
}

/// The figures of pairs of one version.
pub(super) fn figures(pairs: &[Weighed<'_>], names: &[String], alpha: Alpha) -> Figures {
    let total = pairs.iter().map(|(_, included)| included.weight()).sum();
    let mut found = Figures { rows: pairs.len() as u64, total, ..Figures::default() };
    if pairs.iter().any(|(joined, _)| matches!(joined.answer, Answer::Class { .. })) {
        of_classes(&mut found, pairs, names, alpha);
    } else {
        of_numbers(&mut found, pairs, alpha);
    }
    found
}

/// Whether a pair's answer is right, as a number.
pub(super) fn is_right(joined: &Joined) -> Option<f64> {
    joined.is_wrong().map(|wrong| f64::from(u8::from(!wrong)))
}

/// Of two classes: the probability of the second one, and whether it was so.
pub(super) fn probability(joined: &Joined) -> Option<(f64, bool)> {
    match (&joined.answer, joined.label) {
        (Answer::Class { scores, .. }, Label::Class(label)) if scores.len() == 1 => {
            Some((*scores.first()?, label == 1))
        }
        _ => None,
    }
}

/// Pairs as they are ranked.
pub(super) fn scored(pairs: &[Weighed<'_>]) -> Vec<Scored> {
    let one = |(joined, included): &Weighed<'_>| {
        let (score, happened) = probability(joined)?;
        Some(Scored { score, happened, included: *included })
    };
    pairs.iter().filter_map(one).collect()
}

fn of_numbers(found: &mut Figures, pairs: &[Weighed<'_>], alpha: Alpha) {
    let absolute = mean_of(pairs, |joined| joined.off().map(f64::abs)).mean(alpha);
    let squared = mean_of(pairs, |joined| joined.off().map(|error| error * error)).mean(alpha);
    let root = squared.map(|Estimate { value, error, lower, upper, count }| Estimate {
        value: value.sqrt(),
        error: error / (2.0 * value.sqrt().max(f64::MIN_POSITIVE)),
        lower: lower.max(0.0).sqrt(),
        upper: upper.sqrt(),
        count,
    });
    let bias = mean_of(pairs, Joined::off).mean(alpha);
    let figures = [bounded("mae", absolute), bounded("rmse", root), bounded("bias", bias)];
    found.figures = figures.into_iter().flatten().collect();
}

fn of_classes(found: &mut Figures, pairs: &[Weighed<'_>], names: &[String], alpha: Alpha) {
    let classes = by_class(pairs, names, alpha);
    let happened = |joined: &Joined| probability(joined).map(|(_, happened)| f64::from(u8::from(happened)));
    let bias = |joined: &Joined| Some(probability(joined)?.0 - happened(joined)?);
    let calibration = Calibration::of(pairs, alpha);
    let area = auc(&scored(pairs)).map(|area| area.estimate(alpha));
    let mut figures = vec![bounded("accuracy", mean_of(pairs, is_right).share(alpha))];
    let positive = classes.iter().find(|(place, _)| *place == 1 && probability(pairs[0].0).is_some());
    figures.extend(positive.into_iter().flat_map(|(_, class)| class.figures.iter().cloned().map(Some)));
    figures.push(macro_f1(&classes));
    figures.push(bounded("auc", area));
    figures.push(bounded("log_loss", mean_of(pairs, log_loss).mean(alpha)));
    figures.push(bounded("brier", mean_of(pairs, brier).mean(alpha)));
    figures.push(calibration.error().map(|value| Figure {
        name: "ece".into(),
        value,
        lower: None,
        upper: None,
    }));
    figures.push(bounded("bias", mean_of(pairs, bias).mean(alpha)));
    figures.push(bounded("rate", mean_of(pairs, happened).share(alpha)));
    found.figures = figures.into_iter().flatten().collect();
    found.calibration = calibration.bins();
    found.classes = classes.into_iter().map(|(_, class)| class).take(CLASSES_SHOWN).collect();
}

/// The mean of F1 over all classes that it is known of; nothing where that is one alone. It has no interval, as those of
/// classes depend on each other.
fn macro_f1(classes: &[(u32, ClassFigures)]) -> Option<Figure> {
    let f1 = |class: &ClassFigures| {
        class.figures.iter().find(|figure| figure.name == "f1").map(|figure| figure.value)
    };
    let known: Vec<f64> = classes.iter().filter_map(|(_, class)| f1(class)).collect();
    let value = known.iter().sum::<f64>() / known.len() as f64;
    (known.len() > 1).then(|| Figure { name: "macro_f1".into(), value, lower: None, upper: None })
}

/// What was predicted and what was so.
fn both(joined: &Joined) -> Option<(u32, u32)> {
    match (&joined.answer, joined.label) {
        (Answer::Class { class, .. }, Label::Class(label)) => Some((*class, label)),
        _ => None,
    }
}

fn by_class(pairs: &[Weighed<'_>], names: &[String], alpha: Alpha) -> Vec<(u32, ClassFigures)> {
    let pairs: Vec<(u32, u32, Inclusion)> =
        pairs.iter().filter_map(|(joined, included)| both(joined).map(|(a, b)| (a, b, *included))).collect();
    let mut places: Vec<u32> = pairs.iter().flat_map(|(class, label, _)| [*class, *label]).collect();
    places.sort_unstable();
    places.dedup();
    let of_class = |place: u32| {
        let [mut precision, mut recall, mut f1] = [WeightedRatio::default(); 3];
        let mut rows = 0;
        for (class, label, included) in &pairs {
            let (predicted, so) = (*class == place, *label == place);
            let hit = f64::from(u8::from(predicted && so));
            if predicted {
                precision.push(*included, hit, 1.0);
            }
            if so {
                recall.push(*included, hit, 1.0);
                rows += 1;
            }
            if predicted || so {
                f1.push(*included, 2.0 * hit, f64::from(u8::from(predicted)) + f64::from(u8::from(so)));
            }
        }
        let f1 =
            f1.mean(alpha).map(|f1| Estimate { lower: f1.lower.max(0.0), upper: f1.upper.min(1.0), ..f1 });
        let figures = [
            bounded("precision", precision.share(alpha)),
            bounded("recall", recall.share(alpha)),
            bounded("f1", f1),
        ];
        let class = names.get(place as usize).cloned().unwrap_or_else(|| place.to_string());
        (place, ClassFigures { class, rows, figures: figures.into_iter().flatten().collect() })
    };
    places.into_iter().map(of_class).collect()
}

/// −ln of what was given to what was so.
fn log_loss(joined: &Joined) -> Option<f64> {
    let Answer::Class { scores, .. } = &joined.answer else { return None };
    let Label::Class(label) = joined.label else { return None };
    let p = match scores.as_ref() {
        [] => return None,
        [p] if label == 1 => *p,
        [p] => 1.0 - p,
        all => all.get(label as usize).copied().unwrap_or(0.0),
    };
    Some(-p.clamp(CLIP, 1.0 - CLIP).ln())
}

/// Brier's score: of two classes the squared error of the second one's probability, of more the sum over all.
fn brier(joined: &Joined) -> Option<f64> {
    if let Some((p, happened)) = probability(joined) {
        return Some((p - f64::from(u8::from(happened))).powi(2));
    }
    let Answer::Class { scores, .. } = &joined.answer else { return None };
    let Label::Class(label) = joined.label else { return None };
    let squared = |(class, p): (usize, &f64)| (p - f64::from(u8::from(class == label as usize))).powi(2);
    (!scores.is_empty()).then(|| scores.iter().enumerate().map(squared).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::build::tests::{alpha, numbers, pair, weighed};

    #[test]
    fn two_classes_have_the_figures_of_scikit_learn() {
        let p = [0.9, 0.8, 0.7, 0.6, 0.55, 0.54, 0.53, 0.52, 0.3, 0.2, 0.1, 0.45];
        let y = [1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1];
        let pairs: Vec<Joined> = p.iter().zip(y).map(|(p, y)| pair(1, 0, *p, y)).collect();
        let found = figures(&weighed(&pairs), &["no".into(), "yes".into()], alpha());
        // scikit-learn 1.9.1: accuracy_score, precision_score and so on; log_loss; brier_score_loss.
        for (name, known) in KNOWN {
            let value = found.get(name).unwrap_or_else(|| panic!("no {name}")).value;
            assert!((value - known).abs() < 1e-9, "{name}: {value} is not {known}");
        }
        assert_eq!((found.rows, found.total, found.classes[1].class.as_str()), (12, 12.0, "yes"));
        for figure in &found.figures {
            if let (Some(lower), Some(upper)) = (figure.lower, figure.upper) {
                assert!(lower <= figure.value && figure.value <= upper, "{figure:?}");
            }
        }
    }

    const KNOWN: [(&str, f64); 9] = [
        ("accuracy", 0.5),
        ("precision", 0.5),
        ("recall", 0.6666666666666666),
        ("f1", 0.5714285714285714),
        ("macro_f1", 0.4857142857142857),
        ("auc", 0.6666666666666667),
        ("log_loss", 0.6098475829843869),
        ("brier", 0.21899166666666667),
        ("ece", 0.3408333333333333),
    ];

    #[test]
    fn many_classes_and_numbers_have_theirs() {
        let of = |class: u32, scores: [f64; 3], label: u32| Joined {
            answer: Answer::Class { class, scores: scores.into() },
            label: Label::Class(label),
            ..pair(1, 0, 0.5, 0)
        };
        let pairs = [of(0, [0.6, 0.3, 0.1], 0), of(1, [0.2, 0.5, 0.3], 2), of(2, [0.1, 0.2, 0.7], 2)];
        let found = figures(&weighed(&pairs), &[], alpha());
        for (name, known) in MANY {
            let value = found.get(name).unwrap_or_else(|| panic!("no {name}")).value;
            assert!((value - known).abs() < 1e-9, "{name}: {value} is not {known}");
        }
        assert!(found.get("auc").is_none() && found.get("bias").is_none());
        let found = figures(&weighed(&numbers(&[(1.0, 2.0), (4.0, 2.0), (3.0, 3.0)])), &[], alpha());
        for (name, known) in [("mae", 1.0), ("rmse", (5.0_f64 / 3.0).sqrt()), ("bias", 1.0 / 3.0)] {
            assert!((found.get(name).expect("there").value - known).abs() < 1e-9, "{name}");
        }
    }

    const MANY: [(&str, f64); 4] = [
        ("accuracy", 0.6666666666666666),
        ("macro_f1", 0.5555555555555555),
        ("log_loss", 0.6904911240102197),
        ("brier", 0.39333333333333337),
    ];
}
