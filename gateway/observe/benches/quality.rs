//! What one report of a model's labels costs, and a snapshot of what it is made of: `cargo bench -p pointsman-observe --bench quality`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use pointsman_core::{Answer, RequestId};
use pointsman_observe::labels::{Joined, Label, Source};
use pointsman_observe::quality::{Ask, Days, Pairs, QualityReport, Window};
use pointsman_stats::{Alpha, Inclusion};

/// The pairs that are kept of a model unless somebody says otherwise.
const PAIRS: usize = 200_000;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// Two versions on the same requests over a year.
fn pairs() -> Pairs {
    let mut random = fastrand::Rng::with_seed(1);
    let mut pairs = Pairs::new(PAIRS);
    let sources = [1, 2].map(|version| {
        let (model, slices) = ("m".into(), Arc::new([]));
        Arc::new(Source { model, version, is_shadow: version > 1, names: None, classes: Some(2), slices })
    });
    for at in 0..PAIRS as u64 / 2 {
        let (id, happened) = (RequestId::generate(), random.bool());
        for source in &sources {
            let p = random.f64();
            pairs.push(Joined {
                id,
                row: 0,
                at_ms: 15_700 * DAY_MS + at * 365 * DAY_MS / (PAIRS as u64 / 2),
                label_at_ms: 16_100 * DAY_MS,
                included: Inclusion::ALL,
                from_log: false,
                source: source.clone(),
                arm: "default".into(),
                answer: Answer::Class { class: u32::from(p >= 0.5), scores: [p].into() },
                label: Label::Class(u32::from(happened)),
                slices: [].into(),
            });
        }
    }
    pairs
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    let (pairs, days) = (pairs(), Days::default());
    let alpha = Alpha::new(0.05).expect("a level");
    let window = Window::Days(30);
    let ask = Ask { alpha, window, champion: Some(1), version: None, slice: None, by_arm: false };
    criterion.bench_function("report_of_200000_pairs", |bencher| {
        bencher.iter(|| black_box(QualityReport::new("m", &pairs, &days, &ask)));
    });
    criterion.bench_function("snapshot_of_200000_pairs", |bencher| bencher.iter(|| black_box(pairs.clone())));
    criterion.final_summary();
}
