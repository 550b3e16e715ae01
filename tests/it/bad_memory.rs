//! Requests that claim, nest or unpack to more than they should, a thousand of them: the memory of
//! the gateway stays where it was.

use pointsman_tests::{Connection, Gateway, request};
use serde_json::json;

use crate::bad_input::{BODY_MAX, assert_serves, data, gateway, good, gzip};

const INFER: &str = "/v2/models/iris/infer";

/// Requests between two looks at the memory, and the looks.
const BATCH: usize = 100;
const BATCHES: usize = 24;

/// Batches before the first look: the allocator grows until each of its arenas has met each kind of request.
const WARM_UP: usize = 6;

/// How much the resident memory may grow over a thousand requests.
const GROWTH_MAX: i64 = 1 << 20;

/// A bad request: its headers and its body.
type Bad = (Vec<(&'static str, &'static str)>, Vec<u8>);

/// The worst of each kind.
fn worst() -> Vec<Bad> {
    let deep = "[".repeat(250_000) + "1" + &"]".repeat(250_000);
    let shape = |dims: &str| good().replace("[1,4]", dims).into_bytes();
    let binary = good()
        .replace("\"data\":[5.1,3.5,1.4,0.2]", r#""parameters":{"binary_data_size":9223372036854775808}"#);
    assert!(binary.contains("binary_data_size"), "{binary}");
    let header = vec![("inference-header-content-length", "99999999999")];
    let packed = gzip(&vec![b' '; 16 * BODY_MAX]);
    let half = gzip(good().as_bytes());
    let plain = |body: Vec<u8>| (Vec::new(), body);
    vec![
        plain(data(&deep).into_bytes()),
        plain(shape("[9223372036854775808]")),
        plain(shape("[4294967296,4294967296]")),
        plain(shape("[16,1152921504606846978]")),
        plain(binary.into_bytes()),
        plain(data("[1,2").into_bytes()),
        plain(json!({"inputs": vec![json!({"name": "X"}); 300]}).to_string().into_bytes()),
        (header, good().into_bytes()),
        (vec![("content-encoding", "gzip")], packed),
        (vec![("content-encoding", "gzip")], half[..half.len() / 2].to_vec()),
    ]
}

/// How much resident memory grows over ten batches: ten times what one grows by at the lower third of them.
/// The allocator takes a few MiB at once in some batches and gives them back in others; what is kept of each
/// request is in every batch.
fn growth(gateway: &Gateway, mut batch: impl FnMut()) -> i64 {
    let resident = || i64::try_from(gateway.resident_bytes()).expect("less than 8 EiB");
    let mut last = resident();
    let mut grown: Vec<i64> = (0..BATCHES)
        .map(|_| {
            batch();
            let now = resident();
            now - std::mem::replace(&mut last, now)
        })
        .collect();
    grown.sort_unstable();
    10 * grown[BATCHES / 3]
}

#[test]
fn a_thousand_bad_requests_leave_no_trace() {
    let (_registry, gateway) = gateway();
    let worst = worst();
    let send = || {
        for (headers, body) in worst.iter().cycle().take(BATCH) {
            let status = request("POST", gateway.http, INFER, headers, Some(body)).status;
            assert!((400..500).contains(&status), "{status}");
        }
    };
    (0..WARM_UP).for_each(|_| send());
    let growth = growth(&gateway, send);
    println!("resident memory grows by {growth} bytes over 1000 bad requests");
    assert!(growth < GROWTH_MAX, "{growth} bytes over 1000 requests");
    assert_serves(&gateway, "bad requests");
    assert_eq!(gateway.metric("pointsman_requests_in_flight", ""), 0.0);
    assert_eq!(gateway.metric("pointsman_request_bytes", ""), 0.0);
}

/// The negative control: 8 MiB over ten batches are seen as that.
#[test]
fn what_is_kept_is_seen() {
    const KEPT: usize = (8 << 20) / 10;
    let (_registry, gateway) = gateway();
    let head = format!("POST {INFER} HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n{KEPT:x}\r\n");
    let body = vec![b' '; KEPT];
    let mut held = Vec::new();
    let hold = || {
        // The last chunk is lacking, so the gateway has to keep the others; it counts them as it reads.
        let mut connection = Connection::open(gateway.http);
        connection.send(head.as_bytes());
        connection.send(&body);
        held.push(connection);
        let bytes = (held.len() * KEPT) as f64;
        gateway.wait_for_metric("pointsman_request_bytes", "", |in_flight| in_flight == bytes);
    };
    let growth = growth(&gateway, hold);
    println!("resident memory grows by {growth} bytes while 8 MiB are held");
    assert!(growth > 4 * GROWTH_MAX, "{growth} bytes");
}
