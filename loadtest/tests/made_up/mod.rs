//! A made-up recording whose truth is known, for tests and for looking at the page. Nothing in it was
//! measured.

#![allow(dead_code)] // Each test takes what it needs.

use std::collections::BTreeMap;

use engine::{
    CpuSource, Dispatch, GeneratorCost, Load, Measurement, Nanoseconds, ServerCost, Shape, Wire,
};
use hdrhistogram::Histogram;
use loadtest::record::{
    Capacity, Ceiling, FORMAT, Machine, Mode, Objective, Pinned, Plan, Protocol, Purpose,
    Recording, Run, Scenario, Service, Tool, Trial, Variant,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Seconds of each trial.
const WINDOW: u64 = 5;

/// Seconds of each trial of the map.
const MAP_WINDOW: u64 = 2;

/// The rate of the open loop.
pub(crate) const PER_SECOND: f64 = 5000.0;

/// The truth that a recording is made up from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    /// Rounds of each scenario.
    pub(crate) rounds: u32,
    /// Standard deviation of one trial, as a part of 1.
    pub(crate) noise: f64,
    /// True if the variants differ at all; if not, each is a copy of REST.
    pub(crate) differ: bool,
    /// Of the noise.
    pub(crate) seed: u64,
}

/// The rounds of a scheduled look on a quiet machine.
pub(crate) const THOROUGH: Truth = Truth {
    rounds: 14,
    noise: 0.01,
    differ: true,
    seed: 1,
};

/// gRPC's server CPU divided by REST's, in truth.
pub(crate) const CPU_RATIO: f64 = 0.8 * 1.1 * 1.25;

/// gRPC's median latency divided by REST's, in truth.
pub(crate) const LATENCY_RATIO: f64 = 0.9 * 1.2 * 1.15;

/// A recording of every kind of scenario.
pub(crate) fn recording(truth: Truth) -> Recording {
    of(plan(truth.rounds), truth)
}

/// A recording of what the headline takes, and no more.
pub(crate) fn headline(truth: Truth) -> Recording {
    let mut plan = plan(truth.rounds);
    plan.scenarios
        .retain(|scenario| matches!(scenario.purpose, Purpose::Open | Purpose::Single));
    of(plan, truth)
}

/// The same of REST and gRPC alone.
pub(crate) fn two(truth: Truth) -> Recording {
    let Recording { run, mut trials } = headline(truth);
    let ends = [Protocol::JsonHttp1, Protocol::Grpc];
    let mut run = run;
    for scenario in &mut run.plan.scenarios {
        scenario
            .variants
            .retain(|variant| ends.contains(&variant.protocol));
    }
    trials.retain(|trial| ends.contains(&trial.variant.protocol));
    Recording { run, trials }
}

fn of(plan: Plan, truth: Truth) -> Recording {
    let mut random = ChaCha8Rng::seed_from_u64(truth.seed);
    let mut trials: Vec<Trial> = Vec::new();
    for scenario in &plan.scenarios {
        for round in 1..=truth.rounds {
            for variant in &scenario.variants {
                let number = trials.len() as u32 + 1;
                trials.push(trial(scenario, round, number, variant, truth, &mut random));
            }
        }
    }
    Recording {
        run: run(plan, truth),
        trials,
    }
}

fn run(plan: Plan, truth: Truth) -> Run {
    let shape = shape(32, 1);
    let ceiling = |(protocol, cpu): (Protocol, f64)| Ceiling {
        protocol,
        shape,
        requests_per_second: 1.6e6 / cpu,
        generator_cpu_us_per_request: cpu,
    };
    let capacity = |(protocol, met): (Protocol, f64)| Capacity {
        protocol,
        variant: None,
        shape,
        batch: 1,
        met_per_second: Some(met),
        missed_per_second: (protocol != Protocol::Grpc).then_some(met * 1.05),
        generator_bound: protocol == Protocol::Grpc,
        disturbed: false,
    };
    Run {
        format: FORMAT,
        started_at: "2026-01-02T03:04:05Z".into(),
        command: "cargo run --release -p loadtest -- --thorough --slo 'p99<5ms'".into(),
        seed: 42,
        mode: if truth.rounds >= 10 {
            Mode::Thorough
        } else {
            Mode::Quick
        },
        budget_s: Some(180),
        plan,
        objective: Some(Objective {
            percentile: 99.0,
            below_us: 5000,
        }),
        service: Service::Embedded,
        ceiling: [
            (Protocol::JsonHttp1, 14.2),
            (Protocol::JsonHttp2, 19.0),
            (Protocol::ProtobufHttp1, 12.9),
            (Protocol::ProtobufHttp2, 18.1),
            (Protocol::Grpc, 21.7),
        ]
        .map(ceiling)
        .to_vec(),
        codec: Vec::new(),
        capacity: [(Protocol::JsonHttp1, 81_000.0), (Protocol::Grpc, 52_000.0)]
            .map(capacity)
            .to_vec(),
        listening: Default::default(),
        requirements: Vec::new(),
        core_price: None,
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

fn plan(rounds: u32) -> Plan {
    let five = || with_twin(Protocol::STEPS.map(Variant::of).to_vec());
    let ends = || {
        with_twin(
            [Protocol::JsonHttp1, Protocol::Grpc]
                .map(Variant::of)
                .to_vec(),
        )
    };
    let named = |protocol, name: &str| Variant {
        name: name.to_owned(),
        ..Variant::of(protocol)
    };
    let scenario = |purpose, shape, batch, load, variants| Scenario {
        purpose,
        shape,
        batch,
        load,
        variants,
        rounds: Some(rounds),
        window_us: WINDOW * 1_000_000,
        warm_up_us: 1_000_000,
    };
    let place = |connections: u32, batch: u32| Scenario {
        window_us: MAP_WINDOW * 1_000_000,
        warm_up_us: 500_000,
        ..scenario(
            Purpose::Map,
            shape(connections, 1),
            batch,
            open(PER_SECOND - 100.0 * f64::from(connections)),
            ends(),
        )
    };
    let mut scenarios = vec![
        scenario(Purpose::Open, shape(32, 1), 1, open(PER_SECOND), five()),
        scenario(Purpose::Single, shape(1, 1), 1, Load::Closed, five()),
    ];
    scenarios.extend([1, 8].map(|connections| place(connections, 1)));
    for batch in [10, 100, 1000] {
        scenarios.extend([1, 8, 32].map(|connections| place(connections, batch)));
    }
    scenarios.push(Scenario {
        shape: shape(1, 32),
        variants: with_twin(
            [Protocol::JsonHttp2, Protocol::Grpc]
                .map(Variant::of)
                .to_vec(),
        ),
        ..place(1, 1)
    });
    for (connections, protocol, [before, after]) in [
        (
            1,
            Protocol::JsonHttp1,
            ["REST that closes each connection", "REST that keeps it"],
        ),
        (2, Protocol::Grpc, ["REST, one user", "gRPC, one user"]),
    ] {
        let variants = vec![named(Protocol::JsonHttp1, before), named(protocol, after)];
        scenarios.push(scenario(
            Purpose::Original,
            shape(connections, 1),
            1,
            Load::Closed,
            with_twin(variants),
        ));
    }
    Plan { scenarios }
}

pub(crate) fn open(per_second: f64) -> Load {
    Load::Open { per_second }
}

fn shape(connections: u32, in_flight: u32) -> Shape {
    Shape {
        connections,
        in_flight,
    }
}

fn with_twin(mut variants: Vec<Variant>) -> Vec<Variant> {
    variants.push(Variant {
        name: format!("{} twin", variants[0].name),
        is_twin: true,
        ..variants[0].clone()
    });
    variants
}

fn trial(
    scenario: &Scenario,
    round: u32,
    number: u32,
    variant: &Variant,
    truth: Truth,
    random: &mut ChaCha8Rng,
) -> Trial {
    let mut noisy = |value: f64| {
        let twelve: f64 = (0..12).map(|_| random.random::<f64>()).sum();
        value * (truth.noise * (twelve - 6.0)).exp()
    };
    let real = if truth.differ {
        variant.protocol
    } else {
        Protocol::JsonHttp1
    };
    let batch = f64::from(scenario.batch);
    let work = 1.0 + batch / 40.0 * if real == Protocol::Grpc { 0.5 } else { 1.0 };
    let slow = if variant.name.contains("closes") {
        4.0
    } else {
        1.0
    };
    let users = scenario.shape.users() as f64;
    let median = noisy(60.0 * users.sqrt() * latency(real) * work * slow);
    let per_second = match scenario.load {
        Load::Open { per_second } => per_second,
        Load::Closed => users * 1e6 / (median * 1.2),
    };
    let requests = (per_second * scenario.window_us as f64 / 1e6) as u64;
    let is_open = matches!(scenario.load, Load::Open { .. });
    Trial {
        format: FORMAT,
        number,
        round,
        attempt: 1,
        purpose: scenario.purpose,
        shape: scenario.shape,
        batch: scenario.batch,
        load: scenario.load,
        variant: variant.clone(),
        added_cpu_us: None,
        waited: None,
        disturbances: Vec::new(),
        measurement: Measurement {
            parts: 1,
            opened_unix_us: 1_767_323_045_000_000 + u64::from(number) * 13_000_000,
            window_us: scenario.window_us,
            warm_up_us: scenario.warm_up_us,
            steady: Some(true),
            completed: requests,
            counted: requests,
            unanswered: 0,
            errors: BTreeMap::new(),
            errors_in_all: BTreeMap::new(),
            service_time: times(median, 1.0, requests),
            response_time: is_open.then(|| times(median * 1.05, 3.0, requests)),
            server: Some(ServerCost {
                cpu_us: (noisy(12.0 * cpu(real) * work) * requests as f64) as u64,
                cpu_source: Some(CpuSource::Scheduler),
                memory_at_rest_kib: 9 << 10,
                memory_under_load_kib: if real == Protocol::Grpc {
                    17 << 10
                } else {
                    14 << 10
                },
            }),
            server_lost: false,
            server_asked: None,
            completed_in_all: requests,
            generator: GeneratorCost {
                cpu_us: (noisy(14.0 * cpu(real) * work) * requests as f64) as u64,
                busiest_core_share: Some(0.41),
                peak_memory_kib: Some(24 << 10),
            },
            wire: Some(Wire {
                sent_bytes_per_request: bytes(real) * 0.55 * work,
                received_bytes_per_request: bytes(real) * 0.45 * work,
            }),
            dispatch: is_open.then_some(Dispatch {
                offered: requests,
                unanswered_at_open: Some(0),
                unanswered_at_close: Some(0),
                growth: None,
                delay_p50_us: Some(2.0),
                delay_p99_us: 3.1,
            }),
            steal_share: Some(0.001),
            others_share: Some(0.002),
            thresholds_missed: Vec::new(),
            cut_short: None,
            aborted: false,
        },
    }
}

/// Gives a trial another number of replies: its rate, and the times of so many.
pub(crate) fn with_replies(trial: &mut Trial, replies: u64) {
    let measurement = &mut trial.measurement;
    let cost = replies as f64 / measurement.completed as f64;
    measurement.completed = replies;
    measurement.counted = replies;
    let median = measurement.latency().percentile_us(50.0);
    measurement.service_time = times(median, 1.0, replies);
    measurement.response_time = measurement
        .response_time
        .take()
        .map(|_| times(median, 3.0, replies));
    if let Some(dispatch) = &mut measurement.dispatch {
        dispatch.offered = replies;
    }
    if let Some(server) = &mut measurement.server {
        server.cpu_us = (server.cpu_us as f64 * cost) as u64;
    }
}

fn cpu(protocol: Protocol) -> f64 {
    match protocol {
        Protocol::JsonHttp1 => 1.0,
        Protocol::JsonHttp2 => 1.1,
        Protocol::ProtobufHttp1 => 0.8,
        Protocol::ProtobufHttp2 => 0.8 * 1.1,
        Protocol::Grpc => CPU_RATIO,
        Protocol::GrpcWeb => 1.2 * CPU_RATIO,
    }
}

fn latency(protocol: Protocol) -> f64 {
    match protocol {
        Protocol::JsonHttp1 => 1.0,
        Protocol::JsonHttp2 => 1.2,
        Protocol::ProtobufHttp1 => 0.9,
        Protocol::ProtobufHttp2 => 0.9 * 1.2,
        Protocol::Grpc => LATENCY_RATIO,
        Protocol::GrpcWeb => 0.9 * LATENCY_RATIO,
    }
}

fn bytes(protocol: Protocol) -> f64 {
    match protocol {
        Protocol::JsonHttp1 => 402.0,
        Protocol::JsonHttp2 => 268.0,
        Protocol::ProtobufHttp1 => 331.0,
        Protocol::ProtobufHttp2 => 196.0,
        Protocol::Grpc => 214.0,
        Protocol::GrpcWeb => 380.0,
    }
}

/// A bulk around the median and a tail: at 99.9% about five times the median, times `tail`.
fn times(median_us: f64, tail: f64, count: u64) -> Nanoseconds {
    const POINTS: u64 = 1000;
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
