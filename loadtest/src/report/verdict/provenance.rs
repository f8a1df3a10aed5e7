//! The provenance of the figures: the method, the environment, and the files they come from.

use std::path::Path;

use engine::{CpuSource, Measurement};
use maud::{Markup, html};

use crate::{
    numbers::{counted, decimals},
    record::{
        Machine, Pinned, Protocol, Purpose, Recording, Scenario, Service, Trial, UNKNOWN_CPU,
    },
    report::figures::{plain, typical_and_most},
};

/// Files and directories that a run directory may hold besides the page, each with its content.
const FILES: [(&str, &str); 8] = [
    ("summary.md", "this page in short, to be pasted"),
    ("verdict.json", "the verdict for other programs"),
    ("junit.xml", "the verdict and the requirements as tests"),
    ("run.json", "the facts about the run as a whole"),
    ("trials/", "a file for each trial, histograms included"),
    ("blocks/", "a file for each trial, histograms included"),
    ("ceiling/", "the same for the generator's own ceiling"),
    ("hdr/", "HdrHistogram logs of the trials, in nanoseconds"),
];

pub(super) fn section(recording: &Recording, directory: &Path) -> Markup {
    let run = &recording.run;
    html! {
        (method(recording))
        h3 { "Where and with what" }
        (facts(recording))
        h3 { "Command" }
        pre.command tabindex="0" { (run.command) }
        h3 { "Files" }
        ul.links {
            @for (name, content) in FILES {
                @if directory.join(name).exists() { li { a href=(name) { (name) } ", " (content) } }
            }
            li { code { "loadtest report DIR" } " makes this page again from the raw data" }
        }
    }
}

fn method(recording: &Recording) -> Markup {
    let run = &recording.run;
    let mut lengths: Vec<String> = run.plan.scenarios.iter().map(self::lengths).collect();
    lengths.dedup();
    let first = lengths.first().cloned();
    // Earlier versions did not look whether the service was steady.
    let is_of_today = recording
        .trials
        .iter()
        .any(|trial| trial.measurement.steady.is_some());
    let twins = run.plan.scenarios.iter().any(|s| s.twin().is_some());
    let is_web = |trial: &Trial| trial.variant.protocol == Protocol::GrpcWeb;
    let has_web = recording.trials.iter().any(is_web);
    html! {
        ul.prose {
            li {
                "A trial is one variant for " (first.as_deref().unwrap_or("some seconds"))
                @if let Some(other) = lengths.iter().find(|other| Some(*other) != first.as_ref()) {
                    " (in other scenarios for " (other) ")"
                }
                ", "
                @match &run.service {
                    Service::Embedded => "against a fresh dual-mode of its own. ",
                    Service::Host { .. } | Service::Foreign { .. } => "against a service that was running already. ",
                }
                "A round holds one trial of every variant"
                @if twins { ", the baseline's twin included" }
                ", in a random order from the seed below."
                @if let Some(turns) = turns(recording) { " " (turns) }
            }
            li {
                @match run.budget_s {
                    Some(budget) => {
                        "Rounds went on until the headline was known well enough or the budget of " (plain(budget as f64)) " s was spent. Each look at the figures has its price in the intervals."
                    }
                    None => "The number of rounds was fixed beforehand.",
                }
            }
            li {
                "Every variant asks for the same with the same number of connections and of calls in flight. "
                @if is_of_today {
                    "Requests are encoded before the clock starts; it stops at the last byte of the reply, and replies are checked after it. The clients are equally lean: hyper itself over HTTP, tonic's client with a codec of plain bytes over gRPC"
                    @if has_web { ", and frames of a few lines on hyper over gRPC-Web" }
                    "."
                } @else {
                    "An earlier version measured it: its clock ran from just before the call to the last decoded byte, and its gRPC client was the generated one."
                }
            }
            li { "The round is the unit, never the request. CPU per request is compared only between trials whose rates differ by at most 2%, as it falls when a rate grows." }
            li {
                "Conclusive is a difference (further from 1 than the baseline's twin is, and beyond chance, corrected for the number of claims) or no difference (the interval lies inside 1/1.05 to 1.05 and the floor is smaller). All else is inconclusive: the estimate and the interval stand, and the reason is beside them."
                @if !twins && !run.plan.scenarios.iter().any(|s| s.purpose == Purpose::Aa) {
                    " Here no A/A was planned, so nothing can be conclusive."
                }
            }
            li { "No percentile is printed with fewer than a hundred samples beyond it." }
        }
    }
}

/// The sentence about the trials that took turns; none if none did.
fn turns(recording: &Recording) -> Option<String> {
    let compared = recording.trials.iter();
    let compared =
        compared.filter(|trial| !matches!(trial.purpose, Purpose::Pilot | Purpose::Ceiling));
    let in_turns = compared.clone().map(|trial| &trial.measurement);
    let in_turns = in_turns.filter(|measured| measured.parts > 1);
    let part_us = |measured: &Measurement| measured.window_us / u64::from(measured.parts);
    let part_ms = in_turns.clone().map(part_us).min()? / 1000;
    let (some, all) = (in_turns.count(), compared.count());
    let how_many = match some == all {
        true => String::new(),
        false => format!(" ({some} of {})", counted(all as u64, "trial")),
    };
    Some(format!(
        "They took turns{how_many}: all servers and generators of a round were there at once, and one at a time \
         was under load, for {part_ms} ms or more, so that what a busy machine does to one moment befell all of \
         them alike. CPU and bytes were counted from a moment without calls in each turn to another."
    ))
}

/// Returns the length of each trial of `scenario`, such as `8 s after at least 2 s of warm-up`.
fn lengths(scenario: &Scenario) -> String {
    let [window, warm_up] = [scenario.window_us, scenario.warm_up_us]
        .map(|micros| decimals(micros as f64 / 1e6, usize::from(micros % 1_000_000 != 0)));
    format!("{window} s after at least {warm_up} s of warm-up")
}

fn facts(recording: &Recording) -> Markup {
    let run = &recording.run;
    let tool = &run.tool;
    let trials = || recording.trials.iter().map(|trial| &trial.measurement);
    html! {
        dl.facts {
            dt { "Started" } dd { (run.started_at) }
            dt { "Measured" } dd { (extent(recording)) }
            @if let Service::Host { rest, grpc } = &run.service {
                dt { "REST" } dd { (rest) }
                dt { "gRPC" } dd { (grpc) }
            }
            @if let Service::Foreign { variants, rows, left_out, differences } = &run.service {
                @for variant in variants {
                    dt { (variant.name) } dd { (variant.address) ", " (variant.call) }
                }
                dt { "Data" } dd { (counted(*rows, "row")) ", the same for all variants" }
                dt { "Answers" }
                dd {
                    @if differences.is_empty() {
                        "Before the run the answers of all variants to the first rows were the same"
                    } @else {
                        strong { "Not the same work: " } "the answers of the variants differ in " (differences.join(", "))
                    }
                    @if !left_out.is_empty() {
                        ". Not compared, as two calls of one variant differ in it, or as --ignore says: " (left_out.join(", "))
                    }
                    ". While it was measured they were checked by their status, and those in JSON by their form."
                }
            }
            @for (index, machine) in run.machines.iter().enumerate() {
                dt { "Machine" @if run.machines.len() > 1 { " " (index + 1) } }
                dd { (written(machine)) }
                dt { "Kernel" } dd { (machine.kernel) }
                @if let Some(pinned) = &machine.pinned {
                    dt { "Cores" } dd { (shared_out(pinned, &run.service)) }
                }
            }
            dt { "Steal" } dd { (typical_and_most(trials().filter_map(|m| m.steal_share))) }
            dt { "Other programs" } dd { (typical_and_most(trials().filter_map(|m| m.others_share))) }
            @if let Some(source) = cpu_source(recording) {
                dt { "Server CPU" }
                dd {
                    (source)
                    @if let Some(whose) = run.whose_cpu() { ", of " (whose) }
                }
            } @else if run.service != Service::Embedded {
                dt { "Server CPU" }
                dd { (UNKNOWN_CPU) }
            }
            dt { "Commit" } dd { (tool.commit.as_deref().unwrap_or("not known")) }
            dt { "Seed" } dd { (run.seed) }
            dt { "Tools" }
            dd {
                "loadtest " (tool.version) ", goose " (tool.goose) ", "
                @if tool.release { "release build" } @else { "debug build" }
            }
        }
    }
}

/// Such as `12 rounds, 74 trials; budget 180 s`.
pub(super) fn extent(recording: &Recording) -> String {
    // A search for capacity has steps, and no rounds.
    let in_rounds = |trial: &&Trial| trial.purpose != Purpose::Capacity;
    let trials = recording.trials.iter().filter(in_rounds);
    let rounds = trials.map(|trial| trial.round).max();
    let budget = recording.run.budget_s;
    format!(
        "{}, {}{}",
        counted(rounds.unwrap_or(0).into(), "round"),
        counted(recording.trials.len() as u64, "trial"),
        budget.map_or(String::new(), |s| format!("; budget {s} s"))
    )
}

fn written(machine: &Machine) -> String {
    let memory = machine.memory_kib.map_or(String::new(), |kib| {
        format!(", {} GiB", decimals(kib as f64 / 1024f64.powi(2), 1))
    });
    format!(
        "{}, {}{memory}",
        machine.cpu.as_deref().unwrap_or("processor not known"),
        counted(machine.cores.into(), "core")
    )
}

/// Such as `server 0, generator 1`.
fn shared_out(pinned: &Pinned, service: &Service) -> String {
    let on = |cores: &[usize]| match cores {
        [] => "all".to_owned(),
        cores => {
            let names: Vec<String> = cores.iter().map(usize::to_string).collect();
            names.join(" ")
        }
    };
    let generator = format!("generator {}", on(&pinned.generator));
    match service {
        Service::Embedded => format!("server {}, {generator}", on(&pinned.server)),
        Service::Host { .. } | Service::Foreign { .. } => generator,
    }
}

/// Returns the source of the figures of the server's CPU time, in words; none if no trial names
/// one.
fn cpu_source(recording: &Recording) -> Option<&'static str> {
    let costs = recording.trials.iter().filter_map(|t| t.measurement.server);
    // The coarsest one stands for all.
    let coarsest = costs.filter_map(|cost| cost.cpu_source).max()?;
    Some(match coarsest {
        CpuSource::Scheduler => "counted by the scheduler in nanoseconds, thread by thread",
        CpuSource::ControlGroup => "counted by the kernel for the control group",
        CpuSource::Metrics => {
            "told by the server's metrics, from before the first call of a trial to after the last one, and shared \
             out among all replies"
        }
        CpuSource::Ticks => "counted in ticks of 10 ms, in some trials at least",
    })
}
