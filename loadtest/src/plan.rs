//! What a run measures, and in which order.
//!
//! Blocks of a cell come in rounds, in each of which every arm has one block: blocks of one round are
//! compared with each other. The order within a round is random, and the round after it goes
//! backwards (A B B A), so that a machine that grows slower or faster favours no arm.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    record::{Arm, BlockRecord, Cell, Load, Mode, Plan, Purpose},
    statistics::LEAST_PAIRS,
};

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// What the report calls it.
    pub mode: Mode,
    /// Length of what is measured of each block, in microseconds.
    pub window_us: u64,
    /// Length of what is dropped before it.
    pub warm_up_us: u64,
    /// Pairs of the A/A cell.
    pub aa_pairs: u32,
    /// Pairs of the closed loop.
    pub closed_pairs: u32,
    /// Pairs of the open loop.
    pub open_pairs: u32,
}

impl Extent {
    /// About two minutes with five arms. Six pairs are the fewest of which a sign-flip test can give
    /// less than 5%.
    pub const QUICK: Self = Self {
        mode: Mode::Quick,
        window_us: 1_500_000,
        warm_up_us: 500_000,
        aa_pairs: 4,
        closed_pairs: 3,
        open_pairs: 6,
    };

    /// The full design: METHOD asks for blocks of 10 to 15 s after 2 to 3 s, and for ten pairs.
    pub const THOROUGH: Self = Self {
        mode: Mode::Thorough,
        window_us: 12_000_000,
        warm_up_us: 3_000_000,
        aa_pairs: 10,
        closed_pairs: 10,
        open_pairs: 10,
    };
}

/// Under which names one arm stands in an A/A cell.
const AA: [&str; 2] = ["A", "A′"];

/// Of the rate that the slowest arm managed in a closed loop, how much an open loop asks for: at
/// half of it queues grow, and CPU per request falls as they do.
const SHARE_OF_SLOWEST: f64 = 0.4;

/// The cells of a closed loop of `users`, which need no rate.
pub fn closed(extent: &Extent, arms: &[Arm], users: u32) -> Vec<Cell> {
    let mut cells = vec![Cell {
        pairs: extent.closed_pairs,
        ..cell(Purpose::Primary, arms, users, Load::Closed)
    }];
    if extent.mode == Mode::Thorough {
        // Latency without any queue.
        cells.push(Cell {
            pairs: extent.closed_pairs,
            ..cell(Purpose::Shape, arms, 1, Load::Closed)
        });
    }
    cells
}

/// The cell of an open loop of `users` at `rate`.
pub fn open(extent: &Extent, arms: &[Arm], users: u32, rate: f64) -> Cell {
    Cell {
        pairs: extent.open_pairs,
        ..cell(Purpose::Open, arms, users, Load::Open { per_second: rate })
    }
}

/// The floor under what `like` finds: its baseline against itself, under the same load. None where
/// so few pairs are asked for that they give no floor.
pub fn aa(extent: &Extent, like: &Cell) -> Option<Cell> {
    let (baseline, _) = like.arms.first()?;
    (extent.aa_pairs as usize >= LEAST_PAIRS).then(|| Cell {
        purpose: Purpose::Aa,
        arms: AA.map(|name| (*baseline, name.to_owned())).into(),
        pairs: extent.aa_pairs,
        ..like.clone()
    })
}

fn cell(purpose: Purpose, arms: &[Arm], users: u32, load: Load) -> Cell {
    Cell {
        purpose,
        connections: users,
        in_flight: 1,
        batch: 1,
        load,
        arms: arms
            .iter()
            .map(|arm| (*arm, arm.letter().to_owned()))
            .collect(),
        pairs: 1,
    }
}

/// The rate to offer every arm, from what each managed in its valid closed blocks: well below half
/// of the slowest, in whole hundreds where it is large. None where nothing was measured.
pub fn common_rate(blocks: &[BlockRecord]) -> Option<f64> {
    let slowest = blocks
        .iter()
        .filter(|block| block.purpose == Purpose::Primary && block.is_valid())
        .map(BlockRecord::requests_per_second)
        .min_by(f64::total_cmp)?;
    let rate = slowest * SHARE_OF_SLOWEST;
    let step = if rate >= 1000.0 { 100.0 } else { 1.0 };
    Some(((rate / step).floor() * step).max(1.0))
}

/// A block that is to be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// Its place in the order in which blocks run, from 1.
    pub number: u32,
    /// Its round, from 1.
    pub pair: u32,
    /// 1, or more where it repeats a VOID block.
    pub attempt: u32,
    /// The arm.
    pub arm: Arm,
    /// The arm's name in its cell.
    pub label: String,
    /// Why it is measured.
    pub purpose: Purpose,
    /// Connections.
    pub connections: u32,
    /// Calls in flight on each.
    pub in_flight: u32,
    /// Greetings in one call.
    pub batch: u32,
    /// How calls are started.
    pub load: Load,
}

impl Planned {
    /// Goose's users: each has one call in flight.
    pub fn users(&self) -> usize {
        self.connections as usize * self.in_flight as usize
    }
}

/// The blocks of `cell` in the order in which they run. They are not numbered yet.
pub fn order(cell: &Cell, random: &mut ChaCha8Rng) -> Vec<Planned> {
    let mut arms = cell.arms.clone();
    let mut blocks = Vec::new();
    for pair in 1..=cell.pairs {
        if pair % 2 == 1 {
            arms.shuffle(random);
        } else {
            arms.reverse();
        }
        blocks.extend(arms.iter().map(|(arm, label)| Planned {
            number: 0,
            pair,
            attempt: 1,
            arm: *arm,
            label: label.clone(),
            purpose: cell.purpose,
            connections: cell.connections,
            in_flight: cell.in_flight,
            batch: cell.batch,
            load: cell.load,
        }));
    }
    blocks
}

/// How many blocks `cells` have, none repeated.
pub fn blocks(cells: &[Cell]) -> usize {
    cells
        .iter()
        .map(|cell| cell.arms.len() * cell.pairs as usize)
        .sum()
}

/// A plan without cells yet.
pub fn empty(extent: &Extent) -> Plan {
    Plan {
        cells: Vec::new(),
        window_us: extent.window_us,
        warm_up_us: extent.warm_up_us,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn labels(blocks: &[Planned]) -> Vec<Vec<&str>> {
        let last = blocks.last().map_or(0, |block| block.pair);
        (1..=last)
            .map(|pair| {
                let round = blocks.iter().filter(|block| block.pair == pair);
                round.map(|block| block.label.as_str()).collect()
            })
            .collect()
    }

    #[test]
    fn every_arm_has_one_block_in_each_round_and_every_second_round_goes_backwards() {
        let cell = open(&Extent::THOROUGH, &Arm::ALL, 32, 1000.0);
        let blocks = order(&cell, &mut ChaCha8Rng::seed_from_u64(7));
        let rounds = labels(&blocks);
        assert_eq!(rounds.len(), 10);
        for two in rounds.chunks(2) {
            let mut sorted = two[0].clone();
            sorted.sort_unstable();
            assert_eq!(sorted, ["A", "B", "C", "D", "E"]);
            let backwards: Vec<_> = two[0].iter().rev().copied().collect();
            assert_eq!(two[1], backwards);
        }
    }

    #[test]
    fn the_seed_alone_decides_the_order() {
        let cell = &closed(&Extent::THOROUGH, &Arm::ALL, 32)[0];
        let of = |seed| order(cell, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn the_floor_is_the_baseline_against_itself_under_the_same_load() {
        let like = open(&Extent::QUICK, &[Arm::Grpc, Arm::JsonHttp1], 4, 10.0);
        let aa = aa(&Extent::QUICK, &like).unwrap();
        let arms: Vec<_> = aa.arms.iter().map(|(arm, _)| *arm).collect();
        assert_eq!(arms, [Arm::Grpc, Arm::Grpc]);
        assert_ne!(aa.arms[0].1, aa.arms[1].1);
        assert_eq!((aa.load, aa.connections), (like.load, 4));
    }

    #[test]
    fn the_common_rate_is_below_half_of_what_the_slowest_arm_managed() {
        let block = |arm, requests| {
            let mut spec = crate::block::Spec::example(1);
            spec.planned.arm = arm;
            BlockRecord {
                requests,
                window_us: 1_000_000,
                ..crate::block::blank(&spec)
            }
        };
        let blocks = [block(Arm::JsonHttp1, 9_000), block(Arm::Grpc, 5_010)];
        assert_eq!(common_rate(&blocks), Some(2_000.0));
        assert_eq!(common_rate(&blocks[..0]), None);
    }
}
