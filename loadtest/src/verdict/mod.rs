//! From trials to the sentence. Nothing is read or written here: the same recording gives the same verdict, on
//! any machine.
//!
//! In the order to read: [`metric`] is what is compared; [`scenarios`] finds the rounds that may be;
//! [`claim`] judges them; [`sentence`] says it, and [`meaning`] what it means.

pub mod claim;
pub mod meaning;
pub mod requirement;
pub mod scenarios;
pub mod sentence;
pub mod waterfall;

pub use crate::metric;

use stats::{EQUIVALENCE, Family, Look, Trimmed};

use crate::{
    metric::Metric,
    record::{Purpose, Recording, Scenario, Variant},
};
use claim::{Claim, Draft};
use requirement::{Answer, Outcome, Requirement};
use scenarios::{Measured, Scenarios};
use waterfall::Waterfall;

/// The conclusions from a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The claims of the headline; the first one is the verdict. Empty if nothing was compared.
    pub headline: Vec<Claim>,
    /// The same variants by other metrics.
    pub others: Vec<Claim>,
    /// Origins of the difference, one waterfall for each metric; only if all five protocols were measured.
    pub waterfalls: Vec<Waterfall>,
    /// Latency and server CPU in each shape and batch; places of the headline are there once more.
    pub map: Vec<Claim>,
    /// The original's comparison taken apart, a scenario each: replies per second.
    pub original: Vec<Claim>,
    /// The baseline against its twin, a scenario and a metric each: the noise, and no claim.
    pub aa: Vec<Claim>,
    /// The outcome of each requirement.
    pub requirements: Vec<Answer>,
    /// A sentence on what took the machine beside the run, if it was busy.
    pub busy: Option<String>,
    /// The price of a core for an hour, if it was given.
    pub core_price: Option<f64>,
}

/// The measures that the map is drawn of.
pub const MAP: [Metric; 2] = [Metric::MedianLatency, Metric::ServerCpu];

/// The claims beside the headline: purpose of the scenario and metric.
const OTHERS: [(Purpose, Metric); 10] = [
    (Purpose::Open, Metric::ServerCpu),
    (Purpose::Open, Metric::MedianLatency),
    (Purpose::Open, Metric::TailLatency),
    (Purpose::Open, Metric::GeneratorCpu),
    (Purpose::Open, Metric::Bytes),
    (Purpose::Single, Metric::MedianLatency),
    (Purpose::Single, Metric::TailLatency),
    (Purpose::Closed, Metric::MedianLatency),
    (Purpose::Closed, Metric::TailLatency),
    (Purpose::Closed, Metric::Rate),
];

impl Verdict {
    /// Judges `recording`.
    pub fn of(recording: &Recording) -> Self {
        let scenarios = Scenarios::of(recording);
        let headline = headline(&scenarios);
        let is_new = |known: &[Draft], draft: &Draft| !known.iter().any(|one| one.is_like(draft));

        let others = OTHERS
            .into_iter()
            .filter_map(|(purpose, metric)| draft(&scenarios, scenarios.first(purpose)?, metric));
        let others: Vec<Draft> = others.filter(|draft| is_new(&headline, draft)).collect();
        let waterfalls: Vec<waterfall::Draft> = [
            (scenarios.first(Purpose::Open), Metric::ServerCpu),
            (alone(&scenarios), Metric::MedianLatency),
        ]
        .into_iter()
        .filter_map(|(measured, metric)| waterfall::Draft::of(&scenarios, measured?, metric))
        .collect();
        let map: Vec<Draft> = places(&scenarios)
            .flat_map(|measured| MAP.map(|metric| draft(&scenarios, measured, metric)))
            .flatten()
            .collect();
        let original: Vec<Draft> = scenarios
            .of_purpose(Purpose::Original)
            .filter_map(|measured| draft(&scenarios, measured, Metric::Rate))
            .collect();

        // A place of the map that stands above already is the same claim.
        let above: Vec<Draft> = headline.iter().chain(&others).cloned().collect();
        let of_map = map.iter().filter(|draft| is_new(&above, draft)).count();
        let steps: usize = waterfalls.iter().map(waterfall::Draft::claims).sum();
        let first = Family::Headline {
            claims: headline.len(),
        };
        let rest = Family::Rest {
            claims: others.len() + of_map + steps + original.len(),
        };
        let family = |draft: &Draft| {
            if is_new(&headline, draft) {
                rest
            } else {
                first
            }
        };
        let judge = |drafts: Vec<Draft>| -> Vec<Claim> {
            let judged = drafts.into_iter().map(|draft| {
                let family = family(&draft);
                draft.judge(family)
            });
            judged.collect()
        };
        Self {
            waterfalls: waterfalls
                .iter()
                .filter_map(|one| one.judge(rest))
                .collect(),
            others: judge(others),
            map: judge(map),
            original: judge(original),
            aa: twins(&scenarios, rest),
            requirements: requirements(recording, &scenarios),
            busy: meaning::busy(recording),
            core_price: recording.run.core_price,
            headline: judge(headline.clone()),
        }
    }

    /// The claim that is the verdict: of the original's comparison the whole of it.
    pub fn first(&self) -> Option<&Claim> {
        self.headline.first().or(self.original.first())
    }

    /// The outcome of all requirements, the worst of them; none if there are none.
    pub fn required(&self) -> Option<Outcome> {
        Outcome::worst(self.requirements.iter().map(|answer| answer.outcome))
    }

    /// Returns true if the claim that is the verdict is conclusive: the exit code follows it.
    pub fn is_conclusive(&self) -> bool {
        self.first()
            .is_some_and(|claim| claim.grade.is_conclusive())
    }

    /// The scenarios whose claim in the headline is not decided yet. A run may stop measuring a scenario only
    /// where a look was scheduled: another one would have a price that nobody paid.
    pub fn undecided(&self) -> Vec<Scenario> {
        let is_done =
            |claim: &Claim| claim.grade.is_conclusive() && Look::is_scheduled(claim.rounds_run);
        let deciding = match self.headline.is_empty() {
            true => &self.original,
            false => &self.headline,
        };
        let open = deciding.iter().filter(|claim| !is_done(claim));
        let required = self.requirements.iter();
        let required = required.filter(|answer| answer.outcome == Outcome::CannotTell);
        open.map(|claim| claim.scenario.clone())
            .chain(required.filter_map(|answer| answer.scenario.clone()))
            .collect()
    }

    /// The scenarios whose claim in the headline is about server CPU, and wider than the 5% below which a difference
    /// does not matter: what follows is reckoned from it, and more rounds are worth their time.
    pub fn imprecise(&self) -> Vec<Scenario> {
        let wide = self.headline.iter().filter(|claim| {
            let width = claim
                .estimate
                .map(|estimate| estimate.interval.half_width());
            claim.metric == Metric::ServerCpu && width.is_some_and(|width| width > EQUIVALENCE)
        });
        wide.map(|claim| claim.scenario.clone()).collect()
    }

    /// Returns true if there is a headline and all of its claims, and the requirements, are decided, so that
    /// a run may end.
    pub fn is_decided(&self) -> bool {
        !self.headline.is_empty() && self.undecided().is_empty()
    }

    /// Every claim of the page, each as often as it stands there.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.headline
            .iter()
            .chain(&self.others)
            .chain(&self.map)
            .chain(&self.original)
    }

    /// The verdict as one sentence.
    pub fn sentence(&self) -> String {
        match (self.first(), &self.busy) {
            (None, _) => "Inconclusive: no trials of two variants could be compared.".to_owned(),
            (Some(claim), None) => sentence::of(claim),
            (Some(claim), Some(_)) => sentence::of_busy(claim),
        }
    }

    /// Returns the meaning of the verdict, in sentences.
    pub fn meaning(&self) -> Vec<String> {
        meaning::of(self)
    }
}

/// The claims of the headline. Their measures follow from the plan and not from what came out: server CPU
/// at a common rate and latency with one call in flight. If the server's CPU time is not known of both
/// sides, such as that of a service on another machine, median latency stands in for it.
fn headline(scenarios: &Scenarios) -> Vec<Draft> {
    let under_load = scenarios.first(Purpose::Open).and_then(|open| {
        let metric = match open.is_known_of_both(Metric::ServerCpu) {
            true => Metric::ServerCpu,
            false => Metric::MedianLatency,
        };
        draft(scenarios, open, metric)
    });
    let alone = alone(scenarios).and_then(|alone| draft(scenarios, alone, Metric::MedianLatency));
    under_load.into_iter().chain(alone).collect()
}

/// Judges the requirements of `recording` by `scenarios`. One that cannot be read is of a later version.
fn requirements(recording: &Recording, scenarios: &Scenarios) -> Vec<Answer> {
    let texts = &recording.run.requirements;
    let read: Vec<Requirement> = texts
        .iter()
        .filter_map(|text| Requirement::parse(text).ok())
        .collect();
    read.iter()
        .map(|one| one.answer(scenarios, read.len()))
        .collect()
}

/// The logarithm of `metric` of one variant over its rounds, and how many rounds were run; none if it was not
/// measured well enough for a conclusion.
pub(crate) fn typical(
    scenarios: &Scenarios,
    measured: &Measured,
    variant: &Variant,
    metric: Metric,
) -> Option<(Trimmed, usize)> {
    let log = |values: &[f64]| values.iter().map(|value| value.ln()).sum();
    let (evidence, _) = claim::Evidence::of(scenarios, measured, metric, &[variant], log);
    // What keeps a claim from being conclusive whatever its values are keeps this from it too.
    let is_known = match evidence.judge(Family::Rest { claims: 1 }).grade {
        claim::Grade::Inconclusive(claim::Reason::Statistics(reason)) => {
            !matches!(reason, stats::Reason::TooFewRounds { .. })
        }
        claim::Grade::Inconclusive(_) => false,
        _ => true,
    };
    let trimmed = Trimmed::of(&evidence.ratios).filter(|_| is_known);
    trimmed.map(|trimmed| (trimmed, evidence.rounds_run))
}

/// The scenario whose latency the headline is about: with one call in flight, else the closed loop.
fn alone<'b, 'a>(scenarios: &'b Scenarios<'a>) -> Option<&'b Measured<'a>> {
    scenarios
        .first(Purpose::Single)
        .or_else(|| scenarios.first(Purpose::Closed))
}

/// The places of the map, with the scenarios of the headline that are alike: at a rate, or before format 4
/// in closed loops.
fn places<'b, 'a>(scenarios: &'b Scenarios<'a>) -> impl Iterator<Item = &'b Measured<'a>> {
    let is_closed = |measured: &Measured| measured.scenario.load == engine::Load::Closed;
    let map = scenarios.first(Purpose::Map).map(is_closed);
    scenarios.all().filter(move |measured| {
        let like = match measured.scenario.purpose {
            Purpose::Map | Purpose::Open | Purpose::Closed | Purpose::Single => {
                Some(is_closed(measured))
            }
            _ => None,
        };
        map.is_some() && like == map
    })
}

/// The last variant of a scenario against its first; none if there is only one, or the metric was not
/// measured at all.
fn draft(scenarios: &Scenarios, measured: &Measured, metric: Metric) -> Option<Draft> {
    let pair = [
        measured.scenario.baseline()?,
        measured.scenario.candidate()?,
    ];
    let mut trials = measured.trials.iter();
    let was_measured = trials.any(|trial| metric.of(&trial.measurement).is_some());
    (was_measured || metric == Metric::MedianLatency)
        .then(|| Draft::of(scenarios, measured, metric, pair))
}

/// The baseline against its twin in each scenario that has one, by each metric.
fn twins(scenarios: &Scenarios, family: Family) -> Vec<Claim> {
    let of_scenario = |measured: &Measured| {
        let pair = measured.scenario.baseline().zip(measured.scenario.twin());
        let drafts = pair.into_iter().flat_map(|(baseline, twin)| {
            let both = [baseline, twin];
            let taken = |metric: &Metric| {
                let mut trials = measured.trials.iter();
                trials.any(|trial| metric.of(&trial.measurement).is_some())
            };
            let metrics = Metric::ALL.into_iter().filter(taken);
            metrics.map(move |metric| Draft::of(scenarios, measured, metric, both))
        });
        drafts.map(|draft| draft.judge(family)).collect::<Vec<_>>()
    };
    scenarios.all().flat_map(of_scenario).collect()
}
