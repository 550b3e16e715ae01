//! What becomes of tests where requests of one unit are alike.

use fastrand::Rng;
use pointsman_stats::{
    Alpha, AsymptoticTest, Errors, Evidence, Moments, RampTest, Ratio, RatioOfMeans, UNITS_BEST, Weight,
};

const UNITS: usize = 2000;
const LOOKS: usize = 20;
/// Requests of each unit between two looks.
const REQUESTS: usize = 25;
const RUNS: usize = 200;

/// A unit, with all that it has sent so far.
struct Unit {
    canary: bool,
    rate: f64,
    errors: usize,
}

/// Which tests found a difference between two arms of which there is none.
#[derive(Default)]
struct Found {
    by_request: bool,
    by_unit: bool,
    by_mean: bool,
}

/// One in fifty units fails half of the time, the others never do.
fn units(random: &mut Rng) -> Vec<Unit> {
    let unit = |_| {
        let rate = if random.u8(0..50) == 0 { 0.5 } else { 0.0 };
        Unit { canary: random.u8(0..10) == 0, rate, errors: 0 }
    };
    (0..UNITS).map(unit).collect()
}

/// Lets every unit send, and counts the errors, and the units that erred for the first time.
fn look(random: &mut Rng, units: &mut [Unit]) -> (Errors, Errors) {
    let (mut requests, mut first) = (Errors::default(), Errors::default());
    for unit in units.iter_mut().filter(|unit| unit.rate > 0.0) {
        let errors = (0..REQUESTS).filter(|_| random.f64() < unit.rate).count();
        let counted = (errors as u64, u64::from(errors > 0 && unit.errors == 0));
        let (of_request, of_unit) = if unit.canary {
            (&mut requests.canary, &mut first.canary)
        } else {
            (&mut requests.primary, &mut first.primary)
        };
        *of_request += counted.0;
        *of_unit += counted.1;
        unit.errors += errors;
    }
    (requests, first)
}

/// The errors over requests of one arm, summed by unit.
fn rate(units: &[Unit], canary: bool, looks: usize) -> Option<RatioOfMeans> {
    let mut moments = Moments::default();
    for unit in units.iter().filter(|unit| unit.canary == canary) {
        moments.push((looks * REQUESTS) as f64, unit.errors as f64).expect("numbers");
    }
    RatioOfMeans::of(&moments)
}

fn run(random: &mut Rng, alpha: Alpha) -> Found {
    let mut units = units(random);
    let weight = Weight::new(0.1).expect("a weight");
    let test = || RampTest::new(Ratio::new(1.0).expect("a margin"));
    let (mut by_request, mut by_unit) = (test(), test());
    let by_mean = AsymptoticTest::new(alpha, UNITS_BEST).expect("a test");
    let mut evidence = [Evidence::default(); 3];
    for looks in 1..=LOOKS {
        let (requests, first) = look(random, &mut units);
        evidence[0].push(by_request.push(weight, requests));
        evidence[1].push(by_unit.push(weight, first));
        let arms = rate(&units, true, looks).zip(rate(&units, false, looks));
        if let Some(difference) = arms.and_then(|(canary, primary)| canary.less(&primary)) {
            evidence[2].push(by_mean.log_e(&difference));
        }
    }
    let [by_request, by_unit, by_mean] = evidence.map(|evidence| evidence.highest().rejects(alpha));
    Found { by_request, by_unit, by_mean }
}

#[test]
fn requests_of_sticky_units_are_no_evidence_but_units_are() {
    let mut random = Rng::with_seed(31);
    let alpha = Alpha::new(0.05).expect("a level");
    let found: Vec<Found> = (0..RUNS).map(|_| run(&mut random, alpha)).collect();
    let count = |pick: fn(&Found) -> bool| found.iter().filter(|found| pick(found)).count();
    let most = 0.05 * RUNS as f64 + 3.0 * (0.05 * 0.95 * RUNS as f64).sqrt();
    let (request, unit, mean) = (count(|f| f.by_request), count(|f| f.by_unit), count(|f| f.by_mean));
    assert!(request as f64 > 0.2 * RUNS as f64, "{request} of {RUNS} by request (seed 31)");
    assert!(unit as f64 <= most, "{unit} of {RUNS} by unit (seed 31)");
    assert!(mean as f64 <= most, "{mean} of {RUNS} by mean (seed 31)");
}
