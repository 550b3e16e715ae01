//! Properties over random histories of a registry and its operators.

use std::time::Duration;

use pointsman_registry::FolderState;
use proptest::prelude::*;

use super::world::{Content, World, version};
use crate::wish::Wish;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happening {
    Put(u64, Content),
    Remove(u64),
    Half(u64),
    Tombstone(u64),
    Empty,
    Card(&'static str),
    Wish(Wish),
    LoadEnds,
    Pass(u64),
    Restart,
}

const CARDS: [&str; 6] = [
    "",
    "load = \"all\"",
    "on_new = \"hold\"",
    "serve = 2",
    "serve = \"a\"\n[aliases]\na = 1\nb = 3",
    "load = [1, 3]\n[aliases]\na = 2",
];

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
    prop_oneof![
        4 => (number(), content).prop_map(|(n, c)| Happening::Put(n, c)),
        2 => number().prop_map(Happening::Remove),
        1 => number().prop_map(Happening::Half),
        1 => number().prop_map(Happening::Tombstone),
        1 => Just(Happening::Empty),
        1 => (0..CARDS.len()).prop_map(|i| Happening::Card(CARDS[i])),
        4 => wish.prop_map(Happening::Wish),
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
        Happening::Wish(wish) => {
            let granted = world.wish(wish.clone());
            return granted.is_ok().then(|| wish.clone());
        }
        Happening::LoadEnds => {
            world.end_load();
        }
        Happening::Pass(seconds) => world.now += Duration::from_secs(*seconds),
        Happening::Restart => world.restart(),
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
