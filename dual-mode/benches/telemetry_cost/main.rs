//! The cost of telemetry at its defaults: this server with it against the same one without
//! (`--no-telemetry`), pair by pair, driven by h2load.
//!
//! Run with `cargo bench -p dual-mode --bench telemetry_cost -- --pairs 31`, about four minutes; with
//! the default of 5 pairs, hundredths cannot be told apart. It prints server CPU per request of both,
//! and fails if telemetry takes more than it may. Only the ratios mean something on another machine.

#[allow(dead_code, reason = "the other benchmark uses the rest of it")]
#[path = "../common/mod.rs"]
mod common;

use std::process::ExitCode;

use clap::Parser;

use common::{Pairs, Sample, drive::Run, said, server::Server};

/// The most CPU per request, as a ratio to none.
const BOUND: f64 = 1.05;

/// This server with telemetry against the same one without
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    pairs: Pairs,
}

fn main() -> ExitCode {
    common::exit(compare(&Args::parse().pairs))
}

/// Returns whether the bound holds for every shape that keeps the server busy.
fn compare(pairs: &Pairs) -> anyhow::Result<bool> {
    pairs.print();
    println!("| shape | CPU µs without | with telemetry | CPU ratio | bound {BOUND:.2} |");
    println!("|---|---|---|---|---|");
    let without = Server::ours(&pairs.program, ["--no-telemetry"])?;
    let with = Server::ours(&pairs.program, None::<&str>)?;
    let mut all_hold = true;
    for shape in pairs.shapes(false).filter(|shape| !shape.waits()) {
        let runs = pairs.run(shape, [&without, &with])?;
        let cpu = |of: fn(&[Run; 2]) -> f64| Sample::of(runs.iter().map(of));
        let ratio = cpu(|[without, with]| with.cpu_micros / without.cpu_micros);
        let holds = ratio.median <= BOUND;
        println!(
            "| {} | {:.2} | {:.2} | {ratio} | {} |",
            shape.name,
            cpu(|[without, _]| without.cpu_micros).median,
            cpu(|[_, with]| with.cpu_micros).median,
            said(holds),
        );
        all_hold &= holds;
    }
    Ok(all_hold)
}
