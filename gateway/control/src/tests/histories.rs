//! Properties over random histories of a registry and its operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{Arm, ModelName, RequestId, VersionNumber, VersionSelector};
use pointsman_registry::FolderState;
use pointsman_route::{Document, Facts, Pick, Plan, Settled, Split, Standing, Value, Versions};
use proptest::prelude::*;

use super::plans;
use super::world::{Content, World, version};
use crate::plans::{PlanTo, aliases};
use crate::rollout::{Flags, Hard, Phase, Spec};
use crate::wish::{RolloutWish, Wish};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happening {
    Put(u64, Content),
    Remove(u64),
    Half(u64),
    Tombstone(u64),
    Empty,
    Card(&'static str),
    Declare(Option<Box<Document>>),
    Wish(Wish),
    LoadEnds,
    Pass(u64),
    Restart,
    /// The candidate of a rollout does.
    Panics,
}

/// A rollout that nothing is known of.
fn spec(candidate: u64, shadow: bool, queue: bool) -> Spec {
    let flags = Flags {
        shadow: shadow.then(|| "1m".to_owned()),
        canary: Some("10,50".into()),
        on_new: queue.then(|| "queue".to_owned()),
        ..Flags::default()
    };
    flags.spec(&ModelName::new("iris").expect("a name"), version(candidate)).expect("a spec")
}

const CARDS: [&str; 6] = [
    "",
    "load = \"all\"",
    "on_new = \"hold\"",
    "serve = 2",
    "serve = \"a\"\n[aliases]\na = 1\nb = 3",
    "load = [1, 3]\n[aliases]\na = 2",
];

/// A plan of up to two arms and a shadow, of versions that are there or not.
fn document() -> impl Strategy<Value = Document> {
    let target = prop_oneof![4 => (1..5_u64).prop_map(|n| n.to_string()), 1 => Just("\"a\"".to_owned())];
    let weight = prop::sample::select(vec!["0%", "1%", "25%", "50%"]);
    let arms = prop::collection::btree_map(prop::sample::select(vec!["x", "y"]), (target, weight), 0..3);
    let shadow = prop::option::weighted(0.2, 1..5_u64);
    (arms, shadow).prop_map(|(arms, shadow)| {
        let arm = |(name, (version, weight)): (&str, (String, &str))| {
            format!("{{ name = \"{name}\", version = {version}, weight = \"{weight}\" }}")
        };
        let arms: Vec<String> = arms.into_iter().map(arm).collect();
        let mut text = String::new();
        if !arms.is_empty() {
            text += &format!(
                "[experiment]\nname = \"e\"\nunits = [\"header:user\"]\narms = [{}]\n",
                arms.join(", ")
            );
        }
        if let Some(version) = shadow {
            text += &format!("[[shadows]]\nname = \"s\"\nversion = {version}\nshare = \"10%\"\n");
        }
        Document::from_toml(&text).expect("a document")
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    let number = || 1..5_u64;
    let content = (0..6_u64, any::<bool>(), prop::bool::weighted(0.2))
        .prop_map(|(digest, loads, breaks)| Content { digest, loads, breaks });
    let some = || prop::option::of(number().prop_map(version));
    let wish = prop_oneof![
        (number(), any::<bool>())
            .prop_map(|(n, allow_breaking)| Wish::Promote { version: version(n), allow_breaking }),
        Just(Wish::Rollback),
        some().prop_map(|version| Wish::Load { version }),
        number().prop_map(|n| Wish::Unload { version: Some(version(n)) }),
        Just(Wish::Unload { version: None }),
        some().prop_map(|version| Wish::Alias { alias: "a".into(), version, allow_breaking: false }),
        some().prop_map(|version| Wish::Pin { version }),
        Just(Wish::Unpin),
        Just(Wish::Freeze),
        Just(Wish::Unfreeze),
        Just(Wish::Reset),
    ];
    let said = |said| Wish::Rollout(said);
    let rollout = prop_oneof![
        4 => (number(), any::<bool>(), any::<bool>()).prop_map(move |(n, shadow, queue)| {
            said(RolloutWish::Start(Box::new(spec(n, shadow, queue))))
        }),
        1 => Just(said(RolloutWish::Pause)),
        1 => Just(said(RolloutWish::Resume)),
        2 => Just(said(RolloutWish::Advance)),
        1 => Just(said(RolloutWish::Promote)),
        1 => Just(said(RolloutWish::Abort)),
    ];
    let plan = prop_oneof![
        4 => document().prop_map(|document| PlanTo::Document(Box::new(document))),
        1 => Just(PlanTo::Previous),
    ];
    let plan = (plan, prop::bool::weighted(0.1))
        .prop_map(|(to, stale)| plans::wish(to, stale.then(|| "0".to_owned())));
    prop_oneof![
        4 => (number(), content).prop_map(|(n, c)| Happening::Put(n, c)),
        2 => number().prop_map(Happening::Remove),
        1 => number().prop_map(Happening::Half),
        1 => number().prop_map(Happening::Tombstone),
        1 => Just(Happening::Empty),
        1 => (0..CARDS.len()).prop_map(|i| Happening::Card(CARDS[i])),
        1 => prop::option::of(document()).prop_map(|plan| Happening::Declare(plan.map(Box::new))),
        4 => wish.prop_map(Happening::Wish),
        2 => plan.prop_map(Happening::Wish),
        3 => rollout.prop_map(Happening::Wish),
        1 => Just(Happening::Panics),
        6 => Just(Happening::LoadEnds),
        1 => (0..1000_u64).prop_map(Happening::Pass),
        1 => Just(Happening::Restart),
    ]
}

/// Lets it happen; gives what was wished and granted.
fn happen(world: &mut World, happening: &Happening) -> Option<Wish> {
    match happening {
        Happening::Put(number, content) => world.put(*number, *content),
        Happening::Remove(number) => world.remove(*number),
        Happening::Half(number) => world.folder(*number, FolderState::Unsettled { reason: "half".into() }),
        Happening::Tombstone(number) => world.folder(*number, FolderState::Tombstone),
        Happening::Empty => world.model.found.clear(),
        Happening::Card(card) => world.card(card),
        Happening::Declare(plan) => world.model.declared.plan.clone_from(&plan.as_deref().cloned()),
        Happening::Wish(wish) => {
            let granted = world.wish(wish.clone());
            return granted.is_ok().then(|| wish.clone());
        }
        Happening::LoadEnds => {
            world.end_load();
        }
        Happening::Pass(seconds) => world.now += Duration::from_secs(*seconds),
        Happening::Restart => world.restart(),
        Happening::Panics => world.sees(Hard { panics: 1, ..Hard::default() }),
    }
    world.converge();
    None
}

/// Whether somebody said that what serves is to leave, or the process ended.
fn takes_away(happening: &Happening) -> bool {
    matches!(happening, Happening::Tombstone(_) | Happening::Restart | Happening::Wish(Wish::Unload { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn something_serves_once_something_did_unless_somebody_said_otherwise(
        happenings in prop::collection::vec(happening(), 1..60)
    ) {
        let mut world = World::new("", &[]);
        for happening in happenings {
            let served = world.serves();
            happen(&mut world, &happening);
            if served.is_some() && !takes_away(&happening) {
                prop_assert!(world.serves().is_some(), "{happening:?} left nothing: {:?}", world.target());
            }
        }
    }

    #[test]
    fn the_last_granted_word_on_the_default_wins(happenings in prop::collection::vec(happening(), 1..40)) {
        let mut world = World::new("", &[]);
        for happening in happenings {
            let granted = happen(&mut world, &happening);
            match granted {
                Some(Wish::Promote { version, .. } | Wish::Pin { version: Some(version) }) => {
                    prop_assert_eq!(world.model.committed.default, Some(version));
                    prop_assert!(world.model.ready(version).is_some());
                }
                Some(Wish::Unload { version: None }) => prop_assert_eq!(world.ready(), Vec::<u64>::new()),
                Some(Wish::Unload { version: Some(version) }) => prop_assert!(world.model.ready(version).is_none()),
                _ => {}
            }
        }
    }

    #[test]
    fn while_a_version_takes_over_only_its_rollout_lets_it_answer_everybody(
        happenings in prop::collection::vec(happening(), 1..60)
    ) {
        let mut world = World::new("", &[]);
        for happening in happenings {
            let (before, over) = (world.rollout.clone(), world.ended.len());
            happen(&mut world, &happening);
            let Some(before) = before else { continue };
            let (default, candidate) = (world.model.committed.default, before.spec.candidate);
            let primary = before.frozen.contents[0].as_ref().map(|content| content.version);
            let Some(ended) = world.ended.get(over) else {
                prop_assert_eq!(default, primary, "{:?}", happening);
                continue;
            };
            // What is taken back does not come by another way, and what follows comes by a rollout.
            if ended.phase != Phase::Promoted {
                prop_assert_ne!(default, Some(candidate), "{:?} ended {:?}", happening, ended);
            }
            if let Some(next) = ended.follows().filter(|_| default != primary) {
                let stays = primary.is_some_and(|primary| !world.model.is_withdrawn(primary));
                prop_assert!(!stays || default != Some(next), "{happening:?}: {next} serves at once");
            }
            world.follow_on();
        }
    }

    #[test]
    fn left_alone_it_comes_to_rest_where_it_should(happenings in prop::collection::vec(happening(), 1..40)) {
        let mut world = World::new("", &[]);
        for happening in &happenings {
            happen(&mut world, happening);
        }
        for _ in 0..4 {
            world.settle();
            world.pass(Duration::from_secs(3600));
        }
        world.settle();
        let target = world.target();
        // What should serve and can, does.
        if let Some(wanted) = target.default && world.model.ready(wanted).is_some() {
            prop_assert_eq!(world.model.committed.default, Some(wanted));
        }
        for number in world.ready() {
            let wanted = target.load.contains(&version(number)) || world.model.is_reached(version(number));
            prop_assert!(wanted, "{number} is loaded and nobody asks for it");
        }
    }

    #[test]
    fn the_same_history_is_decided_the_same(happenings in prop::collection::vec(happening(), 1..30)) {
        let run = || {
            let mut world = World::new("", &[]);
            for happening in &happenings {
                happen(&mut world, happening);
            }
            (world.done.clone(), world.model.committed.clone())
        };
        prop_assert_eq!(run(), run());
    }
}

/// A request of a user.
struct Of(String);

impl Facts for Of {
    fn header(&self, name: &str, _: usize) -> Option<&[u8]> {
        (name == "user").then_some(self.0.as_bytes())
    }

    fn parameter(&self, _: &str) -> Option<Value<'_>> {
        None
    }

    fn element(&self, _: &str, _: usize) -> Option<Value<'_>> {
        None
    }

    fn request_id(&self) -> RequestId {
        RequestId::generate()
    }
}

/// What some users get who name no version.
fn picks(
    plan: &Settled,
    default: Option<VersionNumber>,
    aliases: BTreeMap<Arc<str>, VersionNumber>,
    serves: impl Fn(VersionNumber) -> bool,
) -> Vec<Option<Pick>> {
    let standing = |number| if serves(number) { Standing::Warm } else { Standing::Unknown };
    let (split, _) = Split::of_what_serves(plan, &Versions { aliases: &aliases, standing: &standing });
    let plan = Plan { default, split: Some(Arc::new(split)), ..Plan::default() };
    let of = |user: u8| plan.pick(&VersionSelector::Default, &Of(user.to_string())).ok();
    (0..24).map(of).collect()
}

/// The arms that they have where all versions serve.
fn arms(plan: &Settled) -> Vec<Arm> {
    let alias = [("a".into(), version(1))].into();
    let picks = picks(plan, Some(version(1)), alias, |_| true);
    picks.into_iter().flatten().map(|pick| pick.arm).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_change_as_they_are_wished_and_declared_and_only_to_what_serves(
        happenings in prop::collection::vec(happening(), 1..60)
    ) {
        let mut world = World::new("load = \"all\"", &[]);
        for happening in happenings {
            let before = world.model.committed.plans.clone();
            let granted = happen(&mut world, &happening);
            let after = world.model.committed.plans.clone();
            if before.current == after.current {
                continue;
            }
            // A wish that is refused changes nothing, nor does anything but a wish or a declaration.
            let wished = matches!(granted, Some(Wish::Plan(_)));
            let declared = after.current.by == "configuration" && before.declared != after.declared;
            prop_assert!(wished || declared, "{happening:?} made {:?}", after.current);
            prop_assert!(after.current.revision > before.current.revision && after.history.len() <= 16);
            let (old, new) = (arms(&before.current.plan), arms(&after.current.plan));
            if before.only_lowers(&after) {
                // It takes effect before it is journalled: killed between, nobody has more than the journal says.
                let lowered = old.iter().zip(&new).all(|(old, new)| new == old || *new == Arm::Default);
                prop_assert!(lowered, "{happening:?}: {old:?} became {new:?}");
                continue;
            }
            for target in after.current.plan.document().targets() {
                let number = Versions { aliases: &aliases(&world.model), standing: &|_| Standing::Warm }.number(target);
                let serves = number.is_some_and(|number| world.model.ready(number).is_some());
                prop_assert!(serves, "{happening:?}: {target} does not serve");
            }
        }
    }

    #[test]
    fn who_is_split_gets_what_is_committed_and_serves(happenings in prop::collection::vec(happening(), 1..40)) {
        let mut world = World::new("load = \"all\"", &[]);
        for happening in happenings {
            happen(&mut world, &happening);
            let Some(default) = world.serves() else { continue };
            let committed = &world.model.committed;
            let plan = &committed.plans.current.plan;
            let ready = |number| world.model.ready(number).is_some();
            for pick in picks(plan, committed.default, aliases(&world.model), ready) {
                let pick = pick.expect("the default serves");
                let arm = plan.document().arms().find(|arm| arm.name == pick.arm.name());
                let expected = match arm.map(|arm| &arm.version) {
                    Some(target) => Versions { aliases: &aliases(&world.model), standing: &|_| Standing::Warm }.number(target),
                    None => Some(version(default)),
                };
                prop_assert_eq!(Some(pick.version), expected);
                prop_assert!(ready(pick.version), "{:?}: version {} does not serve", happening, pick.version);
            }
        }
    }
}
