//! One page of thirty claims, measured until its headline is decided or the budget is spent.

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
    /// The look at which it stopped.
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
        let look = self.stop(&claims[..HEADLINE]);
        let judged = claims.iter().enumerate().map(|(index, (truth, rounds))| {
            let family = if index < HEADLINE {
                Family::Headline { claims: HEADLINE }
            } else {
                Family::Rest { claims: REST }
            };
            (*truth, judge(rounds, look, family))
        });
        Page {
            look,
            claims: judged.collect(),
        }
    }

    /// The first look at which the whole headline is decided, or else the last one.
    fn stop(self, headline: &[(f64, Rounds)]) -> Look {
        let family = Family::Headline { claims: HEADLINE };
        let decided = |look: &Look| {
            let mut judged = headline
                .iter()
                .map(|(_, rounds)| judge(rounds, *look, family));
            judged.all(|judged| judged.decision.is_conclusive())
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
