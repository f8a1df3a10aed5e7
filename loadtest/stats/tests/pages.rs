//! Thousands of made-up pages of thirty claims whose truth is known: how often a page is wrong.
//!
//! The noise is worse than the method assumes: Student's t with three degrees of freedom, one round in
//! ten with a trial inflated by half, an autocorrelation of 0.8 between consecutive trials. A page
//! stops as a run does: each claim of its headline by itself, as soon as it is decided, the first one only when it
//! is narrow as well.
//!
//! `cargo test -p stats --test pages -- --nocapture` prints the shares.

#[path = "pages/page.rs"]
mod page;
#[path = "pages/world.rs"]
mod world;

use page::{BUDGET, HEADLINE, Page, World, judge, looks};
use stats::{Decision, Family, Look, Trimmed};
use world::{Noise, Rounds, draw, random};

/// Pages of each world.
const PAGES: u64 = 2000;

/// A quiet machine's spread from round to round, and those of a busy one and of other measures.
const QUIET: f64 = 0.015;
const SPREADS: &[f64] = &[0.015, 0.015, 0.03, 0.05, 0.01];

const NULL: World = World {
    truths: &[1.0],
    spreads: SPREADS,
    drift: 0.0,
    budget: BUDGET,
};

/// The least ratio of which "no difference" is false.
const MARGIN: World = World {
    truths: &[1.05, 1.0 / 1.05],
    ..NULL
};

/// Some differ much, some little, some not; the first two are the headline.
const MIXED: World = World {
    truths: &[1.2, 1.1, 1.02, 1.0, 1.05, 1.0 / 1.2, 1.0],
    ..NULL
};

/// The budget ends between two scheduled looks.
const SHORT: World = World { budget: 12, ..NULL };

/// A quiet machine that grows slower within each round, by more than the noise: what comes later in
/// the order loses.
const DRIFT: World = World {
    drift: 0.02,
    ..NULL
};

fn noise(spread: f64) -> Noise {
    Noise { spread, drift: 0.0 }
}

fn pages(world: World) -> Vec<Page> {
    (0..PAGES).map(|seed| world.page(seed)).collect()
}

/// The share of `found` among `of`.
fn share(found: usize, of: usize) -> f64 {
    found as f64 / of as f64
}

/// Asserts what pages promise, with room for chance: of counts as high as these, the true shares are
/// still below 1% and 5% with a confidence of 95% (Clopper and Pearson, 1934: 0.85% and 4.8%).
fn holds(name: &str, world: World) {
    let pages = pages(world);
    let headline = pages
        .iter()
        .filter(|page| page.has_false_headline())
        .count();
    let any = pages.iter().filter(|page| page.has_false_claim()).count();
    let claims: Vec<_> = pages.iter().flat_map(|page| &page.claims).collect();
    let held = claims.iter().filter(|(truth, judged)| {
        judged
            .estimate
            .is_some_and(|estimate| estimate.interval.contains(*truth))
    });
    let coverage = share(held.count(), claims.len());
    let rounds: usize = pages.iter().map(|page| page.look.rounds).sum();
    println!(
        "{name}: of {PAGES} pages {headline} with a false headline, {any} with any false claim; the \
         95% intervals hold {coverage:.4}; {:.1} rounds",
        share(rounds, pages.len())
    );
    assert!(headline <= 10, "{name}: {headline} false headlines");
    assert!(any <= 80, "{name}: {any} pages with a false claim");
    assert!(coverage >= 0.93, "{name}: coverage {coverage}");
}

#[test]
fn pages_on_which_nothing_differs_are_right() {
    holds("nothing differs", NULL);
    holds("a short budget", SHORT);
}

#[test]
fn pages_on_which_only_the_order_makes_a_difference_are_right() {
    holds("drift within rounds", DRIFT);
}

#[test]
fn pages_on_which_all_differs_by_the_margin_are_right() {
    holds("all at the margin", MARGIN);
}

#[test]
fn pages_on_which_some_differ_are_right() {
    holds("differences mixed", MIXED);
}

/// The share of runs that say `wanted` of one claim of the headline by each look, asserting that it
/// is at least `least` after some rounds.
fn says(wanted: Decision, truth: f64, spread: f64, (rounds, least): (usize, f64)) {
    let family = Family::Headline { claims: HEADLINE };
    let drawn: Vec<_> = (0..PAGES)
        .map(|seed| draw(BUDGET, truth, noise(spread), &mut random(seed)))
        .collect();
    let shares: Vec<(usize, f64)> = looks(BUDGET)
        .map(|look| {
            let said = drawn
                .iter()
                .filter(|run| judge(run, look, family).decision == wanted);
            (look.rounds, share(said.count(), drawn.len()))
        })
        .collect();
    println!("a ratio of {truth}, spread of {spread}: {wanted:?} {shares:.2?}");
    let by_then = shares.iter().rfind(|(at, _)| *at <= rounds);
    let found = by_then.map_or(0.0, |(_, share)| *share);
    assert!(
        found >= least,
        "{wanted:?} of {truth} after {rounds}: {found}"
    );
}

#[test]
fn differences_and_their_absence_are_found_within_the_budget() {
    says(Decision::NoDifference, 1.0, QUIET, (14, 0.9));
    says(Decision::NoDifference, 1.0, 0.03, (24, 0.9));
    says(Decision::Difference, 1.2, QUIET, (9, 0.9));
    says(Decision::Difference, 1.2, 0.05, (9, 0.85));
    says(Decision::Difference, 1.1, QUIET, (14, 0.9));
    says(Decision::Difference, 1.1, 0.03, (14, 0.9));
}

/// Whoever stops at the first interval of a headline without 1: here neither the floor nor the flipped
/// signs help.
#[test]
fn a_price_that_is_not_paid_shows() {
    let level = Family::Headline { claims: HEADLINE }.level();
    let excludes = |rounds: &Rounds, look: Look, level: f64| {
        let trimmed = Trimmed::of(&rounds.ratios[..look.rounds]);
        trimmed.is_some_and(|trimmed| !trimmed.interval(level).contains(0.0))
    };
    let wrong = |paid: bool| {
        let runs = (0..10 * PAGES).filter(|seed| {
            let mut luck = random(*seed);
            let headline: [_; HEADLINE] =
                std::array::from_fn(|_| draw(BUDGET, 1.0, noise(QUIET), &mut luck));
            let found = |look: Look| {
                let level = if paid { level * look.share() } else { level };
                headline.iter().any(|rounds| excludes(rounds, look, level))
            };
            looks(BUDGET).any(found)
        });
        share(runs.count(), 10 * PAGES as usize)
    };
    let (paid, naive) = (wrong(true), wrong(false));
    println!("stopping at the first interval without 1: paid {paid:.4}, not paid {naive:.4}");
    assert!(paid <= 0.01, "{paid}");
    assert!(naive > 0.01, "{naive}");
}
