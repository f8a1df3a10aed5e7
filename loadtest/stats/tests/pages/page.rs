//! One page of thirty claims. Each claim of the headline is measured until it is decided, the first one to within
//! the margin of an equivalence besides, or until the budget is spent; the others as long as any of them.

use stats::{Claim, Decision, EQUIVALENCE, Family, Judgement, Look};

use crate::world::{Noise, Rounds, draw, random};

/// Claims of the headline.
pub(crate) const HEADLINE: usize = 2;

/// All other claims.
pub(crate) const REST: usize = 28;

/// Rounds at which the budget is spent.
pub(crate) const BUDGET: usize = 24;

/// The truth of a page: the ratio of each claim, and its noise.
#[derive(Clone, Copy)]
pub(crate) struct World {
    /// The claims' true ratios, over and over.
    pub(crate) truths: &'static [f64],
    /// Standard deviations of the claims' log-ratios, over and over.
    pub(crate) spreads: &'static [f64],
    /// Excess of the logarithm of each trial of a round over that of the trial before it.
    pub(crate) drift: f64,
    /// Rounds of the budget.
    pub(crate) budget: usize,
}

/// A page as it is shown.
pub(crate) struct Page {
    /// The look at which the last claim of its headline stopped.
    pub(crate) look: Look,
    /// Each claim's true ratio and what was found, the headline's first.
    pub(crate) claims: Vec<(f64, Judgement)>,
}

impl World {
    /// The page of `seed`.
    pub(crate) fn page(self, seed: u64) -> Page {
        let mut random = random(seed);
        let claims: Vec<(f64, Rounds)> = (0..HEADLINE + REST)
            .map(|index| {
                let truth = self.truths[index % self.truths.len()];
                let noise = Noise {
                    spread: self.spreads[index % self.spreads.len()],
                    drift: self.drift,
                };
                (truth, draw(self.budget, truth, noise, &mut random))
            })
            .collect();
        let stops = claims[..HEADLINE].iter().enumerate();
        let stops: Vec<Look> = stops
            .map(|(index, (_, rounds))| self.stop(rounds, index == 0))
            .collect();
        let last = stops.iter().max_by_key(|look| look.rounds);
        let look = *last.expect("a headline has claims");
        let judged = claims.iter().enumerate().map(|(index, (truth, rounds))| {
            let judged = match stops.get(index) {
                Some(stop) => judge(rounds, *stop, Family::Headline { claims: HEADLINE }),
                None => judge(rounds, look, Family::Rest { claims: REST }),
            };
            (*truth, judged)
        });
        Page {
            look,
            claims: judged.collect(),
        }
    }

    /// The first look at which a claim of the headline is decided, and narrow enough if that is asked of it, or else
    /// the last one.
    fn stop(self, rounds: &Rounds, narrowly: bool) -> Look {
        let family = Family::Headline { claims: HEADLINE };
        let decided = |look: &Look| {
            let judged = judge(rounds, *look, family);
            let width = judged
                .estimate
                .map(|estimate| estimate.interval.half_width());
            judged.decision.is_conclusive()
                && (!narrowly || width.is_some_and(|width| width <= EQUIVALENCE))
        };
        looks(self.budget)
            .find(decided)
            .unwrap_or(Look::at(self.budget))
    }
}

impl Page {
    /// Returns true if a claim of the headline is false.
    pub(crate) fn has_false_headline(&self) -> bool {
        self.claims[..HEADLINE].iter().any(is_false)
    }

    /// Returns true if any claim is false.
    pub(crate) fn has_false_claim(&self) -> bool {
        self.claims.iter().any(is_false)
    }
}

/// The scheduled looks within a budget, and the last one at its end.
pub(crate) fn looks(budget: usize) -> impl Iterator<Item = Look> {
    Look::schedule()
        .take_while(move |rounds| *rounds < budget)
        .chain([budget])
        .map(Look::at)
}

/// Judges the rounds until `look`.
pub(crate) fn judge(rounds: &Rounds, look: Look, family: Family) -> Judgement {
    let claim = Claim {
        ratios: &rounds.ratios[..look.rounds],
        floor: &rounds.twins[..look.rounds],
    };
    claim.judge(look, family)
}

/// Returns true if the claim is a difference in the wrong direction, a difference where there is none, or an
/// equivalence of what differs by the margin or more.
fn is_false((truth, judged): &(f64, Judgement)) -> bool {
    let found = judged.estimate.map_or(1.0, |estimate| estimate.ratio);
    match judged.decision {
        Decision::Difference => (found > 1.0) != (*truth > 1.0) || *truth == 1.0,
        Decision::NoDifference => truth.ln().abs() >= EQUIVALENCE.ln_1p() - 1e-12,
        Decision::Inconclusive(_) => false,
    }
}
