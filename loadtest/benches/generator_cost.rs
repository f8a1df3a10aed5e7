//! What the load generator itself costs: CPU time per request, at 32 users with one connection each.
//!
//! Run with `cargo bench -p loadtest --bench generator_cost`, about a minute. It measures three
//! blocks of JSON over HTTP/1.1 and of gRPC in a closed loop, prints the median of each, and fails
//! above the bounds.

use std::{process::Command, process::ExitCode};

use loadtest::record::{Arm, BlockRecord, Recording};

/// The bounds, in microseconds of CPU per request.
const BOUNDS: [(Arm, f64); 2] = [(Arm::JsonHttp1, 18.0), (Arm::Grpc, 26.0)];

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let report = folder.path().join("run");
    let status = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args([
            "--users",
            "32",
            "--run-time",
            "8s",
            "--closed",
            "--pairs",
            "3",
        ])
        .args(["--arms", "A,E", "--output-dir"])
        .arg(&report)
        .status()
        .expect("the tool was built");
    let recording = Recording::read(&report).unwrap_or_else(|error| panic!("{status}: {error:#}"));
    let mut within = true;
    for (arm, bound) in BOUNDS {
        let blocks = recording.blocks.iter();
        let of_arm = blocks.filter(|block| block.arm == arm && block.is_valid());
        let mut costs: Vec<_> = of_arm
            .filter_map(BlockRecord::generator_cpu_us_per_request)
            .collect();
        costs.sort_by(f64::total_cmp);
        let median = costs.get(costs.len() / 2).copied().unwrap_or(f64::NAN);
        println!(
            "{}: {median:.1} µs of generator CPU per request (median of {costs:.1?}, bound {bound})",
            arm.name()
        );
        within &= median <= bound;
    }
    if within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
