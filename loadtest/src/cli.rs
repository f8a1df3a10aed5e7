//! What a user can ask for. Goose's own options are taken over as they are, with other defaults
//! where one block after the other asks for them.

mod help;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, builder::TypedValueParser,
    value_parser,
};
use goose::{config::GooseConfiguration, util::parse_timespan};
use thiserror::Error;

use crate::{
    capacity,
    plan::Extent,
    record::{Arm, Mode, Objective},
    target::{GRPC_PORT, Target, TargetError},
};

/// Users where the user names none. Enough to keep a server busy on a few cores, few enough that
/// the generator does not starve it.
const USERS: usize = 32;

/// Users started per second where the user does not say: so few that the server is not flooded with
/// connections, so many that the usual ones have all started within a tenth of a second.
const RAMP: usize = 320;

/// The most users: each holds a connection, and an address has about 28,000 ports for connections to
/// one server (Linux: net.ipv4.ip_local_port_range).
pub const MOST_USERS: usize = 28_000;

/// The longest a block may be measured, in seconds: a day. Numbers of microseconds fit far more.
const LONGEST_RUN_TIME: usize = 24 * 60 * 60;

/// The highest rate that can be asked for, in calls per second: their distance is a microsecond.
const HIGHEST_RATE: f64 = 1e6;

/// The fewest calls that a block may be offered: of fewer, one that falls into the window or not changes
/// every figure by more than a tenth.
const LEAST_CALLS: f64 = 10.0;

/// However short the run time, each block is measured for a tenth of a second.
const SHORTEST_WINDOW_US: u64 = 100_000;

/// The most pairs: ten thousand blocks of the quick run take half a day.
const MOST_PAIRS: u32 = 1000;

/// Measures REST and gRPC on one service, block after block under the same load, and says what the
/// one costs against the other
#[derive(Parser, Clone)]
#[command(
    name = "loadtest",
    version,
    disable_version_flag = true,
    args_conflicts_with_subcommands = true,
    after_help = EXIT_CODES,
)]
pub struct Cli {
    /// Work for a child process of this tool.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// A comparison.
    #[command(flatten)]
    pub options: Options,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    a verdict was given, and every answer was good
  1    the tool itself failed
  2    an option is wrong
  3    measured, but some answers were bad
  4    measured, but a threshold was missed
  5    a target could not be reached; nothing was written
  6    can't tell: too few valid blocks, or they do not agree; compare: not both runs can, of the same
  7    cut short by something else than a signal; what was measured until then was written
  8    selftest: what was measured is not what is known
  130  cut short by Ctrl-C; what was measured until then was written";

/// What this tool does besides a comparison, what it does with runs that were made already, and its
/// halves that run as child processes.
#[derive(Subcommand, Clone)]
pub enum Command {
    /// Measure the generator's own limit, against a service that does nothing
    Ceiling(Box<Options>),
    /// Make the original's comparison again and take it apart: connections that close, one user, many
    Original(Box<Options>),
    /// Prove the instrument: hold what it measures against what is known, in about three minutes
    Selftest(Box<Selftest>),
    /// One protocol's load; standard input says which
    #[command(hide = true)]
    Block(Box<Selftest>),
    /// Make the page of a run again from its raw data
    ///
    /// Nothing is measured. The exit code is 0, or 6 where the run can't tell.
    Report {
        /// Folder of the run, such as reports/reference; its index.html is written anew
        directory: PathBuf,
    },
    /// Set two runs side by side
    ///
    /// They agree where the interval of the first one's verdict overlaps with that of the same in the
    /// second, and both find the same. They were not measured in pairs: between them the machine may have
    /// changed as well as the code. The exit code is 0, or 6 where not both can tell.
    Compare {
        /// Folder of the one run
        first: PathBuf,
        /// Folder of the other
        second: PathBuf,
        /// Folder of the page; DIR-2 and so on where it is taken
        #[arg(long, value_name = "DIR", default_value = "reports/compared")]
        output_dir: PathBuf,
    },
    /// Join runs that several machines made at once against one service
    ///
    /// All need the same options and the same --seed, and to be started together, so that each measured
    /// the same arm at the same time: a machine that has to repeat a block falls behind the others. The
    /// service has to be one: each machine's localhost is another. The exit code is 0, or 6 where the
    /// joined run can't tell.
    Merge {
        /// Folders of the runs, two or more
        #[arg(required = true, num_args = 2..)]
        directories: Vec<PathBuf>,
        /// Folder of the joined run; DIR-2 and so on where it is taken
        #[arg(long, value_name = "DIR", default_value = "reports/merged")]
        output_dir: PathBuf,
    },
    /// dual-mode on free ports, until standard input closes
    #[command(hide = true)]
    Server,
}

/// What can be asked of a self-test. A block is given the same options.
#[derive(Args, Clone)]
pub struct Selftest {
    /// Make nothing but N verdicts on one arm under two names, none of which may claim a difference
    ///
    /// Each takes 45 s in the quick design, ten of them nine minutes; on a machine with other work
    /// blocks are VOID and repeated, which takes up to three times as long. With --thorough one takes
    /// ten minutes, and must say that there is no difference.
    #[arg(help_heading = "Self-test", long, value_name = "N", value_parser = verdicts())]
    pub aa: Option<u32>,

    /// Make nothing but N verdicts on one arm and the same with a fifth more work, which must be found
    ///
    /// The work is CPU time that the server adds to each call and counts itself: the interval must
    /// hold the ratio that follows from it, which one in twenty does not. Each takes as long as one of
    /// --aa.
    #[arg(help_heading = "Self-test", long, value_name = "N", value_parser = verdicts())]
    pub more_work: Option<u32>,

    /// A comparison's options.
    #[command(flatten)]
    pub options: Options,
}

/// A hundred verdicts take an hour and a half.
fn verdicts() -> impl TypedValueParser<Value = u32> {
    value_parser!(u32).range(1..=100)
}

/// The options of a comparison.
#[derive(Args, Clone)]
pub struct Options {
    /// Where gRPC listens [default: port 50051 of --host]
    #[arg(
        help_heading = "Load test",
        long,
        value_name = "URL",
        requires = "host"
    )]
    pub grpc_host: Option<String>,

    /// The full design: ten pairs of blocks of 10 s in each cell, and the break-even map, in 45 minutes
    ///
    /// The map is over greetings in a call (1 to 1,000) and calls in flight (1, 8, and --users); its
    /// blocks are of 3 s.
    ///
    /// Without it, a quick run takes two to three minutes: a few pairs of short blocks, whose intervals
    /// are wide. The report says which it was.
    #[arg(help_heading = "Verdict", long)]
    pub thorough: bool,

    /// Offer every arm so many calls per second (open loop) [default: 40% of what the slowest can do]
    ///
    /// Calls start at their own times, whether or not earlier ones have ended, and their latency
    /// counts from there. Without it, each arm is measured in a closed loop first, which gives the
    /// rate, and then in an open loop. With it, the closed loop is left out.
    #[arg(help_heading = "Verdict", long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,

    /// Measure in a closed loop only: each user calls again as soon as its answer has come
    #[arg(help_heading = "Verdict", long, conflicts_with_all = ["rate", "slo"])]
    pub closed: bool,

    /// Search for the highest rate of each arm that meets an objective, such as "p99<5ms"
    ///
    /// A percentile and the time it must stay below, counted from the intended start, in us, ms or
    /// s. The search takes about ten more blocks for each arm.
    #[arg(help_heading = "Verdict", long, value_name = "OBJECTIVE", value_parser = capacity::parse)]
    pub slo: Option<Objective>,

    /// Which arms to compare, the baseline first [default: all]
    ///
    /// A (JSON over HTTP/1.1), B (JSON over HTTP/2), C (protobuf over HTTP/1.1), D (protobuf over
    /// HTTP/2), E (gRPC), with commas. With --host, those that the service does not answer are left
    /// out unless they are named here.
    #[arg(help_heading = "Verdict", long, value_name = "LETTERS", value_delimiter = ',', value_parser = arm)]
    pub arms: Vec<Arm>,

    /// Pairs of blocks in each cell [default: 3 to 6; thorough: 10]
    ///
    /// With fewer than 3 no verdict can be given, and the A/A run is left out.
    #[arg(help_heading = "Verdict", long, value_name = "N")]
    pub pairs: Option<u32>,

    /// Seed of the order of the blocks; the report names it [default: a random one]
    #[arg(help_heading = "Verdict", long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// Let the server and the generator share all cores, instead of half of them each
    #[arg(help_heading = "Verdict", long)]
    pub share_cores: bool,

    /// Goose's options.
    #[command(flatten)]
    pub goose: GooseConfiguration,
}

impl Cli {
    /// Reads the command line of this process; ends it where clap answers by itself.
    pub fn read() -> Self {
        let matches = help::command().get_matches();
        let cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if cli.options.goose.version {
            let tool = crate::machine::tool();
            println!("loadtest {} (goose {})", tool.version, tool.goose);
            std::process::exit(0);
        }
        cli
    }
}

/// An option that a command leaves unread, and how to tell whether it is set.
pub type Unread = (&'static str, fn(&Options) -> bool);

const HOST: Unread = ("host", |options| options.goose.host.is_some());
const GRPC_HOST: Unread = ("grpc-host", |options| options.grpc_host.is_some());
const RATE: Unread = ("rate", |options| options.rate.is_some());
const CLOSED: Unread = ("closed", |options| options.closed);
const SLO: Unread = ("slo", |options| options.slo.is_some());
const ARMS: Unread = ("arms", |options| !options.arms.is_empty());
const OUTPUT_DIR: Unread = ("output-dir", |options| options.goose.output_dir.is_some());

/// What the generator's own limit has nothing to do with.
pub const UNREAD_BY_CEILING: [Unread; 6] = [HOST, GRPC_HOST, RATE, CLOSED, SLO, OUTPUT_DIR];

/// What the self-test has nothing to do with: it knows its services and its rates.
pub const UNREAD_BY_SELFTEST: [Unread; 7] = [HOST, GRPC_HOST, RATE, CLOSED, SLO, ARMS, OUTPUT_DIR];

/// What the original's comparison says by itself.
pub const UNREAD_BY_ORIGINAL: [Unread; 6] = [HOST, GRPC_HOST, RATE, CLOSED, SLO, ARMS];

/// Whether an option is set.
type IsSet = fn(&GooseConfiguration) -> bool;

/// Options of goose that a comparison refuses, and how to tell whether one is set: those of its HTTP
/// client, which is not used, those of loads that are not steady or that someone else steers, and
/// those that do something else than test.
const NO_MEANING: [(&str, IsSet); 19] = [
    ("no_gzip", |goose| goose.no_gzip),
    ("sticky_follow", |goose| goose.sticky_follow),
    ("accept_invalid_certs", |goose| goose.accept_invalid_certs),
    ("scenarios", |goose| goose.scenarios.is_some()),
    ("no_metrics", |goose| goose.no_metrics),
    ("test_plan", has_test_plan),
    ("iterations", |goose| goose.iterations.is_some()),
    ("throttle_requests", |goose| {
        goose.throttle_requests.is_some()
    }),
    ("co_mitigation", |goose| goose.co_mitigation.is_some()),
    ("no_autostart", |goose| goose.no_autostart),
    ("websocket", |goose| goose.websocket),
    ("websocket_host", |goose| goose.websocket_host.is_some()),
    ("websocket_port", |goose| goose.websocket_port.is_some()),
    ("telnet_host", |goose| goose.telnet_host.is_some()),
    ("telnet_port", |goose| goose.telnet_port.is_some()),
    ("list", |goose| goose.list),
    ("scenarios_list", |goose| goose.scenarios_list),
    ("render_report", |goose| goose.render_report.is_some()),
    ("dashboard_control", |goose| goose.dashboard_control),
];

impl Options {
    /// Fills in what the user left open, and refuses what cannot be run.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub fn complete(&mut self) -> Result<(), UsageError> {
        let goose = &mut self.goose;
        let users = *goose.users.get_or_insert(USERS);
        refuse(!(1..=MOST_USERS).contains(&users), || {
            format!("--users {users} cannot be tested; it must be between 1 and {MOST_USERS}")
        })?;
        if goose.increase_rate.is_none() && goose.increase_time.is_none() {
            goose.increase_rate = Some(users.max(RAMP).to_string());
        }
        for (option, time) in [
            ("--run-time", &goose.run_time),
            ("--increase-time", &goose.increase_time),
        ] {
            let readable = time.as_deref().is_none_or(|time| {
                parse_timespan(time).is_some_and(|s| (1..=LONGEST_RUN_TIME).contains(&s))
            });
            refuse(!readable, || {
                let time = time.as_deref().unwrap_or_default();
                format!(
                    "{option} {time:?} is not a time between a second and a day; write it like 30s, 2m or 1h30m"
                )
            })?;
        }
        self.complete_verdict()?;
        let goose = &self.goose;
        for (option, is_set) in NO_MEANING {
            refuse(is_set(goose), || {
                let option = option.replace('_', "-");
                format!("--{option} has no meaning for this comparison; leave it out")
            })?;
        }
        self.targets()
            .map_err(|error| UsageError(error.to_string()))?;
        Ok(())
    }

    /// As [`Options::complete`], for the command `name`, which leaves some of the options unread.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub fn complete_for(&mut self, name: &str, unread: &[Unread]) -> Result<(), UsageError> {
        for (option, is_set) in unread {
            refuse(is_set(self), || {
                format!("--{option} has no meaning for loadtest {name}; leave it out")
            })?;
        }
        self.complete()
    }

    fn complete_verdict(&mut self) -> Result<(), UsageError> {
        if let Some(rate) = self.rate {
            let possible = rate.is_finite() && rate > 0.0 && rate <= HIGHEST_RATE;
            refuse(!possible, || {
                format!(
                    "--rate {rate} cannot be offered; it must be above 0 and at most {HIGHEST_RATE}"
                )
            })?;
        }
        if let Some(pairs) = self.pairs {
            refuse(!(1..=MOST_PAIRS).contains(&pairs), || {
                format!("--pairs {pairs} cannot be measured; it must be between 1 and {MOST_PAIRS}")
            })?;
        }
        if let Some(rate) = self.rate {
            let window_s = self.extent().window_us as f64 / 1e6;
            refuse(rate * window_s < LEAST_CALLS, || {
                let least = (LEAST_CALLS / window_s).ceil();
                format!(
                    "--rate {rate} gives a block of {window_s} s too few calls to measure; offer {least} or more, \
                     or give a longer --run-time"
                )
            })?;
        }
        let mut once = self.arms.clone();
        once.sort_unstable();
        once.dedup();
        refuse(once.len() < self.arms.len(), || {
            "--arms names an arm twice; the A/A run does that by itself".to_owned()
        })
    }

    /// How much is to be measured.
    pub fn extent(&self) -> Extent {
        let mut extent = if self.thorough {
            Extent::THOROUGH
        } else {
            Extent::QUICK
        };
        if let Some(pairs) = self.pairs {
            extent = Extent {
                mode: if pairs < Extent::THOROUGH.open_pairs {
                    Mode::Quick
                } else {
                    extent.mode
                },
                aa_pairs: pairs,
                closed_pairs: pairs,
                open_pairs: pairs,
                map_pairs: if self.thorough { pairs } else { 0 },
                ..extent
            };
        }
        let run_time = self.goose.run_time.as_deref().and_then(parse_timespan);
        if let Some(seconds) = run_time {
            let blocks = u64::from(self.blocks_of_an_arm(&extent));
            extent.window_us = (seconds as u64 * 1_000_000 / blocks).max(SHORTEST_WINDOW_US);
            extent.map_window_us = extent.map_window_us.min(extent.window_us);
        }
        extent
    }

    /// Over how many blocks of the comparison the run time of an arm is spread.
    fn blocks_of_an_arm(&self, extent: &Extent) -> u32 {
        let closed = match extent.mode {
            // Many users, and one.
            Mode::Thorough => 2 * extent.closed_pairs,
            _ => extent.closed_pairs,
        };
        match (self.closed, self.rate) {
            (true, _) => closed,
            (_, Some(_)) => extent.open_pairs,
            _ => closed + extent.open_pairs,
        }
    }

    /// Users of each block.
    pub fn users(&self) -> u32 {
        let users = self.goose.users.unwrap_or(USERS);
        u32::try_from(users).unwrap_or(u32::MAX)
    }

    /// The running service that is to be tested, REST and gRPC; none where dual-mode is to be
    /// started.
    ///
    /// # Errors
    /// A sentence that names the option whose URL cannot be read.
    pub fn targets(&self) -> Result<Option<(Target, Target)>, TargetError> {
        let Some(host) = &self.goose.host else {
            return Ok(None);
        };
        let rest = Target::parse("--host", host)?;
        let grpc = match &self.grpc_host {
            Some(host) => Target::parse("--grpc-host", host)?,
            None => rest.at_port(GRPC_PORT),
        };
        Ok(Some((rest, grpc)))
    }

    /// Where goose serves its dashboard, if it does. Its default is port 5118 of this machine.
    pub fn dashboard(&self) -> Option<String> {
        let goose = &self.goose;
        let host = goose.dashboard_host.as_deref().unwrap_or("127.0.0.1");
        let port = goose.dashboard_port.unwrap_or(5118);
        goose.dashboard.then(|| format!("http://{host}:{port}"))
    }

    /// The folder of the report, where the user names one.
    pub fn folder(&self) -> Option<PathBuf> {
        self.goose.output_dir.as_ref().map(PathBuf::from)
    }
}

/// An arm by its letter or its name in the raw data.
fn arm(text: &str) -> Result<Arm, String> {
    let text = text.trim();
    let mut arms = Arm::ALL.into_iter();
    arms.find(|arm| arm.letter().eq_ignore_ascii_case(text) || arm.slug() == text)
        .ok_or_else(|| "the arms are A, B, C, D and E".to_owned())
}

/// The options that this process was given, for the blocks: a subcommand has the first place.
pub fn options_of_blocks() -> Vec<OsString> {
    let mut args = std::env::args_os().skip(1).peekable();
    let names: Vec<_> = Cli::command()
        .get_subcommands()
        .map(|command| OsString::from(command.get_name()))
        .collect();
    args.next_if(|arg| names.contains(arg));
    args.collect()
}

/// A seed that differs from run to run.
pub fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Six digits are enough to tell runs apart, and can be typed.
    RandomState::new().hash_one(std::process::id()) % 1_000_000
}

fn refuse(wrong: bool, why: impl FnOnce() -> String) -> Result<(), UsageError> {
    if wrong {
        Err(UsageError(why()))
    } else {
        Ok(())
    }
}

/// Goose keeps its test plan to itself, but writes it down with the rest of its configuration.
fn has_test_plan(goose: &GooseConfiguration) -> bool {
    serde_json::to_value(goose).is_ok_and(|options| !options["test_plan"].is_null())
}

/// An option that cannot be carried out, in a sentence that names it.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The command line as it was typed, quoted where a shell needs it.
pub fn typed() -> String {
    // Cargo tells what it runs where it is.
    let started = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(_) if cfg!(debug_assertions) => "cargo run -p loadtest",
        Some(_) => "cargo run --release -p loadtest",
        None => "loadtest",
    };
    let by_cargo = started.starts_with("cargo") && std::env::args_os().len() > 1;
    let separator = by_cargo.then(|| "--".to_owned());
    let words = std::env::args_os()
        .skip(1)
        .map(|word| quote(&word.to_string_lossy()));
    std::iter::once(started.to_owned())
        .chain(separator)
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
