//! How the figures came about, and where.

use maud::{Markup, html};

use super::{Sides, figures, headline::shape};
use crate::result::{Run, Service};

/// What was done to each arm, so that a reader can judge what the figures mean.
pub(super) fn method(run: &Run) -> Markup {
    let load = &run.load;
    html! {
        ul.prose {
            li {
                "Each of " (figures::thousands(load.users as u64)) " users has one connection and calls again as soon as its answer has come: "
                (shape(load)) ". A slow answer therefore delays the next call, and the rate follows the latency."
            }
            li {
                "The users started at " (load.ramp) ". This ramp, and a second after it, is warm-up and is left out. "
                "Planned time at full load, for each arm: " (load.run_time) "."
            }
            li { (order(run)) " against " (service(run.service)) "." }
            li { "Both are timed alike: from just before the call to the last decoded byte. Latencies are those of good answers only." }
            li {
                "The clients are equally lean. REST: one hyper HTTP/1.1 connection per user, JSON both ways. "
                "gRPC: one hyper HTTP/2 connection per user, with tonic’s generated client."
            }
            li { "This is one run with one block per protocol. There is no interval around a figure, so a small difference means nothing. Run it again before you rely on it." }
        }
    }
}

fn order(run: &Run) -> String {
    match &run.arms[..] {
        [] => "Nothing was sent".to_owned(),
        [only] => format!("Only {} ran, one block", only.protocol.name()),
        [first, ..] => format!(
            "The arms ran one after the other, {} first, one block each,",
            first.protocol.name()
        ),
    }
}

fn service(service: Service) -> &'static str {
    match service {
        Service::Embedded => "dual-mode, which the run itself started and stopped",
        Service::Running => "a service that was running already",
    }
}

/// The machine, the build and the command.
pub(super) fn provenance(run: &Run) -> Markup {
    let (machine, tool) = (&run.machine, &run.tool);
    let memory = machine.memory.map(|bytes| bytes as f64 / 1024f64.powi(3));
    html! {
        dl.facts {
            dt { "Started" } dd { (run.started) }
            @for arm in Sides::of(run).present() {
                dt { (arm.protocol.name()) " target" } dd { (arm.target) }
            }
            dt { "Processor" }
            dd { (machine.cpu.as_deref().unwrap_or("not known")) ", " (super::headline::counted(machine.cores as u64, "core")) }
            dt { "Memory" }
            dd { @if let Some(memory) = memory { (figures::decimals(memory, 1)) " GiB" } @else { "not known" } }
            dt { "Kernel" } dd { (machine.kernel) }
            dt { "Commit" } dd { (tool.commit.as_deref().unwrap_or("not known")) }
            dt { "Tools" }
            dd {
                "loadtest " (tool.version) ", goose " (tool.goose) ", "
                @if tool.release { "release build" } @else { "debug build" }
            }
        }
        h3 { "Command" }
        pre.command tabindex="0" { (run.command) }
    }
}

/// The files beside this page.
pub(super) fn links(run: &Run) -> Markup {
    html! {
        ul.links {
            @for arm in Sides::of(run).present() {
                @if let Some(file) = &arm.goose_report {
                    li { a href=(relative(file)) { "Goose’s own report on " (arm.protocol.name()) } }
                }
            }
            li { a href="run.json" { "run.json" } ", everything on this page as data" }
        }
    }
}

/// A file name as an address that stays beside this page, whatever the name holds.
fn relative(file: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let escaped = file.chars().flat_map(|c| {
        let mut bytes = [0; 4];
        let text: &str = c.encode_utf8(&mut bytes);
        let hex = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect();
        if plain(c) {
            vec![c.to_string()]
        } else {
            vec![hex(text)]
        }
    });
    format!("./{}", escaped.collect::<String>())
}
