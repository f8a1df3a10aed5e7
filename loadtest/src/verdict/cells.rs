//! The blocks of each cell, and the pairs among them.

use std::collections::BTreeSet;

use super::metric::Metric;
use crate::{
    record::{Arm, BlockRecord, Cell, Load, Purpose, Recording},
    statistics::{Estimate, Floor, LEAST_PAIRS, geometric_mean},
};

/// One cell of the plan and what was measured of it.
#[derive(Clone, Debug)]
pub struct Measured<'a> {
    /// What was planned.
    pub cell: &'a Cell,
    /// Its blocks in the order in which they ran, VOID ones too.
    pub blocks: Vec<&'a BlockRecord>,
}

/// All cells of a run, in the order of the plan.
#[derive(Clone, Debug)]
pub struct Cells<'a> {
    measured: Vec<Measured<'a>>,
    /// What each A/A cell found, a metric each.
    floors: Vec<(&'a Cell, Metric, Floor)>,
    seed: u64,
}

impl<'a> Cells<'a> {
    /// Sorts the blocks of `recording` into the cells of its plan.
    pub fn of(recording: &'a Recording) -> Self {
        let belong = |cell: &'a Cell| Measured {
            cell,
            blocks: recording
                .blocks
                .iter()
                .filter(|block| block.is_of(cell))
                .collect(),
        };
        let measured: Vec<Measured> = recording.run.plan.cells.iter().map(belong).collect();
        let seed = recording.run.seed;
        let aa = measured
            .iter()
            .filter(|measured| measured.cell.purpose == Purpose::Aa);
        let floors = aa.flat_map(|aa| {
            let floor = |metric| Some((aa.cell, metric, aa.floor(metric, seed)?));
            Metric::ALL.into_iter().filter_map(floor)
        });
        Self {
            floors: floors.collect(),
            measured,
            seed,
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Measured<'a>> {
        self.measured.iter()
    }

    /// Those measured for `purpose`.
    pub fn of_purpose(&self, purpose: Purpose) -> impl Iterator<Item = &Measured<'a>> {
        self.all()
            .filter(move |measured| measured.cell.purpose == purpose)
    }

    /// The first one planned for `purpose`.
    pub fn first(&self, purpose: Purpose) -> Option<&Measured<'a>> {
        self.of_purpose(purpose).next()
    }

    /// Those of the break-even map: closed loops of every shape and batch.
    pub fn closed(&self) -> impl Iterator<Item = &Measured<'a>> {
        let of_map = [Purpose::Primary, Purpose::Shape, Purpose::Payload];
        self.all().filter(move |measured| {
            of_map.contains(&measured.cell.purpose) && measured.cell.load == Load::Closed
        })
    }

    /// How far apart an A/A cell found one arm under two names by `metric`: the cell whose load is
    /// the most like that of `cell`, as what differs by chance depends on it. An open loop, where cores
    /// sleep between calls, differs by more than a closed one, and does not stand on the floor of that;
    /// nor does a closed one's rate on that of an open loop, which the pacer gives.
    pub fn floor(&self, metric: Metric, cell: &Cell) -> Option<Floor> {
        let is_closed = |cell: &Cell| matches!(cell.load, Load::Closed);
        let likeness = |aa: &Cell| {
            let load = is_closed(aa) == is_closed(cell);
            // Shorter blocks differ by more.
            let length = aa.window_us == cell.window_us;
            let shape = (aa.connections, aa.in_flight) == (cell.connections, cell.in_flight);
            (load, length, shape, aa.batch == cell.batch)
        };
        let can_lend = |aa: &Cell| match (is_closed(aa), is_closed(cell)) {
            (true, false) => false,
            (false, true) => metric != Metric::Rate,
            _ => true,
        };
        let floors = self
            .floors
            .iter()
            .filter(|(aa, known, _)| *known == metric && can_lend(aa));
        let likest = floors.max_by_key(|(aa, ..)| likeness(aa));
        likest.map(|(.., floor)| *floor)
    }

    /// The seed of the run, which drives the resampling too.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl<'a> Measured<'a> {
    /// The label of the baseline.
    pub fn first(&self) -> Option<&'a (Arm, String)> {
        self.cell.arms.first()
    }

    /// The label of what is compared with it.
    pub fn last(&self) -> Option<&'a (Arm, String)> {
        self.cell.arms.last().filter(|_| self.cell.arms.len() > 1)
    }

    /// The valid block of `arm` in `pair`; the latest where several are.
    pub fn valid(&self, pair: u32, arm: &(Arm, String)) -> Option<&'a BlockRecord> {
        let is = |block: &&&BlockRecord| {
            block.pair == pair && (block.arm, &block.label) == (arm.0, &arm.1) && block.is_valid()
        };
        self.blocks.iter().rev().find(is).copied()
    }

    /// Whether `metric` was measured of both arms that are compared, as far as these have valid blocks.
    pub fn is_known_of_both(&self, metric: Metric) -> bool {
        let arms = self.first().into_iter().chain(self.last());
        arms.map(|arm| self.valid_blocks(arm)).all(|blocks| {
            blocks.is_empty() || blocks.iter().any(|block| metric.of(block).is_some())
        })
    }

    /// All pairs of which any block was run.
    pub fn pairs(&self) -> BTreeSet<u32> {
        self.blocks.iter().map(|block| block.pair).collect()
    }

    /// `arm`'s valid blocks, one of each pair.
    pub fn valid_blocks(&self, arm: &(Arm, String)) -> Vec<&'a BlockRecord> {
        let pairs = self.pairs().into_iter();
        pairs.filter_map(|pair| self.valid(pair, arm)).collect()
    }

    /// The geometric mean of what `read` finds in `arm`'s valid blocks, if in any.
    pub fn mean(
        &self,
        arm: &(Arm, String),
        read: impl Fn(&BlockRecord) -> Option<f64>,
    ) -> Option<f64> {
        let blocks = self.valid_blocks(arm).into_iter();
        let values: Vec<f64> = blocks.filter_map(read).collect();
        (!values.is_empty()).then(|| geometric_mean(&values))
    }

    /// The value of `metric` in `arm`'s valid block of `pair`.
    pub fn value(&self, pair: u32, arm: &(Arm, String), metric: Metric) -> Option<f64> {
        metric.of(self.valid(pair, arm)?)
    }

    /// `candidate` divided by `base`, of each pair that has both.
    pub fn ratios(
        &self,
        metric: Metric,
        base: &(Arm, String),
        candidate: &(Arm, String),
    ) -> Vec<f64> {
        let ratio = |pair| {
            let of = |arm| self.value(pair, arm, metric);
            Some(of(candidate)? / of(base)?)
        };
        self.pairs().into_iter().filter_map(ratio).collect()
    }

    /// Of an A/A cell: how far apart its two labels lie.
    fn floor(&self, metric: Metric, seed: u64) -> Option<Floor> {
        let ratios = self.ratios(metric, self.first()?, self.last()?);
        let estimate = Estimate::of(&ratios, seed)?;
        (estimate.pairs() >= LEAST_PAIRS).then(|| Floor::of(estimate.interval))
    }

    /// VOID blocks among its blocks.
    pub fn void_count(&self) -> usize {
        self.blocks.iter().filter(|block| !block.is_valid()).count()
    }
}
