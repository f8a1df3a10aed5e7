//! This server against a stock one (examples/stock.rs), pair by pair, driven by h2load.
//!
//! Run with `cargo bench -p dual-mode --bench against_stock`, about three minutes; `-- --pairs N`
//! and `-- --requests N` make it longer; `-- --third PATH` sets ours beside a third server, too. It
//! prints requests/s, server CPU per request and memory of both, and fails where a bound does not hold.
//! Only the ratios mean something on another machine.

#[path = "../common/mod.rs"]
mod common;
mod idle;
#[path = "../../examples/stock.rs"]
mod stock;

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode},
};

use clap::Parser;

use common::{
    Pairs, Sample,
    drive::{Run, Shape},
    said,
    server::Server,
};

/// The name under which this program is the stock server.
const STOCK: &str = "stock";

/// Connections held open to measure the memory of an idle one.
const IDLE: usize = 1000;

/// The most that runs of one server may differ among themselves and still count as equal.
const WIDEST_NOISE: f64 = 0.05;

/// This server against a stock one
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    pairs: Pairs,

    /// A third server to set ours beside, in the same rounds; .ci/third/build.sh makes one
    #[arg(long, value_name = "PATH")]
    third: Option<PathBuf>,
}

fn main() -> ExitCode {
    // The stock server is this program under another name.
    if std::env::args().next().as_deref() == Some(STOCK) {
        stock::main().expect("the stock server runs");
        return ExitCode::SUCCESS;
    }
    common::exit(compare(&Args::parse()))
}

/// Returns whether every bound holds.
fn compare(Args { pairs, third }: &Args) -> anyhow::Result<bool> {
    pairs.print();
    println!(
        "| shape | requests/s stock | ours | CPU µs stock | ours | CPU ratio | bound | requests/s ratio | stock to itself | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let (stock, ours) = (start_stock()?, Server::ours(&pairs.program, &[])?);
    let third = third
        .as_ref()
        .map(|program| Server::ours(program, &[]))
        .transpose()?;
    let mut all_hold = true;
    let mut beside = Vec::new();
    for shape in pairs.shapes() {
        let runs = match &third {
            None => pairs.run(shape, [&stock, &ours])?,
            Some(third) => {
                let runs = pairs.run(shape, [&stock, &ours, third])?;
                beside.push((
                    shape,
                    runs.iter()
                        .map(|[_, ours, third]| [*third, *ours])
                        .collect(),
                ));
                runs.iter()
                    .map(|[stock, ours, _]| [*stock, *ours])
                    .collect()
            }
        };
        all_hold &= print_row(shape, &runs);
    }
    drop((stock, ours));
    print_third(&beside);
    if pairs.only.is_empty() {
        print_memory(pairs)?;
    }
    Ok(all_hold)
}

/// The stock server, on free ports.
fn start_stock() -> anyhow::Result<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    Server::start(command.arg0(STOCK).args(["0", "0"]))
}

/// The second of two runs to the first by a figure of theirs, of all rounds.
fn ratios(runs: &[[Run; 2]], figure: fn(&Run) -> f64) -> Sample {
    Sample::of(
        runs.iter()
            .map(|[first, second]| figure(second) / figure(first)),
    )
}

/// Prints ours beside a third server, if there is one.
fn print_third(beside: &[(&Shape, Vec<[Run; 2]>)]) {
    if beside.is_empty() {
        return;
    }
    println!("\n| ours to the third server | CPU ratio | requests/s ratio |\n|---|---|---|");
    for (shape, runs) in beside {
        let (cpu, rate) = (
            ratios(runs, |run| run.cpu_micros),
            ratios(runs, |run| run.rate),
        );
        println!("| {} | {cpu} | {rate} |", shape.name);
    }
}

/// Returns whether the bounds of `shape` hold.
fn print_row(shape: &Shape, runs: &[[Run; 2]]) -> bool {
    let ratios = |figure: fn(&Run) -> f64| ratios(runs, figure);
    let (cpu, rate) = (ratios(|run| run.cpu_micros), ratios(|run| run.rate));
    // An A/A comparison from the same runs: what one stock run differs from the next.
    let noise = Sample::of(
        runs.windows(2)
            .map(|runs| (runs[1][0].rate / runs[0][0].rate - 1.0).abs()),
    );
    let equal = 1.0 - noise.median.min(WIDEST_NOISE);
    let holds = shape.cpu_bound.is_none_or(|bound| cpu.median <= bound) && rate.median >= equal;
    let stock = |figure: fn(&Run) -> f64| Sample::of(runs.iter().map(|run| figure(&run[0]))).median;
    let ours = |figure: fn(&Run) -> f64| Sample::of(runs.iter().map(|run| figure(&run[1]))).median;
    println!(
        "| {} | {:.0} | {:.0} | {:.1} | {:.1} | {cpu} | {} | {rate} | ±{:.0}% | {} |",
        shape.name,
        stock(|run| run.rate),
        ours(|run| run.rate),
        stock(|run| run.cpu_micros),
        ours(|run| run.cpu_micros),
        shape
            .cpu_bound
            .map_or_else(|| "–".to_owned(), |bound| format!("{bound:.2}")),
        noise.median * 100.0,
        said(holds),
    );
    holds
}

/// Prints memory of fresh servers, as one that was loaded keeps what it once needed.
fn print_memory(pairs: &Pairs) -> anyhow::Result<()> {
    println!("\n| memory | stock | ours |\n|---|---|---|");
    let mut rows = [const { String::new() }; 3];
    let start_ours = || Server::ours(&pairs.program, &[]);
    let starts: [&dyn Fn() -> anyhow::Result<Server>; 2] = [&start_stock, &start_ours];
    for start in starts {
        let mut per_connection = |row: usize, open: fn(&Server) -> anyhow::Result<_>| {
            let server = start()?;
            let at_rest = server.resident_kib()?;
            let connections = (0..IDLE)
                .map(|_| open(&server))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let more = server.resident_kib()?.saturating_sub(at_rest);
            rows[row] += &format!(" {:.1} KiB |", more as f64 / connections.len() as f64);
            anyhow::Ok(at_rest)
        };
        let at_rest = per_connection(1, idle::http2)?;
        per_connection(2, idle::http1)?;
        rows[0] += &format!(" {:.1} MiB |", at_rest as f64 / 1024.0);
    }
    let [at_rest, http2, http1] = rows;
    println!("| at rest |{at_rest}");
    println!("| each of {IDLE} idle HTTP/2 connections |{http2}");
    println!("| each of {IDLE} idle HTTP/1 connections |{http1}");
    Ok(())
}
