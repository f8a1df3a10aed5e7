//! This server against a stock one (examples/stock.rs), pair by pair, driven by h2load.
//!
//! Run with `cargo bench -p dual-mode --bench against_stock`, about three minutes; `-- --pairs N`
//! and `-- --requests N` make it longer; `-- --third PATH` sets ours beside a third server, too, and
//! `-- --tls` measures both over TLS. It prints requests/s, server CPU per request and memory of both, and
//! fails if a bound does not hold; over TLS there is none. Only the ratios mean something on another machine.

#[path = "../common/mod.rs"]
mod common;
mod idle;
#[path = "../../examples/stock.rs"]
mod stock;

use std::{
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::Parser;
use tempfile::TempDir;

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
    #[arg(long, value_name = "PATH", conflicts_with = "tls")]
    third: Option<PathBuf>,

    /// Speak TLS on both servers, and measure handshakes, too. No bound is set for it
    #[arg(long)]
    tls: bool,
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
fn compare(args: &Args) -> anyhow::Result<bool> {
    let pairs = &args.pairs;
    pairs.print();
    println!(
        "| shape | requests/s stock | ours | CPU µs stock | ours | CPU ratio | bound | requests/s ratio | stock to itself | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let pem = args.tls.then(Pem::make).transpose()?;
    let stock = start_stock(pem.as_ref())?;
    let ours = start_ours(&pairs.program, pem.as_ref())?;
    let third = args.third.as_deref();
    let third = third.map(|program| start_ours(program, None)).transpose()?;
    let mut all_hold = true;
    let mut beside = Vec::new();
    for shape in pairs.shapes(args.tls) {
        let runs = match &third {
            None => pairs.run(shape, [&stock, &ours])?,
            Some(third) => {
                let runs = pairs.run(shape, [&stock, &ours, third])?;
                let of_third = runs.iter().map(|[_, ours, third]| [*third, *ours]);
                beside.push((shape, of_third.collect()));
                let of_stock = runs.iter().map(|[stock, ours, _]| [*stock, *ours]);
                of_stock.collect()
            }
        };
        all_hold &= print_row(shape, &runs, !args.tls);
    }
    drop((stock, ours));
    print_third(&beside);
    if pairs.only.is_empty() && !args.tls {
        print_memory(pairs)?;
    }
    Ok(all_hold)
}

/// A certificate for localhost and its key, in files.
struct Pem {
    folder: TempDir,
}

impl Pem {
    fn make() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let pem = Self {
            folder: tempfile::tempdir()?,
        };
        fs::write(pem.certificate(), made.cert.pem())?;
        fs::write(pem.key(), made.signing_key.serialize_pem())?;
        Ok(pem)
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}

/// The stock server, on free ports, over TLS if there is a certificate.
fn start_stock(pem: Option<&Pem>) -> anyhow::Result<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0(STOCK).args(["0", "0"]);
    command.args(
        pem.map(|pem| [pem.certificate(), pem.key()])
            .into_iter()
            .flatten(),
    );
    let mut server = Server::start(&mut command)?;
    server.is_tls = pem.is_some();
    Ok(server)
}

/// Ours, which is `program`, or a third one, likewise.
fn start_ours(program: &Path, pem: Option<&Pem>) -> anyhow::Result<Server> {
    let files = pem.map(|pem| [pem.certificate(), pem.key()]);
    let options = files.iter().flat_map(|[certificate, key]| {
        [
            OsStr::new("--tls-cert"),
            certificate.as_os_str(),
            OsStr::new("--tls-key"),
            key.as_os_str(),
        ]
    });
    let mut server = Server::ours(program, options)?;
    server.is_tls = pem.is_some();
    Ok(server)
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
fn print_row(shape: &Shape, runs: &[[Run; 2]], is_judged: bool) -> bool {
    let bound = shape.cpu_bound.filter(|_| is_judged);
    let ratios = |figure: fn(&Run) -> f64| ratios(runs, figure);
    let (cpu, rate) = (ratios(|run| run.cpu_micros), ratios(|run| run.rate));
    // An A/A comparison from the same runs: what one stock run differs from the next.
    let noise = Sample::of(
        runs.windows(2)
            .map(|runs| (runs[1][0].rate / runs[0][0].rate - 1.0).abs()),
    );
    let equal = 1.0 - noise.median.min(WIDEST_NOISE);
    let holds =
        bound.is_none_or(|bound| cpu.median <= bound) && (rate.median >= equal || !is_judged);
    let stock = |figure: fn(&Run) -> f64| Sample::of(runs.iter().map(|run| figure(&run[0]))).median;
    let ours = |figure: fn(&Run) -> f64| Sample::of(runs.iter().map(|run| figure(&run[1]))).median;
    println!(
        "| {} | {:.0} | {:.0} | {:.1} | {:.1} | {cpu} | {} | {rate} | ±{:.0}% | {} |",
        shape.name,
        stock(|run| run.rate),
        ours(|run| run.rate),
        stock(|run| run.cpu_micros),
        ours(|run| run.cpu_micros),
        bound.map_or_else(|| "–".to_owned(), |bound| format!("{bound:.2}")),
        noise.median * 100.0,
        if is_judged { said(holds) } else { "–" },
    );
    holds
}

/// Prints memory of fresh servers, as one that was loaded keeps what it once needed.
fn print_memory(pairs: &Pairs) -> anyhow::Result<()> {
    println!("\n| memory | stock | ours |\n|---|---|---|");
    let mut rows = [const { String::new() }; 3];
    let (stock, ours) = (|| start_stock(None), || start_ours(&pairs.program, None));
    let starts: [&dyn Fn() -> anyhow::Result<Server>; 2] = [&stock, &ours];
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
