//! How the figures came about, where, and the files they come from.

use maud::{Markup, html};

use crate::{
    record::{
        Cell, CpuSource, Machine, Pinned, Purpose, Recording, Run, ServerCost, Service,
        store::{BLOCKS, CEILING, LOGS, RUN},
    },
    report::figures::decimals,
    statistics::RESAMPLES,
    verdict::sentence::counted,
};

pub(super) fn section(recording: &Recording) -> Markup {
    let run = &recording.run;
    html! {
        (method(run))
        h3 { "Where and with what" }
        (facts(recording))
        h3 { "Command" }
        pre.command tabindex="0" { (run.command) }
        h3 { "Raw data" }
        ul.links {
            li { a href=(RUN) { (RUN) } ", what holds for all blocks" }
            li { a href={ (BLOCKS) "/" } { (BLOCKS) "/" } ", a file for each block, histograms included" }
            // A merged run has a ceiling of sums, and no blocks of it.
            @if run.machines.len() == 1 && !run.ceiling.is_empty() {
                li { a href={ (CEILING) "/" } { (CEILING) "/" } ", the same for the generator's own ceiling" }
            }
            li { a href={ (LOGS) "/" } { (LOGS) "/" } ", HdrHistogram logs of the valid blocks, in nanoseconds" }
            li { code { "loadtest report DIR" } " makes this page again from them" }
        }
    }
}

fn method(run: &Run) -> Markup {
    let first = run.plan.cells.first().map(lengths);
    let mut all = run.plan.cells.iter().map(lengths);
    let of_map = all.find(|other| Some(other) != first.as_ref());
    let aa = run
        .plan
        .cells
        .iter()
        .any(|cell| cell.purpose == Purpose::Aa);
    html! {
        ul.prose {
            li {
                "A block is one arm for " (first.as_deref().unwrap_or("some seconds"))
                @if let Some(lengths) = of_map { " (in cells that only the map needs, for " (lengths) ")" }
                ", "
                @match run.service {
                    Service::Embedded => "against a fresh dual-mode of its own. ",
                    Service::Host { .. } => "against a service that was running already. ",
                }
                "The order of blocks is random, from the seed below."
            }
            li { "Every arm asks for the same greetings with the same number of connections and of calls in flight, and is timed from just before the call to the last decoded byte." }
            li { "The clients are equally lean: one hyper connection for each user; tonic's generated client on the gRPC side." }
            li {
                "The block is the unit, never the request. A ratio is the geometric mean over pairs; its 95% interval is on each side the wider of the bootstrap over pairs ("
                (decimals(RESAMPLES as f64, 0)) " resamples) and Student's t. The first knows skew, the second how few pairs there are."
            }
            li {
                "A difference is claimed if the interval lies beyond the A/A floor, p after Holm's correction is below 0.05, and flipping signs agrees. No difference is claimed if the interval lies inside ±5% and the floor is smaller. Otherwise: can't tell."
                @if !aa { " Here no A/A run was planned, so nothing can be claimed." }
            }
            li { "No percentile is printed with fewer than a hundred samples beyond it." }
        }
    }
}

/// How long each block of `cell` is, such as `8 s after 2 s that are dropped`.
pub(super) fn lengths(cell: &Cell) -> String {
    let seconds = |micros: u64| {
        let places = usize::from(!micros.is_multiple_of(1_000_000));
        decimals(micros as f64 / 1e6, places)
    };
    format!(
        "{} s after {} s that are dropped",
        seconds(cell.window_us),
        seconds(cell.warm_up_us)
    )
}

fn facts(recording: &Recording) -> Markup {
    let run = &recording.run;
    let tool = &run.tool;
    html! {
        dl.facts {
            dt { "Started" } dd { (run.started_at) }
            @if let Service::Host { rest, grpc } = &run.service {
                dt { "REST" } dd { (rest) }
                dt { "gRPC" } dd { (grpc) }
            }
            @for (index, machine) in run.machines.iter().enumerate() {
                dt { "Machine" @if run.machines.len() > 1 { " " (index + 1) } }
                dd { (written(machine)) }
                dt { "Kernel" } dd { (machine.kernel) }
                @if let Some(pinned) = &machine.pinned {
                    dt { "Cores" } dd { (shared_out(pinned, &run.service)) }
                }
            }
            @if let Some(source) = cpu_source(recording) {
                dt { "Server CPU" }
                dd {
                    (source)
                    @if let Some(whose) = run.whose_cpu() { ", of " (whose) }
                }
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
        cores => cores
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    };
    let generator = format!("generator {}", on(&pinned.generator));
    match service {
        Service::Embedded => format!("server {}, {generator}", on(&pinned.server)),
        Service::Host { .. } => generator,
    }
}

/// Who counted the server's CPU time, in words; none where nobody says.
fn cpu_source(recording: &Recording) -> Option<&'static str> {
    let costs = recording.blocks.iter().filter_map(|block| block.server);
    // The coarsest one stands for all.
    let coarsest = costs.filter_map(|cost: ServerCost| cost.cpu_source).max()?;
    Some(match coarsest {
        CpuSource::Scheduler => "counted by the scheduler in nanoseconds, thread by thread",
        CpuSource::Ticks => "counted in ticks of 10 ms, in some blocks at least",
    })
}
