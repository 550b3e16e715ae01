//! What the choice of a version costs on the request path: `cargo bench -p pointsman-route`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use pointsman_core::{RequestId, VersionNumber, VersionSelector};
use pointsman_route::{Bare, Document, Facts, Plan, Salts, Settled, Split, Standing, Value, Versions};

/// Eight arms, three rules of which none matches, and a unit in a header.
const PLAN: &str = r#"
    forced_arm_header = "x-arm"
    rules = [
        { header = "x-team", exact = "flowers", arm = "a1" },
        { header = "x-region", prefix = "eu-", arm = "a2" },
        { header = "x-tenant", one_of = ["a", "b", "c", "d", "e", "f", "g", "h"], arm = "default" },
    ]
    [experiment]
    name = "petals"
    units = ["header:x-user-id", "cookie:uid"]
    arms = [
        { name = "a1", version = 2, weight = 5 },
        { name = "a2", version = 2, weight = 5 },
        { name = "a3", version = 2, weight = 5 },
        { name = "a4", version = 2, weight = 5 },
        { name = "a5", version = 2, weight = 5 },
        { name = "a6", version = 2, weight = 5 },
        { name = "a7", version = 2, weight = 5 },
        { name = "a8", version = 2, weight = 5 },
    ]
"#;

fn main() {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(500));
    let mut criterion = criterion.measurement_time(Duration::from_secs(2)).configure_from_args();
    let default = VersionNumber::new(1);
    let nothing = Plan { default, ..Plan::default() };
    let split = Plan { default, split: Some(Arc::new(compiled())), ..Plan::default() };
    let mut group = criterion.benchmark_group("pick");
    group.bench_function("no split", |bencher| {
        let bare = Bare(RequestId::generate());
        bencher.iter(|| nothing.pick(black_box(&VersionSelector::Default), black_box(&bare)));
    });
    let request = |headers: &[(&'static str, &'static str)]| Request {
        headers: headers.to_vec(),
        id: RequestId::generate(),
    };
    let tenant =
        [("host", "gateway"), ("content-type", "application/json"), ("x-region", "us-1"), ("x-tenant", "z")];
    let with_header =
        request(&[&tenant[..], &[("x-user-id", "0190a6a2-3f7b-7cc1-9d2e-5b8f5f4a1c11")]].concat());
    let with_cookie =
        request(&[&tenant[..], &[("cookie", "theme=dark; session=abcdef; uid=u-1234567")]].concat());
    let without = request(&tenant);
    for (name, request) in [("header", with_header), ("cookie", with_cookie), ("request id", without)] {
        group.bench_function(format!("8 arms, 3 rules, unit of a {name}"), |bencher| {
            bencher.iter(|| split.pick(black_box(&VersionSelector::Default), black_box(&request)));
        });
    }
    group.finish();
    criterion.final_summary();
}

fn compiled() -> Split {
    let document = Document::from_toml(PLAN).expect("a document");
    let settled = Settled::new("iris", document, None, &Salts::new()).expect("a good plan");
    let versions = Versions { aliases: &BTreeMap::new(), standing: &|_| Standing::Warm };
    Split::compile(&settled, &versions).expect("versions that serve")
}

/// Headers in a list, which are found by comparing names.
struct Request {
    headers: Vec<(&'static str, &'static str)>,
    id: RequestId,
}

impl Facts for Request {
    fn header(&self, name: &str, at: usize) -> Option<&[u8]> {
        let mut values = self.headers.iter().filter(|(known, _)| *known == name);
        values.nth(at).map(|(_, value)| value.as_bytes())
    }

    fn parameter(&self, _: &str) -> Option<Value<'_>> {
        None
    }

    fn element(&self, _: &str, _: usize) -> Option<Value<'_>> {
        None
    }

    fn request_id(&self) -> RequestId {
        self.id
    }
}
