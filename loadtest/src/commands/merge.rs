//! `loadtest merge DIR…`: one run out of those that several machines made at once, each a part of
//! the load on one service. Histograms are added, never percentiles averaged.

mod trial;

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use engine::{Load, Shape};

use super::report::write_page;
use crate::{
    folder::Folder,
    record::{Ceiling, Plan, Recording, Run, Scenario, Service, Trial},
};
use trial::{is_of, merged};

/// Merges the runs in `directories` into a new folder that is called `output`, or `output-2` and so
/// on where that is taken. Returns the folder.
///
/// # Errors
/// When the runs are not parts of one, in a sentence that says why, or a file cannot be read or
/// written. Nothing is written then.
pub fn merge(directories: &[PathBuf], output: &Path) -> anyhow::Result<PathBuf> {
    let recordings = directories
        .iter()
        .map(|directory| Recording::read(directory))
        .collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<(&Path, &Recording)> = directories
        .iter()
        .map(PathBuf::as_path)
        .zip(&recordings)
        .collect();
    let whole = join(&parts)?;
    let folder = Folder::begin(output)?;
    whole.write(folder.path())?;
    write_page(folder.path(), &whole)?;
    folder.keep()
}

/// The run that `parts` are of.
fn join(parts: &[(&Path, &Recording)]) -> anyhow::Result<Recording> {
    let [(first, one), others @ ..] = parts else {
        bail!("name the folders of two runs or more");
    };
    ensure!(
        !others.is_empty(),
        "name the folders of two runs or more; {} is one",
        first.display()
    );
    refuse_the_same_twice(parts)?;
    for (other, another) in others {
        if let Some(what) = mismatch(&one.run, &another.run) {
            bail!(
                "{} and {} cannot be merged: {what}",
                first.display(),
                other.display()
            );
        }
    }
    ensure!(
        !matches!(one.run.service, Service::Embedded),
        "{} cannot be merged: each run started a dual-mode of its own, so their loads did not meet; \
         use --host with one service on every machine",
        first.display()
    );
    let recordings: Vec<&Recording> = parts.iter().map(|(_, recording)| *recording).collect();
    Ok(Recording {
        run: run(&recordings),
        trials: trials(&recordings),
    })
}

fn refuse_the_same_twice(parts: &[(&Path, &Recording)]) -> anyhow::Result<()> {
    for (index, (path, recording)) in parts.iter().enumerate() {
        for (other, another) in &parts[..index] {
            ensure!(
                recording != another,
                "{} and {} hold the same run; it would count twice",
                other.display(),
                path.display()
            );
        }
    }
    Ok(())
}

/// Returns the first reason that keeps two runs from being parts of one; none if nothing does.
fn mismatch(one: &Run, other: &Run) -> Option<&'static str> {
    let rules = [
        (
            one.plan == other.plan,
            "their plans differ; run the same command on every machine, with the same --rate where \
             there is one",
        ),
        (
            one.seed == other.seed,
            "their seeds differ, and so does the order of their trials; give every machine the same \
             --seed",
        ),
        (
            one.mode == other.mode,
            "one is quick and the other thorough",
        ),
        (one.objective == other.objective, "their objectives differ"),
        (
            one.service == other.service,
            "they measured different services; name it alike on every machine",
        ),
        (
            one.tool == other.tool,
            "they were made by different builds of this tool; use one build on every machine",
        ),
    ];
    rules
        .into_iter()
        .find(|(holds, _)| !holds)
        .map(|(_, what)| what)
}

fn run(parts: &[&Recording]) -> Run {
    let runs = || parts.iter().map(|part| &part.run);
    let first = &parts[0].run;
    let machines = parts.len() as u32;
    Run {
        // UTC sorts as text.
        started_at: runs()
            .map(|run| run.started_at.clone())
            .min()
            .unwrap_or_default(),
        command: runs()
            .map(|run| run.command.clone())
            .collect::<Vec<_>>()
            .join("\n"),
        plan: Plan {
            scenarios: first
                .plan
                .scenarios
                .iter()
                .map(|scenario| times(scenario, machines))
                .collect(),
        },
        ceiling: ceilings(parts),
        // Each machine searched by itself.
        capacity: Vec::new(),
        thresholds_missed: runs()
            .flat_map(|run| run.thresholds_missed.clone())
            .collect(),
        // Where the service ran beside one of the generators, that one knows.
        listening: runs()
            .map(|run| run.listening.clone())
            .find(|listening| listening.iter().any(|side| !side.is_empty()))
            .unwrap_or_default(),
        cut_short: runs().find_map(|run| run.cut_short.clone()),
        machines: runs().flat_map(|run| run.machines.clone()).collect(),
        ..first.clone()
    }
}

/// The same scenario with the load of so many machines.
fn times(scenario: &Scenario, machines: u32) -> Scenario {
    Scenario {
        shape: shape(scenario.shape, machines),
        load: load(scenario.load, machines),
        ..scenario.clone()
    }
}

fn shape(shape: Shape, machines: u32) -> Shape {
    Shape {
        connections: shape.connections * machines,
        ..shape
    }
}

fn load(load: Load, machines: u32) -> Load {
    match load {
        Load::Closed => Load::Closed,
        Load::Open { per_second } => Load::Open {
            per_second: per_second * f64::from(machines),
        },
    }
}

/// Returns the limits of all generators together, for each protocol and shape that every part has
/// measured.
fn ceilings(parts: &[&Recording]) -> Vec<Ceiling> {
    let sum = |one: &Ceiling| {
        let alike = |other: &&Ceiling| (one.protocol, one.shape) == (other.protocol, other.shape);
        let found = parts.iter().map(|part| part.run.ceiling.iter().find(alike));
        let found = found.collect::<Option<Vec<&Ceiling>>>()?;
        let rate: f64 = found
            .iter()
            .map(|ceiling| ceiling.requests_per_second)
            .sum();
        let cpu: f64 = found
            .iter()
            .map(|ceiling| ceiling.generator_cpu_us_per_request * ceiling.requests_per_second)
            .sum();
        Some(Ceiling {
            shape: shape(one.shape, parts.len() as u32),
            requests_per_second: rate,
            generator_cpu_us_per_request: cpu / rate,
            ..*one
        })
    };
    parts[0].run.ceiling.iter().filter_map(sum).collect()
}

/// Every trial that any machine has of the plan's scenarios, in the order in which they ran.
fn trials(parts: &[&Recording]) -> Vec<Trial> {
    let mut kinds: Vec<&Trial> = Vec::new();
    for trial in parts.iter().flat_map(|part| &part.trials) {
        let mut scenarios = parts[0].run.plan.scenarios.iter();
        if scenarios.any(|scenario| trial.is_of(scenario))
            && !kinds.iter().any(|kind| is_of(kind, trial))
        {
            kinds.push(trial);
        }
    }
    let whole = kinds.into_iter().filter_map(|kind| {
        let of_part = |part: &&Recording| part.trials.iter().position(|trial| is_of(kind, trial));
        let found = parts
            .iter()
            .filter_map(|part| Some(&part.trials[of_part(part)?]));
        merged(&found.collect::<Vec<_>>(), parts.len())
    });
    let mut whole: Vec<Trial> = whole.collect();
    whole.sort_by_key(|trial| trial.measurement.opened_unix_us);
    for (number, trial) in (1..).zip(&mut whole) {
        trial.number = number;
    }
    whole
}
