//! The options of a run, parsed once.

use std::{path::PathBuf, time::Duration};

use engine::Timing;
use goose::{config::GooseConfiguration, threshold::Threshold, util::parse_timespan};

use super::{
    Comparison, ExtentArgs, LoadArgs, OriginalArgs, OutputArgs, SelftestArgs, ServerArgs,
    UsageError, VerdictArgs, outputs::refuse_to_overwrite,
};
use crate::{
    cores,
    record::{Objective, Protocol},
    service,
    study::Design,
    system::accounts::ServerOptions,
    target::{GRPC_PORT, Target},
    verdict::requirement::Requirement,
};

/// Users if none are named: enough to keep a server busy on a few cores, few enough that the generator
/// does not starve it.
const USERS: u32 = 32;

/// Users started per second if the user does not say: so few that the server is not flooded with
/// connections, so many that the usual ones have all started within a tenth of a second.
const RAMP: u32 = 320;

/// The most users: each holds a connection, and an address has about 28,000 ports for connections to
/// one server (Linux: net.ipv4.ip_local_port_range).
pub const MOST_USERS: usize = 28_000;

/// The longest trial and the longest budget, in seconds: a day. Numbers of microseconds hold far more.
const LONGEST: usize = 24 * 60 * 60;

/// The highest rate that can be asked for, in calls per second: they are a microsecond apart.
const HIGHEST_RATE: f64 = 1e6;

/// The fewest calls that a trial may be offered: of fewer, one that falls into the window or not changes
/// every figure by more than a tenth.
const LEAST_CALLS: f64 = 10.0;

/// The most rounds: a thousand of the quick run take three hours.
const MOST_ROUNDS: u32 = 1000;

/// Time that a call may take if the user does not say: far longer than any call here should, short
/// enough that a run against a stalled server ends.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Time that users may take to connect at least: on loopback they take a hundredth of it.
const CONNECTING: Duration = Duration::from_millis(100);

/// All that a run needs to know of its options.
#[derive(Clone)]
pub struct Config {
    /// The command line as it was typed.
    pub command: String,
    /// REST and gRPC of a running service; none if dual-mode is to be started.
    pub targets: Option<[Target; 2]>,
    /// A service of another contract.
    pub service: Option<service::Options>,
    /// The servers' processes and metrics that were named.
    pub server: ServerOptions,
    /// Protocols to compare, the baseline first; empty means the design's own choice.
    pub protocols: Vec<Protocol>,
    /// The extent of the run.
    pub design: Design,
    /// Users of each trial.
    pub users: u32,
    /// The rate to offer, if it was named.
    pub rate: Option<f64>,
    /// True if only closed loops are measured.
    pub closed: bool,
    /// The objective that capacity is searched for.
    pub objective: Option<Objective>,
    /// The price of a core for an hour, if it was given.
    pub core_price: Option<f64>,
    /// The requirements on the run.
    pub requirements: Vec<Requirement>,
    /// The length of a turn, if it was named.
    pub turn: Option<Duration>,
    /// The seed of every random choice.
    pub seed: u64,
    /// The cores of the server and of the generator.
    pub cores: cores::Split,
    /// Folder of the report, if it was named.
    pub output: Option<PathBuf>,
    /// Time that a call may take.
    pub time_limit: Duration,
    /// goose's part of every trial.
    pub goose: GooseConfiguration,
}

impl Config {
    /// The options of a comparison.
    ///
    /// # Errors
    /// A sentence that names the option that cannot be carried out.
    pub fn of_comparison(args: Comparison) -> Result<Self, UsageError> {
        let mut config = Self::new(&args.load, &args.extent, args.output)?;
        if let Some(host) = &args.target.host {
            let rest = target("--host", host)?;
            let grpc = match &args.target.grpc_host {
                Some(host) => target("--grpc-host", host)?,
                None => rest.at_port(GRPC_PORT),
            };
            config.targets = Some([rest, grpc]);
        }
        config.take_verdict(args.verdict)?;
        config.service = super::service::read(args.service)?;
        let is_running = config.targets.is_some() || config.service.is_some();
        config.server = args.server.options(is_running)?;
        Ok(config)
    }

    /// The options of `ceiling`.
    ///
    /// # Errors
    /// As [`Self::of_comparison`].
    pub fn of_ceiling(args: super::CeilingArgs) -> Result<Self, UsageError> {
        let mut config = Self::new(&args.load, &ExtentArgs::default(), OutputArgs::default())?;
        config.protocols = once_each(args.variants.variants)?;
        Ok(config)
    }

    /// The options of `original`.
    ///
    /// # Errors
    /// As [`Self::of_comparison`].
    pub fn of_original(args: OriginalArgs) -> Result<Self, UsageError> {
        Self::of(&args.load, &args.extent, args.output, Design::ORIGINAL)
    }

    /// The options of `selftest`, as far as they are a run's.
    ///
    /// # Errors
    /// As [`Self::of_comparison`].
    pub fn of_selftest(args: &SelftestArgs) -> Result<Self, UsageError> {
        Self::new(&args.load, &args.extent, OutputArgs::default())
    }

    fn new(load: &LoadArgs, extent: &ExtentArgs, output: OutputArgs) -> Result<Self, UsageError> {
        Self::of(load, extent, output, Design::QUICK)
    }

    /// The options that all commands share. The design is `quick` unless they say more of it.
    fn of(
        load: &LoadArgs,
        extent: &ExtentArgs,
        output: OutputArgs,
        quick: Design,
    ) -> Result<Self, UsageError> {
        refuse_to_overwrite(&output)?;
        let users = load.users.unwrap_or(USERS);
        if !(1..=MOST_USERS).contains(&(users as usize)) {
            return wrong(format!(
                "--users {users} cannot be tested; it must be between 1 and {MOST_USERS}"
            ));
        }
        let mut design = match extent.thorough {
            true => Design::THOROUGH,
            false => quick,
        };
        if let Some(time) = &load.run_time {
            design = design.with_window(time_of("--run-time", time)?);
        }
        if let Some(time) = &extent.budget {
            design.budget = Some(time_of("--budget", time)?);
        }
        if let Some(rounds) = extent.rounds {
            if !(1..=MOST_ROUNDS).contains(&rounds) {
                return wrong(format!(
                    "--rounds {rounds} cannot be measured; it must be between 1 and {MOST_ROUNDS}"
                ));
            }
            design.budget = None;
            design.rounds = Some(rounds);
        }
        let turn = extent.turn.as_deref().map(turn_of).transpose()?;
        let time_limit = match load.timeout {
            None => TIME_LIMIT,
            Some(seconds) => Duration::try_from_secs_f64(seconds)
                .ok()
                .filter(|limit| !limit.is_zero() && limit.as_secs() <= LONGEST as u64)
                .ok_or_else(|| {
                    UsageError(format!(
                        "--timeout {seconds} is not a number of seconds above 0 and at most a day"
                    ))
                })?,
        };
        Ok(Self {
            command: typed(),
            targets: None,
            service: None,
            server: ServerOptions::default(),
            protocols: Vec::new(),
            design,
            users,
            rate: None,
            closed: false,
            objective: None,
            core_price: None,
            requirements: output.require.clone(),
            turn,
            seed: extent.seed.unwrap_or_else(random_seed),
            cores: cores::split(load.share_cores),
            output: output.output_dir.clone(),
            time_limit,
            goose: goose_configuration(load, users, output)?,
        })
    }

    fn take_verdict(&mut self, args: VerdictArgs) -> Result<(), UsageError> {
        if let Some(rate) = args.rate {
            if !(rate.is_finite() && rate > 0.0 && rate <= HIGHEST_RATE) {
                return wrong(format!(
                    "--rate {rate} cannot be offered; it must be above 0 and at most {HIGHEST_RATE}"
                ));
            }
            let window_s = self.design.window_us as f64 / 1e6;
            if rate * window_s < LEAST_CALLS {
                let least = (LEAST_CALLS / window_s).ceil();
                return wrong(format!(
                    "--rate {rate} gives a trial of {window_s} s too few calls to measure; offer {least} or \
                     more, or give a longer --run-time"
                ));
            }
        }
        self.rate = args.rate;
        self.closed = args.closed;
        self.objective = args.slo;
        self.core_price = args.core_price;
        self.protocols = once_each(args.variants.variants)?;
        Ok(())
    }

    /// The durations of a trial whose window is `window_us` long, if users need so long to connect.
    pub fn timing(&self, window_us: u64, warm_up_us: u64, connecting: Duration) -> Timing {
        Timing {
            warm_up_us,
            longest_warm_up_us: warm_up_us + self.design.patience_us,
            window_us,
            parts: 1,
            others_us: 0,
            connecting_us: micros(connecting.max(CONNECTING)),
            time_limit_us: micros(self.time_limit),
        }
    }

    /// Returns the URL of goose's dashboard, if goose serves one. Its default is port 5118 of this
    /// machine.
    pub fn dashboard(&self) -> Option<String> {
        let port = self.goose.dashboard_port.unwrap_or(5118);
        self.goose
            .dashboard
            .then(|| format!("http://127.0.0.1:{port}"))
    }
}

fn goose_configuration(
    load: &LoadArgs,
    users: u32,
    output: OutputArgs,
) -> Result<GooseConfiguration, UsageError> {
    let increase_time = match &load.increase_time {
        // goose refuses a time for one user, who begins at once.
        Some(time) => {
            time_of("--increase-time", time)?;
            (users > 1).then(|| time.clone())
        }
        None => None,
    };
    let rate = load.increase_rate.clone();
    let increase_rate = match increase_time {
        Some(_) => None,
        None => Some(rate.unwrap_or_else(|| users.max(RAMP).to_string())),
    };
    for rule in &output.threshold {
        if let Err(error) = rule.parse::<Threshold>() {
            return wrong(format!("--threshold {rule:?}: {error}"));
        }
    }
    // It has fields of its own, and cannot be written down whole.
    let mut goose = GooseConfiguration::default();
    (goose.increase_rate, goose.increase_time) = (increase_rate, increase_time);
    (goose.report_file, goose.request_log) = (output.report_file, output.request_log);
    (goose.threshold, goose.no_threshold_abort) = (output.threshold, output.no_threshold_abort);
    (goose.dashboard, goose.dashboard_port) = (output.dashboard, output.dashboard_port);
    (goose.quiet, goose.no_print_metrics) = (1, true);
    Ok(goose)
}

impl ServerArgs {
    /// The same for a run. `is_running` says whether the service is the user's own.
    fn options(self, is_running: bool) -> Result<ServerOptions, UsageError> {
        let options = ServerOptions {
            pids: self.server_pid,
            groups: self.server_cgroup,
            metrics: self.server_metrics,
        };
        match is_running || options.is_empty() {
            true => Ok(options),
            false => wrong(
                "--server-pid, --server-cgroup and --server-metrics are about a service that runs \
                 already; name it by --host, or by --rest and --grpc"
                    .to_owned(),
            ),
        }
    }
}

fn target(option: &'static str, text: &str) -> Result<Target, UsageError> {
    Target::parse(option, text).map_err(|error| UsageError(error.to_string()))
}

/// The shortest turn, in milliseconds: beginning one takes longer than that.
const SHORTEST_TURN_MS: u64 = 50;

/// A time such as `200ms` or `2s`.
fn turn_of(text: &str) -> Result<Duration, UsageError> {
    let milliseconds = match text.strip_suffix("ms") {
        Some(number) => number.parse().ok(),
        None => time_of("--turn", text)
            .ok()
            .map(|time| time.as_secs() * 1000),
    };
    milliseconds
        .filter(|time| (SHORTEST_TURN_MS..=LONGEST as u64 * 1000).contains(time))
        .map(Duration::from_millis)
        .ok_or_else(|| {
            UsageError(format!(
                "--turn {text:?} is not a time between 50 ms and a day; write it like 200ms or 2s"
            ))
        })
}

/// A time such as `30s`, `2m` or `1h30m`.
fn time_of(option: &str, text: &str) -> Result<Duration, UsageError> {
    parse_timespan(text)
        .filter(|seconds| (1..=LONGEST).contains(seconds))
        .map(|seconds| Duration::from_secs(seconds as u64))
        .ok_or_else(|| {
            UsageError(format!(
                "{option} {text:?} is not a time between a second and a day; write it like 30s, 2m or 1h30m"
            ))
        })
}

fn once_each(protocols: Vec<Protocol>) -> Result<Vec<Protocol>, UsageError> {
    let mut once = protocols.clone();
    once.sort_unstable();
    once.dedup();
    match once.len() < protocols.len() {
        true => wrong("--variants names one twice; its twin is measured anyway".to_owned()),
        false => Ok(protocols),
    }
}

fn wrong<T>(sentence: String) -> Result<T, UsageError> {
    Err(UsageError(sentence))
}

/// `time` in microseconds.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A seed that differs from run to run: six digits are enough to tell runs apart, and can be typed.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) % 1_000_000
}

/// The command line as it was typed, quoted if a shell needs it.
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
        .map(|word| word.to_string_lossy().into_owned());
    let words = service::secrets::masked(words);
    let words = words.iter().map(|word| quote(word));
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
