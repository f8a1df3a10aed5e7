//! From blocks to the sentence. Nothing is read or written here: the same recording gives the same
//! verdict, on any machine.
//!
//! In the order to read: [`metric`] is what is compared; [`cells`] finds the blocks that may be;
//! [`claim`] judges them; [`sentence`] says it.

pub mod cells;
pub mod claim;
pub mod metric;
pub mod sentence;
pub mod waterfall;

use crate::{
    record::{Purpose, Recording},
    statistics::{Finding, Unsaid},
    validity::too_many_void,
};
use cells::{Cells, Measured};
use claim::{Claim, judge_family};
use metric::Metric;
use waterfall::Waterfall;

/// What a run says.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The claims of the headline; the first one is the verdict. Empty where nothing was compared.
    pub headline: Vec<Claim>,
    /// The same arms by other metrics.
    pub others: Vec<Claim>,
    /// Where the difference comes from, a metric each; only where all five arms were measured.
    pub waterfalls: Vec<Waterfall>,
    /// Median latency and server CPU in each shape and batch of a closed loop.
    pub map: Vec<Claim>,
    /// One arm against itself, a cell and a metric each.
    pub aa: Vec<Claim>,
    /// The original's comparison taken apart, a cell each: answers per second.
    pub seed: Vec<Claim>,
}

impl Verdict {
    /// Judges `recording`.
    pub fn of(recording: &Recording) -> Self {
        let cells = Cells::of(recording);
        let seed = recording.run.seed;
        let open = cells.first(Purpose::Open);
        let primary = cells.first(Purpose::Primary);

        // What the headline is about follows from the plan and not from what came out.
        let mut headline = Vec::new();
        // A service on another machine is no process of which the CPU time is known, nor may both sides be
        // of one that can be seen.
        headline.extend(open.and_then(|cell| {
            let cpu = claim(cell, Metric::ServerCpu, &cells);
            cpu.filter(|_| cell.is_known_of_both(Metric::ServerCpu))
                .or_else(|| claim(cell, Metric::MedianLatency, &cells))
        }));
        headline.extend(primary.and_then(|cell| claim(cell, Metric::MedianLatency, &cells)));
        judge_family(&mut headline);

        let stands_above = |other: &Claim| {
            let is = |claim: &Claim| claim.metric == other.metric && claim.cell == other.cell;
            headline.iter().any(is)
        };
        let mut others: Vec<Claim> = OTHERS
            .into_iter()
            .filter_map(|(purpose, metric)| claim(cells.first(purpose)?, metric, &cells))
            .filter(|other| !stands_above(other))
            .collect();
        judge_family(&mut others);

        let mut waterfalls: Vec<Waterfall> = [
            open.zip(Some(Metric::ServerCpu)),
            primary.zip(Some(Metric::MedianLatency)),
        ]
        .into_iter()
        .flatten()
        .filter_map(|(cell, metric)| {
            Waterfall::of(cell, metric, cells.floor(metric, cell.cell), seed)
        })
        .collect();
        waterfall::judge_all(&mut waterfalls);

        let mut map: Vec<Claim> = cells
            .closed()
            .flat_map(|cell| MAP.map(|metric| claim(cell, metric, &cells)))
            .flatten()
            .collect();
        judge_family(&mut map);

        let aa = cells
            .of_purpose(Purpose::Aa)
            .flat_map(|cell| Metric::ALL.map(|metric| claim(cell, metric, &cells)))
            .flatten()
            .collect();
        let mut seed: Vec<Claim> = cells
            .of_purpose(Purpose::Seed)
            .filter_map(|cell| claim(cell, Metric::Rate, &cells))
            .collect();
        judge_family(&mut seed);
        let mut verdict = Self {
            headline,
            others,
            waterfalls,
            map,
            aa,
            seed,
        };
        if too_many_void(&recording.blocks) {
            verdict.give_up();
        }
        verdict
    }

    /// Nothing is claimed of what happened to go well where most did not.
    fn give_up(&mut self) {
        let families = [
            &mut self.headline,
            &mut self.others,
            &mut self.map,
            &mut self.seed,
        ];
        let claims = families.into_iter().flatten();
        let steps = self.waterfalls.iter_mut().flat_map(|one| &mut one.steps);
        for finding in claims
            .map(|claim| &mut claim.finding)
            .chain(steps.map(|step| &mut step.finding))
        {
            *finding = Finding::CantTell(Unsaid::GivenUp);
        }
    }

    /// The claim that is the verdict: of the original's comparison the whole of it.
    pub fn first(&self) -> Option<&Claim> {
        self.headline.first().or(self.seed.first())
    }

    /// Whether the claim that is the verdict has an answer.
    pub fn is_told(&self) -> bool {
        self.first().is_some_and(|claim| claim.finding.is_told())
    }

    /// The verdict as one sentence.
    pub fn sentence(&self) -> String {
        self.first().map_or_else(
            || "Can't tell here: no block of two arms could be compared.".to_owned(),
            sentence::of,
        )
    }
}

/// What the map is drawn of.
pub const MAP: [Metric; 2] = [Metric::MedianLatency, Metric::ServerCpu];

/// What is said beside the headline.
const OTHERS: [(Purpose, Metric); 6] = [
    (Purpose::Open, Metric::MedianLatency),
    (Purpose::Open, Metric::TailLatency),
    (Purpose::Open, Metric::GeneratorCpu),
    (Purpose::Open, Metric::Bytes),
    (Purpose::Primary, Metric::TailLatency),
    (Purpose::Primary, Metric::Rate),
];

/// The last arm of a cell against its first, where the metric was measured at all.
fn claim(cell: &Measured, metric: Metric, cells: &Cells) -> Option<Claim> {
    let was_measured = cell.blocks.iter().any(|block| metric.of(block).is_some());
    if !was_measured && metric != Metric::MedianLatency {
        return None;
    }
    let floor = cells.floor(metric, cell.cell);
    Claim::of(cell, metric, floor, cells.seed())
}

/// A finding that stands until a claim is judged.
const UNJUDGED: Finding = Finding::CantTell(Unsaid::NoFloor);
