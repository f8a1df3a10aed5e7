//! Code that the benchmarks share: pairs of runs, and how they are read.

pub(crate) mod drive;
pub(crate) mod server;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;

use drive::{HANDSHAKES, Run, SHAPES, Shape};
use server::Server;

/// What is run, and how often
#[derive(clap::Args)]
pub(crate) struct Pairs {
    /// Pairs of runs for each shape
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) pairs: u16,

    /// Requests of each run; a quarter of it with one call in flight
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1000..))]
    pub(crate) requests: u32,

    /// Only the shapes whose name contains this
    #[arg(long, default_value = "")]
    pub(crate) only: String,

    /// Another build of this server to measure
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_dual-mode"))]
    pub(crate) program: PathBuf,

    /// Cargo passes it to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The end of a benchmark whose bounds all hold, or not.
pub(crate) fn exit(result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the verdict of a row on its bounds, as the table shows it.
pub(crate) fn said(holds: bool) -> &'static str {
    if holds { "holds" } else { "DOES NOT HOLD" }
}

impl Pairs {
    /// Prints what the rows that follow were made of.
    pub(crate) fn print(&self) {
        println!(
            "{} pairs of {} requests; medians, and for ratios min–max of the pairs\n",
            self.pairs, self.requests
        );
    }

    /// The shapes that are asked for; over TLS with those of which a handshake is the larger part.
    pub(crate) fn shapes(&self, is_tls: bool) -> impl Iterator<Item = &'static Shape> {
        let over_tls = HANDSHAKES.iter().filter(move |_| is_tls);
        let asked = |shape: &&Shape| shape.name.contains(&self.only);
        SHAPES.iter().chain(over_tls).filter(asked)
    }

    /// Runs of `servers` in turn: in some order, in its reverse, in the next order, and so on, so that a slow drift of
    /// the machine meets all alike and each follows each.
    ///
    /// # Errors
    /// When h2load is missing, or a request was not answered 2xx.
    pub(crate) fn run<const N: usize>(
        &self,
        shape: &Shape,
        servers: [&Server; N],
    ) -> anyhow::Result<Vec<[Run; N]>> {
        let requests = shape.share_of(self.requests);
        for server in servers {
            shape.drive(server, shape.warm_up(requests))?;
        }
        let mut rounds = Vec::new();
        for round in 0..self.pairs {
            let mut runs = [const { None }; N];
            for step in 0..N {
                let step = if round % 2 == 0 { step } else { N - 1 - step };
                let place = (step + usize::from(round / 2)) % N;
                let run = shape.drive(servers[place], requests);
                let named = || format!("{} could not be measured", shape.name);
                runs[place] = Some(run.with_context(named)?);
            }
            rounds.push(runs.map(|run| run.expect("each had its turn")));
        }
        Ok(rounds)
    }
}

/// The median of some figures, and how far they spread.
pub(crate) struct Sample {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Sample {
    /// `figures` must not be empty.
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Self {
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
