//! Notices as a receiver on loopback sees them: signed, tried again, in order, within bounds.

mod log;
mod receiver;
mod setting;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use pointsman_control::rollout::{Exposure, Moment, Notice, Phase};
use pointsman_core::VersionNumber;
use prometheus_client::registry::Registry;
use sha2::Sha256;

use self::log::log;
use self::receiver::{PATIENCE, Received, Receiver, Reply, nobody};
use self::setting::{SECRET, Setting, wait_for};
use super::{Backoff, Webhooks};
use crate::config::Webhook;

const OK: Reply = Reply::Status(204, "");

fn notice(rollout: u64) -> Notice {
    Notice {
        rollout,
        model: "iris".into(),
        candidate: VersionNumber::new(3).expect("a version"),
        from: (Phase::Created, Exposure::None),
        to: (Phase::Promoted, Exposure::All),
        event: "promote".into(),
        at: Moment(1_667_507_170_000),
    }
}

/// Checks a signature as a receiver would that knows the secret and the specification alone.
fn verify(received: &Received) {
    let (id, timestamp) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&SECRET).expect("a key");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&received.body);
    let signature = received.header("webhook-signature").strip_prefix("v1,").expect("version 1");
    mac.verify_slice(&STANDARD.decode(signature).expect("base64")).expect("the signature");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    assert!(now.abs_diff(timestamp.parse().expect("seconds")) < 300, "{timestamp}");
    assert!(id.starts_with("msg_") && !id.contains('.'), "{id}");
}

fn rollouts(received: &[Received]) -> Vec<u64> {
    received.iter().map(|one| one.json()["data"]["rollout"].as_u64().expect("a number")).collect()
}

#[test]
fn a_notice_arrives_signed() {
    let receiver = Receiver::new(|_, _| OK);
    let setting = Setting::new(&[&receiver.url("/hooks")], |_| {});
    setting.webhooks.tell(&receiver.url("/hooks/a?team=b"), &notice(7));
    let received = receiver.wait_for(1).remove(0);
    verify(&received);
    assert_eq!(received.line, "POST /hooks/a?team=b HTTP/1.1");
    assert_eq!(received.header("host"), receiver.address.to_string());
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.json()["type"], "rollout.transition");
    assert_eq!(received.json()["data"]["to"]["phase"], "promoted");
    setting.settle();
    assert_eq!(setting.tries("delivered"), 1);
}

#[test]
fn it_is_tried_again_with_the_same_id_after_every_failure_that_may_pass() {
    let receiver = Receiver::new(|_, before| match before {
        0 => Reply::Status(500, ""),
        1 => Reply::Hang,
        2 => Reply::Garbage,
        3 => Reply::Status(408, ""),
        _ => OK,
    });
    let setting = Setting::new(&[&receiver.url("/")], |config| config.timeout = Duration::from_secs(1));
    setting.webhooks.tell(&receiver.url("/"), &notice(1));
    let received = receiver.wait_for(5);
    received.iter().for_each(verify);
    for one in &received {
        assert_eq!(one.header("webhook-id"), received[0].header("webhook-id"));
        assert_eq!(one.body, received[0].body);
    }
    setting.settle();
    let ends = ["failed", "timeout", "unreachable", "delivered"].map(|result| setting.tries(result));
    assert_eq!(ends, [2, 1, 1, 1]);
}

#[test]
fn notices_for_one_address_arrive_in_their_order() {
    // Every third try fails, whatever is tried.
    let receiver = Receiver::new(|_, before| if before % 3 == 0 { Reply::Status(503, "") } else { OK });
    let setting = Setting::new(&[&receiver.url("/")], |_| {});
    for rollout in 0..20 {
        setting.webhooks.tell(&receiver.url("/"), &notice(rollout));
    }
    setting.settle();
    let received = receiver.wait_for(30);
    let taken: Vec<Received> = received
        .iter()
        .enumerate()
        .filter(|(before, _)| before % 3 != 0)
        .map(|(_, one)| one.clone())
        .collect();
    assert_eq!(rollouts(&taken), (0..20).collect::<Vec<u64>>());
    let ids: std::collections::HashSet<_> = taken.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(ids.len(), 20);
}

#[test]
fn a_receiver_that_hangs_holds_up_nobody_else() {
    let hung = Receiver::new(|_, _| Reply::Hang);
    let quick = Receiver::new(|_, _| OK);
    let setting = Setting::new(&[&hung.url("/"), &quick.url("/")], |config| {
        config.drain_timeout = Duration::ZERO;
    });
    setting.webhooks.tell(&hung.url("/"), &notice(1));
    hung.wait_for(1);
    for rollout in 0..5 {
        setting.webhooks.tell(&hung.url("/"), &notice(rollout));
        setting.webhooks.tell(&quick.url("/"), &notice(rollout));
    }
    assert_eq!(rollouts(&quick.wait_for(5)), [0, 1, 2, 3, 4]);
    assert_eq!(hung.count(), 1);
}

#[test]
fn more_than_may_be_tried_at_once_wait_for_their_turn() {
    let many = super::courier::TRIES_AT_ONCE_MAX + 4;
    let receiver = Receiver::new(|_, _| Reply::Hang);
    let setting = Setting::new(&[&receiver.url("/")], |config| {
        config.timeout = Duration::from_millis(300);
        config.tries_max = 1;
    });
    for rollout in 0..many as u64 {
        setting.webhooks.tell(&receiver.url(&format!("/{rollout}")), &notice(rollout));
    }
    let received = receiver.wait_for(many);
    // The first that has to wait comes once one of the others has taken all its time.
    let mut times: Vec<Instant> = received.iter().map(|one| one.at).collect();
    times.sort();
    let waited = times[super::courier::TRIES_AT_ONCE_MAX].duration_since(times[0]);
    assert!(waited >= Duration::from_millis(100), "{waited:?}");
    setting.settle();
    assert_eq!(setting.dropped("tries_used_up"), many as u64);
}

#[test]
fn past_the_limit_of_the_queue_notices_are_dropped_and_counted() {
    let receiver = Receiver::new(|_, _| Reply::Hang);
    let setting = Setting::new(&[&receiver.url("/")], |config| {
        config.queue_max = 3;
        config.drain_timeout = Duration::ZERO;
    });
    for rollout in 0..5 {
        setting.webhooks.tell(&receiver.url("/"), &notice(rollout));
    }
    assert_eq!(setting.metric("pointsman_webhook_waiting"), 3);
    assert_eq!((setting.dropped("queue_full"), setting.metric("pointsman_webhook_told_total")), (2, 5));
    setting.webhooks.stop();
    assert_eq!(setting.dropped("stopped"), 3);
    setting.settle();
}

#[test]
fn what_a_receiver_does_not_want_is_not_tried_again() {
    for status in [400, 401, 404, 410, 413, 422, 304] {
        let receiver =
            Receiver::new(move |_, before| if before == 0 { Reply::Status(status, "") } else { OK });
        let setting = Setting::new(&[&receiver.url("/")], |_| {});
        setting.webhooks.tell(&receiver.url("/"), &notice(1));
        setting.webhooks.tell(&receiver.url("/"), &notice(2));
        assert_eq!(rollouts(&receiver.wait_for(2)), [1, 2], "{status}");
        setting.settle();
        assert_eq!((setting.dropped("refused"), setting.tries("refused")), (1, 1), "{status}");
    }
}

#[test]
fn no_redirect_is_followed() {
    let elsewhere = Receiver::new(|_, _| OK);
    let location: &'static str = format!("location: {}\r\n", elsewhere.url("/")).leak();
    for status in [301, 302, 303, 307, 308] {
        let receiver = Receiver::new(move |_, _| Reply::Status(status, location));
        // Not even to an address that is allowed itself.
        let setting = Setting::new(&[&receiver.url("/"), &elsewhere.url("/")], |_| {});
        setting.webhooks.tell(&receiver.url("/"), &notice(1));
        receiver.wait_for(1);
        setting.settle();
        assert_eq!((setting.dropped("refused"), elsewhere.count()), (1, 0), "{status}");
    }
}

#[test]
fn tries_end_at_their_limit() {
    let receiver = Receiver::new(|_, _| Reply::Status(503, ""));
    let setting = Setting::new(&[&receiver.url("/")], |config| config.tries_max = 3);
    setting.webhooks.tell(&receiver.url("/"), &notice(1));
    setting.settle();
    assert_eq!((receiver.count(), setting.dropped("tries_used_up")), (3, 1));
}

#[test]
fn nobody_at_an_address_is_a_try_that_failed() {
    let nobody = nobody();
    let setting = Setting::new(&[&nobody], |config| config.tries_max = 2);
    setting.webhooks.tell(&nobody, &notice(1));
    setting.settle();
    assert_eq!((setting.tries("unreachable"), setting.dropped("tries_used_up")), (2, 1));
}

#[test]
fn retry_after_is_heard_up_to_the_bound() {
    let asking =
        |lines| Receiver::new(move |_, before| if before == 0 { Reply::Status(429, lines) } else { OK });
    let (second, hour) = (asking("retry-after: 1\r\n"), asking("retry-after: 3600\r\n"));
    let setting = Setting::new(&[&second.url("/"), &hour.url("/")], |config| {
        config.backoff.max = Duration::from_millis(1500);
    });
    for receiver in [&second, &hour] {
        setting.webhooks.tell(&receiver.url("/"), &notice(1));
    }
    for (receiver, least) in [(second, 1000), (hour, 1500)] {
        let received = receiver.wait_for(2);
        let waited = received[1].at.duration_since(received[0].at);
        assert!(waited >= Duration::from_millis(least - 50), "{waited:?} of {least} ms");
    }
}

#[test]
fn nothing_leaves_for_an_address_that_is_not_allowed() {
    let receiver = Receiver::new(|_, _| OK);
    let setting = Setting::new(&[&receiver.url("/hooks")], |_| {});
    let others = [
        receiver.url("/hooksx"),
        receiver.url("/hooks/../admin"),
        receiver.url("/"),
        receiver.url("/hooks").replace("http:", "https:"),
        "nonsense".into(),
    ];
    for address in &others {
        let problem = setting.webhooks.allows(address).expect_err("not allowed");
        assert!(problem.starts_with("webhook: ") && !problem.contains("hooksx"), "{problem}");
        setting.webhooks.tell(address, &notice(1));
    }
    assert_eq!(setting.webhooks.allows(&receiver.url("/hooks/a")), Ok(()));
    setting.webhooks.tell(&receiver.url("/hooks/a"), &notice(2));
    assert_eq!(rollouts(&receiver.wait_for(1)), [2]);
    setting.settle();
    assert_eq!(setting.dropped("not_allowed"), others.len() as u64);
}

#[test]
fn without_an_allowed_address_there_is_no_thread() {
    let setting = Setting::new(&[], |config| config.secret_file = None);
    assert!(setting.webhooks.thread.lock().is_none());
    let problem = setting.webhooks.allows("https://hooks.example.com/").expect_err("not allowed");
    assert!(problem.contains("webhook.allowed"), "{problem}");
    setting.webhooks.tell("https://hooks.example.com/", &notice(1));
    setting.settle();
    assert_eq!(setting.dropped("not_allowed"), 1);
}

#[test]
fn at_the_end_what_waits_is_tried_once_more() {
    let receiver = Receiver::new(|_, before| if before == 0 { Reply::Status(500, "") } else { OK });
    let hour = Duration::from_secs(3600);
    let setting = Setting::new(&[&receiver.url("/")], |config| {
        config.backoff = Backoff { min: hour, max: hour };
        config.drain_timeout = PATIENCE;
    });
    for rollout in 1..=3 {
        setting.webhooks.tell(&receiver.url("/"), &notice(rollout));
    }
    receiver.wait_for(1);
    wait_for("the first try to be counted", || setting.tries("failed") == 1);
    setting.webhooks.stop();
    assert_eq!(rollouts(&receiver.wait_for(4)), [1, 1, 2, 3]);
    assert_eq!((setting.tries("delivered"), setting.dropped("stopped")), (3, 0));
    setting.webhooks.tell(&receiver.url("/"), &notice(4));
    assert_eq!((receiver.count(), setting.dropped("stopped")), (4, 1));
    setting.settle();
}

#[test]
fn at_the_end_what_fails_is_tried_no_further() {
    let receiver = Receiver::new(|_, _| Reply::Status(500, ""));
    let hour = Duration::from_secs(3600);
    let setting = Setting::new(&[&receiver.url("/")], |config| {
        config.backoff = Backoff { min: hour, max: hour };
        config.drain_timeout = PATIENCE;
    });
    for rollout in 1..=2 {
        setting.webhooks.tell(&receiver.url("/"), &notice(rollout));
    }
    wait_for("the first try to be counted", || setting.tries("failed") == 1);
    setting.webhooks.stop();
    assert_eq!(rollouts(&receiver.wait_for(3)), [1, 1, 2]);
    assert_eq!(setting.dropped("stopped"), 2);
    setting.settle();
}

#[test]
fn the_end_comes_within_its_bound_and_says_what_was_lost() {
    let log = log();
    let receiver = Receiver::new(|_, _| Reply::Hang);
    let setting = Setting::new(&[&receiver.url("/private-path")], |config| {
        config.timeout = Duration::from_secs(120);
        config.drain_timeout = Duration::from_millis(200);
    });
    for rollout in 0..432 {
        setting.webhooks.tell(&receiver.url("/private-path"), &notice(rollout));
    }
    receiver.wait_for(1);
    let begun = Instant::now();
    setting.webhooks.stop();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(setting.dropped("stopped"), 432);
    assert!(log.text().contains("lost=432"), "{}", log.text());
    setting.settle();
}

#[test]
fn dropped_they_end_as_if_stopped() {
    let receiver = Receiver::new(|_, _| Reply::Hang);
    let setting = Setting::new(&[&receiver.url("/")], |config| config.drain_timeout = Duration::ZERO);
    setting.webhooks.tell(&receiver.url("/"), &notice(1));
    let Setting { webhooks, instruments, _scratch } = setting;
    let begun = Instant::now();
    drop(webhooks);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &instruments).expect("metrics");
    assert!(text.contains("pointsman_webhook_dropped_total{reason=\"stopped\"} 1"), "{text}");
}

#[test]
fn neither_secret_nor_path_nor_signature_is_in_the_log() {
    let log = log();
    let receiver = Receiver::new(|_, before| match before {
        0 => Reply::Status(500, ""),
        1 => Reply::Garbage,
        2 => Reply::Status(404, ""),
        _ => OK,
    });
    let setting = Setting::new(&[&receiver.url("/token-of-the-path")], |_| {});
    for address in ["/token-of-the-path?token=1", "/token-of-the-path/x", "/token-of-another"] {
        setting.webhooks.tell(&receiver.url(address), &notice(987_654));
    }
    setting.settle();
    let received = receiver.wait_for(4);
    let text = log.text();
    assert!(text.contains("it is tried again") && text.contains("987654"), "{text}");
    assert!(text.contains("address=http://127.0.0.1 "), "{text}");
    for hidden in ["token-of", "whsec_", &STANDARD.encode(SECRET), &String::from_utf8_lossy(&SECRET)] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    for one in received {
        assert!(!text.contains(one.header("webhook-signature")), "{text}");
    }
}

fn fixture(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/webhook/fixtures").join(name))
}

#[test]
fn over_tls_the_receiver_has_to_be_who_it_should() {
    let receiver = Receiver::with_tls(|_, _| OK);
    let trusting = Setting::new(&[&receiver.url("/")], |config| config.ca_file = fixture("authority.pem"));
    trusting.webhooks.tell(&receiver.url("/"), &notice(1));
    verify(&receiver.wait_for(1)[0]);
    trusting.settle();
    assert_eq!(trusting.tries("delivered"), 1);
    // Its certificate is of 127.0.0.1, and by another authority than these trust.
    let named = receiver.url("/").replace("127.0.0.1", "localhost");
    for (address, ca_file) in [(named, "authority.pem"), (receiver.url("/"), "receiver.pem")] {
        let setting = Setting::new(&[&address], |config| {
            config.ca_file = fixture(ca_file);
            config.tries_max = 1;
        });
        setting.webhooks.tell(&address, &notice(2));
        setting.settle();
        assert_eq!((setting.tries("unreachable"), receiver.count()), (1, 1), "{address}");
    }
    // And one that speaks no TLS gets nothing.
    let plain = Receiver::new(|_, _| OK);
    let address = plain.url("/").replace("http:", "https:");
    let setting = Setting::new(&[&address], |config| {
        config.ca_file = fixture("authority.pem");
        config.timeout = Duration::from_millis(500);
        config.tries_max = 1;
    });
    setting.webhooks.tell(&address, &notice(3));
    setting.settle();
    assert_eq!((setting.tries("delivered"), plain.count()), (0, 0));
}

#[test]
fn files_that_are_none_are_named_at_the_start() {
    let problem = |secret_file: Option<PathBuf>, ca_file: Option<PathBuf>| {
        let allowed = vec![super::Address::parse_allowed("https://a.example").expect("an address")];
        let config = Webhook { allowed, secret_file, ca_file, ..Webhook::default() };
        Webhooks::start(&config, &mut Registry::default()).err().unwrap_or_default()
    };
    let authority = || fixture("authority.pem");
    assert!(problem(None, authority()).contains("webhook.secret_file is not set; make one by"));
    assert!(problem(fixture("nowhere"), authority()).contains("nowhere: No such file"));
    assert!(
        problem(authority(), authority()).contains("expected 1 to 2"),
        "{}",
        problem(authority(), authority())
    );
    assert!(problem(authority(), fixture("nowhere")).starts_with("webhook.ca_file "));
    assert!(problem(authority(), fixture("receiver.key.pem")).contains("it has no certificate"));
}
