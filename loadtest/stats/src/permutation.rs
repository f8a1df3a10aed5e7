//! A check that assumes no distribution.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::median;

/// Up to this many values every combination of signs is tried: 2^14 of them.
pub const EXACT_UP_TO: usize = 14;

/// Combinations that are drawn of more values. At a p of 5% the draw varies by 0.3%.
const DRAWS: u64 = 1 << 12;

/// Any: it is fixed, so that the same rounds always give the same p, and swapped variants too.
const SEED: u64 = 1935;

/// The two-sided p of the sign-flip test that `values` are symmetric around zero: the share of all
/// combinations of signs whose sum is at least as far from zero as the one measured (Fisher, The
/// Design of Experiments, 1935, §21). Of more than [`EXACT_UP_TO`] values some combinations are
/// drawn, and the measured one counts as drawn too (Phipson and Smyth, 2010).
pub fn sign_flip(values: &[f64]) -> f64 {
    let measured = values.iter().sum::<f64>().abs();
    // Sums of the same values in another order differ in their last bits.
    let limit = measured - 1e-9 * values.iter().map(|value| value.abs()).sum::<f64>();
    if values.len() <= EXACT_UP_TO {
        exact(values, limit)
    } else {
        drawn(values, limit)
    }
}

/// The share of all combinations whose sum is at least `limit` from zero. A combination and its
/// opposite are equally far, so the last sign stays; of the others each combination differs from the
/// one before in one sign (Gray's code).
fn exact(values: &[f64], limit: f64) -> f64 {
    let combinations = 1_u32 << values.len().saturating_sub(1);
    let mut signed = values.to_vec();
    let mut sum: f64 = values.iter().sum();
    let mut far = u32::from(sum.abs() >= limit);
    for combination in 1..combinations {
        let flipped = &mut signed[combination.trailing_zeros() as usize];
        sum -= 2.0 * *flipped;
        *flipped = -*flipped;
        far += u32::from(sum.abs() >= limit);
    }
    f64::from(far) / f64::from(combinations)
}

/// The same share of [`DRAWS`] combinations and the one measured. Each draw adds up a sum for every
/// eight values, of the 256 that these can have.
fn drawn(values: &[f64], limit: f64) -> f64 {
    let sums: Vec<[f64; 256]> = values.chunks(8).map(signed_sums).collect();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut signs = vec![0; sums.len()];
    let mut far = 1;
    for _ in 0..DRAWS {
        random.fill_bytes(&mut signs);
        let drawn = sums.iter().zip(&signs);
        let sum: f64 = drawn.map(|(sums, signs)| sums[usize::from(*signs)]).sum();
        far += u64::from(sum.abs() >= limit);
    }
    far as f64 / (DRAWS + 1) as f64
}

/// The sum of up to eight values with every combination of signs.
fn signed_sums(values: &[f64]) -> [f64; 256] {
    let is_flipped = |signs: usize, place: usize| signs >> place & 1 == 1;
    std::array::from_fn(|signs| {
        let signed = values.iter().enumerate().map(|(place, value)| {
            if is_flipped(signs, place) {
                -value
            } else {
                *value
            }
        });
        signed.sum()
    })
}

/// `values` with none further from zero than the median one. A bad round then counts no more than
/// others do, so that it cannot carry the check away. The bound does not depend on signs, so
/// [`sign_flip`] stays exact.
///
/// The trimmed mean itself would be no check for few rounds: it does not notice a few signs, and the
/// least p that six rounds could give is 22%.
pub fn clipped(values: &[f64]) -> Vec<f64> {
    let bound = median(values.iter().map(|value| value.abs()).collect()).unwrap_or(0.0);
    let clip = |value: &f64| value.abs().min(bound).copysign(*value);
    values.iter().map(clip).collect()
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
        let found = exact(&MAIZE, MAIZE.iter().sum());
        assert!((found - 2.0 * 863.0 / 32768.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn values_on_one_side_give_the_least_p_of_their_number() {
        assert_eq!(sign_flip(&[0.1, 0.2, 0.3, 0.4, 0.5]), 2.0 / 32.0);
        assert_eq!(sign_flip(&[-0.1; 6]), 2.0 / 64.0);
    }

    #[test]
    fn beyond_the_exact_the_drawn_answer_is_near_it() {
        // Fisher's answer is exact; three standard errors of 2^12 draws at p = 0.053.
        let found = sign_flip(&MAIZE);
        assert!((found - 2.0 * 863.0 / 32768.0).abs() < 0.0105, "{found}");
    }

    #[test]
    fn no_difference_at_all_has_p_one() {
        assert_eq!(sign_flip(&[0.0; 6]), 1.0);
        assert_eq!(sign_flip(&[]), 1.0);
    }

    #[test]
    fn one_bad_round_does_not_carry_the_check_away() {
        let mut rounds = [0.2; 10];
        rounds[3] = -2.0;
        assert!(sign_flip(&rounds) > 0.5);
        // One sign of ten is wrong: 11 combinations of 1,024 are as far, on each side.
        assert_eq!(sign_flip(&clipped(&rounds)), 22.0 / 1024.0);
    }
}
