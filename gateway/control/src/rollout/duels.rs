//! Pairs of examples of numbers, one of each version: which of both answers is farther off.
//!
//! Examples come in the order of their labels, and every two of them are a pair; one that has both versions counts. Which of
//! the two was the candidate's was drawn, so where neither version is worse, it is the candidate that is farther off in a half
//! of such pairs: whatever its share of the traffic, and also where what comes later is harder. A pair counts as an error of
//! the version that is farther off, at a weight of a half, and the tests for errors hold as they are.
//!
//! A version that is hardly ever off, and then by far, is about as often the better one of a pair. That is seen by the sums of
//! squares over as many pairs in a row as are in a bout.

/// Pairs of a bout.
const BOUT: u32 = 16;

/// Who is worse in something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worse {
    /// The version that serves.
    Primary,
    /// The candidate.
    Candidate,
}

/// What a new example decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// Whose answer of a pair is farther off.
    pub(super) pair: Option<Worse>,
    /// Whose sum of squares over a bout is larger.
    pub(super) bout: Option<Worse>,
}

/// The example of a stage that waits for the next one, and the bout that is under way.
#[derive(Debug, Default)]
pub(super) struct Duels {
    /// By how much it is off, and whether it is the candidate's.
    waiting: Option<(f64, bool)>,
    pairs: u32,
    /// The candidate's squares less the other's.
    beyond: f64,
}

/// By the coin where both are alike.
fn worse(difference: f64, coin: bool) -> Worse {
    let is_candidate = if difference == 0.0 { coin } else { difference > 0.0 };
    if is_candidate { Worse::Candidate } else { Worse::Primary }
}

impl Duels {
    /// Takes in by how much an answer is off. The `coin` is independent of it.
    pub(super) fn push(&mut self, off: f64, is_candidate: bool, coin: bool) -> Decided {
        let off = off.abs();
        if !off.is_finite() {
            return Decided::default();
        }
        let Some((before, was_candidate)) = self.waiting.take() else {
            self.waiting = Some((off, is_candidate));
            return Decided::default();
        };
        match (was_candidate, is_candidate) {
            (true, false) => self.fight(before, off, coin),
            (false, true) => self.fight(off, before, coin),
            _ => Decided::default(),
        }
    }

    fn fight(&mut self, candidate: f64, primary: f64, coin: bool) -> Decided {
        self.pairs += 1;
        self.beyond += candidate * candidate - primary * primary;
        let pair = Some(worse(candidate - primary, coin));
        if self.pairs < BOUT {
            return Decided { pair, bout: None };
        }
        let bout = Some(worse(self.beyond, coin));
        (self.pairs, self.beyond) = (0, 0.0);
        Decided { pair, bout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_farther_off_is_told_pair_by_pair() {
        let mut duels = Duels::default();
        assert_eq!(duels.push(0.5, false, true), Decided::default());
        assert_eq!(duels.push(-2.0, true, true).pair, Some(Worse::Candidate));
        assert_eq!(duels.push(0.1, true, true), Decided::default());
        assert_eq!(duels.push(0.2, false, true).pair, Some(Worse::Primary));
        // Two of one version are none.
        assert_eq!([duels.push(9.0, false, true), duels.push(1.0, false, true)], [Decided::default(); 2]);
        // Of what is alike the coin says, and what is no number is not there.
        duels.push(9.0, true, false);
        assert_eq!(duels.push(f64::NAN, false, true), Decided::default());
        assert_eq!(duels.push(9.0, false, false).pair, Some(Worse::Primary));
    }

    #[test]
    fn what_is_off_by_far_now_and_then_loses_bouts_though_not_pairs() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut pairs, mut bouts) = ([0_u32; 2], [0_u32; 2]);
        let mut duels = Duels::default();
        for _ in 0..20_000 {
            let is_candidate = random.bool();
            let rare = is_candidate && random.f64() < 0.1;
            let off = if rare { 100.0 } else { random.f64() - 0.5 };
            let decided = duels.push(off, is_candidate, random.bool());
            for (sums, who) in [(&mut pairs, decided.pair), (&mut bouts, decided.bout)] {
                if let Some(who) = who {
                    sums[usize::from(who == Worse::Candidate)] += 1;
                }
            }
        }
        let share = |sums: [u32; 2]| f64::from(sums[1]) / f64::from(sums[0] + sums[1]);
        assert!((0.5..0.6).contains(&share(pairs)), "{pairs:?}");
        assert!(share(bouts) > 0.75 && bouts[0] + bouts[1] > 200, "{bouts:?}");
    }

    #[test]
    fn where_both_are_alike_either_is_worse_as_often_also_where_it_becomes_harder() {
        for weight in [0.01, 0.5, 0.9] {
            let mut random = fastrand::Rng::with_seed(7);
            let (mut duels, mut candidate, mut all) = (Duels::default(), 0_u32, 0_u32);
            for at in 0..300_000 {
                // So much harder with each that the later one of a pair is nearly always the worse one.
                let off = f64::from(at) + random.f64();
                let decided = duels.push(off, random.f64() < weight, random.bool());
                all += u32::from(decided.pair.is_some());
                candidate += u32::from(decided.pair == Some(Worse::Candidate));
            }
            let (share, error) = (f64::from(candidate) / f64::from(all), 0.5 / f64::from(all).sqrt());
            assert!((share - 0.5).abs() < 5.0 * error, "{weight}: {share} of {all}");
        }
    }
}
