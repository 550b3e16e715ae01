//! What holds of every comparison.

use pointsman_core::{Code, LoadTenth, ShadowDrop};
use pointsman_observe::{Comparison, MergeError, Pairing, Report, Settings};
use pointsman_stats::Alpha;
use proptest::prelude::*;

use crate::answers::{Exchange, comparison, model, numbers, version};

fn alpha() -> Alpha {
    Alpha::new(0.05).expect("a level")
}

/// Answers of a classifier and a regression, some of which fail or hold what is no number.
fn exchange() -> impl Strategy<Value = Exchange> {
    let row = prop::collection::vec((0.01..1.0, 0.01..1.0), 3);
    let value = prop_oneof![8 => -1e3..1e3, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    let values = prop::collection::vec((value.clone(), value), 1..5);
    (row, values, 0_u8..12, 1_u64..50, 1_u64..50).prop_map(|(row, values, end, here, there)| {
        let normal = |weights: Vec<f64>| {
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / sum).collect::<Vec<_>>()
        };
        let (p, q): (Vec<f64>, Vec<f64>) = row.into_iter().unzip();
        let (a, b): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
        let outputs = |scores: Vec<f64>, values: &[f64]| {
            vec![numbers("scores", &[1, 3], &scores), numbers("value", &[values.len() as u64], values)]
        };
        let mut exchange = Exchange::new(outputs(normal(p), &a), outputs(normal(q), &b));
        exchange.ms = (here, there);
        match end {
            0 => exchange.shadow = Err(Code::SessionFailed),
            1 => exchange.primary = Err(Code::InputRejected),
            2 => (exchange.primary, exchange.shadow) = (Err(Code::InputRejected), Err(Code::InputRejected)),
            3 => exchange.shadow = exchange.shadow.map(|outputs| outputs[..1].to_vec()),
            4 => exchange.floor = exchange.primary.clone().ok(),
            5 => exchange.floor = exchange.shadow.clone().ok(),
            _ => {}
        }
        exchange
    })
}

fn compared<'a>(exchanges: impl IntoIterator<Item = &'a Exchange>) -> Comparison {
    let mut found = comparison(Settings::default());
    exchanges.into_iter().for_each(|exchange| exchange.push(&mut found));
    found
}

/// Rounds what sums of floats leave of the order in which they were summed.
fn settled(report: &Report) -> Report {
    let round = |number: f64| format!("{number:.7}").parse::<f64>().expect("a number");
    let mut report = report.clone();
    let floor = report.floor.as_mut().map(|floor| &mut floor.outputs);
    for output in report.against.outputs.iter_mut().chain(floor.into_iter().flatten()) {
        if let Some(numbers) = &mut output.numbers {
            numbers.rmse = numbers.rmse.map(round);
            numbers.cosine = numbers.cosine.map(round);
            numbers.bias = numbers.bias.map(|(bias, low, high)| (round(bias), round(low), round(high)));
        }
        if let Some(classes) = &mut output.classes {
            classes.kl = classes.kl.map(round);
            classes.js = classes.js.map(|(mean, max)| (round(mean), max));
        }
    }
    report
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn neither_order_nor_parts_matter(
        exchanges in prop::collection::vec(exchange(), 1..40),
        cut: prop::sample::Index,
    ) {
        let report = |comparison: &Comparison| settled(&comparison.report(alpha()));
        let forwards = report(&compared(&exchanges));
        prop_assert!(report(&compared(exchanges.iter().rev())) == forwards, "the order matters");
        let (left, right) = exchanges.split_at(cut.index(exchanges.len()));
        let mut merged = compared(left);
        merged.merge(&compared(right)).expect("of the same versions");
        prop_assert!(report(&merged) == forwards, "the parts matter");
    }

    #[test]
    fn a_version_against_itself_is_equal_in_everything(exchanges in prop::collection::vec(exchange(), 1..20)) {
        let mut found = comparison(Settings::default());
        for exchange in &exchanges {
            let mut same = exchange.clone();
            same.shadow = same.primary.clone();
            same.floor = same.primary.clone().ok();
            same.push(&mut found);
        }
        let report = found.report(alpha());
        let against = &report.against;
        prop_assert_eq!(against.agreement.hits, against.agreement.tries);
        prop_assert_eq!((against.outcomes.ok_err, against.outcomes.err_ok), (0, 0));
        prop_assert_eq!((against.invalid.shadow, against.invalid.primary), (0, 0));
        prop_assert!(against.worst.is_empty() && against.failed.is_empty());
        prop_assert_eq!(report.excess.map_or(0, |excess| excess.both + excess.shadow + excess.floor), 0);
        prop_assert!(report.against.outputs.len() == 2 || against.outcomes.ok_ok == 0);
        for output in &against.outputs {
            prop_assert_eq!((output.agreed, output.missing, output.other_shape), (output.pairs, 0, 0));
            let numbers = output.numbers.as_ref().expect("numbers");
            prop_assert_eq!((numbers.bit_equal, numbers.close, numbers.all_close), (Some(1.0), Some(1.0), Some(1.0)));
            prop_assert_eq!((numbers.max_abs, numbers.max_rel, numbers.ulp_max.unwrap_or(0)), (0.0, 0.0, 0));
            prop_assert!(numbers.rmse.is_none_or(|rmse| rmse == 0.0));
            prop_assert!(numbers.cosine.is_none_or(|cosine| (cosine - 1.0).abs() < 1e-9));
            if let Some(classes) = &output.classes {
                prop_assert_eq!((classes.flips, classes.top_overlap), (Some((0, 0)), Some(1.0)));
                prop_assert_eq!((classes.kl, classes.js), (Some(0.0), Some((0.0, 0.0))));
                for (row, counts) in classes.confusion.counts.iter().enumerate() {
                    prop_assert!(counts.iter().enumerate().all(|(column, count)| row == column || *count == 0));
                }
            }
        }
        prop_assert!(report.text().contains("flights: version 2 against version 1"));
    }

    #[test]
    fn every_report_comes_back_from_json(exchanges in prop::collection::vec(exchange(), 0..20)) {
        let mut found = compared(&exchanges);
        found.dropped(ShadowDrop::Expired, LoadTenth::of(3, 4), 1);
        let report = found.report(alpha());
        let json = serde_json::to_string(&report).expect("JSON");
        prop_assert_eq!(&serde_json::from_str::<Report>(&json).expect("a report"), &report);
        prop_assert_eq!(report.dropped.len(), 1);
        prop_assert_eq!(report.dropped[0].by_load[7], 1);
        prop_assert!(report.page().starts_with("<!DOCTYPE html>"));
    }
}

#[test]
fn only_what_is_of_the_same_is_taken_in() {
    let mut found = comparison(Settings::default());
    let other = Pairing { model: model(), primary: version(1), shadow: version(3) };
    let mut third = Comparison::new(other, Settings::default()).expect("settings");
    assert_eq!(found.merge(&third), Err(MergeError::Pairing));
    let loose = comparison(Settings { rtol: 0.1, ..Settings::default() });
    assert_eq!(found.merge(&loose), Err(MergeError::Settings));
    Exchange::new(vec![numbers("y", &[1], &[1.0])], vec![]).push(&mut third);
    let report = third.report(alpha());
    assert_eq!((report.mispaired, report.against.outcomes.ok_ok), (1, 0));
}
