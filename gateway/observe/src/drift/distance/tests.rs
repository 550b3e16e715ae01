//! Known answers of distances, and what cells hide of exact samples.

use std::sync::Arc;

use pointsman_core::{Datatype, Dim, Shape, Signature, StringTensorBuilder, Tensor, TensorSpec};
use pointsman_stats::{Sample, largest_gap, wasserstein};
use proptest::prelude::*;

use super::*;
use crate::profile::{Example, Layout, Learner, Profile};

fn spec(name: &str, datatype: Datatype) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        datatype,
        shape: Some(vec![Dim::Dynamic(None)]),
        optional: false,
        labels: None,
    }
}

fn signature(datatype: Datatype) -> Signature {
    Signature { inputs: vec![spec("x", datatype)], outputs: vec![] }
}

fn numbers(values: &[f64]) -> Vec<Option<Tensor>> {
    let shape = Shape::new(&[values.len() as u64]).expect("small");
    vec![Some(Tensor::from_vec(Datatype::Fp64, shape, values.to_vec()).expect("fits"))]
}

fn texts(values: &[&str]) -> Vec<Option<Tensor>> {
    let shape = Shape::new(&[values.len() as u64]).expect("small");
    let mut builder = StringTensorBuilder::default();
    values.iter().for_each(|text| builder.push(text.as_bytes()).expect("short"));
    vec![Some(Tensor::new(Datatype::Bytes, shape, builder.finish()).expect("fits"))]
}

/// Both sides in the cells of the first.
fn profiles(
    datatype: Datatype,
    reference: &[Option<Tensor>],
    current: &[Option<Tensor>],
) -> (Layout, Profile, Profile) {
    let signature = signature(datatype);
    let rows = |tensors: &[Option<Tensor>]| tensors[0].as_ref().map_or(0, |tensor| tensor.elements() as u64);
    let example = |inputs| Example { inputs, outputs: None, rows: rows(inputs) };
    let mut learner = Learner::new(&signature, None, true);
    learner.add(&example(reference));
    let layout = learner.layout(&signature, None);
    let of = |inputs| {
        let mut profile = Profile::new(&layout);
        profile.add(&layout, &example(inputs));
        profile
    };
    let (before, now) = (of(reference), of(current));
    (layout, before, now)
}

fn found(datatype: Datatype, reference: &[Option<Tensor>], current: &[Option<Tensor>]) -> Distances {
    let (layout, before, now) = profiles(datatype, reference, current);
    let frame = &layout.columns()[0].frame;
    distances(frame, &before.column(&layout, 0), &now.column(&layout, 0)).expect("values on both sides")
}

fn repeated<'a>(counts: &[(&'a str, usize)]) -> Vec<&'a str> {
    counts.iter().flat_map(|(name, count)| std::iter::repeat_n(*name, *count)).collect()
}

fn near(found: f64, known: f64) {
    assert!((found - known).abs() < 1e-6, "{found}, not {known}");
}

#[test]
fn known_answers_of_categories() {
    let of = |reference: &[(&str, usize)], current: &[(&str, usize)]| {
        found(Datatype::Bytes, &texts(&repeated(reference)), &texts(&repeated(current)))
    };
    // A class that is new counts as one of the others, which is the fourth.
    let new = of(&[("a", 500), ("b", 300), ("c", 200)], &[("a", 400), ("b", 300), ("c", 250), ("d", 50)]);
    near(new.psi, 0.263_650_3);
    near(new.out_of_domain.1, 0.05);
    assert!(new.out_of_domain_p < 1e-12 && new.psi_p < 1e-10, "{new:?}");
    let contingency = of(&[("a", 500), ("b", 300), ("c", 200)], &[("a", 450), ("b", 320), ("c", 230)]);
    near(contingency.chi_squared, 5.369_763_5);
    // The larger p-value of Pearson's 0.0682293 and the likelihood ratio's.
    assert!((contingency.psi_p - 0.068_229_3).abs() < 2e-4, "{}", contingency.psi_p);
    assert_eq!((contingency.degrees, contingency.numbers), (2, None));
    near(
        of(&[("a", 50), ("b", 30), ("c", 20)], &[("a", 40), ("b", 30), ("c", 20), ("d", 10)]).l_infinity,
        0.1,
    );
    near(of(&[("a", 1), ("b", 2), ("c", 7)], &[("a", 3), ("b", 1), ("c", 6)]).l_infinity, 0.2);
    near(of(&[("a", 1), ("b", 1)], &[("a", 3), ("b", 1)]).l_infinity, 0.25);
}

#[test]
fn known_answers_of_numbers() {
    let ten = |from: i32| (from..from + 10).map(f64::from).collect::<Vec<_>>();
    let (a, b) = (ten(0), ten(1));
    let moved = found(Datatype::Fp64, &numbers(&a), &numbers(&b));
    let NumberDistances { ks, ks_error, wasserstein, wasserstein_error, .. } =
        moved.numbers.expect("numbers");
    near(ks, 0.1);
    near(ks_error, 0.0);
    near(moved.out_of_domain.1, 0.1);
    // What is past all edges lies somewhere up to the largest number: here 0.05 is all that is not known.
    assert!((wasserstein.expect("finite") - 1.0).abs() <= wasserstein_error && wasserstein_error < 0.101);
    // Within the edges it is exact. It is over the deviation of a sample; over that of a population it is 0.3481553.
    let wide = [a.clone(), b.clone()].concat();
    let (layout, _, now) = profiles(Datatype::Fp64, &numbers(&wide), &numbers(&b));
    let mut before = Profile::new(&layout);
    before.add(&layout, &Example { inputs: &numbers(&a), outputs: None, rows: 10 });
    let frame = &layout.columns()[0].frame;
    let known = distances(frame, &before.column(&layout, 0), &now.column(&layout, 0)).expect("values");
    let known = known.numbers.expect("numbers");
    near(known.wasserstein.expect("finite"), 1.0);
    near(known.wasserstein_over_std.expect("a deviation") / 0.9_f64.sqrt(), 0.348_155_3);
    let two = |zeros: usize, ones: usize| [vec![0.0; zeros], vec![1.0; ones]].concat();
    let rates = found(Datatype::Fp64, &numbers(&two(900, 100)), &numbers(&two(696, 104)));
    near(rates.chi_squared.sqrt(), 1.995_129_0);
    assert!((rates.psi_p - 0.046_028_8).abs() < 1e-3, "{}", rates.psi_p);
}

#[test]
fn missing_values_are_a_rate_of_their_own() {
    let with = |missing: usize| [vec![f64::NAN; missing], (0..500).map(f64::from).collect()].concat();
    let lost = found(Datatype::Fp64, &numbers(&with(0)), &numbers(&with(50)));
    assert!(lost.missing_p < 1e-10 && lost.psi_p > 0.99, "{lost:?}");
    near(lost.missing.1, 50.0 / 550.0);
    let gone = found(Datatype::Fp64, &numbers(&with(0)), &numbers(&[f64::NAN; 200]));
    assert!(gone.missing.1 == 1.0 && gone.missing_p < 1e-50 && gone.numbers.is_none(), "{gone:?}");
    let same = found(Datatype::Fp64, &numbers(&[f64::NAN; 9]), &numbers(&[f64::NAN; 9]));
    assert_eq!(same.missing_p, 1.0);
}

#[test]
fn few_in_a_class_do_not_make_a_finding() {
    // Forty classes with two each, others each time: nothing is known, where each class by itself would be a wonder.
    let names: Vec<String> = (0..80).map(|i| format!("{i:02}")).collect();
    let half = |from: usize| names[from..from + 40].iter().flat_map(|n| [n.as_str(); 2]).collect::<Vec<_>>();
    let all = found(Datatype::Bytes, &texts(&half(0)), &texts(&half(0)));
    assert!(all.psi_p > 0.9, "{all:?}");
    assert_eq!(pooled(&[100, 3, 1, 50], &[90, 4, 1, 60]), (vec![100, 54], vec![90, 65]));
    assert_eq!(pooled(&[100, 9, 9, 50], &[90, 4, 1, 60]).0.iter().sum::<u64>(), 168);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The distances at the edges of cells, with their stated errors, hold those of the numbers themselves.
    #[test]
    fn sketch_and_exact_agree_within_the_stated_error(
        seed in 0..u64::MAX, n in 50..3000_usize, m in 50..3000_usize, shift in -1.0..1.0_f64, zeros in 0.0..0.6_f64,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut draw = |count: usize, shift: f64| -> Vec<f64> {
            let mut one = || if random.f64() < zeros { 0.0 } else { -(1.0 - random.f64()).ln() + shift };
            (0..count).map(|_| one()).collect()
        };
        let (a, b) = (draw(n, 0.0), draw(m, shift));
        let (layout, before, now) = profiles(Datatype::Fp64, &numbers(&a), &numbers(&b));
        let Frame::Grid(grid) = &layout.columns()[0].frame else { panic!("numbers") };
        let (before, now) = (before.column(&layout, 0), now.column(&layout, 0));
        let found = distances(&layout.columns()[0].frame, &before, &now).expect("values");
        let of = |values: &[f64]| Sample::new(values.to_vec()).expect("numbers");
        let exact = largest_gap(&of(&a), &of(&b)).statistic();
        let NumberDistances { ks, ks_error, wasserstein: moved, wasserstein_error, .. } = found.numbers.expect("numbers");
        prop_assert!(ks <= exact + 1e-12 && exact <= ks + ks_error + 1e-12, "{ks} + {ks_error}: {exact} (seed {seed})");
        let exact = wasserstein(&of(&a), &of(&b)).expect("finite");
        let apart = (moved.expect("finite") - exact).abs();
        prop_assert!(apart <= wasserstein_error + 1e-9, "{moved:?} ± {wasserstein_error}: {exact} (seed {seed})");
        // No cell of different numbers has more than a fiftieth of the training data.
        let cells = (0..before.cells.len()).filter(|cell| !grid.is_value(*cell)).map(|cell| before.cells[cell]);
        prop_assert!(cells.max().unwrap_or(0) as f64 <= (0.02 * n as f64).max(2.0) , "seed {seed}");
        // PSI over the bins is exact: the counts of the bins are.
        let edges = grid.bin_edges();
        let binned = |values: &[f64]| {
            let mut counts = vec![0_u64; edges.len() + 1];
            values.iter().for_each(|x| counts[edges.partition_point(|edge| edge < x)] += 1);
            counts
        };
        let known = compare(&binned(&a), &binned(&b));
        prop_assert!((known.psi - found.psi).abs() < 1e-12, "seed {seed}");
    }

    #[test]
    fn profiles_merge_in_any_order(parts in prop::collection::vec(prop::collection::vec(-5_i32..5, 1..30), 1..6), turn in 0..6_usize) {
        let of = |part: &Vec<i32>| part.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let all: Vec<f64> = parts.iter().flat_map(of).collect();
        let (layout, whole, _) = profiles(Datatype::Fp64, &numbers(&all), &numbers(&all));
        let mut each: Vec<Profile> = Vec::new();
        for part in &parts {
            let mut profile = Profile::new(&layout);
            let inputs = numbers(&of(part));
            profile.add(&layout, &Example { inputs: &inputs, outputs: None, rows: part.len() as u64 });
            each.push(profile);
        }
        let turn = turn % each.len();
        each.rotate_left(turn);
        let merged = each.iter().skip(1).fold(each[0].clone(), |mut sum, next| { sum.merge(next); sum });
        let (merged, whole) = (merged.column(&layout, 0), whole.column(&layout, 0));
        prop_assert_eq!(merged.cells, whole.cells);
        prop_assert_eq!(merged.sums.range(), whole.sums.range());
        prop_assert!((merged.sums.mean(0.0).unwrap_or(0.0) - whole.sums.mean(0.0).unwrap_or(0.0)).abs() < 1e-9);
        let spread = (merged.sums.deviation().unwrap_or(0.0) - whole.sums.deviation().unwrap_or(0.0)).abs();
        prop_assert!(spread < 1e-9);
    }
}

#[test]
fn an_unknown_text_is_named_only_where_it_may_be_kept() {
    let signature = Arc::new(signature(Datatype::Bytes));
    let inputs = texts(&["secret", "secret", "", "b"]);
    let layout = Learner::new(&signature, None, false).layout(&signature, None);
    let mut profile = Profile::new(&layout);
    profile.add(&layout, &Example { inputs: &inputs, outputs: None, rows: 4 });
    let seen = profile.column(&layout, 0);
    assert_eq!((seen.present(), seen.sums.missing, seen.distinct()), (3, 1, Some(2)));
    assert!(seen.unknown().is_empty());
    let mut schema = pointsman_core::Schema::default();
    let keeps =
        pointsman_core::ColumnSchema { log: Some(pointsman_core::Redaction::Keep), ..Default::default() };
    schema.inputs.insert("x".into(), keeps);
    let layout = Learner::new(&signature, Some(&schema), false).layout(&signature, Some(&schema));
    let mut profile = Profile::new(&layout);
    profile.add(&layout, &Example { inputs: &inputs, outputs: None, rows: 4 });
    assert_eq!(profile.column(&layout, 0).unknown(), [("secret".to_owned(), 2), ("b".to_owned(), 1)]);
}
