//! A check that assumes no distribution: if the arms did not differ, each pair's difference could as
//! well have had the other sign (Fisher, The Design of Experiments, 1935, §21).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Up to this many values every combination of signs is tried: 2^16 of them.
pub const EXACT_UP_TO: usize = 16;

/// What flipping signs found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Permutation {
    /// Share of the combinations whose mean is at least as far from zero as the one measured.
    pub p: f64,
    /// The smallest p that so few values can give: with five of them 1/16.
    pub least: f64,
}

impl Permutation {
    /// Whether it agrees with a difference at `significance`. Fewer than six values cannot reach 5%
    /// by themselves: then all must be on one side.
    pub fn agrees(self, significance: f64) -> bool {
        self.p <= significance.max(self.least * (1.0 + 1e-9))
    }
}

/// The two-sided sign-flip test that `values` are symmetric around zero. Beyond [`EXACT_UP_TO`] it
/// draws 2^16 combinations, and counts the measured one as drawn too (Phipson and Smyth, 2010).
pub fn sign_flip(values: &[f64], seed: u64) -> Permutation {
    let measured = values.iter().sum::<f64>().abs();
    // Sums of the same values in another order differ in their last bits.
    let limit = measured - 1e-12 * values.iter().map(|value| value.abs()).sum::<f64>();
    let combinations = 1_u64 << values.len().min(EXACT_UP_TO);
    let least = 2.0 / 2f64.powi(i32::try_from(values.len()).unwrap_or(i32::MAX));
    if values.len() <= EXACT_UP_TO {
        let far = (0..combinations).filter(|signs| flipped(values, *signs).abs() >= limit);
        let p = far.count() as f64 / combinations as f64;
        return Permutation { p, least };
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let far = (0..combinations).filter(|_| {
        let sum: f64 = values
            .iter()
            .map(|value| if random.random() { -value } else { *value })
            .sum();
        sum.abs() >= limit
    });
    let p = (far.count() + 1) as f64 / (combinations + 1) as f64;
    Permutation { p, least }
}

/// The sum with the signs that the bits of `signs` ask for.
fn flipped(values: &[f64], signs: u64) -> f64 {
    let signed = |(index, value): (usize, &f64)| {
        if signs >> index & 1 == 1 {
            -value
        } else {
            *value
        }
    };
    values.iter().enumerate().map(signed).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Darwin's maize, crossed less self-fertilised, in eighths of an inch, as Fisher (1935) gives
    /// it.
    const MAIZE: [f64; 15] = [
        49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0,
    ];

    #[test]
    fn fishers_own_example_has_fishers_own_answer() {
        // He counted 863 of 2^15 on one side at least as far, and gives 5.267% for both.
        let found = sign_flip(&MAIZE, 1).p;
        assert!((found - 2.0 * 863.0 / 32768.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn values_on_one_side_give_the_least_p_of_their_number() {
        let found = sign_flip(&[0.1, 0.2, 0.3, 0.4, 0.5], 1);
        assert_eq!((found.p, found.least), (2.0 / 32.0, 2.0 / 32.0));
        assert!(found.agrees(0.05));
        assert!(!sign_flip(&[0.1, 0.2, 0.3, 0.4, -0.01], 1).agrees(0.05));
    }

    #[test]
    fn beyond_the_exact_the_drawn_answer_is_near_it() {
        // A pair that is zero changes no sum: exact with the fifteen, drawn with the two more.
        let more: Vec<f64> = MAIZE.into_iter().chain([0.0, 0.0]).collect();
        let (exact, drawn) = (sign_flip(&MAIZE, 1).p, sign_flip(&more, 1).p);
        // Three standard errors of 2^16 draws at p = 0.053.
        assert!((exact - drawn).abs() < 0.003, "{exact} {drawn}");
    }

    #[test]
    fn no_difference_at_all_has_p_one() {
        assert_eq!(sign_flip(&[0.0; 6], 1).p, 1.0);
    }
}
