//! The configuration of webhooks, as an operator meets it: what is needed, what is refused, and what is never shown.

use std::path::Path;

use pointsman_tests::{Pointsman, Start, TestRegistry, get, post};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn registry() -> TestRegistry {
    TestRegistry::new().made("loop", "loop")
}

/// Plain HTTP, so that the authorities of the machine do not matter.
fn config(secret_file: &Path) -> String {
    format!(
        "[shutdown]\ndrain_delay = \"0s\"\n[log]\nlevel = \"trace\"\n[webhook]\n\
         allowed = [\"http://127.0.0.1:9/pointsman\"]\nsecret_file = {secret_file:?}\n"
    )
}

#[test]
fn the_secret_is_shown_nowhere() {
    let (registry, scratch) = (registry(), tempfile::tempdir().expect("a folder"));
    let file = scratch.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).expect("a file");
    let gateway = Start::over(registry.path()).config(&config(&file)).start();
    let admin = format!("http://{}", gateway.admin);
    let mut shown =
        vec![get(gateway.admin, "/config").text(), post(gateway.admin, "/config/reload", "").text()];
    for arguments in [&["config"][..], &["config", "--json"]] {
        let said = Pointsman::new(arguments.iter().copied().chain(["--admin-url", &admin])).run();
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        assert!(said.stdout.contains("webhook.secret_file"), "{}", said.stdout);
        assert!(said.stdout.contains(file.to_str().expect("a path")), "{}", said.stdout);
        shown.extend([said.stdout, said.stderr]);
    }
    shown.push(get(gateway.metrics, "/metrics").text());
    let stopped = gateway.stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    shown.extend([stopped.stdout, stopped.stderr]);
    for text in shown {
        assert!(!text.contains(&SECRET["whsec_".len()..]), "{text}");
    }
}

#[test]
fn addresses_without_a_good_secret_are_refused_with_a_remedy() {
    let (registry, scratch) = (registry(), tempfile::tempdir().expect("a folder"));
    let none = "[webhook]\nallowed = [\"https://hooks.example.com\"]\n";
    let stopped = Start::over(registry.path()).config(none).run_to_end();
    assert_eq!((stopped.code, stopped.stderr.lines().count()), (Some(2), 1), "{}", stopped.stderr);
    for part in ["pointsman.toml", "webhook.secret_file: ", "/dev/urandom"] {
        assert!(stopped.stderr.contains(part), "{part}: {}", stopped.stderr);
    }
    // A file that is not there, and one whose secret is too short to be one.
    let file = scratch.path().join("secret");
    for _ in 0..2 {
        let stopped = Start::over(registry.path()).config(&config(&file)).run_to_end();
        assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
        let line = stopped.stderr.lines().last().unwrap_or_default();
        for part in ["webhook.secret_file", file.to_str().expect("a path"), "make one by: "] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!stopped.stderr.contains("aHVudGVyMg"), "{}", stopped.stderr);
        std::fs::write(&file, "whsec_aHVudGVyMg==").expect("a file");
    }
}
