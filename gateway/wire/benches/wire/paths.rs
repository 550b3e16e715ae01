//! What a method and a path ask for.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use http::Method;
use pointsman_wire::route::parse;

/// One path of each kind that predictions come by.
const PATHS: [(&str, &str); 4] = [
    ("default version", "/v2/models/iris/infer"),
    ("numbered version", "/v2/models/iris/versions/3/infer"),
    ("escaped alias", "/v2/models/iris%40champion/infer"),
    ("V1", "/v1/models/iris:predict"),
];

/// One path an iteration.
pub(crate) fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path");
    group.throughput(Throughput::Elements(1));
    for (what, path) in PATHS {
        group.bench_function(BenchmarkId::from_parameter(what), |bencher| {
            bencher.iter(|| parse(&Method::POST, black_box(path)).expect("a path of the protocol"));
        });
    }
}
