//! What a user can ask for. Goose's own options are taken over as they are, with other defaults
//! where one protocol after the other asks for them.

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use goose::{config::GooseConfiguration, util::parse_timespan};
use thiserror::Error;

use crate::target::{GRPC_PORT, Target, TargetError};

/// Users where the user names none. Enough to keep a server busy on a few cores, few enough that
/// the generator does not starve it.
const USERS: usize = 32;

/// The most users: each holds a connection, and an address has about 28,000 ports for connections to
/// one server (Linux: net.ipv4.ip_local_port_range).
const MOST_USERS: usize = 28_000;

/// Seconds at full load for each protocol, where the user names no end. Long enough for a p99.9 at
/// 10,000 requests/s.
const RUN_TIME: &str = "15s";

/// Measures REST and gRPC on one service, one after the other under the same load, and sets them
/// side by side
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
  0    both protocols were measured, and every answer was good
  1    the tool itself failed
  2    an option is wrong
  3    measured, but some answers were bad
  4    measured, but a threshold was missed
  5    a target could not be reached; nothing was written
  130  cut short by Ctrl-C; what was measured until then was written";

/// What is done with runs that were made already, and the halves of this tool that run as child
/// processes.
#[derive(Subcommand, Clone)]
pub enum Command {
    /// One protocol's load; standard input says which
    #[command(hide = true)]
    Block(Box<Options>),
    /// Make the page of a run again from its raw data
    Report {
        /// Folder of the run
        directory: PathBuf,
    },
    /// Set two runs side by side
    Compare {
        /// Folder of the one
        first: PathBuf,
        /// Folder of the other
        second: PathBuf,
        /// Folder of the page; DIR-2 and so on where it is taken
        #[arg(long, value_name = "DIR", default_value = "reports/compared")]
        output_dir: PathBuf,
    },
    /// Join runs that several machines made at once against one service
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

    /// Goose's options.
    #[command(flatten)]
    pub goose: GooseConfiguration,
}

impl Cli {
    /// Reads the command line of this process; ends it where clap answers by itself.
    pub fn read() -> Self {
        let matches = command().get_matches();
        let cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if cli.options.goose.version {
            let tool = crate::machine::tool();
            println!("loadtest {} (goose {})", tool.version, tool.goose);
            std::process::exit(0);
        }
        cli
    }
}

/// The command line. A block is given the same options as the comparison it belongs to.
fn command() -> clap::Command {
    with_our_words(Cli::command()).mut_subcommand("block", with_our_words)
}

/// Goose's options, with help that says what is different here.
fn with_our_words(command: clap::Command) -> clap::Command {
    const WORDS: [(&str, &str, &str); 8] = [
        (
            "host",
            "Where REST listens [default: dual-mode, started by this run]",
            "gRPC is tested at port 50051 of the same host, or at --grpc-host. Without --host, dual-mode \
             is started on free ports of this machine, a fresh one for each protocol, and stopped \
             afterwards.\n\nExample: --host http://localhost:5000",
        ),
        (
            "users",
            "Users, each with one connection and one call in flight [default: 32]",
            "The same number calls over REST and then over gRPC. At most 28000: an address has not more \
             ports for connections to one server.\n\nExample: --users 64",
        ),
        (
            "increase_rate",
            "Users started per second [default: all within a second]",
            "A decimal is allowed. What is called while users start is warm-up, and so is a second after \
             it: neither is in the figures.\n\nExample: --spawn-rate 10",
        ),
        (
            "run_time",
            "How long each protocol is measured [default: 15s]",
            "Counted from the end of the warm-up.\n\nExample: --run-time 1m",
        ),
        (
            "output_dir",
            "Folder of the report [default: reports/<start time>]",
            "Where it holds files already, DIR-2, DIR-3 and so on are taken.\n\n\
             Example: --output-dir reports/before-the-change",
        ),
        (
            "report_file",
            "Write goose's own report to FILE too; repeatable",
            "Each protocol writes one, with its name in it: report.html becomes report-rest.html and \
             report-grpc.html. The extension picks the type: .html, .md or .json. Without FILE, a JSON \
             report is written into the report's folder. No file is overwritten.\n\n\
             Example: --report-file report.json",
        ),
        (
            "timeout",
            "How long a call may take, in seconds [default: 10]",
            "A call that takes longer is given up and counts as a bad answer. A decimal is allowed.\n\n\
             Example: --timeout 0.5",
        ),
        (
            "version",
            "Print the versions of this tool and of goose",
            "Print the versions of this tool and of goose, and exit.",
        ),
    ];
    let command = WORDS
        .into_iter()
        .fold(command, |command, (option, short, long)| {
            let long = format!("{short}\n\n{long}");
            command.mut_arg(option, |arg| arg.help(short).long_help(long))
        });
    let command = command.mut_arg("increase_rate", |arg| arg.visible_alias("spawn-rate"));
    let command = without_notes_for_programmers(command);
    NO_MEANING
        .into_iter()
        .fold(command, |command, (option, _)| {
            command.mut_arg(option, |arg| arg.hide(true))
        })
}

/// Goose's long help ends with how to set the option in code, which is not for a user of this tool.
fn without_notes_for_programmers(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let Some(long) = arg.get_long_help().map(ToString::to_string) else {
            return arg;
        };
        match long.find("Set in code") {
            Some(note) => arg.long_help(long[..note].trim_end().to_owned()),
            None => arg,
        }
    })
}

/// Whether an option is set.
type IsSet = fn(&GooseConfiguration) -> bool;

/// Options of goose that a comparison refuses, and how to tell whether one is set: those of its HTTP
/// client, which is not used, those of loads that are not steady or that someone else steers, and
/// those that do something else than test.
const NO_MEANING: [(&str, IsSet); 16] = [
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
        goose.run_time.get_or_insert_with(|| RUN_TIME.to_owned());
        let users = *goose.users.get_or_insert(USERS);
        refuse(!(1..=MOST_USERS).contains(&users), || {
            format!("--users {users} cannot be tested; it must be between 1 and {MOST_USERS}")
        })?;
        if goose.increase_rate.is_none() && goose.increase_time.is_none() {
            goose.increase_rate = Some(users.to_string());
        }
        for (option, time) in [
            ("--run-time", &goose.run_time),
            ("--increase-time", &goose.increase_time),
        ] {
            let readable = time
                .as_deref()
                .is_none_or(|time| parse_timespan(time).is_some_and(|s| s > 0));
            refuse(!readable, || {
                let time = time.as_deref().unwrap_or_default();
                format!("{option} {time:?} is not a time above 0; write it like 30s, 2m or 1h30m")
            })?;
        }
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

    /// Seconds at full load for each protocol, where that is known.
    pub fn run_seconds(&self) -> Option<f64> {
        let seconds = parse_timespan(self.goose.run_time.as_deref()?)?;
        Some(seconds as f64)
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
