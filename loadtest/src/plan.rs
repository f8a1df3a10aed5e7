//! What a run measures, and in which order.
//!
//! Blocks of a cell come in rounds, in each of which every arm has one block: blocks of one round are
//! compared with each other. The order within a round is random, and the round after it goes
//! backwards (A B B A), so that a machine that grows slower or faster favours no arm. Cells take turns
//! too, a round each.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    record::{Arm, BlockRecord, Cell, Load, Mode, Purpose},
    statistics::{LEAST_PAIRS, median},
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
    /// Pairs of each A/A cell.
    pub aa_pairs: u32,
    /// Pairs of the closed loop.
    pub closed_pairs: u32,
    /// Pairs of the open loop.
    pub open_pairs: u32,
    /// Pairs of each cell that only the break-even map needs; none where no map is made.
    pub map_pairs: u32,
    /// Length of what is measured of each of their blocks.
    pub map_window_us: u64,
    /// Length of what is dropped before it.
    pub map_warm_up_us: u64,
}

/// Warm-up, window and the tenth of a second that a block adds for connecting are whole seconds
/// together: goose counts nothing less.
impl Extent {
    /// About two and a half minutes with five arms. Six pairs are the fewest of which a sign-flip test
    /// can give less than 5%; a floor of fewer would be wider than what it is held against.
    pub const QUICK: Self = Self {
        mode: Mode::Quick,
        window_us: 1_500_000,
        warm_up_us: 400_000,
        aa_pairs: 6,
        closed_pairs: 3,
        open_pairs: 6,
        map_pairs: 0,
        map_window_us: 1_500_000,
        map_warm_up_us: 400_000,
    };

    /// The full design: METHOD asks for blocks of 10 to 15 s of which the first 2 to 3 s are dropped,
    /// and for ten pairs. The map has as many pairs of shorter blocks: with whole ones it would take
    /// as long again as all the rest.
    pub const THOROUGH: Self = Self {
        mode: Mode::Thorough,
        window_us: 7_900_000,
        warm_up_us: 2_000_000,
        aa_pairs: 10,
        closed_pairs: 10,
        open_pairs: 10,
        map_pairs: 10,
        map_window_us: 2_500_000,
        map_warm_up_us: 400_000,
    };
}

/// Under which names one arm stands in an A/A cell.
const AA: [&str; 2] = ["A", "A′"];

/// Of the rate that the slowest arm managed in a closed loop, how much an open loop asks for: at
/// half of it queues grow, and CPU per request falls as they do.
const SHARE_OF_SLOWEST: f64 = 0.4;

/// Greetings in a call, down the break-even map: as many as a batch may hold, in steps of ten.
const BATCHES: [u32; 4] = [1, 10, 100, 1000];

/// Calls in flight across it, besides as many as there are users.
const IN_FLIGHT: [u32; 2] = [1, 8];

/// The most calls in flight on one connection: what every server should take (RFC 9113 §6.5.2); many take
/// no more.
const STREAMS: u32 = 100;

/// The cells of a closed loop of `users`, which need no rate.
pub fn closed(extent: &Extent, arms: &[Arm], users: u32) -> Vec<Cell> {
    let cell = |purpose, users| Cell {
        pairs: extent.closed_pairs,
        ..cell(extent, purpose, arms, users, Load::Closed)
    };
    let mut cells = vec![cell(Purpose::Primary, users)];
    if extent.mode == Mode::Thorough && users > 1 {
        // Latency without any queue.
        cells.push(cell(Purpose::Shape, 1));
    }
    cells
}

/// The cell of an open loop of `users` at `rate`.
pub fn open(extent: &Extent, arms: &[Arm], users: u32, rate: f64) -> Cell {
    let load = Load::Open { per_second: rate };
    Cell {
        pairs: extent.open_pairs,
        ..cell(extent, Purpose::Open, arms, users, load)
    }
}

/// The cells that the break-even map needs besides `known`, which it shows too: the first of `arms`
/// and the last, one call in flight on each connection. Without `batches` a call asks for one
/// greeting. The first cell is their floor: it has blocks as short as theirs. The last one has as many
/// calls in flight on a single connection, of the arms that can.
pub fn map(extent: &Extent, arms: &[Arm], users: u32, batches: bool, known: &[Cell]) -> Vec<Cell> {
    let [first, .., last] = arms else {
        return Vec::new();
    };
    if extent.map_pairs == 0 {
        return Vec::new();
    }
    let mut columns: Vec<u32> = IN_FLIGHT.into_iter().filter(|n| *n < users).collect();
    columns.push(users);
    let rows = BATCHES.iter().filter(|batch| batches || **batch == 1);
    let square = |batch: u32, connections: u32| Cell {
        batch,
        pairs: extent.map_pairs,
        window_us: extent.map_window_us,
        warm_up_us: extent.map_warm_up_us,
        ..cell(
            extent,
            if batch > 1 {
                Purpose::Payload
            } else {
                Purpose::Shape
            },
            &[*first, *last],
            connections,
            Load::Closed,
        )
    };
    let shared = arms.iter().copied().filter(|arm| arm.multiplexes());
    let shared = match shared.collect::<Vec<_>>()[..] {
        [first, .., last] if users > 1 => Some(Cell {
            in_flight: users.min(STREAMS),
            arms: named(&[first, last]),
            ..square(1, 1)
        }),
        _ => None,
    };
    let is_known = |square: &Cell| {
        known.iter().any(|known| {
            (known.connections, known.batch, known.load)
                == (square.connections, square.batch, square.load)
        })
    };
    let cells: Vec<Cell> = rows
        .flat_map(|batch| {
            columns
                .iter()
                .map(|connections| square(*batch, *connections))
        })
        .filter(|square| !is_known(square))
        .collect();
    // One in the middle stands for all of them.
    let middle = cells.get(cells.len() / 2);
    let floor = middle.and_then(|like| {
        let extent = Extent {
            aa_pairs: extent.map_pairs,
            ..*extent
        };
        aa(&extent, like)
    });
    floor.into_iter().chain(cells).chain(shared).collect()
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

fn cell(extent: &Extent, purpose: Purpose, arms: &[Arm], users: u32, load: Load) -> Cell {
    Cell {
        window_us: extent.window_us,
        warm_up_us: extent.warm_up_us,
        purpose,
        connections: users,
        in_flight: 1,
        batch: 1,
        load,
        arms: named(arms),
        pairs: 1,
    }
}

/// Each of `arms` under its letter.
fn named(arms: &[Arm]) -> Vec<(Arm, String)> {
    let named = arms.iter().map(|arm| (*arm, arm.letter().to_owned()));
    named.collect()
}

/// The rate to offer every arm, from what each managed in its valid closed blocks: well below half
/// of the slowest arm's median, so that one block that the machine disturbed sets no rate, in whole
/// hundreds where it is large. None where nothing was measured.
pub fn common_rate(blocks: &[BlockRecord]) -> Option<f64> {
    let mut managed: BTreeMap<Arm, Vec<f64>> = BTreeMap::new();
    for block in blocks {
        if block.purpose == Purpose::Primary && block.is_valid() {
            let rates = managed.entry(block.arm).or_default();
            rates.push(block.requests_per_second());
        }
    }
    let slowest = managed
        .into_values()
        .filter_map(median)
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

/// The blocks of all `cells` in the order in which they run: the first round of each, then the second
/// round of each. So every cell is measured over the whole of the time, and what the machine does to
/// one hour and not to another is in its interval.
pub fn in_turn<'a>(cells: &'a [Cell], random: &mut ChaCha8Rng) -> Vec<(&'a Cell, Planned)> {
    let mut blocks = Vec::new();
    for cell in cells {
        blocks.extend(order(cell, random).into_iter().map(|block| (cell, block)));
    }
    blocks.sort_by_key(|(_, block)| block.pair);
    blocks
}

/// What a block takes besides its warm-up and its window: two processes start and end, and users
/// start. 0.2 s were measured on two cores.
pub const AROUND_US: u64 = 250_000;

/// How many blocks `cell` has, none repeated.
pub fn blocks(cell: &Cell) -> usize {
    cell.arms.len() * cell.pairs as usize
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
    fn cells_are_measured_in_turn_and_each_keeps_its_order() {
        let cells = closed(&Extent::THOROUGH, &Arm::ALL, 32);
        let random = || ChaCha8Rng::seed_from_u64(7);
        let blocks = in_turn(&cells, &mut random());
        let turns: Vec<_> = blocks
            .chunks(5)
            .map(|round| (round[0].0.connections, round[0].1.pair))
            .collect();
        assert_eq!(turns[..4], [(32, 1), (1, 1), (32, 2), (1, 2)]);
        assert_eq!(turns.len(), 20);
        let of_first = blocks.iter().filter(|(cell, _)| *cell == &cells[0]);
        let of_first: Vec<_> = of_first.map(|(_, block)| block.clone()).collect();
        assert_eq!(of_first, order(&cells[0], &mut random()));
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
    fn the_map_has_every_size_at_every_number_in_flight_once() {
        let squares = |users, batches| {
            let known = closed(&Extent::THOROUGH, &Arm::ALL, users);
            let mut cells = map(&Extent::THOROUGH, &Arm::ALL, users, batches, &known);
            let floor = cells.remove(0);
            assert_eq!(floor.purpose, Purpose::Aa);
            assert_eq!(floor.window_us, cells[0].window_us);
            cells.retain(|cell| cell.in_flight == 1);
            let ends = |cell: &Cell| cell.arms.iter().map(|(arm, _)| *arm).collect::<Vec<_>>();
            assert!(
                cells
                    .iter()
                    .all(|cell| ends(cell) == [Arm::JsonHttp1, Arm::Grpc])
            );
            let all = known.iter().chain(&cells);
            let mut found: Vec<_> = all.map(|cell| (cell.batch, cell.connections)).collect();
            found.sort_unstable();
            found
        };
        let expected = |columns: &[u32], rows: &[u32]| -> Vec<(u32, u32)> {
            let row = |batch: &u32| columns.iter().map(|n| (*batch, *n)).collect::<Vec<_>>();
            rows.iter().flat_map(row).collect()
        };
        assert_eq!(squares(32, true), expected(&[1, 8, 32], &BATCHES));
        assert_eq!(squares(4, true), expected(&[1, 4], &BATCHES));
        assert_eq!(squares(1, true), expected(&[1], &BATCHES));
        assert_eq!(squares(32, false), expected(&[1, 8, 32], &[1]));
    }

    #[test]
    fn one_connection_has_every_call_in_flight_of_the_arms_that_can() {
        let shared = |arms: &[Arm], users| {
            let cells = map(&Extent::THOROUGH, arms, users, true, &[]);
            let shared: Vec<Cell> = cells.into_iter().filter(|c| c.in_flight > 1).collect();
            shared
                .into_iter()
                .map(|cell| {
                    assert_eq!(
                        (cell.connections, cell.in_flight, cell.batch),
                        (1, users, 1)
                    );
                    cell.arms
                        .into_iter()
                        .map(|(arm, _)| arm)
                        .collect::<Vec<_>>()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(shared(&Arm::ALL, 32), [[Arm::JsonHttp2, Arm::Grpc]]);
        assert!(shared(&[Arm::JsonHttp1, Arm::Grpc], 32).is_empty());
        assert!(shared(&Arm::ALL, 1).is_empty());
    }

    #[test]
    fn there_is_no_map_of_one_arm_nor_in_the_quick_design() {
        assert_eq!(map(&Extent::THOROUGH, &[Arm::Grpc], 32, true, &[]), []);
        assert_eq!(map(&Extent::QUICK, &Arm::ALL, 32, true, &[]), []);
    }

    #[test]
    fn the_thorough_design_fits_into_fifty_minutes() {
        let extent = &Extent::THOROUGH;
        let closed = closed(extent, &Arm::ALL, 32);
        let open = open(extent, &Arm::ALL, 32, 1000.0);
        let floors = [&closed[0], &open].map(|like| aa(extent, like).unwrap());
        let map = map(extent, &Arm::ALL, 32, true, &closed);
        let ceiling = Arm::ALL.len() as u64 * (extent.window_us + extent.warm_up_us);
        let cells = closed.iter().chain([&open]).chain(&floors).chain(&map);
        let planned: u64 = cells
            .map(|cell| blocks(cell) as u64 * (cell.window_us + cell.warm_up_us + AROUND_US))
            .sum();
        assert!(ceiling + planned < 50 * 60 * 1_000_000, "{planned}");
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
        let blocks = [
            block(Arm::JsonHttp1, 9_000),
            block(Arm::Grpc, 5_010),
            block(Arm::Grpc, 900),
            block(Arm::Grpc, 6_000),
        ];
        assert_eq!(common_rate(&blocks), Some(2_000.0), "one was disturbed");
        assert_eq!(common_rate(&blocks[..2]), Some(2_000.0));
        assert_eq!(common_rate(&blocks[..0]), None);
    }
}
