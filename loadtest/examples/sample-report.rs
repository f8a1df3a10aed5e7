//! Writes verdict pages made from made-up recordings, for working on their looks and for the browser
//! check.
//!
//! Run with `cargo run -p loadtest --example sample-report -- DIRECTORY`. It writes the raw data and
//! `index.html` of a run where all went well; `quick.html` of one with few pairs on a noisy machine;
//! `troubled.html` with every warning; `outside.html` of a service whose CPU nobody can see; and
//! goose's own report as `goose-sample.html`.

use std::{fs, path::PathBuf};

use anyhow::Context;
use loadtest::{
    record::{Purpose, Recording, Service, Void},
    report::{goose, verdict::render},
};

#[path = "../tests/made_up/mod.rs"]
mod made_up;

use made_up::{THOROUGH, Truth};

fn main() -> anyhow::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.context("name the directory to write to")?;
    fs::create_dir_all(&directory)?;
    let write = |name: &str, recording: &Recording| {
        fs::write(directory.join(name), render(recording))
            .with_context(|| format!("cannot write {name}"))
    };
    let recording = made_up::recording(THOROUGH);
    recording.write(&directory)?;
    let goose_report = goose::offline(include_str!("../tests/fixtures/goose-report.html"))?;
    fs::write(directory.join("goose-sample.html"), goose_report)?;
    fs::write(directory.join(goose::ECHARTS_FILE), goose::ECHARTS)?;
    write("index.html", &recording)?;
    let noisy = Truth {
        pairs: 4,
        noise: 0.15,
        ..THOROUGH
    };
    write("quick.html", &made_up::recording(noisy))?;
    write("troubled.html", &troubled(recording.clone()))?;
    write("outside.html", &outside(recording))
}

/// Everything that can be wrong with a run at once.
fn troubled(mut recording: Recording) -> Recording {
    let run = &mut recording.run;
    run.cut_short = Some("stopped by a signal".into());
    run.tool.release = false;
    run.thresholds_missed = vec!["p99 < 5ms: observed 6.3ms".into()];
    run.command = format!("loadtest --output-dir {}", "very-long-".repeat(20));
    run.machines.extend(run.machines.clone());
    for block in &mut recording.blocks {
        match block.pair {
            2 if block.purpose == Purpose::Open => block.void.push(Void::Behind {
                achieved_share: 0.912,
                limit: 0.99,
            }),
            4 => block.void.push(Void::Steal {
                share: 0.034,
                limit: 0.01,
            }),
            5 => block.void.push(Void::PacerLate {
                lateness_p99_us: 61.3,
                limit_us: 35.0,
            }),
            _ => {}
        }
    }
    recording
}

/// A service of somebody else: no CPU, no memory, no bytes.
fn outside(mut recording: Recording) -> Recording {
    recording.run.service = Service::Host {
        rest: "http://service.example:5000".into(),
        grpc: "http://service.example:50051".into(),
    };
    for block in &mut recording.blocks {
        block.server = None;
        block.wire = None;
        block.steal_share = None;
    }
    recording
}
