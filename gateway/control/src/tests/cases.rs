//! The cases that TensorFlow Serving's policies and managers are tested with, by their names there, and
//! what else a user would expect.

use std::time::Duration;

use pointsman_registry::FolderState;

use super::world::{BAD, Content, GOOD, World, version};
use crate::action::Action;
use crate::wish::Wish;

const ALL: &str = "load = \"all\"";

/// `AvailabilityPreservingPolicyTest`, each case by its name there.
mod availability_preserving_policy {
    use super::*;

    /// Versions 1 to `serving` loaded one after the other, the last of them the default, and nothing kept.
    fn serving(card: &str, numbers: &[u64]) -> World {
        let mut world = World::new(card, &[]);
        for number in numbers {
            world.put(*number, GOOD);
            world.settle();
        }
        world.pass(Duration::from_secs(3600));
        world
    }

    #[test]
    fn loads_new_aspired() {
        let mut world = serving(ALL, &[3]);
        world.put(4, GOOD);
        world.put(5, GOOD);
        assert_eq!(world.next(), Action::Load(version(5)));
    }

    #[test]
    fn unloads_non_aspired_first() {
        let mut world = serving("load = [3]", &[3, 4]);
        assert_eq!(world.ready(), [3, 4]);
        world.card("");
        world.put(5, GOOD);
        assert_eq!(world.next(), Action::Unload(version(3)));
    }

    #[test]
    fn unloads_first_non_aspired_when_no_aspired() {
        let mut world = serving("", &[2]);
        world.model.tombstone = true;
        world.settle();
        assert_eq!((world.serves(), world.ready()), (None, vec![]));
    }

    #[test]
    fn returns_no_action_when_none() {
        let mut world = serving(ALL, &[1]);
        world.put(2, BAD);
        world.settle();
        world.put(3, GOOD);
        world.converge();
        assert!(matches!(world.next(), Action::Wait(_)), "{:?}", world.next());
    }

    #[test]
    fn does_not_unload_when_other_not_ready() {
        let mut world = serving("", &[1]);
        world.put(2, GOOD);
        world.converge();
        assert!(world.model.versions[&version(2)].loading.is_some());
        assert_eq!((world.serves(), world.ready()), (Some(1), vec![1]));
    }

    #[test]
    fn does_not_unload_when_other_in_error() {
        let mut world = serving("", &[1]);
        world.put(2, BAD);
        world.settle();
        world.pass(Duration::from_secs(3600));
        assert_eq!((world.serves(), world.ready()), (Some(1), vec![1]));
    }

    #[test]
    fn unload_if_other_ready_even_if_loading() {
        let mut world = serving("load = [1]", &[1, 3]);
        world.card("load = [2]");
        world.put(2, GOOD);
        world.converge();
        assert!(world.model.versions[&version(2)].loading.is_some());
        assert_eq!((world.serves(), world.ready()), (Some(3), vec![3]));
    }

    #[test]
    fn unload_if_other_ready_even_if_error() {
        let mut world = serving("load = [1]", &[1, 3]);
        world.card("load = [2]");
        world.put(2, BAD);
        world.settle();
        assert_eq!((world.serves(), world.ready()), (Some(3), vec![3]));
    }

    #[test]
    fn unload_if_no_aspired_versions_ready() {
        let mut world = serving("load = [1]", &[1, 2]);
        world.card("load = [4]");
        world.put(3, BAD);
        world.put(4, GOOD);
        assert_eq!(world.next(), Action::Unload(version(1)));
        world.converge();
        assert_eq!((world.serves(), world.ready()), (Some(2), vec![2]));
    }
}

/// Of `AspiredVersionsManagerTest` and `FileSystemStoragePathSourceTest`, by their names there.
mod aspired_versions_manager {
    use super::*;

    #[test]
    fn aspire_error_dont_unload() {
        let mut world = World::new("", &[(1, GOOD)]);
        world.settle();
        // The registry shows nothing at all for a while.
        world.remove(1);
        world.settle();
        assert_eq!(world.serves(), Some(1));
    }

    #[test]
    fn unaspire_then_immediately_reaspire() {
        let mut world = World::new("load = [1]", &[(1, GOOD), (2, GOOD)]);
        world.settle();
        world.card("");
        world.converge();
        world.card("load = [1]");
        world.settle();
        assert_eq!((world.serves(), world.ready()), (Some(2), vec![1, 2]));
    }

    #[test]
    fn revert_to_smaller_version_number() {
        let mut world = World::new("", &[(1, GOOD), (2, GOOD)]);
        world.settle();
        assert_eq!(world.serves(), Some(2));
        world.card("serve = 1");
        world.converge();
        assert_eq!(world.serves(), Some(2), "the old one serves until the other is ready");
        world.settle();
        assert_eq!(world.serves(), Some(1));
    }

    #[test]
    fn retry_on_load_error_finally_succeeds() {
        let mut world = World::new("", &[(1, GOOD)]);
        world.settle();
        world.put(2, BAD);
        world.settle();
        // What was wrong with the system and not with the version is mended.
        world.disk.insert(version(2), GOOD);
        assert!(matches!(world.next(), Action::Wait(Some(_))));
        world.pass(Duration::from_secs(60));
        world.settle();
        assert_eq!(world.serves(), Some(2));
    }

    #[test]
    fn retry_on_load_error_finally_fails() {
        let mut world = World::new("", &[(1, GOOD), (2, BAD)]);
        for _ in 0..5 {
            world.settle();
            world.pass(Duration::from_secs(3600));
        }
        let tries = world.done.iter().filter(|action| **action == Action::Load(version(2))).count();
        assert_eq!((world.serves(), tries), (Some(1), 3));
        // Asked for by name it is tried at once, and again after its folder has changed.
        assert!(world.promote(2).is_err());
        assert_eq!(world.serves(), Some(1));
        world.put(2, GOOD);
        world.settle();
        assert_eq!(world.serves(), Some(2));
    }

    #[test]
    fn manager_prefers_unload_over_load() {
        let mut world = World::new("load = [1]", &[(1, GOOD), (2, GOOD)]);
        world.settle();
        world.card("load = [3]");
        world.put(3, GOOD);
        assert_eq!(world.next(), Action::Unload(version(1)));
    }

    #[test]
    fn concurrent_loads_only_one_succeeds() {
        let mut world = World::new("", &[(1, GOOD)]);
        world.converge();
        assert!(matches!(world.next(), Action::Wait(_)));
        world.settle();
        let loads = world.done.iter().filter(|action| matches!(action, Action::Load(_))).count();
        assert_eq!(loads, 1);
    }

    #[test]
    fn files_appear_after_startup() {
        let mut world = World::new("", &[]);
        world.settle();
        world.put(3, GOOD);
        world.settle();
        assert_eq!(world.serves(), Some(3));
    }

    #[test]
    fn servable_version_dir_renamed() {
        let mut world = World::new("", &[(1, GOOD)]);
        world.settle();
        world.remove(1);
        world.put(2, GOOD);
        world.converge();
        assert_eq!(world.serves(), Some(1));
        world.settle();
        assert_eq!(world.serves(), Some(2));
    }

    #[test]
    fn last_version_not_removed() {
        let mut world = World::new("", &[(1, GOOD), (2, GOOD)]);
        world.settle();
        world.remove(1);
        world.remove(2);
        world.pass(Duration::from_secs(3600));
        assert_eq!(world.serves(), Some(2));
    }
}

#[test]
fn half_a_version_is_not_loaded_and_takes_nothing_away() {
    let mut world = World::new("", &[(1, GOOD)]);
    world.settle();
    world.put(2, GOOD);
    world.folder(2, FolderState::Unsettled { reason: "model.onnx is missing".into() });
    world.settle();
    assert_eq!((world.serves(), world.ready()), (Some(1), vec![1]));
    assert_eq!(world.target().held[&version(2)], "model.onnx is missing");
    // The folder of the version that serves is being written over.
    world.folder(1, FolderState::Unsettled { reason: "it changes".into() });
    world.settle();
    assert_eq!(world.serves(), Some(1));
}

#[test]
fn what_is_written_over_a_version_replaces_it_once_it_has_passed() {
    let mut world = World::new("", &[(1, GOOD)]);
    world.settle();
    world.put(1, BAD);
    world.settle();
    assert_eq!(world.model.ready(version(1)).map(|ready| ready.digest.as_str()), Some("1"));
    assert_eq!(world.serves(), Some(1));
    world.put(1, Content { digest: 7, ..GOOD });
    world.settle();
    assert_eq!(world.model.ready(version(1)).map(|ready| ready.digest.as_str()), Some("7"));

    let mut world = World::new("on_new = \"hold\"", &[(1, GOOD)]);
    world.settle();
    world.put(1, Content { digest: 7, ..GOOD });
    world.settle();
    assert_eq!(world.model.ready(version(1)).map(|ready| ready.digest.as_str()), Some("1"));
}

#[test]
fn a_version_that_breaks_callers_waits_for_a_word() {
    let breaking = Content { breaks: true, ..GOOD };
    let mut world = World::new("", &[(1, GOOD)]);
    world.settle();
    world.put(2, breaking);
    world.settle();
    assert_eq!((world.serves(), world.ready()), (Some(1), vec![1, 2]));
    assert!(world.target().held[&version(2)].contains("would break callers of version 1"));
    let refusal = world.promote(2).expect_err("breaks").reason;
    assert!(refusal.contains("--allow-breaking"), "{refusal}");
    // A version after it that does not break passes it by.
    world.put(3, GOOD);
    world.settle();
    assert_eq!(world.serves(), Some(3));
    world.wish(Wish::Promote { version: version(2), allow_breaking: true }).expect("is granted");
    assert_eq!(world.serves(), Some(2));
    // Back to the one before, although that breaks callers too.
    world.wish(Wish::Rollback).expect("is granted");
    assert_eq!(world.serves(), Some(3));

    let mut world = World::new("breaking = \"allow\"", &[(1, GOOD)]);
    world.model.declared.breaking = pointsman_core::BreakingPolicy::Allow;
    world.settle();
    world.put(2, breaking);
    world.settle();
    assert_eq!(world.serves(), Some(2));
}

#[test]
fn new_versions_wait_where_the_card_says_so() {
    let mut world = World::new("on_new = \"hold\"", &[(1, GOOD)]);
    world.settle();
    world.put(2, GOOD);
    world.settle();
    assert_eq!((world.serves(), world.ready()), (Some(1), vec![1]));
    assert!(world.target().held[&version(2)].contains("on_new"));
    world.promote(2).expect("is granted");
    assert_eq!(world.serves(), Some(2));
}

#[test]
fn a_start_serves_what_was_committed_and_then_what_is_new() {
    let mut world = World::new("", &[(1, GOOD)]);
    world.settle();
    world.put(2, GOOD);
    world.restart();
    world.converge();
    assert_eq!(world.done.last(), Some(&Action::Load(version(1))));
    world.end_load();
    world.converge();
    assert_eq!(world.serves(), Some(1));
    world.settle();
    assert_eq!(world.serves(), Some(2));
    // What was committed is gone: the best of what is there serves.
    world.remove(2);
    world.restart();
    world.settle();
    assert_eq!(world.serves(), Some(1));
}

#[test]
fn an_alias_moves_once_its_version_is_ready() {
    let mut world =
        World::new("serve = \"champion\"\n[aliases]\nchampion = 1", &[(1, GOOD), (2, GOOD), (3, BAD)]);
    world.settle();
    assert_eq!((world.serves(), world.ready()), (Some(1), vec![1]));
    world.card("serve = \"champion\"\n[aliases]\nchampion = 2");
    world.converge();
    assert_eq!((world.serves(), world.model.committed.aliases["champion"]), (Some(1), version(1)));
    world.settle();
    assert_eq!((world.serves(), world.model.committed.aliases["champion"]), (Some(2), version(2)));
    world.card("serve = \"champion\"\n[aliases]\nchampion = 3");
    world.settle();
    assert_eq!((world.serves(), world.model.committed.aliases["champion"]), (Some(2), version(2)));
}

#[test]
fn the_version_before_stays_for_its_time_and_only_that_one() {
    let mut world = World::new("", &[(1, GOOD)]);
    world.settle();
    for number in [2, 3] {
        world.put(number, GOOD);
        world.settle();
    }
    assert_eq!(world.ready(), [2, 3]);
    world.pass(Duration::from_secs(599));
    assert_eq!(world.ready(), [2, 3]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.ready(), [3]);
}
