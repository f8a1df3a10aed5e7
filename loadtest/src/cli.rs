//! The command line: what a user can ask for, and the one [`Config`] that it is parsed into.

mod config;
mod outputs;
mod service;
mod study;

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use thiserror::Error;

pub use config::{Config, MOST_USERS, typed};
pub use outputs::of_trial;
pub use service::{ContractArgs, ServiceArgs};

use crate::{
    capacity,
    record::{Objective, Protocol},
    system::accounts::OfVariant,
    validity,
    verdict::requirement::Requirement,
};

/// Measures REST and gRPC on one service, in turn and under the same load, and says what the one
/// costs against the other
#[derive(Parser, Clone)]
#[command(
    name = "loadtest",
    version = VERSION,
    args_conflicts_with_subcommands = true,
    after_help = EXIT_CODES,
)]
pub struct Cli {
    /// Something else than a comparison.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// A comparison.
    #[command(flatten)]
    pub comparison: Comparison,
}

/// Version of this tool, and of goose.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (goose 0.19.0)");

const EXIT_CODES: &str = "\
Exit codes:
  0    a verdict was given, and every reply was good
  1    the tool itself failed
  2    an option is wrong
  3    measured, but some replies were bad
  4    measured, but a threshold or a requirement was missed
  5    a target could not be reached, or is another service; nothing was written
  6    inconclusive: the report holds what could be measured, and says why it is not more
  7    cut short by something else than a signal; what was measured until then was written
  8    selftest: what was measured is not what is known
  130  cut short by Ctrl-C; what was measured until then was written";

/// The commands of this tool other than a comparison.
#[derive(Subcommand, Clone)]
pub enum Command {
    /// Measure the generator's own limit, against a null server
    Ceiling(CeilingArgs),
    /// Make the original's comparison again and take it apart: connections that close, one user, many
    Original(OriginalArgs),
    /// Prove the instrument: hold what it measures against what is known, in about five minutes
    Selftest(SelftestArgs),
    /// Make the page of a run again from its raw data
    ///
    /// Nothing is measured. The exit code is 0, or 6 if the run is inconclusive; that of its requirements, if it
    /// has any.
    Report {
        /// Folder of the run, such as reports/reference; its index.html is written anew
        directory: PathBuf,
    },
    /// Make the comparison that a study file says, or write such a file from the options
    ///
    /// A study is TOML, and is kept in a repository. A key is an option without its dashes, and each
    /// table of the list variant is a rest or a grpc. Options on the command line stand for those of the file.
    Study {
        /// The file, such as orders.toml
        file: PathBuf,
        /// Write FILE from the options, and measure nothing
        #[arg(long)]
        init: bool,
        /// The options.
        #[command(flatten)]
        options: Box<Comparison>,
    },
    /// List the methods of a gRPC server, by its reflection
    List {
        /// Its address, such as localhost:50051
        address: String,
        /// The contract, and the headers of the requests.
        #[command(flatten)]
        contract: ContractArgs,
    },
    /// Describe a method of a gRPC server: an example of what it takes, and how to measure it
    Describe {
        /// Its address, such as localhost:50051
        address: String,
        /// The method, such as shop.v1.Orders/CreateOrder
        method: String,
        /// The contract, and the headers of the requests.
        #[command(flatten)]
        contract: ContractArgs,
    },
    /// Set two runs side by side
    ///
    /// They agree if the interval of the first one's verdict overlaps with that of the same in the
    /// second, and both find the same. They were not measured in one run: between them the machine may
    /// have changed as well as the code. The exit code is 0, or 6 if not both are conclusive.
    Compare {
        /// Folder of the one run
        first: PathBuf,
        /// Folder of the other
        second: PathBuf,
        /// Fail if anything takes more than so many times of the first run, such as 1.05
        ///
        /// Server CPU, latency and bytes of each variant that both have. The exit code is then 0 if all are
        /// within it, 4 if one is beyond, and 6 if one cannot be told.
        #[arg(long, value_name = "RATIO", value_parser = allowed)]
        allow: Option<f64>,
        /// Folder of the page; DIR-2 and so on if it is taken
        #[arg(long, value_name = "DIR", default_value = "reports/compared")]
        output_dir: PathBuf,
    },
    /// Join runs that several machines made at once against one service
    ///
    /// All need the same options with the same --seed, --rate and --rounds, and to be started together,
    /// so that each measures the same variant at the same time. Runs with --thorough find rates of their own
    /// for the map, and cannot be joined. The service has to be one: each machine's
    /// localhost is another. The exit code is 0, or 6 if the joined run is inconclusive; that of its
    /// requirements, if it has any.
    Merge {
        /// Folders of the runs, two or more
        #[arg(required = true, num_args = 2..)]
        directories: Vec<PathBuf>,
        /// Folder of the joined run; DIR-2 and so on if it is taken
        #[arg(long, value_name = "DIR", default_value = "reports/merged")]
        output_dir: PathBuf,
    },
    /// One trial's load; standard input says which
    #[command(hide = true)]
    Trial,
    /// A server of our own on free ports, until standard input closes
    #[command(hide = true)]
    Server,
}

/// Options of a comparison.
#[derive(Args, Clone, Default)]
pub struct Comparison {
    /// Where the service is.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The calls, if it is another contract than that of greetings.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Whose CPU time is the server's.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// What is compared.
    #[command(flatten)]
    pub verdict: VerdictArgs,
    /// How long it goes on.
    #[command(flatten)]
    pub extent: ExtentArgs,
    /// What is written besides the report.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Options of `ceiling`.
#[derive(Args, Clone)]
pub struct CeilingArgs {
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// The protocols.
    #[command(flatten)]
    pub variants: VariantArgs,
}

/// Options of `original`.
#[derive(Args, Clone)]
pub struct OriginalArgs {
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// How long it goes on.
    #[command(flatten)]
    pub extent: ExtentArgs,
    /// What is written besides the report.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Options of `selftest`.
#[derive(Args, Clone)]
pub struct SelftestArgs {
    /// Make nothing but N verdicts on REST under two names, none of which may claim a difference
    ///
    /// Each is a run of its own, of up to the budget.
    #[arg(help_heading = "Self-test", long, value_name = "N", value_parser = verdicts())]
    pub aa: Option<u32>,

    /// Make nothing but N verdicts on REST and the same with a fifth more work, which must be found
    ///
    /// The work is CPU time that the server adds to each call and counts itself: the interval must
    /// hold the ratio that follows from it, which one in twenty does not.
    #[arg(help_heading = "Self-test", long, value_name = "N", value_parser = verdicts())]
    pub more_work: Option<u32>,

    /// Keep the runs of --aa and --more-work in DIR, and go on with those that are there already
    ///
    /// A campaign may so be stopped and taken up again, at the same commit.
    #[arg(help_heading = "Self-test", long, value_name = "DIR")]
    pub keep: Option<PathBuf>,

    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// How long it goes on.
    #[command(flatten)]
    pub extent: ExtentArgs,
}

/// Verdicts of a campaign: a hundred take up to five hours.
fn verdicts() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=100)
}

/// The addresses of the service.
#[derive(Args, Clone, Default)]
pub struct TargetArgs {
    /// Where REST listens [default: dual-mode, started by this run]
    ///
    /// gRPC is tested at port 50051 of the same host, or at --grpc-host. Without --host, dual-mode is
    /// started on free ports of this machine, a fresh one for each trial, and stopped afterwards.
    ///
    /// Example: --host http://localhost:5000
    #[arg(help_heading = "Load", short = 'H', long, value_name = "URL")]
    pub host: Option<String>,

    /// Where gRPC listens [default: port 50051 of --host]
    #[arg(help_heading = "Load", long, value_name = "URL", requires = "host")]
    pub grpc_host: Option<String>,
}

/// Whose CPU time and memory are the server's.
#[derive(Args, Clone, Default)]
pub struct ServerArgs {
    /// Count this process too, with its children; repeatable; rest=PID, grpc=PID or NAME=PID for one side
    ///
    /// The process that listens on the port counts anyway, if it is on this machine: name what stands
    /// behind a gateway or a proxy. Naming the process on the port says that nothing behind it counts.
    #[arg(help_heading = "Server", long, value_name = "PID", value_parser = OfVariant::parse)]
    pub server_pid: Vec<OfVariant>,

    /// Count this control group too (version 2); repeatable; rest=PATH and so on for one side
    ///
    /// The folder of the group, such as that of a container or a systemd unit.
    #[arg(help_heading = "Server", long, value_name = "PATH", value_parser = OfVariant::parse)]
    pub server_cgroup: Vec<OfVariant>,

    /// Read the server's CPU time from its Prometheus metrics; repeatable; rest=URL and so on for one side
    ///
    /// For a service on another machine: process_cpu_seconds_total and process_resident_memory_bytes, as
    /// every Prometheus client library exports them. What listens on the port does not count then. It is
    /// read before the first call of a trial and after the last one.
    #[arg(help_heading = "Server", long, value_name = "URL", value_parser = OfVariant::parse)]
    pub server_metrics: Vec<OfVariant>,
}

/// The load that each variant is put under.
#[derive(Args, Clone, Default)]
pub struct LoadArgs {
    /// Users, each with one connection and one call in flight [default: 32]
    #[arg(help_heading = "Load", short = 'u', long, value_name = "N")]
    pub users: Option<u32>,

    /// Users started per second [default: 320, or all within a second]
    ///
    /// Calls made while users start do not count, and neither do those of the warm-up after it.
    #[arg(
        help_heading = "Load",
        short = 'r',
        long,
        visible_alias = "spawn-rate",
        value_name = "RATE",
        conflicts_with = "increase_time"
    )]
    pub increase_rate: Option<String>,

    /// Time in which all users start, such as 10s
    #[arg(help_heading = "Load", short = 's', long, value_name = "TIME")]
    pub increase_time: Option<String>,

    /// Length of what is measured of each trial, such as 3s [default: 2s; thorough: 4s]
    ///
    /// The warm-up comes on top: it ends when the service is steady.
    #[arg(help_heading = "Load", short = 't', long, value_name = "TIME")]
    pub run_time: Option<String>,

    /// Time that a call may take, in seconds; longer is a bad reply [default: 10]
    #[arg(help_heading = "Load", long, value_name = "SECONDS")]
    pub timeout: Option<f64>,

    /// Let the server and the generator share all cores, instead of half of them each
    #[arg(help_heading = "Load", long)]
    pub share_cores: bool,
}

/// The protocols that are compared.
#[derive(Args, Clone, Default)]
pub struct VariantArgs {
    /// What to compare, the baseline first [default: A,E; thorough: those of A to E that the service answers]
    ///
    /// A (REST: JSON over HTTP/1.1), B (JSON over HTTP/2), C (protobuf over HTTP/1.1), D (protobuf over
    /// HTTP/2), E (gRPC), grpc_web (gRPC-Web over HTTP/1.1), with commas. The waterfall from REST to gRPC
    /// needs A to E.
    #[arg(help_heading = "Verdict", long, visible_alias = "arms", value_name = "LETTERS", value_delimiter = ',', value_parser = protocol)]
    pub variants: Vec<Protocol>,
}

/// The protocols to compare, and the means of comparing them: a rate or a closed loop, an
/// objective, and the price of a core.
#[derive(Args, Clone, Default)]
pub struct VerdictArgs {
    /// The protocols.
    #[command(flatten)]
    pub variants: VariantArgs,

    /// Offer every variant so many calls per second [default: 40% of what the slowest can do]
    ///
    /// Calls begin at their own times, whether or not earlier ones have ended (open loop), and their
    /// latency counts from there. Without it, a short closed loop of each variant finds the rate.
    #[arg(help_heading = "Verdict", long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,

    /// Measure in a closed loop only: each user calls again as soon as its reply has come
    ///
    /// CPU is compared only between trials at the same rate, and a generator at its limit makes latency
    /// inconclusive: expect less of an answer.
    #[arg(help_heading = "Verdict", long, conflicts_with_all = ["rate", "slo"])]
    pub closed: bool,

    /// Search for the highest rate of each variant that meets an objective, such as "p99<5ms"
    ///
    /// A percentile and the time it must stay below, counted from when a call was due, in us, ms or s.
    /// The search takes about fifteen more trials for each variant, on top of the budget.
    #[arg(help_heading = "Verdict", long, value_name = "OBJECTIVE", value_parser = capacity::parse)]
    pub slo: Option<Objective>,

    /// Say what the difference costs in a month: the price of a core for an hour, in any currency
    ///
    /// It is said for the rate that was measured, such as that of --rate.
    #[arg(help_heading = "Verdict", long, value_name = "PRICE", value_parser = price)]
    pub core_price: Option<f64>,
}

/// The extent of a comparison: its design, its budget or rounds, the length of a turn, and the
/// seed.
#[derive(Args, Clone, Default)]
pub struct ExtentArgs {
    /// The full design: long trials, ten rounds or more, all five protocols, and the map, in 45 minutes
    ///
    /// The map is over greetings in a call (1 to 1,000) and calls in flight (1, 8, and --users). Without
    /// it, a quick run ends as soon as its headline is known well enough.
    #[arg(help_heading = "Verdict", long)]
    pub thorough: bool,

    /// Time that measuring may take [default: 3m; original: 5m; thorough: 45m]
    ///
    /// The run goes on, round by round, until its headline is decided and server CPU known to within
    /// 5%, or the budget is spent; the price of looking repeatedly is part of the intervals. At the end
    /// there is always an estimate.
    #[arg(help_heading = "Verdict", long, value_name = "TIME")]
    pub budget: Option<String>,

    /// Measure N rounds, whatever they find and however long they take
    ///
    /// A round holds one trial of each variant, and of the baseline's twin, in a random order. They follow
    /// each other and do not take turns, so that several machines can measure at once.
    #[arg(
        help_heading = "Verdict",
        long,
        visible_alias = "pairs",
        value_name = "N",
        conflicts_with = "budget"
    )]
    pub rounds: Option<u32>,

    /// Time that a variant is under load before the next one has its turn [default: 200ms]
    ///
    /// The trials of a round take turns where the server's CPU time is known exactly at any moment. A service that
    /// puts off work for long, such as writing to a disk, needs longer turns, or its work falls into those of
    /// others; its trials have to be several turns long: --turn 2s --run-time 10s. Where a trial is no longer than a
    /// turn, one follows the other.
    #[arg(
        help_heading = "Verdict",
        long,
        value_name = "TIME",
        conflicts_with = "rounds"
    )]
    pub turn: Option<String>,

    /// Seed of the order of the trials; the report names it [default: a random one]
    #[arg(help_heading = "Verdict", long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

/// The report's folder, the requirements on the run, and goose's own part in the output: its
/// reports, log, thresholds and dashboard.
#[derive(Args, Clone, Default)]
pub struct OutputArgs {
    /// Folder of the report [default: one in reports/, named by the time]
    ///
    /// If it holds files already, DIR-2, DIR-3 and so on are taken.
    #[arg(help_heading = "Reports", long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,

    /// Write goose's own report of each trial to FILE too; repeatable
    ///
    /// Each trial writes one, with its number in the name: report.html becomes report-1-grpc.html, and
    /// so on. The extension picks the type: .html, .md or .json. No file is overwritten.
    #[arg(help_heading = "Reports", long, value_name = "FILE")]
    pub report_file: Vec<String>,

    /// Write goose's log of every request to FILE, one for each trial
    #[arg(help_heading = "Reports", long, value_name = "FILE")]
    pub request_log: Option<String>,

    /// Fail the run unless this holds, such as "grpc.p99 <= 1.05 * rest.p99" or "grpc.cpu <= 50us"; repeatable
    ///
    /// cpu, p50, p99, client-cpu, bytes or rate of a variant, by its name or as rest or grpc, against a number
    /// or the same measure of another one. It is met or missed if all of the interval is within or beyond
    /// the bound, and cannot be told otherwise; the run goes on meanwhile, within its budget. The exit code is
    /// then that of the requirements: 0 if all are met, 4 if one is missed, 6 if one cannot be told.
    #[arg(help_heading = "Reports", long, value_name = "RULE", value_parser = Requirement::parse)]
    pub require: Vec<Requirement>,

    /// Fail the run if a goose threshold is missed, such as "p95<5ms" or "error-rate<1%"; repeatable
    ///
    /// Each trial is held against it. A threshold that is missed ends the run at once.
    #[arg(help_heading = "Reports", long, value_name = "RULE")]
    pub threshold: Vec<String>,

    /// Judge thresholds only at the end of each trial, and let the run go on
    #[arg(help_heading = "Reports", long, requires = "threshold")]
    pub no_threshold_abort: bool,

    /// Serve goose's dashboard while trials run
    #[arg(help_heading = "Reports", long)]
    pub dashboard: bool,

    /// Port of the dashboard [default: 5118]
    #[arg(
        help_heading = "Reports",
        long,
        value_name = "PORT",
        requires = "dashboard"
    )]
    pub dashboard_port: Option<u16>,
}

impl Cli {
    /// The command line of this process; clap itself ends it for help, version and mistakes.
    ///
    /// # Errors
    /// When a study cannot be read.
    pub fn read() -> Result<Self, UsageError> {
        let table = format!("{EXIT_CODES}\n\n{}", validity::explained());
        let matches = Self::command().after_long_help(table).get_matches();
        let mut cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if let (
            Some(Command::Study {
                file,
                init: false,
                options,
            }),
            Some(("study", given)),
        ) = (&mut cli.command, matches.subcommand())
        {
            **options = study::read(file, given)?;
        }
        if let (
            Some(Command::Study {
                file, init: true, ..
            }),
            Some(("study", given)),
        ) = (&cli.command, matches.subcommand())
        {
            study::init(file, given)?;
        }
        Ok(cli)
    }
}

/// A ratio that may be allowed.
fn allowed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (1.0..=10.0).contains(&ratio) => Ok(ratio),
        _ => Err("must be a ratio from 1 to 10, such as 1.05".to_owned()),
    }
}

/// A price of a core: above nothing, and what no core costs is a slip of the pen.
fn price(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(price) if price > 0.0 && price <= 1e6 => Ok(price),
        _ => Err("must be a number above 0, such as 0.04".to_owned()),
    }
}

/// A protocol by its letter or its name in the raw data.
fn protocol(text: &str) -> Result<Protocol, String> {
    let text = text.trim();
    Protocol::of_letter(&text.to_ascii_uppercase())
        .or_else(|| Protocol::of_slug(text))
        .ok_or_else(|| "the variants are A, B, C, D, E and grpc_web".to_owned())
}

/// An option that cannot be carried out, in a sentence that names it.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct UsageError(pub String);
