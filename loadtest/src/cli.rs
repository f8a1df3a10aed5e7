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

/// The halves of this tool that run as child processes.
#[derive(Subcommand, Clone)]
pub enum Command {
    /// One protocol's load; standard input says which
    #[command(hide = true)]
    Block(Box<Options>),
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
    let command = command
        .mut_arg("host", |arg| {
            arg.help("Where REST listens [default: dual-mode, started by this run]").long_help(
                "Where REST listens, such as http://localhost:5000. gRPC is tested at port 50051 of \
                 the same host, or at --grpc-host. Without it, dual-mode is started on free ports \
                 of this machine, and stopped afterwards.",
            )
        })
        .mut_arg("users", |arg| {
            arg.help("Users, each with one connection and one call in flight [default: 32]")
        })
        .mut_arg("increase_rate", |arg| {
            arg.visible_alias("spawn-rate")
                .help("Users started per second [default: all within a second]")
        })
        .mut_arg("run_time", |arg| {
            arg.help("How long each protocol runs at full load [default: 15s]")
        })
        .mut_arg("output_dir", |arg| {
            arg.help("Folder of the report [default: reports/<start time>]").long_help(
                "Folder of the report, reports/<start time> by default. Where it holds files \
                 already, DIR-2, DIR-3 and so on are taken.",
            )
        })
        .mut_arg("report_file", |arg| {
            arg.help("Write goose's report to FILE too, one for each protocol; repeatable")
        })
        .mut_arg("timeout", |arg| arg.help("How long a call may take, in seconds [default: 10]"))
        .mut_arg("version", |arg| arg.help("Print the versions of this tool and of goose"));
    NO_MEANING.into_iter().fold(command, |command, option| {
        command.mut_arg(option, |arg| arg.hide(true))
    })
}

/// Options of goose that a comparison refuses: of its HTTP client, which is not used, and of loads
/// that are not steady.
const NO_MEANING: [&str; 6] = [
    "no_gzip",
    "sticky_follow",
    "accept_invalid_certs",
    "scenarios",
    "no_metrics",
    "test_plan",
];

impl Options {
    /// Fills in what the user left open, and refuses what cannot be run.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub fn complete(&mut self) -> Result<(), UsageError> {
        let goose = &mut self.goose;
        if goose.run_time.is_none() && goose.iterations.is_none() && !goose.no_autostart {
            goose.run_time = Some(RUN_TIME.to_owned());
        }
        let users = *goose.users.get_or_insert(USERS);
        refuse(users == 0, || {
            "--users 0 would test nothing; it must be at least 1".to_owned()
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
        for (set, option) in [
            (goose.no_gzip, "--no-gzip"),
            (goose.sticky_follow, "--sticky-follow"),
            (goose.accept_invalid_certs, "--accept-invalid-certs"),
            (goose.scenarios.is_some(), "--scenarios"),
            (goose.no_metrics, "--no-metrics"),
            (has_test_plan(goose), "--test-plan"),
        ] {
            refuse(set, || {
                format!("{option} has no meaning for this comparison; leave it out")
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
        Some(_) if cfg!(debug_assertions) => "cargo run -p loadtest --",
        Some(_) => "cargo run --release -p loadtest --",
        None => "loadtest",
    };
    let words = std::env::args_os()
        .skip(1)
        .map(|word| quote(&word.to_string_lossy()));
    std::iter::once(started.to_owned())
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
