//! Made-up rounds whose truth is known.

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Share of one trial's luck that the next one has.
const AUTOCORRELATION: f64 = 0.8;

/// Share of the rounds of which one trial is inflated by half.
const BAD_ROUNDS: f64 = 0.1;

/// A trial of each: the baseline, its A/A twin, the candidate.
const TRIALS: usize = 3;

/// Trials before the first, so that the luck of that one has the spread of later ones.
const WARM_UP: usize = 30;

/// The log-ratios of one claim's rounds.
pub(crate) struct Rounds {
    /// Candidate divided by baseline.
    pub(crate) ratios: Vec<f64>,
    /// Twin divided by baseline.
    pub(crate) twins: Vec<f64>,
}

/// Noise of a claim's rounds.
#[derive(Clone, Copy)]
pub(crate) struct Noise {
    /// Standard deviation of a log-ratio, bad rounds and the order apart.
    pub(crate) spread: f64,
    /// Excess of a trial's logarithm over that of the trial before it in the same round, as if the machine
    /// grew slower and each round began anew.
    pub(crate) drift: f64,
}

/// Draws `rounds` rounds of a candidate whose true ratio is `truth`.
///
/// The luck of trials, in the order of time, is an autoregression with innovations of Student's t with
/// three degrees of freedom. Each round deals it out in a random order.
pub(crate) fn draw(rounds: usize, truth: f64, noise: Noise, random: &mut ChaCha8Rng) -> Rounds {
    // The two trials of a ratio are neighbours in two orders of three, else one apart.
    let apart = |distance: i32| 2.0 * (1.0 - AUTOCORRELATION.powi(distance));
    let of_ratio = (2.0 * apart(1) + apart(2)) / 3.0;
    let of_innovation = (1.0 - AUTOCORRELATION.powi(2)) / 3.0 / of_ratio;
    let scale = noise.spread * of_innovation.sqrt();
    let mut luck = 0.0;
    let mut next = |random: &mut ChaCha8Rng| {
        luck = AUTOCORRELATION * luck + scale * student_of_three(random);
        luck
    };
    for _ in 0..WARM_UP {
        next(random);
    }
    let mut drawn = Rounds {
        ratios: Vec::with_capacity(rounds),
        twins: Vec::with_capacity(rounds),
    };
    for _ in 0..rounds {
        let mut trials: [f64; TRIALS] =
            std::array::from_fn(|place| next(random) + place as f64 * noise.drift);
        if random.random_bool(BAD_ROUNDS) {
            trials[random.random_range(0..TRIALS)] += 1.5_f64.ln();
        }
        trials.shuffle(random);
        let [baseline, twin, candidate] = trials;
        drawn.ratios.push(truth.ln() + candidate - baseline);
        drawn.twins.push(twin - baseline);
    }
    drawn
}

/// The random numbers of page `seed`.
pub(crate) fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Student's t with three degrees of freedom: a normal over the root of a mean of three squares.
fn student_of_three(random: &mut ChaCha8Rng) -> f64 {
    let ((one, two), (three, four)) = (normals(random), normals(random));
    one / ((two * two + three * three + four * four) / 3.0).sqrt()
}

/// Two of them (Box and Muller, 1958).
fn normals(random: &mut ChaCha8Rng) -> (f64, f64) {
    let (one, two): (f64, f64) = (random.random(), random.random());
    let radius = (-2.0 * (1.0 - one).ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::TAU * two).sin_cos();
    (radius * sine, radius * cosine)
}
