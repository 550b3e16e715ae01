//! Where the arms of an experiment begin.

use crate::document::{ArmEntry, Experiment};
use crate::finding::Findings;
use crate::share::Share;

/// Gives every arm an anchor, and reports arms that overlap.
pub(super) fn settle(
    key: &str,
    experiment: &mut Experiment,
    before: Option<&Experiment>,
    findings: &mut Findings,
) {
    let arms = &mut experiment.arms;
    for arm in arms.iter_mut().filter(|arm| arm.anchor.is_none()) {
        let known = before.and_then(|before| before.arms.iter().find(|known| known.name == arm.name));
        arm.anchor = known.and_then(|known| known.anchor);
    }
    if arms.iter().all(|arm| arm.anchor.is_none()) {
        spread(arms);
    }
    for at in 0..arms.len() {
        if arms[at].anchor.is_some() {
            continue;
        }
        let Some(anchor) = place(arms, arms[at].weight) else {
            let what = format!("= {}, and no gap between the other arms is as wide", arms[at].weight);
            findings.report(
                &format!("{key}.arms[{at}].weight"),
                what,
                "lower the weights of others, or this one",
            );
            continue;
        };
        arms[at].anchor = Share::new(anchor);
    }
    overlaps(key, arms, findings);
}

/// From where to where an arm goes, in ten-thousandths.
fn interval(arm: &ArmEntry) -> Option<(u16, u16)> {
    let start = arm.anchor?.ten_thousandths();
    Some((start, start + arm.weight.ten_thousandths()))
}

/// Anchors for arms that are all new: the first at 0, each with room to grow by the same factor. An arm of no weight
/// counts like one of 0.01 %, where there is room for that.
fn spread(arms: &mut [ArmEntry]) {
    let sum =
        |least: u16| arms.iter().map(|arm| u32::from(arm.weight.ten_thousandths().max(least))).sum::<u32>();
    let least = u16::from(sum(1) <= u32::from(Share::WHOLE));
    let sum = sum(least);
    let mut before = 0;
    for arm in arms {
        let anchor = before * u32::from(Share::WHOLE) / sum;
        arm.anchor = u16::try_from(anchor).ok().and_then(Share::new);
        before += u32::from(arm.weight.ten_thousandths().max(least));
    }
}

/// An anchor for an arm of that weight beside those that have one: the middle of the widest gap, so that the arm before
/// it can grow as well, or as near to it as the weight allows.
fn place(arms: &[ArmEntry], weight: Share) -> Option<u16> {
    let mut taken: Vec<(u16, u16)> = arms.iter().filter_map(interval).collect();
    taken.sort_unstable();
    let mut end = 0;
    let mut widest = (0, 0);
    for (start, last) in taken.into_iter().chain([(Share::WHOLE, Share::WHOLE)]) {
        if start.saturating_sub(end) > widest.1 - widest.0 {
            widest = (end, start);
        }
        end = end.max(last);
    }
    let room = (widest.1 - widest.0).checked_sub(weight.ten_thousandths())?;
    Some(widest.0 + room.min((widest.1 - widest.0) / 2))
}

fn overlaps(key: &str, arms: &[ArmEntry], findings: &mut Findings) {
    let mut placed: Vec<(u16, u16, usize)> = Vec::new();
    for (at, arm) in arms.iter().enumerate() {
        let Some((start, end)) = interval(arm) else { continue };
        if end > Share::WHOLE {
            let what = format!(
                "= {}, and its anchor {} leaves less",
                arm.weight,
                Share::new(start).unwrap_or_default()
            );
            let remedy = "lower it, or give the arm a smaller anchor, which moves its units";
            findings.report(&format!("{key}.arms[{at}].weight"), what, remedy);
        }
        placed.push((start, end, at));
    }
    placed.retain(|(start, end, _)| end > start);
    placed.sort_unstable();
    for pair in placed.windows(2) {
        let ((_, end, first), (start, _, second)) = (pair[0], pair[1]);
        if start < end {
            let what = format!(
                "= {}, and reaches into arm {:?}, which begins at {}",
                arms[first].weight,
                arms[second].name,
                Share::new(start).unwrap_or_default()
            );
            let remedy =
                "lower it: an arm has room up to the next anchor, or give anchors with a new salt_version";
            findings.report(&format!("{key}.arms[{first}].weight"), what, remedy);
        }
    }
}
