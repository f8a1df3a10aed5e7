//! A made-up run, for tests and for looking at the page. Nothing in it was measured.

use loadtest::result::{
    Arm, GeneratorUse, Latency, Load, Machine, Percentile, Protocol, Run, SCHEMA, ServerUse,
    Service, StatusCount, Tool,
};

/// A run without anything to warn about.
pub(crate) fn run() -> Run {
    Run {
        schema: SCHEMA,
        started: "2026-01-02T03:04:05Z".into(),
        command: "cargo run --release --package loadtest -- --users 32 --run-time 15s".into(),
        cut_short: None,
        tool: Tool {
            version: "0.1.0".into(),
            goose: "0.19.0".into(),
            commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
            release: true,
        },
        machine: Machine {
            kernel: "Linux 6.12.0".into(),
            cpu: Some("Made-up Processor 3000".into()),
            cores: 8,
            memory: Some(16 << 30),
        },
        load: Load {
            users: 32,
            connections: 32,
            in_flight_per_connection: 1,
            ramp: "32 users/s".into(),
            run_time: "15s".into(),
        },
        service: Service::Embedded,
        arms: vec![
            arm(Protocol::Rest, 19_812.4, 1480.0),
            arm(Protocol::Grpc, 21_437.2, 1310.0),
        ],
    }
}

fn arm(protocol: Protocol, rate: f64, median: f64) -> Arm {
    let rest = protocol == Protocol::Rest;
    let requests = (rate * 15.0) as u64;
    Arm {
        protocol,
        target: (if rest {
            "http://127.0.0.1:41000/v1/get_greetings"
        } else {
            "http://127.0.0.1:41001"
        })
        .into(),
        seconds: 15.0,
        requests,
        failures: 0,
        requests_per_second: rate,
        latency: latency(requests, median),
        throughput: (0..15_u32)
            .map(|second| (rate * (1.0 + 0.02 * (f64::from(second) * median).sin())) as u64)
            .collect(),
        statuses: vec![StatusCount {
            status: (if rest { "200" } else { "OK" }).into(),
            ok: true,
            count: requests + 9000,
        }],
        connections_opened: 32,
        server: Some(ServerUse {
            pids: vec![4242],
            cpu_micros_per_request: if rest { 41.3 } else { 37.9 },
            cores_busy: if rest { 0.82 } else { 0.81 },
            memory_at_rest: 9 << 20,
            memory_under_load: if rest { 14 << 20 } else { 17 << 20 },
        }),
        generator: GeneratorUse {
            cpu_micros_per_request: if rest { 48.1 } else { 45.6 },
            cores_busy: 0.96,
        },
        thresholds_missed: Vec::new(),
        cut_short: None,
        goose_report: Some(format!("goose-{}.html", protocol.slug())),
    }
}

/// A bulk around the median and a long tail: about eight times the median at 99.9%.
fn latency(count: u64, median: f64) -> Latency {
    let at = |percentile: f64| {
        let nines = -(1.0 - percentile / 100.0).log10();
        median * (0.55 + 1.2 * nines.sqrt().min(1.0) + 0.9 * (nines - 0.9).max(0.0).powf(2.4))
    };
    let known = |percentile: f64| Percentile {
        percentile,
        micros: (count as f64 * (1.0 - percentile / 100.0) >= 100.0).then(|| at(percentile)),
    };
    Latency {
        count,
        mean: median * 1.3,
        min: at(0.0) * 0.7,
        max: at(99.999),
        percentiles: [50.0, 75.0, 90.0, 95.0, 99.0, 99.9].map(known).to_vec(),
        curve: (0..=100)
            .map(|step| 100.0 * (1.0 - 10f64.powf(-f64::from(step) * 3.4 / 100.0)))
            .map(|percentile| (percentile, at(percentile)))
            .collect(),
    }
}
