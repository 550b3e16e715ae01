//! Which units were seen in a rollout, and what of: so that each of them counts once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// What can be seen of a unit, each a bit: for the first time in the rollout, and for the first time with the candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(u32);

impl Marks {
    pub(crate) const SEEN: Self = Self(1);
    pub(crate) const ERRED: Self = Self(1 << 1);
    pub(crate) const INVALID: Self = Self(1 << 2);
    pub(crate) const CLASSED: Self = Self(1 << 3);
    /// Over the first threshold; the next ones follow.
    pub(crate) const SLOW: Self = Self(1 << 4);
    /// A label proved it wrong.
    pub(crate) const WRONG: Self = Self(1 << 7);
    /// A label came. It stands behind the stage, as the bits before that are taken.
    pub(crate) const LABELLED: Self = Self(1 << 22);
    /// The bits of the stage, for which there are fewer than 2^6.
    const STAGE: u32 = 0x3f << 16;
    /// All that can be seen of a unit.
    const ALL: Self = Self(!Self::STAGE);

    /// The mark of the threshold of this number, below 3.
    pub(crate) fn slow(threshold: usize) -> Self {
        Self(Self::SLOW.0 << threshold)
    }

    /// The same with the candidate alone.
    pub(crate) fn of_candidate(self) -> Self {
        Self(self.0 << 8)
    }

    fn assigned_at(self) -> Option<usize> {
        (((self.0 & Self::STAGE) >> 16) as usize).checked_sub(1)
    }

    fn with_stage(self, stage: usize) -> Self {
        Self(self.0 & !Self::STAGE | ((stage as u32 + 1) << 16) & Self::STAGE)
    }
}

/// Hashes that are even by themselves.
#[derive(Clone, Copy, Default)]
pub(crate) struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Units are written as one number; whatever else comes is folded in.
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        // Those that count have low bits in common where half of them is left out.
        self.0 = number.rotate_left(32);
    }
}

/// A set of units of a bounded size.
///
/// Where there are more than it holds, half of them is left out from then on: which half is a function of their hashes
/// alone, that is independent of arm and answer, so that what is counted goes on being a fair sample of both arms.
#[derive(Debug)]
pub(crate) struct Units {
    max: usize,
    marks: HashMap<u64, Marks, BuildHasherDefault<Plain>>,
    /// A unit counts where none of these bits, from the lowest up, is set in its hash.
    left_out: u64,
    /// Units whose marks changed since they were written last, with these; a unit as often as its marks did.
    changed: Vec<(u64, Marks)>,
}

impl Units {
    /// Bytes of a unit as it is written.
    pub(crate) const WRITTEN: usize = 12;

    /// Room for so many.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, marks: HashMap::default(), left_out: 0, changed: Vec::new() }
    }

    /// Whether a unit counts.
    pub(crate) fn count(&self, unit: u64) -> bool {
        unit & self.left_out == 0
    }

    /// Marks a unit that counts, at a stage. Gives its marks of before, and the stage at which it was assigned last.
    pub(crate) fn mark(&mut self, unit: u64, marks: Marks, stage: usize) -> (Marks, Option<usize>) {
        let before = match self.marks.entry(unit) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(_) => {
                self.make_room();
                if !self.count(unit) {
                    // It is of the half that is left out from now on: as if it were known with everything.
                    return (Marks::ALL, Some(stage));
                }
                Marks::default()
            }
        };
        let after = Marks(before.0 | marks.0).with_stage(stage);
        if after != before {
            self.marks.insert(unit, after);
            self.changed.push((unit, after));
        }
        (before, before.assigned_at())
    }

    /// Marks a unit with what was learned of it later, whatever stage it was assigned at since. Gives its marks of before.
    pub(crate) fn learn(&mut self, unit: u64, marks: Marks) -> Marks {
        let before = match self.marks.get(&unit) {
            Some(marks) => *marks,
            None => {
                self.make_room();
                if !self.count(unit) {
                    return Marks::ALL;
                }
                Marks::default()
            }
        };
        let after = before.and(marks);
        if after != before {
            self.marks.insert(unit, after);
            self.changed.push((unit, after));
        }
        before
    }

    fn make_room(&mut self) {
        while self.marks.len() >= self.max {
            self.left_out = self.left_out << 1 | 1;
            let left_out = self.left_out;
            self.marks.retain(|unit, _| unit & left_out == 0);
        }
    }

    /// Units whose marks changed since the last time, in that order.
    pub(crate) fn take_changed(&mut self) -> Vec<(u64, Marks)> {
        std::mem::take(&mut self.changed)
    }

    /// Writes units down, each once with its last marks.
    pub(crate) fn write(mut changed: Vec<(u64, Marks)>, into: &mut Vec<u8>) {
        // Equal ones stay in their order.
        changed.sort_by_key(|(unit, _)| *unit);
        for same in changed.chunk_by(|(one, _), (other, _)| one == other) {
            if let Some((unit, marks)) = same.last() {
                into.extend_from_slice(&unit.to_le_bytes());
                into.extend_from_slice(&marks.0.to_le_bytes());
            }
        }
    }

    /// Takes in one that was written down.
    pub(crate) fn know(&mut self, unit: u64, marks: Marks) {
        if !self.marks.contains_key(&unit) {
            self.make_room();
        }
        if self.count(unit) {
            self.marks.insert(unit, marks);
        }
    }

    /// The units that were written down, in the order in which they were.
    pub(crate) fn read(written: &[u8]) -> impl Iterator<Item = (u64, Marks)> {
        written.chunks_exact(Self::WRITTEN).filter_map(|chunk| {
            let (unit, marks) = chunk.split_first_chunk::<8>()?;
            Some((u64::from_le_bytes(*unit), Marks(u32::from_le_bytes(*marks.first_chunk()?))))
        })
    }
}

impl Marks {
    /// Whether it has all of these.
    pub(crate) fn has(self, marks: Self) -> bool {
        self.0 & marks.0 == marks.0
    }

    /// Both.
    pub(crate) fn and(self, marks: Self) -> Self {
        Self(self.0 | marks.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_seen_once_and_assigned_once_in_a_stage() {
        let mut units = Units::new(8);
        assert_eq!(units.mark(7, Marks::SEEN, 0), (Marks::default(), None));
        let (before, stage) = units.mark(7, Marks::ERRED, 0);
        assert!(before.has(Marks::SEEN) && !before.has(Marks::ERRED));
        assert_eq!(stage, Some(0));
        let (before, stage) = units.mark(7, Marks::ERRED.of_candidate(), 1);
        assert!(before.has(Marks::SEEN.and(Marks::ERRED)) && !before.has(Marks::ERRED.of_candidate()));
        assert_eq!((stage, units.mark(7, Marks::SEEN, 1).1), (Some(0), Some(1)));
        assert!(Marks::slow(2) != Marks::slow(1) && !Marks::slow(2).has(Marks::CLASSED));
    }

    #[test]
    fn what_is_learned_later_leaves_the_stage_as_it_is() {
        let mut units = Units::new(8);
        units.mark(7, Marks::SEEN, 31);
        let learned = Marks::LABELLED.and(Marks::WRONG);
        let of_candidate = learned.and(learned.of_candidate());
        assert!(!units.learn(7, of_candidate).has(Marks::LABELLED));
        let before = units.learn(7, learned);
        assert!(before.has(learned) && before.has(learned.of_candidate()) && before.has(Marks::SEEN));
        assert!(!before.has(Marks::ERRED.of_candidate()) && !before.has(Marks::slow(2)));
        assert_eq!(units.mark(7, Marks::SEEN, 31).1, Some(31));
        assert!(!units.learn(8, learned).has(Marks::SEEN));
        let mut full = Units::new(2);
        for unit in [0, 2] {
            full.learn(unit, learned);
        }
        assert!(full.learn(5, learned).has(learned.of_candidate()), "as if it were known with everything");
    }

    #[test]
    fn past_the_limit_a_half_is_left_out_whatever_was_seen_of_it() {
        let mut random = fastrand::Rng::with_seed(11);
        let mut units = Units::new(1000);
        let all: Vec<u64> = (0..10_000).map(|_| random.u64(..)).collect();
        for unit in &all {
            if units.count(*unit) {
                units.mark(*unit, Marks::SEEN, 0);
            }
        }
        assert!((400..=1000).contains(&units.marks.len()), "{}", units.marks.len());
        let counted = all.iter().filter(|unit| units.count(**unit)).count();
        // All that counted when it was seen is known, and of what counts now hardly any came before it did.
        assert_eq!(units.marks.len(), counted);
        // One that makes room and is left out itself says nothing new.
        let mut full = Units::new(2);
        for unit in [0, 2, 5] {
            full.mark(unit, Marks::SEEN, 0);
        }
        assert_eq!((full.left_out, full.count(0), full.count(5)), (3, true, false));
        assert!(full.mark(5, Marks::ERRED, 0).0.has(Marks::SEEN));
    }

    #[test]
    fn what_is_written_is_known_again() {
        let mut units = Units::new(100);
        units.mark(3, Marks::SEEN, 2);
        units.mark(4, Marks::ERRED, 1);
        units.mark(3, Marks::INVALID, 2);
        let mut written = Vec::new();
        Units::write(units.take_changed(), &mut written);
        assert_eq!(written.len(), 2 * Units::WRITTEN);
        assert!(units.take_changed().is_empty());
        let mut read = Units::new(100);
        Units::read(&written).for_each(|(unit, marks)| read.know(unit, marks));
        let (before, stage) = read.mark(3, Marks::SEEN, 2);
        assert!(before.has(Marks::SEEN.and(Marks::INVALID)));
        assert_eq!(stage, Some(2));
        // Of a unit that was written again the last marks count.
        let twice = [Units::read(&written).collect::<Vec<_>>(), vec![(3, Marks::SEEN)]].concat();
        written.clear();
        Units::write(twice, &mut written);
        assert_eq!(Units::read(&written).find(|(unit, _)| *unit == 3), Some((3, Marks::SEEN)));
        // What breaks off is as if it were not there.
        assert_eq!(Units::read(&written[..15]).count(), 1);
    }
}
