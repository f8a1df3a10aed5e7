//! What the load generator itself costs: CPU time per request, at 32 users with one connection each.
//!
//! Run with `cargo bench -p loadtest --bench generator_cost`, about a minute. It compares
//! three times in a row, prints each run and the median, and fails above 60 µs on either protocol.

use std::{process::Command, process::ExitCode};

use loadtest::result::{Protocol, Run};

/// The bound, in microseconds of CPU per request.
const BOUND: f64 = 60.0;

const RUNS: usize = 3;

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let mut costs = [Vec::new(), Vec::new()];
    for number in 1..=RUNS {
        let report = folder.path().join(number.to_string());
        let status = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .args(["--users", "32", "--run-time", "8s", "--output-dir"])
            .arg(&report)
            .status()
            .expect("the tool was built");
        assert!(status.success(), "the comparison failed: {status}");
        let json = std::fs::read(report.join("run.json")).expect("a report has a run.json");
        let run: Run = serde_json::from_slice(&json).expect("run.json is a run");
        for arm in &run.arms {
            costs[usize::from(arm.protocol == Protocol::Grpc)]
                .push(arm.generator.cpu_micros_per_request);
        }
    }
    let mut within = true;
    for (name, mut costs) in ["REST", "gRPC"].into_iter().zip(costs) {
        costs.sort_by(f64::total_cmp);
        let median = costs[costs.len() / 2];
        println!(
            "{name}: {median:.1} µs of generator CPU per request (median of {costs:.1?}, bound {BOUND})"
        );
        within &= median <= BOUND;
    }
    if within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
