//! The load generator's memory in a short and a long run, which has to be about the same: a hundred
//! thousand requests against a million, of JSON over HTTP/1.1 and of gRPC.
//!
//! Run with `cargo bench -p loadtest --bench memory`, about four minutes: an open loop of 10,000
//! calls/s for 10 s and for 100 s on each. It prints the most memory that was resident of the process
//! that makes the calls, and fails if the long run took more than a tenth more, or made too few.

use std::{process::Command, process::ExitCode};

use loadtest::record::{Protocol, Purpose, Recording, Trial};

/// Calls per second.
const RATE: u64 = 10_000;

/// Seconds of the short run and of the long one.
const SECONDS: [u64; 2] = [10, 100];

/// The most that the long run may take, as a multiple of the short one.
const MOST: f64 = 1.1;

/// Of the requests that were asked for, so many must have been made: a machine that is too slow
/// tells nothing.
const MADE: f64 = 0.9;

fn main() -> ExitCode {
    let runs = SECONDS.map(run);
    let mut flat = true;
    for protocol in [Protocol::JsonHttp1, Protocol::Grpc] {
        let [short, long] = runs.each_ref().map(|run| trial(run, protocol));
        let [short_kib, long_kib] = [short, long].map(|trial| {
            let peak = trial.measurement.generator.peak_memory_kib;
            peak.expect("the system tells the peak of a process's memory")
        });
        let ratio = long_kib as f64 / short_kib as f64;
        println!(
            "{}: {short_kib} KiB after {} requests, {long_kib} KiB after {}: {ratio:.3}×, at most {MOST}",
            protocol.name(),
            short.measurement.completed,
            long.measurement.completed,
        );
        let enough = |(trial, seconds): (&Trial, u64)| {
            trial.measurement.completed as f64 >= MADE * (RATE * seconds) as f64
        };
        flat &= ratio <= MOST && [short, long].into_iter().zip(SECONDS).all(enough);
    }
    if flat {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A trial of each variant, of so many seconds.
fn run(seconds: u64) -> Recording {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let report = folder.path().join("run");
    let status = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args([
            "--rate",
            &RATE.to_string(),
            "--rounds",
            "1",
            "--variants",
            "A,E",
        ])
        .args(["--run-time", &format!("{seconds}s"), "--output-dir"])
        .arg(&report)
        .status()
        .expect("the tool was built");
    Recording::read(&report).unwrap_or_else(|error| panic!("{status}: {error:#}"))
}

/// The first trial of `protocol` at the rate: disturbed ones have their memory too.
fn trial(recording: &Recording, protocol: Protocol) -> &Trial {
    let mut trials = recording.trials.iter();
    let is_it =
        |trial: &&Trial| trial.purpose == Purpose::Open && trial.variant.protocol == protocol;
    trials.find(is_it).expect("both protocols were measured")
}
