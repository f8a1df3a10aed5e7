//! Writes pages of made-up runs, for working on their looks and for the browser check.
//!
//! Run with `cargo run -p loadtest --example sample-report -- DIRECTORY`. It writes the raw data and
//! `index.html` of a run where all went well; `quick.html` of a short one on a busy machine;
//! `troubled.html` of one with every kind of disturbance; `outside.html` of a service whose CPU nobody can
//! see; `compared.html` of two runs; and goose's own report as `goose-sample.html`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use loadtest::{
    commands::{compare::Side, report::write_page},
    record::{Disturbance, Machine, Recording, Service},
    report::{goose, side_by_side, verdict::render},
    verdict::Verdict,
};

#[path = "../tests/made_up/mod.rs"]
mod made_up;

use made_up::{THOROUGH, Truth};

fn main() -> anyhow::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.context("name the directory to write to")?;
    fs::create_dir_all(&directory)?;
    let write = |name: &str, page: String| {
        fs::write(directory.join(name), page).with_context(|| format!("cannot write {name}"))
    };
    let all_went_well = made_up::recording(THOROUGH);
    all_went_well.write(&directory)?;
    write_page(&directory, &all_went_well)?;

    let quick = quick();
    let nowhere = Path::new("nowhere");
    write("quick.html", render(&quick, nowhere))?;
    write(
        "troubled.html",
        render(&troubled(all_went_well.clone()), nowhere),
    )?;
    write(
        "outside.html",
        render(&outside(all_went_well.clone()), nowhere),
    )?;
    let sides = [("quiet", all_went_well), ("busy", quick)].map(|(name, recording)| Side {
        name: name.into(),
        verdict: Verdict::of(&recording),
        recording,
    });
    write("compared.html", side_by_side::render(&sides))?;

    let goose_report = include_str!("../tests/fixtures/goose-report.html");
    write("goose-sample.html", goose::offline(goose_report)?)?;
    fs::write(directory.join(goose::ECHARTS_FILE), goose::ECHARTS)?;
    Ok(())
}

/// REST and gRPC alone, a few rounds, beside other programs.
fn quick() -> Recording {
    let mut recording = made_up::two(Truth {
        rounds: 7,
        noise: 0.12,
        seed: 3,
        ..THOROUGH
    });
    for trial in &mut recording.trials {
        trial.measurement.others_share = Some(0.24);
        trial.measurement.steal_share = Some(0.031);
        trial.disturbances = vec![
            Disturbance::OtherPrograms { share: 0.24 },
            Disturbance::Steal { share: 0.031 },
        ];
    }
    recording
}

/// Everything that can be wrong with a run at once.
fn troubled(mut recording: Recording) -> Recording {
    let run = &mut recording.run;
    run.cut_short = Some("stopped by a signal".into());
    run.tool.release = false;
    run.thresholds_missed = vec!["p99 < 5ms: observed 6.3ms".into()];
    run.command = format!("loadtest --output-dir {}", "very-long-".repeat(20));
    run.machines
        .extend(run.machines.clone().into_iter().map(|machine| Machine {
            kernel: "Linux 6.13.0".into(),
            ..machine
        }));
    for trial in &mut recording.trials {
        let found = match (trial.round, trial.shape.users()) {
            (2, _) => Disturbance::Queue {
                achieved_share: 0.912,
            },
            (3, _) => Disturbance::BadReplies { count: 3 },
            (4, _) => Disturbance::Steal { share: 0.134 },
            (5, _) => Disturbance::LateDispatch {
                p50_us: Some(61.3),
                p99_us: 913.0,
            },
            (6, _) => Disturbance::ServerRestarted,
            (7, _) => Disturbance::OtherPrograms { share: 0.31 },
            (_, 8..) => Disturbance::GeneratorLimit {
                busiest_core_share: 0.97,
            },
            _ => continue,
        };
        trial.disturbances.push(found);
    }
    recording
}

/// A service of somebody else: no CPU, no memory, no bytes.
fn outside(mut recording: Recording) -> Recording {
    recording.run.service = Service::Host {
        rest: "http://service.example:5000".into(),
        grpc: "http://service.example:50051".into(),
    };
    for trial in &mut recording.trials {
        trial.measurement.server = None;
        trial.measurement.wire = None;
        trial.measurement.steal_share = None;
        trial.measurement.others_share = None;
    }
    recording
}
