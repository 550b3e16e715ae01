//! What comes of wishes.

use std::collections::BTreeSet;
use std::time::Duration;

use pointsman_core::Code;
use pointsman_registry::FolderState;

use super::world::{BAD, Content, GOOD, World, version};
use crate::grant::{Grant, grant};
use crate::wish::Wish;

fn three() -> World {
    let mut world = World::new("", &[(1, GOOD), (2, GOOD), (3, GOOD)]);
    world.settle();
    world
}

#[test]
fn a_promoted_version_stays_until_the_declaration_changes_or_is_asked_for_again() {
    let mut world = three();
    world.promote(1).expect("is granted");
    assert_eq!(world.serves(), Some(1));
    world.put(4, GOOD);
    world.settle();
    assert_eq!(world.serves(), Some(1), "an operator's word holds");
    world.card("serve = 2");
    world.settle();
    assert_eq!(world.serves(), Some(2), "the declaration has changed");
    world.card("");
    world.settle();
    assert_eq!(world.serves(), Some(1), "the declaration is again the one that was overridden");
    world.wish(Wish::Reset).expect("is granted");
    assert_eq!(world.serves(), Some(4));
}

#[test]
fn promoting_what_is_declared_anyway_leaves_no_word_behind() {
    let mut world = three();
    world.promote(2).expect("is granted");
    world.promote(3).expect("is granted");
    assert_eq!(world.model.committed.wishes.serve, None);
    world.put(4, GOOD);
    world.settle();
    assert_eq!(world.serves(), Some(4));
}

#[test]
fn a_rollback_leads_to_the_one_before_and_holds_until_something_newer_comes() {
    let mut world = World::new("", &[(1, GOOD)]);
    for number in [2, 3] {
        world.settle();
        world.put(number, GOOD);
    }
    world.settle();
    world.wish(Wish::Rollback).expect("is granted");
    assert_eq!(world.serves(), Some(2));
    world.pass(Duration::from_secs(3600));
    assert_eq!((world.serves(), world.ready()), (Some(2), vec![2]));
    world.wish(Wish::Rollback).expect("is granted");
    assert_eq!(world.serves(), Some(1));
    assert_eq!(world.wish(Wish::Rollback).expect_err("nothing is left").code, Code::Refused);
    world.restart();
    world.settle();
    assert_eq!(world.serves(), Some(1), "over a restart, too");
    world.put(4, GOOD);
    world.settle();
    assert_eq!(world.serves(), Some(4));
}

#[test]
fn a_rollback_after_promotions_leads_to_the_one_before_the_last() {
    let mut world = three();
    world.promote(1).expect("is granted");
    world.promote(2).expect("is granted");
    world.wish(Wish::Rollback).expect("is granted");
    assert_eq!(world.serves(), Some(1), "and not to the highest, which was there already");
    world.put(4, GOOD);
    world.settle();
    assert_eq!(world.serves(), Some(4));
}

#[test]
fn a_version_that_breaks_callers_does_not_take_over_when_the_one_that_serves_leaves() {
    let breaking = Content { breaks: true, ..GOOD };
    let mut world = World::new("load = \"all\"", &[(1, GOOD), (2, GOOD)]);
    world.settle();
    world.put(3, breaking);
    world.settle();
    assert_eq!(world.serves(), Some(2));
    world.wish(Wish::Unload { version: Some(version(2)) }).expect("is granted");
    assert_eq!(world.serves(), Some(1));
}

#[test]
fn a_version_that_was_rolled_back_is_latest_again_when_promoted_or_changed() {
    let mut world = World::new("", &[(1, GOOD)]);
    world.settle();
    world.put(2, GOOD);
    world.settle();
    world.wish(Wish::Rollback).expect("is granted");
    world.wish(Wish::Reset).expect("is granted");
    assert_eq!(world.serves(), Some(1), "the mark outlives the wishes");
    world.promote(2).expect("is granted");
    assert_eq!(world.serves(), Some(2));
    world.wish(Wish::Rollback).expect("is granted");
    world.wish(Wish::Reset).expect("is granted");
    world.put(2, Content { digest: 9, ..GOOD });
    world.settle();
    assert_eq!(world.serves(), Some(2), "it is another version now");
}

#[test]
fn a_promotion_that_fails_changes_nothing() {
    let mut world = three();
    world.put(4, BAD);
    world.settle();
    let before = world.model.committed.clone();
    assert!(world.promote(4).expect_err("is bad").reason.contains("version 4"));
    assert_eq!((world.serves(), &world.model.committed), (Some(3), &before));
    assert_eq!(world.promote(9).expect_err("is not there").code, Code::UnknownVersion);
}

#[test]
fn an_unloaded_version_is_not_latest_before_it_is_asked_for() {
    let mut world = three();
    world.wish(Wish::Unload { version: Some(version(3)) }).expect("is granted");
    assert_eq!((world.serves(), world.ready()), (Some(2), vec![2]));
    world.restart();
    world.settle();
    assert_eq!(world.serves(), Some(2));
    world.wish(Wish::Load { version: Some(version(3)) }).expect("is granted");
    assert_eq!(world.ready(), [2, 3]);
    world.promote(3).expect("is granted");
    assert_eq!(world.serves(), Some(3));
}

#[test]
fn a_whole_model_leaves_and_comes_back() {
    let mut world = three();
    world.wish(Wish::Unload { version: None }).expect("is granted");
    assert_eq!((world.serves(), world.ready()), (None, vec![]));
    world.put(4, GOOD);
    world.settle();
    world.restart();
    world.settle();
    assert_eq!(world.ready(), Vec::<u64>::new(), "it stays away");
    assert!(world.wish(Wish::Load { version: Some(version(1)) }).is_err());
    world.wish(Wish::Load { version: None }).expect("is granted");
    assert_eq!(world.serves(), Some(4));
}

#[test]
fn pin_and_freeze() {
    let mut world = three();
    world.wish(Wish::Pin { version: Some(version(2)) }).expect("is granted");
    world.put(4, GOOD);
    world.card("serve = 1");
    world.settle();
    assert_eq!(world.serves(), Some(2));
    assert!(world.promote(3).expect_err("is pinned").reason.contains("unpin"));
    world.wish(Wish::Unpin).expect("is granted");
    assert_eq!(world.serves(), Some(1));

    let mut world = three();
    world.promote(2).expect("is granted");
    world.wish(Wish::Freeze).expect("is granted");
    world.put(4, GOOD);
    world.card("serve = 1");
    world.settle();
    assert_eq!(world.serves(), Some(2));
    for wish in [Wish::Reset, Wish::Pin { version: None }, Wish::Load { version: Some(version(4)) }] {
        assert!(world.wish(wish).expect_err("is frozen").reason.contains("unfreeze"));
    }
    world.restart();
    world.settle();
    assert_eq!(world.serves(), Some(2));
    world.wish(Wish::Rollback).expect("is granted all the same");
    assert_eq!(world.serves(), Some(3));
    world.wish(Wish::Unfreeze).expect("is granted");
    assert_eq!(world.serves(), Some(3), "the rollback came after the declaration had changed");
    world.wish(Wish::Reset).expect("is granted");
    assert_eq!(world.serves(), Some(1));
}

#[test]
fn aliases_are_moved_and_taken_away() {
    let alias = |number: Option<u64>| Wish::Alias {
        alias: "champion".into(),
        version: number.map(version),
        allow_breaking: false,
    };
    let mut world = World::new("[aliases]\nchampion = 1", &[(1, GOOD), (2, GOOD), (3, BAD)]);
    world.settle();
    world.wish(alias(Some(2))).expect("is granted");
    assert_eq!(world.model.committed.aliases["champion"], version(2));
    assert!(world.wish(alias(Some(3))).is_err());
    assert_eq!(world.model.committed.aliases["champion"], version(2));
    world.card("[aliases]\nchampion = 1\nother = 1");
    world.settle();
    assert_eq!(world.model.committed.aliases["champion"], version(2), "another alias has changed");
    world.wish(alias(None)).expect("is granted");
    assert!(!world.model.committed.aliases.contains_key("champion"));
    assert_eq!(world.wish(alias(None)).expect_err("is gone").code, Code::UnknownVersion);
    world.wish(Wish::Reset).expect("is granted");
    assert_eq!(world.model.committed.aliases["champion"], version(1));
    let bad = Wish::Alias { alias: "latest".into(), version: Some(version(1)), allow_breaking: false };
    assert_eq!(world.wish(bad).expect_err("is no alias").code, Code::BadRequest);
}

#[test]
fn a_frozen_model_whose_default_is_withdrawn_falls_back_to_what_served_before() {
    let mut world = three();
    world.promote(2).expect("is granted");
    world.wish(Wish::Freeze).expect("is granted");
    world.folder(2, FolderState::Tombstone);
    world.settle();
    assert_eq!(world.serves(), Some(3), "it is loaded still, and served before");
    world.folder(3, FolderState::Tombstone);
    world.settle();
    assert_eq!(world.serves(), None);
}

#[test]
fn what_is_withdrawn_carries_no_other_change_along() {
    let mut world = World::new("serve = 1\nload = \"all\"", &[(1, GOOD), (2, GOOD), (3, GOOD)]);
    world.settle();
    // The card names another version, and before anything is done about it a third one is unloaded.
    world.card("serve = 2\nload = \"all\"");
    let granted = grant(&world.model, &Wish::Unload { version: Some(version(3)) }, "ada");
    let Grant::Now(new) = granted else { panic!("{granted:?}") };
    assert_eq!(
        new.default,
        Some(version(1)),
        "to raise 2 is written before it takes effect, and this is not"
    );
    world.settle();
    assert_eq!(world.serves(), Some(2));
}

#[test]
fn promoting_a_version_that_was_written_over_means_what_is_there_now() {
    let mut world = World::new("on_new = \"hold\"", &[(1, GOOD)]);
    world.settle();
    world.put(1, Content { digest: 7, ..GOOD });
    world.settle();
    assert_eq!(world.model.ready(version(1)).expect("is loaded").digest, "1", "it waits");
    world.promote(1).expect("is granted");
    assert_eq!(world.model.ready(version(1)).expect("is loaded").digest, "7");
    world.put(1, BAD);
    assert!(world.promote(1).is_err());
    assert_eq!((world.serves(), world.ready()), (Some(1), vec![1]), "what does not load changes nothing");
}

#[test]
fn loading_a_model_waits_for_all_that_its_card_wants_and_can_be_had() {
    let mut world = World::new("load = \"all\"", &[(1, BAD), (2, GOOD), (3, GOOD)]);
    world.settle();
    world.wish(Wish::Unload { version: None }).expect("is granted");
    let granted = grant(&world.model, &Wish::Load { version: None }, "ada");
    let Grant::Needs { versions, .. } = granted else { panic!("{granted:?}") };
    assert_eq!(versions, BTreeSet::from([version(2), version(3)]), "1 was tried and does not load");
    world.wish(Wish::Load { version: None }).expect("is granted");
    assert_eq!((world.serves(), world.ready()), (Some(3), vec![2, 3]));
}

#[test]
fn what_callers_were_promised_counts_also_where_its_folder_is_gone() {
    let breaking = Content { breaks: true, ..GOOD };
    let mut world = World::new("", &[(1, GOOD)]);
    world.settle();
    world.put(2, breaking);
    world.settle();
    assert_eq!(world.serves(), Some(1), "2 breaks its callers");
    world.remove(1);
    world.restart();
    world.settle();
    assert_eq!(world.serves(), None);
    assert!(world.target().held[&version(2)].contains("would break callers of version 1"));
    let yes = Wish::Promote { version: version(2), allow_breaking: true };
    world.wish(yes).expect("is granted");
    assert_eq!(world.serves(), Some(2));
}

#[test]
fn what_breaks_callers_waits_also_where_nothing_serves_any_more() {
    let breaking = Content { breaks: true, ..GOOD };
    let mut world = World::new("", &[(1, GOOD)]);
    world.settle();
    world.put(2, breaking);
    world.settle();
    world.wish(Wish::Unload { version: Some(version(1)) }).expect("is granted");
    assert_eq!(world.serves(), None);
    assert!(world.target().held[&version(2)].contains("would break callers of what served"));
    world.put(3, GOOD);
    world.settle();
    assert_eq!(world.serves(), Some(3));
    // Whoever unloads the whole model promises nothing any more.
    world.wish(Wish::Unload { version: None }).expect("is granted");
    world.remove(3);
    world.wish(Wish::Load { version: None }).expect("is granted");
    assert_eq!(world.serves(), Some(2));
}

#[test]
fn an_alias_is_held_against_what_it_stood_for_also_after_a_restart() {
    let breaking = Content { breaks: true, ..GOOD };
    let mut world = World::new("serve = 2\n[aliases]\na = 1", &[(1, GOOD), (2, breaking)]);
    world.settle();
    world.card("serve = 2\n[aliases]\na = 2");
    world.settle();
    assert_eq!(world.model.committed.aliases["a"], version(1), "2 breaks its callers");
    world.restart();
    world.settle();
    assert_eq!((world.serves(), world.model.committed.aliases["a"]), (Some(2), version(1)));
    // What it stood for is gone: nothing is known of its callers any more.
    world.remove(1);
    world.restart();
    world.settle();
    assert_eq!(world.model.committed.aliases["a"], version(2));
}
