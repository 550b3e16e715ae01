//! A million units over weights that rise and fall.

use super::*;

/// The arm of every unit, by its point: 0 is the default.
fn assignments(weights: &[(&str, &str, &str)], points: &[u64]) -> Vec<u8> {
    let mut text = "[experiment]\nname = \"petals\"\n".to_owned();
    for (name, weight, anchor) in weights {
        text += &format!(
            "[[experiment.arms]]\nname = \"{name}\"\nversion = 2\nweight = \"{weight}\"\nanchor = \"{anchor}\"\n"
        );
    }
    let plan = plan(&text);
    let experiment = &plan.split.as_ref().expect("a split").layers[0].experiments[0];
    points.iter().map(|point| experiment.arm(*point).0.map_or(0, |arm| arm as u8 + 1)).collect()
}

const UNITS: u32 = 1_000_000;

fn points(salt: &str) -> Vec<u64> {
    let salted = Salted::new(Domain::Arm, salt);
    (0..UNITS).map(|at| salted.point(&at.to_le_bytes())).collect()
}

fn share_of(arms: &[u8], arm: u8) -> f64 {
    let count = arms.iter().filter(|found| **found == arm).count();
    count as f64 / f64::from(UNITS)
}

#[test]
fn a_ramp_of_a_million_units_only_adds_and_a_rollback_only_takes() {
    let points = points("iris/petals/1");
    let ramp = ["1%", "5%", "25%", "50%", "100%"];
    let at = |weight| assignments(&[("canary", weight, "0%")], &points);
    let mut before = at("0%");
    assert_eq!(share_of(&before, 1), 0.0);
    let first: Vec<Vec<u8>> = ramp.iter().map(|weight| at(weight)).collect();
    for (arms, weight) in first.iter().zip(ramp) {
        assert!(before.iter().zip(arms).all(|(before, now)| now >= before), "{weight}: a unit left");
        let expected = Share::parse(weight).expect("a share").fraction();
        let found = share_of(arms, 1);
        // 0.05 % is one standard error at 50 %: a salt for which it holds, as the points are fixed.
        assert!((found - expected).abs() <= 0.0005, "{weight}: {found}");
        before.clone_from(arms);
    }
    // Everything back, and up again: the same units.
    assert_eq!(share_of(&at("0%"), 1), 0.0);
    for (arms, weight) in first.iter().zip(ramp) {
        assert_eq!(&at(weight), arms, "{weight}");
    }
}

#[test]
fn weights_are_kept_whatever_the_salt() {
    for salt in ["a", "b", "iris/petals/2"] {
        let points = points(salt);
        for (weight, expected) in [("0.01%", 0.0001), ("33.33%", 0.3333), ("50%", 0.5)] {
            let found = share_of(&assignments(&[("canary", weight, "0%")], &points), 1);
            let error = (expected * (1.0 - expected) / f64::from(UNITS)).sqrt();
            assert!((found - expected).abs() < 4.0 * error, "salt {salt}, {weight}: {found}");
        }
    }
}

#[test]
fn no_arm_moves_another() {
    let points = points("iris/petals/1");
    let few = assignments(&[("a", "5%", "0%"), ("b", "5%", "30%"), ("c", "10%", "60%")], &points);
    let many = assignments(&[("a", "30%", "0%"), ("b", "5%", "30%"), ("c", "40%", "60%")], &points);
    for (before, after) in few.iter().zip(&many) {
        assert!(*before == 0 || before == after, "a unit moved from arm {before} to {after}");
    }
    // All points have an arm where the arms have all of them.
    let full =
        assignments(&[("a", "33.33%", "0%"), ("b", "33.34%", "33.33%"), ("c", "33.33%", "66.67%")], &points);
    assert_eq!(share_of(&full, 0), 0.0);
}

#[test]
fn a_pick_goes_by_the_same_points() {
    let plan = plan(PETALS);
    let arms =
        assignments(&[("next", "20%", "0%"), ("third", "20%", "50%")], &points("iris/petals/1")[..2000]);
    for (at, expected) in arms.iter().enumerate() {
        let unit: &'static [u8] = Box::leak(Box::new(u32::try_from(at).expect("small").to_le_bytes()));
        let request = Request { parameters: vec![("user", Value::Bytes(unit))], ..Request::default() };
        let name = ["default", "next", "third"][usize::from(*expected)];
        assert_eq!(pick(&plan, &request).arm.name(), name, "unit {at}");
    }
}
