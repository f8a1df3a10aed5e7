//! A thousand made-up runs whose truth is known: how often the verdict is wrong about them.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Estimate, Finding, Floor, bootstrap, judge};
use crate::plan::Extent;

const RUNS: u64 = 1000;

/// Fewer than a report takes: the ends vary a little more, and the tests stay quick.
const RESAMPLES: usize = 200;

/// How one pair's logarithm varies around the truth.
type Noise = fn(&mut ChaCha8Rng) -> f64;

/// Pairs of a quiet machine: 4% from pair to pair.
fn quiet(random: &mut ChaCha8Rng) -> f64 {
    0.04 * normal(random)
}

/// One pair in ten is off by a lot, as when another program wakes up: 4%, and then 30%.
fn disturbed(random: &mut ChaCha8Rng) -> f64 {
    let spread = if random.random_bool(0.1) { 0.3 } else { 0.04 };
    spread * normal(random)
}

/// Mostly a little quicker, now and then much slower: an exponential around its mean.
fn skewed(random: &mut ChaCha8Rng) -> f64 {
    let uniform: f64 = random.random();
    0.1 * (-(1.0 - uniform).ln() - 1.0)
}

/// Box and Muller (1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (one, two): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * two).cos()
}

fn estimate(truth: f64, pairs: usize, noise: Noise, random: &mut ChaCha8Rng) -> Estimate {
    let ratios: Vec<f64> = (0..pairs).map(|_| truth * noise(random).exp()).collect();
    Estimate::resampled(&ratios, RESAMPLES, random.random()).unwrap()
}

/// The pairs of quick mode: of its A/A, and of what stands on it.
fn quick() -> (usize, usize) {
    let Extent {
        aa_pairs,
        open_pairs,
        ..
    } = Extent::QUICK;
    (aa_pairs as usize, open_pairs as usize)
}

/// Runs with so many pairs of an A/A of their own, and a comparison whose true ratio is `truth`.
fn runs(
    truth: f64,
    (aa_pairs, pairs): (usize, usize),
    noise: Noise,
) -> impl Iterator<Item = (Estimate, Finding)> {
    (0..RUNS).map(move |seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let aa = estimate(1.0, aa_pairs, noise, &mut random);
        let compared = estimate(truth, pairs, noise, &mut random);
        let floor = Floor::of(aa.interval);
        let finding = judge(&compared, Some(floor), compared.p);
        (compared, finding)
    })
}

fn share(count: usize) -> f64 {
    count as f64 / RUNS as f64
}

#[test]
fn where_nothing_differs_a_difference_is_claimed_less_than_once_in_two_hundred_runs() {
    // Ten runs of ten without a false claim then come 19 times of 20.
    for (name, noise) in [
        ("quiet", quiet as Noise),
        ("disturbed", disturbed),
        ("skewed", skewed),
    ] {
        for pairs in [(3, 3), (4, 6), quick(), (10, 10)] {
            let wrong = runs(1.0, pairs, noise)
                .filter(|(_, finding)| *finding == Finding::Difference)
                .count();
            assert!(
                share(wrong) < 0.005,
                "{name}, {pairs:?} pairs: {wrong} of {RUNS}"
            );
        }
    }
}

#[test]
fn the_interval_holds_the_truth_as_often_as_it_says_where_the_bootstrap_alone_does_not() {
    for pairs in [3, 5, 10] {
        let held = runs(1.2, (pairs, pairs), quiet)
            .filter(|(estimate, _)| estimate.interval.contains(1.2))
            .count();
        assert!(share(held) > 0.94, "{pairs} pairs: {held} of {RUNS}");
    }
    let alone = (0..RUNS).filter(|seed| {
        let mut random = ChaCha8Rng::seed_from_u64(*seed);
        let logs: Vec<f64> = (0..3).map(|_| quiet(&mut random)).collect();
        bootstrap(&logs, RESAMPLES, *seed).contains(0.0)
    });
    let alone = alone.count();
    assert!(share(alone) < 0.85, "{alone} of {RUNS}");
}

#[test]
fn a_fifth_more_work_is_found_by_the_pairs_of_quick_mode() {
    let found = runs(1.2, quick(), quiet)
        .filter(|(estimate, finding)| *finding == Finding::Difference && estimate.ratio > 1.0)
        .count();
    assert!(share(found) > 0.9, "{found} of {RUNS}");
}

#[test]
fn ten_pairs_of_a_quiet_machine_say_no_difference_where_there_is_none() {
    let said = runs(1.0, (10, 10), |random| quiet(random) / 2.0)
        .filter(|(_, finding)| *finding == Finding::NoDifference)
        .count();
    assert!(share(said) > 0.95, "{said} of {RUNS}");
}
