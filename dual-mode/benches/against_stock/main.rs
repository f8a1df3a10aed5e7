//! This server against a stock one (examples/stock.rs), pair by pair, driven by h2load.
//!
//! Run with `cargo bench -p dual-mode --bench against_stock`, about three minutes; `-- --pairs N`
//! and `-- --requests N` make it longer. It prints requests/s, server CPU per request and memory of
//! both, and fails where a bound does not hold. Only the ratios mean something on another machine.

mod drive;
mod idle;
mod server;
#[path = "../../examples/stock.rs"]
mod stock;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Parser;

use drive::{Run, SHAPES, Shape};
use server::Server;

/// How many connections are held open to see what an idle one takes.
const IDLE: usize = 1000;

/// The most that runs of one server may differ among themselves and still count as equal.
const WIDEST_NOISE: f64 = 0.05;

/// This server against a stock one
#[derive(Parser)]
struct Args {
    /// Pairs of runs for each shape
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..))]
    pairs: u16,

    /// Requests of each run; a quarter of it with one call in flight
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1000..))]
    requests: u32,

    /// Only the shapes whose name contains this
    #[arg(long, default_value = "")]
    only: String,

    /// Another build of this server to measure
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_dual-mode"))]
    program: PathBuf,

    /// Cargo passes it to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    // The stock server is this program under another name.
    if std::env::args().next().as_deref() == Some(server::STOCK) {
        stock::main().expect("the stock server runs");
        return ExitCode::SUCCESS;
    }
    match compare(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every bound holds.
fn compare(args: &Args) -> anyhow::Result<bool> {
    let (pairs, requests) = (usize::from(args.pairs), args.requests);
    println!(
        "{pairs} pairs of {requests} requests; medians, and for ratios min–max of the pairs\n"
    );
    println!(
        "| shape | requests/s stock | ours | CPU µs stock | ours | CPU ratio | bound | requests/s ratio | stock to itself | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let (stock, ours) = (Server::stock()?, Server::ours(&args.program)?);
    let mut all_hold = true;
    for shape in SHAPES
        .iter()
        .filter(|shape| shape.name.contains(&args.only))
    {
        let runs = run_pairs(shape, &stock, &ours, pairs, requests)
            .with_context(|| format!("{} could not be measured", shape.name))?;
        all_hold &= print_row(shape, &runs);
    }
    drop((stock, ours));
    if args.only.is_empty() {
        print_memory(args)?;
    }
    Ok(all_hold)
}

/// Runs stock, ours, ours, stock, and so on, so that a slow drift of the machine meets both alike.
fn run_pairs(
    shape: &Shape,
    stock: &Server,
    ours: &Server,
    pairs: usize,
    requests: u32,
) -> anyhow::Result<Vec<(Run, Run)>> {
    let requests = shape.share_of(requests);
    let warm_up = requests / 10;
    shape.drive(stock, warm_up)?;
    shape.drive(ours, warm_up)?;
    (0..pairs)
        .map(|pair| {
            if pair % 2 == 0 {
                let first = shape.drive(stock, requests)?;
                Ok((first, shape.drive(ours, requests)?))
            } else {
                let first = shape.drive(ours, requests)?;
                Ok((shape.drive(stock, requests)?, first))
            }
        })
        .collect()
}

/// Returns whether the bounds of `shape` hold.
fn print_row(shape: &Shape, runs: &[(Run, Run)]) -> bool {
    let ratios = |figure: fn(&Run) -> f64| {
        Sample::of(
            runs.iter()
                .map(|(stock, ours)| figure(ours) / figure(stock)),
        )
    };
    let (cpu, rate) = (ratios(|run| run.cpu_micros), ratios(|run| run.rate));
    // An A/A comparison from the same runs: what one stock run differs from the next.
    let noise = Sample::of(
        runs.windows(2)
            .map(|runs| (runs[1].0.rate / runs[0].0.rate - 1.0).abs()),
    );
    let equal = 1.0 - noise.median.min(WIDEST_NOISE);
    let holds = shape.cpu_bound.is_none_or(|bound| cpu.median <= bound) && rate.median >= equal;
    let stock = |figure: fn(&Run) -> f64| Sample::of(runs.iter().map(|run| figure(&run.0))).median;
    let ours = |figure: fn(&Run) -> f64| Sample::of(runs.iter().map(|run| figure(&run.1))).median;
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
        if holds { "holds" } else { "DOES NOT HOLD" },
    );
    holds
}

/// Prints memory of fresh servers, as one that was loaded keeps what it once needed.
fn print_memory(args: &Args) -> anyhow::Result<()> {
    println!("\n| memory | stock | ours |\n|---|---|---|");
    let mut rows = [const { String::new() }; 3];
    let start_ours = || Server::ours(&args.program);
    let starts: [&dyn Fn() -> anyhow::Result<Server>; 2] = [&Server::stock, &start_ours];
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

/// The median of some figures, and how far they spread.
struct Sample {
    median: f64,
    least: f64,
    most: f64,
}

impl Sample {
    /// `figures` must not be empty.
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            f64::midpoint(figures[middle - 1], figures[middle])
        };
        Self {
            median,
            least: figures[0],
            most: figures[figures.len() - 1],
        }
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            median,
            least,
            most,
        } = self;
        write!(f, "{median:.2} ({least:.2}–{most:.2})")
    }
}
