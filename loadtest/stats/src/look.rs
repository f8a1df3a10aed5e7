//! The price of looking at the same claim more than once.

/// One look at the data, after some rounds.
///
/// Whoever looks repeatedly and stops at what looks good is wrong more often than one look is. Each
/// look therefore spends a part of the level, and the parts sum to at most one: look k spends
/// 1/(k(k+1)) of it, half at the first. By the union bound the intervals of all looks then hold at
/// once, whatever depends on what and whenever the run stops, without a number of looks fixed in
/// advance: repeated confidence intervals (Jennison and Turnbull, JRSS B 51(3), 1989). Spending most
/// at first costs later intervals little, as t changes slowly with the level, and early ones need it,
/// as they have few degrees of freedom.
///
/// Looks are scheduled after 6 rounds, 9, 14, 19, 24, 34, 44, 59 and so on: after the first number
/// that leaves a remainder of four by five and is a quarter more. One round more, and the trimmed
/// mean would leave out two rounds more: the degrees of freedom are at their best just before.
///
/// The last look may come at any time, when the budget ends, and takes the number that the next
/// scheduled one would have had. The bound does not hold for a run that goes on after its last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which look it is, from 1.
    pub number: u32,
    /// Rounds that were run until then, valid or not.
    pub rounds: usize,
}

impl Look {
    /// The look after `rounds`: a scheduled one, or else the last one.
    pub fn at(rounds: usize) -> Self {
        let earlier = Self::schedule().take_while(|scheduled| *scheduled < rounds);
        Self {
            number: earlier.map(|_| 1).sum::<u32>() + 1,
            rounds,
        }
    }

    /// The rounds after which looks are scheduled, without end.
    pub fn schedule() -> impl Iterator<Item = usize> {
        std::iter::successors(Some(6_usize), |rounds| {
            let least = (rounds * 5).div_ceil(4);
            Some(least + (9 - least % 5) % 5)
        })
    }

    /// Returns true if a look is scheduled after `rounds`.
    pub fn is_scheduled(rounds: usize) -> bool {
        Self::schedule().find(|scheduled| *scheduled >= rounds) == Some(rounds)
    }

    /// The rounds after which the first look beyond `rounds` is scheduled.
    pub fn next_after(rounds: usize) -> usize {
        let mut beyond = Self::schedule().skip_while(|scheduled| *scheduled <= rounds);
        // The schedule has no end.
        beyond.next().unwrap_or(usize::MAX)
    }

    /// The part of a level that this look spends.
    pub fn share(self) -> f64 {
        let number = f64::from(self.number.max(1));
        1.0 / (number * (number + 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_scheduled_just_before_two_more_rounds_are_trimmed() {
        let looks: Vec<usize> = Look::schedule().take(10).collect();
        assert_eq!(looks, [6, 9, 14, 19, 24, 34, 44, 59, 74, 94]);
        assert_eq!([0, 6, 8, 9].map(Look::next_after), [6, 9, 9, 14]);
        assert!(looks.into_iter().all(Look::is_scheduled));
        assert!(![0, 5, 7, 8, 10].into_iter().any(Look::is_scheduled));
    }

    #[test]
    fn a_look_between_two_scheduled_ones_is_the_last_and_takes_the_next_number() {
        for (rounds, number) in [(2, 1), (6, 1), (7, 2), (9, 2), (10, 3), (24, 5), (25, 6)] {
            assert_eq!(Look::at(rounds).number, number, "after {rounds}");
        }
    }

    #[test]
    fn all_looks_together_spend_no_more_than_the_level() {
        let share = |number| Look { number, rounds: 0 }.share();
        assert_eq!((share(1), share(2), share(3)), (0.5, 1.0 / 6.0, 1.0 / 12.0));
        let spent: f64 = (1..10_000).map(share).sum();
        assert!(spent < 1.0 && spent > 0.999, "{spent}");
    }
}
