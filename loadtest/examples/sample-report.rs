//! Writes pages made from made-up data, for working on their looks and for the browser check.
//!
//! Run with `cargo run -p loadtest --example sample-report -- DIRECTORY`. It writes `index.html`
//! as it is when all went well, `troubled.html` with every warning, `alone.html` of a run that one
//! arm is missing from, and goose's own report as `goose-rest.html` and `goose-grpc.html`.

use std::{fs, path::PathBuf};

use anyhow::Context;
use loadtest::{
    report::{goose, page},
    result::{Run, StatusCount},
};

#[path = "../tests/sample/mod.rs"]
mod sample;

fn main() -> anyhow::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.context("name the directory to write to")?;
    fs::create_dir_all(&directory)?;
    let write = |name: &str, bytes: &[u8]| {
        fs::write(directory.join(name), bytes).with_context(|| format!("cannot write {name}"))
    };
    let goose_report = goose::offline(include_str!("../tests/fixtures/goose-report.html"))?;
    write("index.html", page::render(&sample::run()).as_bytes())?;
    write("troubled.html", page::render(&troubled()).as_bytes())?;
    write("alone.html", page::render(&alone()).as_bytes())?;
    write("run.json", &serde_json::to_vec_pretty(&sample::run())?)?;
    write("goose-rest.html", goose_report.as_bytes())?;
    write("goose-grpc.html", goose_report.as_bytes())?;
    write(goose::ECHARTS_FILE, goose::ECHARTS)
}

/// Everything that can be wrong with a run at once.
fn troubled() -> Run {
    let mut run = sample::run();
    run.cut_short = Some("interrupted from the keyboard".into());
    run.tool.release = false;
    run.command = format!(
        "cargo run --package loadtest -- --host {}",
        "very-long-".repeat(20)
    );
    for arm in &mut run.arms {
        arm.failures = 1234;
        arm.connections_opened = 57;
        arm.server = None;
        arm.thresholds_missed = vec!["p99 < 5ms: observed 6.3ms".into()];
        // Too few samples, and a window that is drawn in means.
        arm.latency.percentiles[5].micros = None;
        arm.latency.curve.retain(|point| point.0 <= 99.0);
        arm.throughput = arm.throughput.repeat(20);
        arm.statuses.push(StatusCount {
            status: "connection refused by the peer, while connecting to it".into(),
            ok: false,
            count: 1300,
        });
    }
    run
}

/// Cut short before gRPC's turn.
fn alone() -> Run {
    let mut run = sample::run();
    run.cut_short = Some("the server exited with status 1".into());
    run.machine.cores = 2;
    run.arms.truncate(1);
    run
}
