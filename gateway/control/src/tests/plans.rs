//! Traffic plans as wishes and as declarations.

use std::sync::Arc;

use pointsman_core::{Code, ModelName};
use pointsman_route::{Document, SaltUse, Share};

use super::world::{BAD, Content, GOOD, World, version};
use crate::committed::Committed;
use crate::grant::{Grant, Refusal, grant};
use crate::plans::{self, PlanTo, PlanWish, Plans};
use crate::wish::Wish;

fn iris() -> ModelName {
    ModelName::new("iris").expect("a name")
}

fn document(weight: &str, number: u64) -> Document {
    let text = format!(
        "[experiment]\nname = \"petals\"\narms = [{{ name = \"next\", version = {number}, weight = \"{weight}\" }}]"
    );
    Document::from_toml(&text).expect("a document")
}

pub(super) fn wish(to: PlanTo, if_match: Option<String>) -> Wish {
    Wish::Plan(PlanWish { model: iris(), to, if_match, at_ms: 7 })
}

fn apply(world: &mut World, document: Document) -> Result<(), Refusal> {
    world.wish(wish(PlanTo::Document(Box::new(document)), None))
}

fn plans(world: &World) -> &Plans {
    &world.model.committed.plans
}

/// Version 1 serves, 2 is loaded beside it, 3 is not.
fn two() -> World {
    let mut world = World::new("serve = 1\nload = [2]", &[(1, GOOD), (2, GOOD), (3, GOOD)]);
    world.settle();
    assert_eq!((world.serves(), world.ready()), (Some(1), vec![1, 2]));
    world
}

#[test]
fn a_plan_is_applied_ramped_and_rolled_back_step_by_step() {
    let mut world = two();
    for weight in ["1%", "5%", "25%"] {
        apply(&mut world, document(weight, 2)).expect("is granted");
    }
    assert_eq!((plans(&world).current.revision, plans(&world).history.len()), (3, 3));
    assert_eq!(plans(&world).current.by, "ada");
    let weight =
        |world: &World| plans(world).current.plan.document().arms().next().map(|arm| arm.weight.to_string());
    for expected in [Some("5%"), Some("1%"), None] {
        world.wish(wish(PlanTo::Previous, None)).expect("is granted");
        assert_eq!(weight(&world).as_deref(), expected);
    }
    assert_eq!(plans(&world).current.revision, 6);
    let refusal = world.wish(wish(PlanTo::Previous, None)).expect_err("nothing before");
    assert!(refusal.reason.contains("had no plan before"), "{refusal}");
    // What an experiment once had is its own for good.
    let other = document("1%", 2)
        .to_json()
        .replace("\"name\":\"petals\"", "\"name\":\"sepals\",\"salt\":\"iris/petals/1\"");
    let refusal =
        apply(&mut world, Document::from_json(&other).expect("a document")).expect_err("a used salt");
    assert_eq!(refusal.code, Code::BadRequest);
    assert!(refusal.reason.contains("is or was that of \"petals\""), "{refusal}");
}

#[test]
fn a_plan_with_an_old_tag_is_refused() {
    let mut world = two();
    let tag = plans(&world).current.plan.etag();
    let of = |weight, tag: &str| wish(PlanTo::Document(Box::new(document(weight, 2))), Some(tag.to_owned()));
    world.wish(of("1%", &tag)).expect("the tag is right");
    let before = plans(&world).clone();
    let refusal = world.wish(of("50%", &tag)).expect_err("somebody was faster");
    assert_eq!(refusal.code, Code::TagMismatch);
    let refusal = world.wish(wish(PlanTo::Previous, Some(tag))).expect_err("somebody was faster");
    assert_eq!(refusal.code, Code::TagMismatch);
    assert_eq!(plans(&world), &before);
    world.wish(of("5%", &before.current.plan.etag())).expect("the tag is right");
}

#[test]
fn a_plan_whose_versions_do_not_serve_is_refused_and_changes_nothing() {
    let mut world = two();
    world.put(4, BAD);
    world.put(5, Content { breaks: true, ..GOOD });
    let before = world.model.committed.clone();
    for (number, reason) in [(3, "does not serve: it is not loaded"), (9, "= 9 and is unknown")] {
        let refusal = apply(&mut world, document("1%", number)).expect_err("not warm");
        assert!(refusal.code == Code::Refused && refusal.reason.contains(reason), "{refusal}");
    }
    assert!(world.wish(Wish::Load { version: Some(version(4)) }).is_err());
    let refusal = apply(&mut world, document("1%", 4)).expect_err("it does not load");
    assert!(refusal.reason.contains("does not serve: it is bad"), "{refusal}");
    assert_eq!(world.model.committed.plans, before.plans);
    // Callers who name no version could not use it.
    world.wish(Wish::Load { version: Some(version(5)) }).expect("is granted");
    let refusal = apply(&mut world, document("1%", 5)).expect_err("it breaks");
    assert!(refusal.reason.contains("version 5 can have no arm: it would break callers"), "{refusal}");
}

#[test]
fn versions_of_a_plan_stay_loaded_and_come_back_after_a_restart() {
    let mut world = two();
    apply(&mut world, document("1%", 2)).expect("is granted");
    world.card("serve = 1");
    world.settle();
    assert_eq!(world.ready(), [1, 2]);
    world.restart();
    world.settle();
    assert_eq!(world.ready(), [1, 2]);
    // An operator's word counts more: its units go to the default.
    world.wish(Wish::Unload { version: Some(version(2)) }).expect("is granted");
    world.settle();
    assert_eq!(world.ready(), [1]);
    // What only takes back needs no version to be there.
    apply(&mut world, document("0.5%", 2)).expect("is granted");
    apply(&mut world, document("2%", 2)).expect_err("it is gone");
    apply(&mut world, Document::default()).expect("is granted");
}

#[test]
fn a_frozen_model_is_given_no_plan_but_one_that_takes_back() {
    let mut world = two();
    apply(&mut world, document("5%", 2)).expect("is granted");
    world.wish(Wish::Freeze).expect("is granted");
    assert!(apply(&mut world, document("6%", 2)).is_err_and(|refusal| refusal.reason.contains("frozen")));
    apply(&mut world, document("4%", 2)).expect("it takes back");
    world.wish(wish(PlanTo::Previous, None)).expect_err("it would raise");
    apply(&mut world, Document::default()).expect("it takes back");
}

#[test]
fn a_plan_changes_nothing_else() {
    let mut world = two();
    // The declaration has just changed, and what follows from it is not done yet.
    world.card("serve = 2");
    let to = PlanTo::Document(Box::new(document("5%", 2)));
    let Grant::Now(new) = grant(&world.model, &wish(to, None), "ada") else { panic!("it is granted") };
    let expected = Committed { plans: new.plans.clone(), ..world.model.committed.clone() };
    assert_eq!(*new, expected);
    let text = serde_json::to_string(&*new).expect("JSON");
    assert_eq!(serde_json::from_str::<Committed>(&text).ok(), Some(expected));
}

#[test]
fn a_declared_plan_counts_until_an_operator_says_otherwise_and_again_when_it_changes() {
    let mut world = two();
    let declare = |world: &mut World, plan: Option<Document>| {
        let before = plans(world).clone();
        world.model.declared.plan = plan;
        world.settle();
        *plans(world) != before
    };
    // The version that it names is loaded for it.
    assert!(declare(&mut world, Some(document("5%", 3))));
    assert_eq!((world.ready(), plans(&world).current.by.as_str()), (vec![1, 2, 3], "configuration"));
    apply(&mut world, document("1%", 2)).expect("is granted");
    assert!(!declare(&mut world, Some(document("5%", 3))), "the operator's word holds");
    assert!(declare(&mut world, Some(document("6%", 3))), "another one is declared");
    assert_eq!(plans(&world).current.revision, 3);
    assert!(declare(&mut world, None));
    assert_eq!(plans(&world).current.plan.document(), &Document::default());
    assert!(!declare(&mut world, None));
    // What is not declared any more takes an operator's word not with it.
    assert!(declare(&mut world, Some(document("7%", 3))));
    apply(&mut world, document("1%", 2)).expect("is granted");
    let before = plans(&world).current.clone();
    assert!(declare(&mut world, None));
    assert_eq!(plans(&world).current, before);
    assert!(!declare(&mut world, None));
    // A frozen model takes none.
    world.wish(Wish::Freeze).expect("is granted");
    assert!(!declare(&mut world, Some(document("8%", 2))));
    let refused = plans::declare(&world.model, &iris(), 9).expect("it is another");
    assert!(refused.is_err_and(|refusal| refusal.reason.contains("frozen")));
}

#[test]
fn what_is_kept_of_plans_is_bounded() {
    let mut world = two();
    for at in 0..50_u32 {
        apply(&mut world, document(&format!("{}%", at % 50 + 1), 2)).expect("is granted");
    }
    assert_eq!((plans(&world).history.len(), plans(&world).current.revision), (16, 50));
    assert_eq!(plans(&world).salts.len(), 1);
    let old = SaltUse { experiment: "old".into(), anchors: [("a".into(), Share::NONE)].into() };
    let salts = (0..4095).map(|at| (at.to_string(), old.clone()));
    let mut full = plans(&world).clone();
    full.salts.extend(salts);
    world.model.committed.plans = Arc::new(full);
    apply(&mut world, document("1%", 2)).expect("a salt that it has used");
    let text = document("1%", 2).to_json().replace("petals", "sepals");
    let refusal =
        apply(&mut world, Document::from_json(&text).expect("a document")).expect_err("one too many");
    assert!(refusal.reason.contains("have had 4096 arms"), "{refusal}");
}
