//! Documents that are refused, and what is fixed in those that are not.

use proptest::prelude::*;

use super::*;
use crate::limits::{
    ARMS_MAX, EXPERIMENT_ARMS_MAX, EXPERIMENTS_MAX, FINDINGS_MAX, LAYERS_MAX, METRIC_INDEX_MAX, METRICS_MAX,
    NAME_BYTES_MAX, RULE_VALUES_MAX, RULES_MAX, SHADOWS_MAX, TEXT_BYTES_MAX, UNITS_MAX,
};

fn document(text: &str) -> Document {
    Document::from_toml(text).unwrap_or_else(|finding| panic!("{finding}\n{text}"))
}

fn settle(text: &str) -> Result<Settled, Vec<Finding>> {
    Settled::new("iris", document(text), &Salts::new())
}

/// The findings of a document, in lines.
fn refused(text: &str) -> String {
    let findings = settle(text).expect_err(text);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn arm(name: &str, weight: &str, anchor: &str) -> String {
    let anchor = if anchor.is_empty() { String::new() } else { format!(", anchor = \"{anchor}\"") };
    format!("{{ name = \"{name}\", version = 1, weight = \"{weight}\"{anchor} }}")
}

/// An experiment of such arms.
fn experiment(arms: &[(&str, &str, &str)]) -> String {
    let arms: Vec<String> = arms.iter().map(|(name, weight, anchor)| arm(name, weight, anchor)).collect();
    format!("[experiment]\nname = \"e\"\narms = [{}]\n", arms.join(", "))
}

fn anchors(settled: &Settled) -> Vec<String> {
    settled
        .document()
        .arms()
        .map(|arm| arm.anchor.map_or_else(String::new, |anchor| anchor.to_string()))
        .collect()
}

/// The salts that there were after these.
fn used(settled: &[&Settled]) -> Salts {
    let mut used = Salts::new();
    settled.iter().for_each(|settled| settled.use_salts(&mut used));
    used
}

#[test]
fn a_settled_document_leaves_nothing_to_defaults() {
    let text = experiment(&[("a", "1%", ""), ("b", "3%", "")]) + "units = [\"header:X-User\"]\n";
    let settled = settle(&text).expect("good");
    let expected = r#"[experiment]
name = "e"
salt = "iris/e/1"
units = ["header:x-user", "request_id"]
segment = ["0%", "100%"]

[[experiment.arms]]
name = "a"
version = 1
weight = "1%"
anchor = "0%"

[[experiment.arms]]
name = "b"
version = 1
weight = "3%"
anchor = "25%"
"#;
    assert_eq!(settled.document().to_toml(), expected);
    let again = Settled::new("other", settled.document().clone(), &Salts::new()).expect("good");
    assert_eq!((again.etag(), &again), (settled.etag(), &settled));
    assert_eq!(serde_json::from_str::<Settled>(&settled.document().to_json()).ok(), Some(settled.clone()));
    assert_eq!(settled.etag().len(), 32);
    assert_ne!(settled.etag(), Settled::default().etag());
    let anchors = [("a".to_owned(), Share::NONE), ("b".to_owned(), Share::new(2500).expect("25%"))].into();
    let expected = SaltUse { experiment: "e".into(), anchors };
    assert_eq!(used(&[&settled]), [("iris/e/1".to_owned(), expected)].into());
}

#[test]
fn arms_keep_their_anchors_and_new_ones_come_into_gaps() {
    let first = settle(&experiment(&[("a", "1%", "")])).expect("good");
    assert_eq!(anchors(&first), ["0%"]);
    let next = |text: &str, before: &Settled| Settled::new("iris", document(text), &used(&[before]));
    let ramped = next(&experiment(&[("a", "25%", "")]), &first).expect("good");
    let two = next(&experiment(&[("b", "10%", ""), ("a", "25%", "")]), &ramped).expect("good");
    assert_eq!(anchors(&two), ["62.5%", "0%"]);
    let back = next(&experiment(&[("b", "0%", ""), ("a", "1%", "")]), &two).expect("good");
    assert_eq!(anchors(&back), ["62.5%", "0%"]);
    // As far as the next anchor, and no further.
    assert!(next(&experiment(&[("b", "0%", ""), ("a", "100%", "")]), &two).is_ok());
    let findings = next(&experiment(&[("b", "1%", ""), ("a", "62.51%", "")]), &two).expect_err("overlap");
    assert!(
        findings[0]
            .to_string()
            .contains("key experiment.arms[1].weight = 62.51%, and reaches into arm \"b\"")
    );
    // Another salt is another draw.
    let redrawn = experiment(&[("b", "10%", ""), ("a", "10%", "")]).replace("arms", "salt_version = 2\narms");
    assert_eq!(anchors(&next(&redrawn, &two).expect("good")), ["0%", "50%"]);
    // A weight that fits in no gap.
    let full = experiment(&[("a", "40%", "0%"), ("b", "40%", "60%"), ("c", "20.00%", "")]);
    assert_eq!(anchors(&settle(&full).expect("good")), ["0%", "60%", "40%"]);
    let past = experiment(&[("a", "40%", "0%"), ("b", "40%", "55%"), ("c", "20%", "")]);
    assert!(refused(&past).contains("key experiment.arms[2].weight = 20%, and no gap"), "{}", refused(&past));
}

#[test]
fn an_arm_that_returns_begins_where_it_did() {
    let both = settle(&experiment(&[("a", "5%", ""), ("b", "5%", "")])).expect("good");
    assert_eq!(anchors(&both), ["0%", "50%"]);
    let next = |arms: &[(&str, &str, &str)], before: &[&Settled]| {
        let settled = Settled::new("iris", document(&experiment(arms)), &used(before));
        settled.map(|settled| anchors(&settled)).map_err(|findings| findings[0].to_string())
    };
    // Over a plan without it, and over an empty one.
    let alone = settle(&experiment(&[("a", "10%", "0%")])).expect("good");
    let empty = Settled::default();
    for between in [&alone, &empty] {
        let back = next(&[("a", "10%", ""), ("b", "7%", "")], &[&both, between]);
        assert_eq!(back, Ok(vec!["0%".into(), "50%".into()]));
    }
    // What is new leaves it its place where there is another, and else has it: then it is told so.
    let beside = next(&[("a", "10%", ""), ("c", "10%", "")], &[&both, &alone]);
    assert_eq!(beside, Ok(vec!["0%".into(), "75%".into()]));
    let wide = next(&[("a", "10%", ""), ("c", "60%", "")], &[&both, &alone]);
    assert_eq!(wide, Ok(vec!["0%".into(), "40%".into()]));
    let over = [("a", "10%", "0%"), ("c", "60%", "40%"), ("b", "5%", "")];
    let refused = next(&over, &[&both, &alone]).expect_err("its place is taken");
    assert!(refused.contains("arms[1].weight = 60%, and reaches into arm \"b\""), "{refused}");
    // One that was moved returns to where it was last.
    let moved = settle(&experiment(&[("a", "5%", "0%"), ("b", "5%", "80%")])).expect("good");
    let back = next(&[("a", "5%", ""), ("b", "5%", "")], &[&both, &moved, &alone]);
    assert_eq!(back, Ok(vec!["0%".into(), "80%".into()]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn new_arms_of_any_weights_find_room(weights in prop::collection::vec(0_u16..=2500, 1..=EXPERIMENT_ARMS_MAX)) {
        let sum: u16 = weights.iter().sum();
        prop_assume!(sum <= Share::WHOLE);
        let names: Vec<String> = (0..weights.len()).map(|at| format!("a{at}")).collect();
        let shares: Vec<String> =
            weights.iter().map(|weight| Share::new(*weight).unwrap_or_default().to_string()).collect();
        let arms: Vec<(&str, &str, &str)> =
            names.iter().zip(&shares).map(|(name, weight)| (name.as_str(), weight.as_str(), "")).collect();
        let settled = settle(&experiment(&arms));
        prop_assert!(settled.is_ok(), "{:?}", settled);
        let first = anchors(&settled.unwrap_or_default()).swap_remove(0);
        prop_assert_eq!(first, "0%");
    }
}

#[test]
fn weights_are_held_to_a_whole() {
    assert!(settle(&experiment(&[("a", "60%", ""), ("b", "40%", ""), ("c", "0%", "")])).is_ok());
    let text = refused(&experiment(&[("a", "60%", ""), ("b", "40.01%", "")]));
    assert!(
        text.contains("key experiment.arms has weights of more than 100%: 60% + 40.01%; lower some"),
        "{text}"
    );
    let text = refused(&experiment(&[("a", "60%", "50%")]));
    assert!(text.contains("key experiment.arms[0].weight = 60%, and its anchor 50% leaves less"), "{text}");
}

#[test]
fn intervals_that_overlap_are_refused() {
    assert!(settle(&experiment(&[("a", "10%", "0%"), ("b", "5%", "10%")])).is_ok());
    let text = refused(&experiment(&[("a", "10%", "0%"), ("b", "5%", "9.99%")]));
    assert!(
        text.contains(
            "key experiment.arms[0].weight = 10%, and reaches into arm \"b\", which begins at 9.99%"
        ),
        "{text}"
    );
}

fn layers(segments: [&str; 2]) -> String {
    let one = |at: usize| {
        format!(
            "{{ name = \"e{at}\", segment = {}, arms = [{}] }}",
            segments[at],
            arm(&format!("a{at}"), "50%", "")
        )
    };
    format!("[[layers]]\nname = \"l\"\nexperiments = [{}, {}]\n", one(0), one(1))
}

#[test]
fn segments_of_a_layer_are_apart() {
    assert!(settle(&layers(["[\"0%\", \"50%\"]", "[\"50%\", \"100%\"]"])).is_ok());
    let text = refused(&layers(["[\"0%\", \"50.01%\"]", "[\"50%\", \"100%\"]"]));
    assert!(
        text.contains("key layers[0].experiments[1].segment begins at 50%, within that of \"e0\""),
        "{text}"
    );
    let text = refused(&layers(["[\"50%\", \"50%\"]", "[\"60%\", \"50%\"]"]));
    assert_eq!(text.matches("let it end behind where it begins").count(), 2, "{text}");
    let missing =
        layers(["[\"0%\", \"50%\"]", "[\"50%\", \"100%\"]"]).replace("segment = [\"0%\", \"50%\"], ", "");
    assert!(refused(&missing).contains("key layers[0].experiments[0].segment is missing"));
}

#[test]
fn salts_of_others_are_refused() {
    let layered = layers(["[\"0%\", \"50%\"]", "[\"50%\", \"100%\"]"]);
    let text = refused(&layered.replace("segment", "salt = \"s\", segment"));
    assert!(
        text.contains(
            "key layers[0].experiments[1].salt = \"s\", which is or was that of \"e0\"; give one of its own"
        ),
        "{text}"
    );
    let of = |experiment: &str| SaltUse { experiment: experiment.into(), ..SaltUse::default() };
    let used: Salts = [("iris/e/1".to_owned(), of("old"))].into();
    let plan = experiment(&[("a", "1%", "")]);
    let findings = Settled::new("iris", document(&plan), &used).expect_err("a salt of old");
    assert!(
        findings[0].to_string().contains("\"iris/e/1\", which is or was that of \"old\""),
        "{findings:?}"
    );
    let own: Salts = [("iris/e/1".to_owned(), of("e"))].into();
    assert!(Settled::new("iris", document(&plan), &own).is_ok());
    let shadow = "{ name = \"NAME\", version = 1, share = 1, salt = \"s\" }";
    let shadows = format!("shadows = [{}, {}]", shadow.replace("NAME", "x"), shadow.replace("NAME", "y"));
    assert!(refused(&shadows).contains("key shadows[1].salt = \"s\""));
}

const CONTRADICTIONS: &str = r#"
    forced_arm_header = "x arm"
    [[rules]]
    header = "a"
    parameter = "b"
    exact = "c"
    arm = "default"
    [[rules]]
    parameter = ""
    exact = "c"
    prefix = "d"
    arm = "nobody"
    [[rules]]
    header = "x"
    one_of = []
    arm = "a"
    [experiment]
    name = "has space"
    salt = ""
    salt_version = 2
    units = ["request_id", "header:x", "header:X"]
    [[experiment.arms]]
    name = "default"
    version = 1
    weight = 1
    [[experiment.arms]]
    name = "a"
    version = 1
    weight = 1
    [[experiment.arms]]
    name = "a"
    version = 2
    weight = 1
    [[layers]]
    name = "l"
    salt_version = 0
    units = []
    experiments = [{ name = "has space", arms = [], units = ["header:x"] }]
    [[shadows]]
    name = "s"
    version = 1
    share = 1
    [[shadows]]
    name = "s"
    version = 1
    share = 1
    "#;

#[test]
fn what_contradicts_itself_is_refused_all_at_once() {
    let found = refused(CONTRADICTIONS);
    for expected in [
        "key forced_arm_header = \"x arm\"; give the name of a header",
        "key rules[0] has not one of header and parameter",
        "key rules[1].parameter = \"\"; give 1 to 256 bytes",
        "key rules[1] has not one of exact, prefix and one_of",
        "key rules[1].arm = \"nobody\"; give \"default\" or an arm",
        "key rules[2].one_of is empty",
        "key experiment stands beside layers",
        "key experiment.name = \"has space\"; give 1 to 64 characters",
        "key experiment.salt_version = 2 stands beside a salt",
        "key experiment.units[0] = \"request_id\"; let it be the last",
        "key experiment.units[2] = \"header:x\"; take out the second",
        "key experiment.arms[0].name = \"default\"; give another: the gateway uses",
        "key experiment.arms[2].name = \"a\"; give another: it is there already",
        "key layers[0].salt_version = 0; give a whole number from 1 on",
        "key layers[0].experiments[0].name = \"has space\"; give another: it is there already",
        "key layers[0].experiments[0].arms is empty",
        "key layers[0].experiments[0].units stands within a layer",
        "key layers[0].experiments[0].segment is missing",
        "key shadows[1].name = \"s\"; give another",
    ] {
        assert!(found.contains(expected), "{expected}\nis not in\n{found}");
    }
}

/// So many of something in one list.
fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    format!("[{}]", (0..count).map(item).collect::<Vec<_>>().join(", "))
}

/// What makes a document of some size, its limit, and what is said past it.
type Case<'a> = (&'a dyn Fn(usize) -> String, usize, &'a str);

#[test]
fn every_list_has_a_limit() {
    let rule = |_| "{ header = \"x\", exact = \"y\", arm = \"default\" }".to_owned();
    let rules = |count| format!("rules = {}", list(count, rule));
    let set = |count| {
        let values = list(count, |at| format!("\"v{at}\""));
        format!("rules = [{{ header = \"x\", one_of = {values}, arm = \"default\" }}]")
    };
    let shadow = |at| format!("{{ name = \"s{at}\", version = 1, share = 1 }}");
    let shadows = |count| format!("shadows = {}", list(count, shadow));
    let arms = |from: usize, count: usize| list(count, |at| arm(&format!("a{}", from + at), "0%", ""));
    let alone = |count| format!("[experiment]\nname = \"e\"\narms = {}", arms(0, count));
    let units = |count| {
        let units = list(count, |at| format!("\"header:u{at}\""));
        format!("[experiment]\nname = \"e\"\nunits = {units}\narms = {}", arms(0, 1))
    };
    let one = |at: usize, from: usize, count: usize| {
        let segment = format!("[\"{at}%\", \"{}%\"]", at + 1);
        format!("{{ name = \"e{from}\", segment = {segment}, arms = {} }}", arms(from, count))
    };
    let experiments = |count: usize| {
        format!("[[layers]]\nname = \"l\"\nexperiments = {}", list(count, |at| one(at, at, 1)))
    };
    let layers = |count: usize| {
        let layer = |at: usize| format!("{{ name = \"l{at}\", experiments = [{}] }}", one(0, at, 1));
        format!("layers = {}", list(count, layer))
    };
    let all_arms = |count: usize| {
        let experiment = |at: usize| one(at, at * 8, 8.min(count - at * 8));
        format!("[[layers]]\nname = \"l\"\nexperiments = {}", list(count.div_ceil(8), experiment))
    };
    let name =
        |bytes: usize| experiment(&[("a", "1%", "")]).replace("\"e\"", &format!("\"{}\"", "e".repeat(bytes)));
    let salt = |bytes: usize| {
        experiment(&[("a", "1%", "")]).replace("arms", &format!("salt = \"{}\"\narms", "s".repeat(bytes)))
    };
    let value = |bytes: usize| rules(1).replace("\"y\"", &format!("\"{}\"", "y".repeat(bytes)));
    let header = |bytes: usize| format!("forced_arm_header = \"{}\"", "x".repeat(bytes));
    let cases: [Case<'_>; 12] = [
        (&rules, RULES_MAX, "key rules has 65 entries; give 64 at most"),
        (&set, RULE_VALUES_MAX, "key rules[0].one_of has 257 entries"),
        (&shadows, SHADOWS_MAX, "key shadows has 9 entries"),
        (&alone, EXPERIMENT_ARMS_MAX, "key experiment.arms has 17 entries"),
        (&units, UNITS_MAX, "key experiment.units has 9 entries"),
        (&experiments, EXPERIMENTS_MAX, "key layers[0].experiments has 17 entries"),
        (&layers, LAYERS_MAX, "key layers has 9 entries"),
        (&all_arms, ARMS_MAX, "key arms of all experiments has 65 entries"),
        (&name, NAME_BYTES_MAX, "key experiment.name = "),
        (&salt, TEXT_BYTES_MAX, "key experiment.salt = "),
        (&value, TEXT_BYTES_MAX, "key rules[0].exact = "),
        (&header, TEXT_BYTES_MAX, "key forced_arm_header = "),
    ];
    for (make, max, expected) in cases {
        let at_most = settle(&make(max));
        assert!(at_most.is_ok(), "{expected}: {at_most:?}");
        let found = refused(&make(max + 1));
        assert!(found.contains(expected), "{expected}\nis not in\n{found}");
    }
}

#[test]
fn findings_are_bounded_and_printable() {
    let rule = |_| "{ header = \"\\u001b[31m\", exact = \"\", arm = \"no\" }".to_owned();
    let findings = settle(&format!("rules = {}", list(200, rule))).expect_err("bad");
    assert_eq!(findings.len(), FINDINGS_MAX);
    assert!(findings.iter().all(|finding| !finding.to_string().chars().any(char::is_control)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_panics_and_what_is_read_round_trips(text in "(?s)[\\[\\]{}=\", a-z0-9.%\n_:]{0,200}|[^x]{0,40}") {
        for document in [Document::from_toml(&text), Document::from_json(&text)].into_iter().flatten() {
            prop_assert_eq!(Document::from_toml(&document.to_toml()), Ok(document.clone()));
            prop_assert_eq!(Document::from_json(&document.to_json()), Ok(document.clone()));
            let _ = Settled::new("m", document, &Salts::new());
        }
    }
}

#[test]
fn what_is_measured_is_checked_and_changes_no_exposure() {
    let plain = experiment(&[("a", "1%", "")]);
    let with = |more: &str| plain.clone() + more;
    let metric = |name: &str, more: &str| format!("{{ name = \"{name}\", output = \"p\", {more} }}");
    let odd = [
        (
            format!("metrics = [{}]", metric("m", "index = 1, class = 2")),
            "metrics[0] has not one of index, class and label",
        ),
        (
            "metrics = [{ name = \"m\", output = \"p\" }]".into(),
            "metrics[0] has not one of index, class and label",
        ),
        (
            format!("metrics = [{}]", metric("errors", "index = 1")),
            "metrics[0].name = \"errors\"; give another: every",
        ),
        (format!("metrics = [{}]", metric("a b", "index = 1")), "metrics[0].name = \"a b\"; give 1 to"),
        (format!("metrics = [{0}, {0}]", metric("m", "index = 1")), "metrics[1].name = \"m\"; give another"),
        (
            format!("metrics = [{}]", metric("m", &format!("class = {}", METRIC_INDEX_MAX + 1))),
            "metrics[0].class = \"65536\"; give a whole number from 0 to 65535",
        ),
        (
            "metrics = [{ name = \"m\", output = \"\", index = 0 }]".into(),
            "metrics[0].output = \"\"; give 1 to",
        ),
        (
            "metrics = [{ name = \"m\", output = \"p\", label = \"wrong\" }]".into(),
            "metrics[0].output = \"p\"; leave it out",
        ),
        (
            "metrics = [{ name = \"m\", label = \"off\", index = 1 }]".into(),
            "has not one of index, class and label",
        ),
        ("covariate = \"cookie:x\"".into(), "covariate = \"cookie:x\"; give \"header:NAME\" or"),
        ("covariate = \"request_id\"".into(), "covariate = \"request_id\"; give"),
    ];
    for (text, said) in odd {
        let findings = refused(&with(&text));
        assert!(findings.contains(said), "{said} is not in {findings}");
    }
    let many = |count: usize| {
        let metrics: Vec<String> = (0..count).map(|at| metric(&format!("m{at}"), "index = 65535")).collect();
        with(&format!("metrics = [{}]", metrics.join(", ")))
    };
    let before = settle(&plain).expect("good");
    let after = settle(&many(METRICS_MAX)).expect("good");
    assert!(refused(&many(METRICS_MAX + 1)).contains("metrics has 9 entries; give 8 at most"));
    assert!(before.only_lowers(&after) && after.only_lowers(&before) && before.etag() != after.etag());
    let changes: Vec<String> =
        before.document().diff(after.document()).iter().map(ToString::to_string).collect();
    assert!(changes.contains(&"+ experiment.metrics[m7].index: 65535".to_owned()), "{changes:?}");
    assert!(!before.document().to_json().contains("metrics"), "plans without metrics are as they were");
}
