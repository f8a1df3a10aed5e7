//! A made-up recording whose truth is known, for tests and for looking at the page. Nothing in it
//! was measured.

#![allow(dead_code)] // Each test takes what it needs.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use loadtest::record::{
    Arm, BlockRecord, Capacity, Ceiling, Cell, CpuSource, FORMAT, GeneratorCost, Latency, Load,
    Machine, Mode, Nanoseconds, Objective, Pacer, Pinned, Plan, Purpose, Recording, Run,
    ServerCost, Service, Tool, Wire,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Seconds of each block.
const WINDOW: u64 = 8;

/// Seconds of each block of cells that only the map needs.
const MAP_WINDOW: u64 = 3;

/// What is to be made up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    /// Pairs of each cell.
    pub(crate) pairs: u32,
    /// How much one block varies, as a part of 1.
    pub(crate) noise: f64,
    /// Whether the arms differ at all; where not, each is a copy of A.
    pub(crate) differ: bool,
    /// Of the noise.
    pub(crate) seed: u64,
}

/// Ten pairs on a quiet machine.
pub(crate) const THOROUGH: Truth = Truth {
    pairs: 10,
    noise: 0.01,
    differ: true,
    seed: 1,
};

/// gRPC's server CPU divided by REST's, in truth.
pub(crate) const CPU_RATIO: f64 = 0.8 * 1.1 * 1.25;

/// gRPC's median latency divided by REST's in the primary shape, in truth.
pub(crate) const LATENCY_RATIO: f64 = 0.9 * 1.2 * 1.15;

/// A recording of every kind of cell.
pub(crate) fn recording(truth: Truth) -> Recording {
    of(plan(truth.pairs), truth)
}

/// A recording of what the headline takes, and no more.
pub(crate) fn headline(truth: Truth) -> Recording {
    let mut plan = plan(truth.pairs);
    plan.cells.retain(|cell| {
        matches!(cell.purpose, Purpose::Aa | Purpose::Primary | Purpose::Open) && cell.batch == 1
    });
    of(plan, truth)
}

fn of(plan: Plan, truth: Truth) -> Recording {
    let mut random = ChaCha8Rng::seed_from_u64(truth.seed);
    let mut blocks: Vec<BlockRecord> = Vec::new();
    for cell in &plan.cells {
        for pair in 1..=cell.pairs {
            for arm in &cell.arms {
                let number = blocks.len() as u32 + 1;
                blocks.push(block(cell, pair, number, arm, truth, &mut random));
            }
        }
    }
    Recording {
        run: run(plan, truth),
        blocks,
    }
}

fn run(plan: Plan, truth: Truth) -> Run {
    let ceiling = |(arm, cpu): (Arm, f64)| Ceiling {
        arm,
        connections: 32,
        in_flight: 1,
        requests_per_second: 1.6e6 / cpu,
        generator_cpu_us_per_request: cpu,
    };
    let capacity = |(arm, met): (Arm, f64)| Capacity {
        arm,
        connections: 32,
        in_flight: 1,
        batch: 1,
        met_per_second: Some(met),
        missed_per_second: (arm != Arm::Grpc).then_some(met * 1.05),
        generator_bound: arm == Arm::Grpc,
        disturbed: false,
    };
    Run {
        format: FORMAT,
        started_at: "2026-01-02T03:04:05Z".into(),
        command: "cargo run --release -p loadtest -- --thorough --slo 'p99<5ms'".into(),
        seed: 42,
        mode: if truth.pairs >= 10 {
            Mode::Thorough
        } else {
            Mode::Quick
        },
        plan,
        objective: Some(Objective {
            percentile: 99.0,
            below_us: 5000,
        }),
        service: Service::Embedded,
        ceiling: [
            (Arm::JsonHttp1, 14.2),
            (Arm::JsonHttp2, 19.0),
            (Arm::ProtobufHttp1, 12.9),
            (Arm::ProtobufHttp2, 18.1),
            (Arm::Grpc, 21.7),
        ]
        .map(ceiling)
        .to_vec(),
        capacity: [(Arm::JsonHttp1, 81_000.0), (Arm::Grpc, 52_000.0)]
            .map(capacity)
            .to_vec(),
        listening: Default::default(),
        thresholds_missed: Vec::new(),
        cut_short: None,
        tool: Tool {
            version: "0.1.0".into(),
            goose: "0.19.0".into(),
            commit: Some("0123456789ab".into()),
            release: true,
        },
        machines: vec![Machine {
            kernel: "Linux 6.12.0".into(),
            cpu: Some("Made-up Processor 3000".into()),
            cores: 8,
            memory_kib: Some(16 << 20),
            pinned: Some(Pinned {
                server: vec![0, 1, 2, 3],
                generator: vec![4, 5, 6, 7],
            }),
        }],
    }
}

fn plan(pairs: u32) -> Plan {
    let two = |one: Arm, first: &str, other: Arm, second: &str| {
        vec![(one, first.to_owned()), (other, second.to_owned())]
    };
    let five: Vec<(Arm, String)> = Arm::ALL.map(|arm| (arm, arm.letter().to_owned())).to_vec();
    let ends = two(Arm::JsonHttp1, "A", Arm::Grpc, "E");
    let open = Load::Open { per_second: 5000.0 };
    let mut cells = vec![
        cell(
            Purpose::Aa,
            (32, 1, 1),
            Load::Closed,
            two(Arm::JsonHttp1, "A1", Arm::JsonHttp1, "A2"),
            pairs,
        ),
        cell(
            Purpose::Primary,
            (32, 1, 1),
            Load::Closed,
            five.clone(),
            pairs,
        ),
        cell(Purpose::Open, (32, 1, 1), open, five, pairs),
    ];
    let short = |purpose, connections, batch| Cell {
        window_us: MAP_WINDOW * 1_000_000,
        warm_up_us: 500_000,
        ..cell(
            purpose,
            (connections, 1, batch),
            Load::Closed,
            ends.clone(),
            pairs,
        )
    };
    cells.extend([1, 8].map(|connections| short(Purpose::Shape, connections, 1)));
    for batch in [10, 100, 1000] {
        cells.extend([1, 8, 32].map(|connections| short(Purpose::Payload, connections, batch)));
    }
    cells.push(Cell {
        arms: two(Arm::JsonHttp1, "A1", Arm::JsonHttp1, "A2"),
        ..short(Purpose::Aa, 8, 100)
    });
    cells.push(Cell {
        in_flight: 32,
        arms: two(Arm::JsonHttp2, "B", Arm::Grpc, "E"),
        ..short(Purpose::Shape, 1, 1)
    });
    let closing = two(
        Arm::JsonHttp1,
        "closes each connection",
        Arm::JsonHttp1,
        "keeps it",
    );
    let whole = two(
        Arm::JsonHttp1,
        "REST, one user",
        Arm::Grpc,
        "gRPC, one user",
    );
    cells.push(cell(Purpose::Seed, (1, 1, 1), Load::Closed, closing, pairs));
    cells.push(cell(Purpose::Seed, (2, 1, 1), Load::Closed, whole, pairs));
    cells.push(cell(
        Purpose::Aa,
        (32, 1, 1),
        open,
        two(Arm::JsonHttp1, "A1", Arm::JsonHttp1, "A2"),
        pairs,
    ));
    Plan { cells }
}

fn cell(
    purpose: Purpose,
    (connections, in_flight, batch): (u32, u32, u32),
    load: Load,
    arms: Vec<(Arm, String)>,
    pairs: u32,
) -> Cell {
    Cell {
        purpose,
        connections,
        in_flight,
        batch,
        load,
        arms,
        pairs,
        window_us: WINDOW * 1_000_000,
        warm_up_us: 2_000_000,
    }
}

fn block(
    cell: &Cell,
    pair: u32,
    number: u32,
    (arm, label): &(Arm, String),
    truth: Truth,
    random: &mut ChaCha8Rng,
) -> BlockRecord {
    let mut noisy = |value: f64| {
        let twelve: f64 = (0..12).map(|_| random.random::<f64>()).sum();
        value * (truth.noise * (twelve - 6.0)).exp()
    };
    let real = if truth.differ { *arm } else { Arm::JsonHttp1 };
    let batch = f64::from(cell.batch);
    let work = 1.0 + batch / 40.0 * if real == Arm::Grpc { 0.5 } else { 1.0 };
    let slow = if label.starts_with("closes") {
        4.0
    } else {
        1.0
    };
    let in_flight = f64::from(cell.connections * cell.in_flight).sqrt();
    let median = noisy(60.0 * in_flight * latency(real) * work * slow);
    let per_second = match cell.load {
        Load::Open { per_second } => per_second,
        Load::Closed => f64::from(cell.connections * cell.in_flight) * 1e6 / (median * 1.2),
    };
    let requests = (per_second * cell.window_us as f64 / 1e6) as u64;
    let open = matches!(cell.load, Load::Open { .. });
    BlockRecord {
        format: FORMAT,
        number,
        pair,
        attempt: 1,
        arm: *arm,
        label: label.clone(),
        purpose: cell.purpose,
        connections: cell.connections,
        in_flight: cell.in_flight,
        batch: cell.batch,
        load: cell.load,
        opened_unix_us: 1_767_323_045_000_000 + u64::from(number) * 13_000_000,
        window_us: cell.window_us,
        requests,
        errors: BTreeMap::new(),
        latency: Latency {
            uncorrected: times(median, 1.0, requests),
            corrected: open.then(|| times(median * 1.05, 3.0, requests)),
        },
        server: Some(ServerCost {
            cpu_us: (noisy(12.0 * cpu(real) * work) * requests as f64) as u64,
            cpu_source: Some(CpuSource::Scheduler),
            memory_at_rest_kib: 9 << 10,
            memory_under_load_kib: if real == Arm::Grpc {
                17 << 10
            } else {
                14 << 10
            },
        }),
        generator: GeneratorCost {
            cpu_us: (noisy(14.0 * cpu(real) * work) * requests as f64) as u64,
            busiest_core_share: Some(0.41),
            peak_memory_kib: Some(24 << 10),
        },
        wire: Some(Wire {
            sent_bytes_per_request: bytes(real) * 0.55 * work,
            received_bytes_per_request: bytes(real) * 0.45 * work,
        }),
        pacer: open.then_some(Pacer {
            offered: requests,
            unanswered_at_open: Some(0),
            lateness_p99_us: 3.1,
        }),
        steal_share: Some(0.001),
        others_share: Some(0.002),
        void: Vec::new(),
    }
}

fn cpu(arm: Arm) -> f64 {
    match arm {
        Arm::JsonHttp1 => 1.0,
        Arm::JsonHttp2 => 1.1,
        Arm::ProtobufHttp1 => 0.8,
        Arm::ProtobufHttp2 => 0.8 * 1.1,
        Arm::Grpc => CPU_RATIO,
    }
}

fn latency(arm: Arm) -> f64 {
    match arm {
        Arm::JsonHttp1 => 1.0,
        Arm::JsonHttp2 => 1.2,
        Arm::ProtobufHttp1 => 0.9,
        Arm::ProtobufHttp2 => 0.9 * 1.2,
        Arm::Grpc => LATENCY_RATIO,
    }
}

fn bytes(arm: Arm) -> f64 {
    match arm {
        Arm::JsonHttp1 => 402.0,
        Arm::JsonHttp2 => 268.0,
        Arm::ProtobufHttp1 => 331.0,
        Arm::ProtobufHttp2 => 196.0,
        Arm::Grpc => 214.0,
    }
}

/// A bulk around the median and a tail: at 99.9% about five times the median, times `tail`.
fn times(median_us: f64, tail: f64, count: u64) -> Nanoseconds {
    const POINTS: u64 = 2000;
    let mut times = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("bounds that fit");
    let mut recorded = 0;
    for point in 0..POINTS {
        // Closer together towards the end, as the last ones make the tail.
        let left = 1.0 - point as f64 / POINTS as f64;
        let quantile = 1.0 - left.powi(3);
        let next = 1.0 - (left - 1.0 / POINTS as f64).max(0.0).powi(3);
        let nines = -(1.0 - (quantile + next) / 2.0).max(1e-9).log10();
        let factor =
            0.55 + 0.82 * nines.sqrt().min(1.0) + 0.5 * tail * (nines - 0.9).max(0.0).powi(2);
        let nanos = (median_us * 1e3 * factor) as u64;
        let until = (count as f64 * next) as u64;
        let share = until.saturating_sub(recorded);
        recorded += share;
        times
            .record_n(nanos.max(1), share)
            .expect("a time within the bounds");
    }
    Nanoseconds(times)
}
