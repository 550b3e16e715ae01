//! Who gets which arm, and that units stay.

mod designs;
mod ramps;

use std::cell::Cell;
use std::collections::BTreeMap;

use pointsman_core::{Arm, VersionSelector};

use super::*;
use crate::document::Document;
use crate::hash::Domain;
use crate::plan::{Pick, Plan, Refusal};
use crate::settled::{Salts, Settled};

/// A request made by hand, which counts what it is asked for from the body.
struct Request {
    headers: Vec<(&'static str, String)>,
    parameters: Vec<(&'static str, Value<'static>)>,
    elements: Vec<(&'static str, usize, Value<'static>)>,
    id: RequestId,
    body_asked: Cell<usize>,
}

impl Default for Request {
    fn default() -> Self {
        let (headers, parameters, elements) = Default::default();
        Self { headers, parameters, elements, id: RequestId::generate(), body_asked: Cell::new(0) }
    }
}

impl Facts for Request {
    fn header(&self, name: &str, at: usize) -> Option<&[u8]> {
        let mut values = self.headers.iter().filter(|(known, _)| *known == name);
        values.nth(at).map(|(_, value)| value.as_bytes())
    }

    fn parameter(&self, name: &str) -> Option<Value<'_>> {
        self.body_asked.set(self.body_asked.get() + 1);
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn element(&self, input: &str, index: usize) -> Option<Value<'_>> {
        self.body_asked.set(self.body_asked.get() + 1);
        let mut known = self.elements.iter();
        known.find(|(name, at, _)| *name == input && *at == index).map(|(.., value)| *value)
    }

    fn request_id(&self) -> RequestId {
        self.id
    }
}

fn version(number: u64) -> VersionNumber {
    VersionNumber::new(number).expect("above zero")
}

fn aliases() -> BTreeMap<Arc<str>, VersionNumber> {
    [("challenger".into(), version(4))].into()
}

/// Versions 1 to 8 are warm, 9 is not.
fn standing(number: VersionNumber) -> Standing {
    match number.get() {
        1..=8 => Standing::Warm,
        9 => Standing::NotWarm("it is being loaded".into()),
        _ => Standing::Unknown,
    }
}

fn settled(text: &str) -> Settled {
    let document = Document::from_toml(text).unwrap_or_else(|finding| panic!("{finding}"));
    Settled::new("iris", document, &Salts::new()).unwrap_or_else(|findings| panic!("{findings:?}"))
}

/// A plan whose default is version 1.
fn plan(text: &str) -> Plan {
    let aliases = aliases();
    let versions = Versions { aliases: &aliases, standing: &standing };
    let split = Split::compile(&settled(text), &versions).unwrap_or_else(|findings| panic!("{findings:?}"));
    Plan { default: Some(version(1)), split: Some(Arc::new(split)), aliases: BTreeMap::new() }
}

fn pick(plan: &Plan, request: &Request) -> Pick {
    plan.pick(&VersionSelector::Default, request).expect("a version")
}

fn user(name: &str) -> Request {
    Request { headers: vec![("x-user", name.into())], ..Request::default() }
}

const PETALS: &str = r#"
    [experiment]
    name = "petals"
    units = ["header:x-user", "cookie:uid", "parameter:user", "tensor:ids[1]"]
    [[experiment.arms]]
    name = "next"
    version = "challenger"
    weight = "20%"
    [[experiment.arms]]
    name = "third"
    version = 3
    weight = "20%"
"#;

#[test]
fn known_units_get_known_arms() {
    let plan = plan(PETALS);
    // Points in ten-thousandths, computed apart with Python's xxhash over the published layout.
    let known = [
        ("user-0", 1293),
        ("user-1", 4859),
        ("user-2", 8368),
        ("user-3", 4974),
        ("user-4", 1467),
        ("user-5", 650),
        ("user-6", 8963),
        ("user-7", 7872),
        ("user-8", 5148),
        ("user-9", 8882),
        ("user-10", 9207),
        ("user-11", 3111),
    ];
    for (name, ten_thousandths) in known {
        let (arm, number, weight) = match ten_thousandths {
            0..2000 => ("next", 4, 2000),
            5000..7000 => ("third", 3, 2000),
            _ => ("default", 1, 6000),
        };
        let pick = pick(&plan, &user(name));
        let assignment = pick.assignment.expect("a unit of the experiment");
        assert_eq!((pick.arm.name(), pick.version.get(), pick.way), (arm, number, Way::Experiment), "{name}");
        assert_eq!(assignment.weight.ten_thousandths(), weight, "{name}");
        assert_eq!((&*assignment.experiment, assignment.unit_kind), ("petals", UnitKind::Header));
        let bucket = Salted::new(Domain::Bucket, "iris/petals/1").point(name.as_bytes()) >> 54;
        assert_eq!(u64::from(assignment.bucket()), bucket);
    }
}

#[test]
fn the_first_source_that_says_a_unit_counts() {
    let plan = plan(PETALS);
    assert!(plan.needs_body(&VersionSelector::Default));
    assert!(!plan.needs_body(&VersionSelector::Number(version(1))));
    let mut request = Request {
        headers: vec![
            ("x-user", "u-7".into()),
            ("cookie", "theme=dark".into()),
            ("cookie", "a=b; uid=u-7".into()),
        ],
        parameters: vec![("user", Value::Bytes(b"u-7"))],
        elements: vec![("ids", 1, Value::Bytes(b"u-7"))],
        ..Request::default()
    };
    let first = pick(&plan, &request);
    assert_eq!(request.body_asked.get(), 0);
    let kind = |pick: &Pick| pick.assignment.as_ref().map(|assignment| assignment.unit_kind);
    assert_eq!(kind(&first), Some(UnitKind::Header));
    // An empty value says nothing.
    request.headers[0].1.clear();
    let cookie = pick(&plan, &request);
    assert_eq!((kind(&cookie), &cookie.arm), (Some(UnitKind::Cookie), &first.arm));
    request.headers.clear();
    let parameter = pick(&plan, &request);
    assert_eq!((kind(&parameter), &parameter.arm), (Some(UnitKind::Parameter), &first.arm));
    request.parameters.clear();
    let tensor = pick(&plan, &request);
    assert_eq!((kind(&tensor), &tensor.arm), (Some(UnitKind::Tensor), &first.arm));
    request.elements.clear();
    assert_eq!(kind(&pick(&plan, &request)), Some(UnitKind::RequestId));
}

#[test]
fn numbers_and_their_digits_are_one_unit() {
    let plan = plan(PETALS);
    for number in 0..50_i64 {
        let parameter = Request { parameters: vec![("user", Value::Int(number))], ..Request::default() };
        let element =
            Request { elements: vec![("ids", 1, Value::Uint(number.unsigned_abs()))], ..Request::default() };
        let header = pick(&plan, &user(&number.to_string()));
        assert_eq!(pick(&plan, &parameter).arm, header.arm);
        assert_eq!(pick(&plan, &element).arm, header.arm);
    }
}

#[test]
fn rules_come_before_the_split_and_in_order() {
    let rules = r#"
        [[rules]]
        header = "X-Team"
        exact = "flowers"
        arm = "third"
        [[rules]]
        header = "x-team"
        prefix = "flow"
        arm = "default"
        [[rules]]
        parameter = "tier"
        one_of = ["silver", "gold", "7", "true"]
        arm = "next"
    "#;
    let plan = plan(&format!("{rules}{}", PETALS.replace(", \"parameter:user\", \"tensor:ids[1]\"", "")));
    assert!(plan.needs_body(&VersionSelector::Default));
    let team = |team: &str| {
        let request = Request { headers: vec![("x-team", team.into())], ..Request::default() };
        let pick = pick(&plan, &request);
        (pick.arm.name().to_owned(), pick.way, pick.assignment.is_none(), request.body_asked.get())
    };
    assert_eq!(team("flowers"), ("third".into(), Way::Rule, true, 0));
    assert_eq!(team("flow"), ("default".into(), Way::Rule, true, 0));
    assert_eq!(team("Flowers").1, Way::Experiment);
    assert_eq!(team("").1, Way::Experiment);
    for value in [Value::Bytes(b"gold"), Value::Int(7), Value::Bool(true)] {
        let request = Request { parameters: vec![("tier", value)], ..Request::default() };
        assert_eq!(
            (pick(&plan, &request).arm.name(), pick(&plan, &request).way),
            ("next", Way::Rule),
            "{value:?}"
        );
    }
    for value in [Value::Bytes(b"bronze"), Value::Bytes(b""), Value::Int(8), Value::Bool(false)] {
        let request = Request { parameters: vec![("tier", value)], ..Request::default() };
        assert_eq!(pick(&plan, &request).way, Way::Experiment, "{value:?}");
    }
}

#[test]
fn a_split_by_headers_needs_no_body() {
    let plan = plan(&PETALS.replace(", \"parameter:user\", \"tensor:ids[1]\"", ""));
    assert!(!plan.needs_body(&VersionSelector::Default));
    let request = user("u");
    pick(&plan, &request);
    assert_eq!(request.body_asked.get(), 0);
}

fn unknown_arm(name: &str) -> Refusal {
    Refusal::UnknownArm { header: "x-arm".into(), name: name.into() }
}

#[test]
fn an_arm_is_forced_only_where_the_plan_allows_it() {
    let forced = |name: &str| Request {
        headers: vec![("x-arm", name.into()), ("x-user", "user-1".into())],
        ..Request::default()
    };
    let closed = plan(PETALS);
    assert_eq!(pick(&closed, &forced("third")).way, Way::Experiment);
    let open = plan(&format!("forced_arm_header = \"X-Arm\"\n{PETALS}"));
    for (name, number) in [("third", 3), ("next", 4), ("default", 1)] {
        let pick = pick(&open, &forced(name));
        assert_eq!((pick.arm.name(), pick.version.get(), pick.way), (name, number, Way::Forced));
        assert_eq!(pick.assignment, None);
    }
    for name in ["", "direct", "Third", "no"] {
        assert_eq!(open.pick(&VersionSelector::Default, &forced(name)), Err(unknown_arm(name)));
    }
    assert_eq!(pick(&open, &user("user-1")).way, Way::Experiment);
    // Who names a version gets it, whatever the header says.
    let direct = open.pick(&VersionSelector::Number(version(2)), &forced("third")).expect("version 2");
    assert_eq!((direct.arm, direct.version, direct.assignment), (Arm::Direct, version(2), None));
}

#[test]
fn experiments_of_a_layer_have_no_unit_in_common() {
    let plan = plan(
        r#"
        [[layers]]
        name = "l"
        units = ["header:x-user"]
        [[layers.experiments]]
        name = "e1"
        segment = ["0%", "30%"]
        arms = [{ name = "a1", version = 2, weight = "50%" }]
        [[layers.experiments]]
        name = "e2"
        segment = ["60%", "100%"]
        arms = [{ name = "a2", version = 3, weight = "10%" }]
        [[layers]]
        name = "m"
        units = ["header:x-user"]
        [[layers.experiments]]
        name = "e3"
        segment = ["0%", "50%"]
        arms = [{ name = "a3", version = 4, weight = "50%" }]
        "#,
    );
    let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
    for at in 0..20_000 {
        let name = format!("u{at}");
        let pick = pick(&plan, &user(&name));
        let experiment = pick.assignment.as_ref().map_or("", |assignment| &assignment.experiment);
        // A unit belongs to the experiment in whose segment it lies.
        let point = u128::from(Salted::new(Domain::Layer, "iris/l/1").point(name.as_bytes()));
        match (point * 10_000) >> 64 {
            0..3000 => assert_eq!(experiment, "e1", "{name}"),
            6000.. => assert_eq!(experiment, "e2", "{name}"),
            _ => assert!(["e3", ""].contains(&experiment), "{name}: {experiment}"),
        }
        *counts.entry((experiment.into(), pick.arm.name().into())).or_default() += 1;
    }
    let expected = [
        ("", "default", 3000),
        ("e1", "a1", 3000),
        ("e1", "default", 3000),
        ("e2", "a2", 800),
        ("e2", "default", 7200),
        ("e3", "a3", 1500),
        ("e3", "default", 1500),
    ];
    assert_eq!(counts.len(), expected.len(), "{counts:?}");
    for (experiment, arm, count) in expected {
        let found = f64::from(counts[&(experiment.to_owned(), arm.to_owned())]);
        let expected = f64::from(count);
        // Four standard errors and more.
        assert!(
            (found - expected).abs() < 4.0 * expected.sqrt(),
            "{experiment} {arm}: {found} of {expected}"
        );
    }
}

#[test]
fn shadows_and_buckets_are_independent_of_the_arm() {
    let plan = plan(
        r#"
        shadows = [{ name = "dark", version = 5, share = "25%" }, { name = "dim", version = 6, share = "25%" }]
        [experiment]
        name = "petals"
        arms = [{ name = "next", version = 2, weight = "50%" }]
        "#,
    );
    let split = plan.split.as_ref().expect("a split");
    let count = 40_000;
    // By arm, by first and second shadow, and by the lower half of the buckets.
    let mut counts = [0_u32; 16];
    for _ in 0..count {
        let request = Request::default();
        let pick = pick(&plan, &request);
        let [dark, dim] =
            ["dark", "dim"].map(|name| split.shadows(request.id).any(|shadow| &*shadow.name == name));
        let bucket = pick.assignment.map_or(0, |assignment| assignment.bucket());
        let cell = [pick.arm != Arm::Default, dark, dim, bucket < BUCKETS / 2];
        counts[cell.iter().fold(0, |at, bit| at * 2 + usize::from(*bit))] += 1;
    }
    for (cell, found) in counts.iter().enumerate() {
        let shadow = |bit: usize| if cell & bit == 0 { 0.75 } else { 0.25 };
        let expected = f64::from(count) * 0.5 * shadow(4) * shadow(2) * 0.5;
        let error = (f64::from(*found) - expected).abs();
        assert!(error < 5.0 * expected.sqrt(), "cell {cell:04b}: {found} of {expected}");
    }
}

#[test]
fn shadows_keep_their_requests_when_their_share_changes() {
    let of =
        |share: &str| plan(&format!("shadows = [{{ name = \"dark\", version = 5, share = \"{share}\" }}]"));
    let (few, many, none) = (of("10%"), of("40%"), of("0%"));
    let sees = |plan: &Plan, id| plan.split.as_ref().is_some_and(|split| split.shadows(id).next().is_some());
    for _ in 0..2000 {
        let id = RequestId::generate();
        assert!(!sees(&few, id) || sees(&many, id));
        assert!(sees(&of("100%"), id) && !sees(&none, id));
    }
}

#[test]
fn all_shadows_are_there_in_the_order_of_the_plan() {
    let plan = plan(
        r#"shadows = [
            { name = "dim", version = 6, share = "25%", floor = true },
            { name = "dark", version = 5, share = "0%" },
        ]"#,
    );
    let split = plan.split.as_ref().expect("a split");
    let all: Vec<_> =
        split.all_shadows().map(|shadow| (&*shadow.name, shadow.version.get(), shadow.floor)).collect();
    assert_eq!(all, [("dim", 6, true), ("dark", 5, false)]);
}

#[test]
fn versions_that_do_not_serve_are_refused_with_the_reason() {
    let text = r#"
        [experiment]
        name = "e"
        arms = [
            { name = "a", version = 9, weight = 1 },
            { name = "b", version = 17, weight = 1 },
            { name = "c", version = "champion", weight = 1 },
            { name = "d", version = 2, weight = 10 },
        ]
        [[shadows]]
        name = "s"
        version = 9
        share = 100
    "#;
    let (settled, aliases) = (settled(text), aliases());
    let versions = Versions { aliases: &aliases, standing: &standing };
    let findings = Split::compile(&settled, &versions).expect_err("versions that are not warm");
    let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "key experiment.arms[0].version = 9 and does not serve: it is being loaded; load it first, or name one that serves",
            "key experiment.arms[1].version = 17 and is unknown; add it to the registry, or name another",
            "key experiment.arms[2].version = \"champion\", which is no alias of the model; \
             give a version's number, or one of the aliases challenger",
            "key shadows[0].version = 9 and does not serve: it is being loaded; load it first, or name one that serves",
        ]
    );
    // Where the plan is applied already, what is gone goes to the default, and nothing else moves.
    let (split, lost) = Split::of_what_serves(&settled, &versions);
    assert_eq!(lost, findings);
    assert_eq!(split.versions().collect::<Vec<_>>(), [version(2)]);
    let plan = Plan { default: Some(version(1)), split: Some(Arc::new(split)), ..Plan::default() };
    let all = Versions { aliases: &aliases, standing: &|_| Standing::Warm };
    let (whole, _) = Split::of_what_serves(&settled, &all);
    let whole = Plan { default: Some(version(1)), split: Some(Arc::new(whole)), ..Plan::default() };
    let mut fell = 0;
    for _ in 0..2000 {
        let request = Request::default();
        let (now, then) = (pick(&plan, &request), pick(&whole, &request));
        if ["a", "b"].contains(&then.arm.name()) {
            assert_eq!(
                (now.arm, now.version, now.way, now.assignment),
                (Arm::Default, version(1), Way::Fallback, None)
            );
            fell += 1;
        } else if then.arm.name() != "c" {
            assert_eq!(now, then);
        }
    }
    assert!(fell > 5, "{fell}");
}

#[test]
fn an_arm_that_is_gone_cannot_be_forced() {
    let text = "forced_arm_header = \"x-arm\"\n[experiment]\nname = \"e\"\narms = [{ name = \"a\", version = 9, weight = 1 }]";
    let aliases = aliases();
    let versions = Versions { aliases: &aliases, standing: &standing };
    let (split, _) = Split::of_what_serves(&settled(text), &versions);
    let plan = Plan { default: Some(version(1)), split: Some(Arc::new(split)), ..Plan::default() };
    let request = Request { headers: vec![("x-arm", "a".into())], ..Request::default() };
    assert_eq!(plan.pick(&VersionSelector::Default, &request), Err(unknown_arm("a")));
}

#[test]
fn labels_are_those_of_the_plan() {
    let plan = plan(PETALS);
    let arms: Vec<String> = plan.arms().map(|arm| arm.to_string()).collect();
    assert_eq!(arms, ["default", "direct", "next", "third"]);
    let split = plan.split.as_ref().expect("a split");
    assert_eq!(split.etag(), settled(PETALS).etag());
}

#[test]
fn a_pick_allocates_nothing() {
    let rules = "forced_arm_header = \"x-arm\"\nrules = [{ header = \"x-team\", one_of = [\"a\", \"b\"], arm = \"next\" }]\n";
    let plan = plan(&format!("{rules}{PETALS}"));
    let cookie = "theme=dark; uid=u-7".to_owned();
    let requests = [
        user("user-0"),
        user("user-1"),
        // Longer than what is hashed from the stack at once.
        user(&"u".repeat(4000)),
        Request { headers: vec![("cookie", cookie)], ..Request::default() },
        Request { parameters: vec![("user", Value::Int(i64::MIN))], ..Request::default() },
        Request { headers: vec![("x-team", "b".into())], ..Request::default() },
        Request { headers: vec![("x-arm", "third".into())], ..Request::default() },
        Request::default(),
    ];
    for request in &requests {
        let allocations = allocation_counter::measure(|| drop(pick(&plan, request)));
        assert_eq!(allocations.count_total, 0, "{:?}", request.headers);
    }
}
