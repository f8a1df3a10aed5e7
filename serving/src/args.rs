//! Command-line options that the servers share, each with an environment variable beside it.

use std::{
    env,
    ffi::OsString,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use clap::{
    ArgAction, Args, Parser,
    builder::{BoolishValueParser, Resettable},
    value_parser,
};

use crate::{client::unwritable, hosts::host, limits::Limits, telemetry::LogFormat};

/// Options of every server here.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Address to listen on; 0.0.0.0 or :: opens the server to the network
    #[arg(long, env = "BIND_ADDRESS", value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind: IpAddr,

    /// Names that the server answers to, like shop.example, beside IP addresses and localhost; whoever
    /// calls it otherwise is refused. Separate several by commas [default: all names]
    #[arg(long, env = "ALLOWED_HOST", value_name = "HOST", value_delimiter = ',', value_parser = host)]
    pub allowed_host: Vec<String>,

    /// Port of the gRPC listener; 0 takes a free one, which is printed
    #[arg(long, env = "GRPC_PORT", value_name = "PORT", default_value_t = 50051)]
    pub grpc_port: u16,

    /// Threads that serve calls [default: one per core]
    #[arg(long, env = "GRPC_MAX_WORKERS", value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub grpc_max_workers: Option<u16>,

    /// Connections open at once on each listener
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "N", value_parser = value_parser!(u32).range(1..), default_value_t = 4096)]
    pub max_connections: u32,

    /// Calls open at once on each listener; beyond it they are refused
    #[arg(long, env = "MAX_CALLS", value_name = "N", value_parser = value_parser!(u32).range(1..), default_value_t = 10_000)]
    pub max_calls: u32,

    /// MiB of half-sent messages on each listener; beyond it they are refused
    #[arg(long, env = "MAX_INTAKE", value_name = "MIB", value_parser = value_parser!(u32).range(1..), default_value_t = 32)]
    pub max_intake: u32,

    /// MiB of unread answers on each listener; beyond it calls are refused
    #[arg(long, env = "MAX_UNREAD", value_name = "MIB", value_parser = value_parser!(u32).range(1..), default_value_t = 32)]
    pub max_unread: u32,

    /// The longest a call may take, whatever its caller asks for; a stream has to begin its answer in this time
    #[arg(long, env = "MAX_CALL", value_name = "TIME", value_parser = duration, default_value = "1m")]
    pub max_call: Duration,

    /// The longest a stream may take, whatever its caller asks for
    #[arg(long, env = "MAX_STREAM", value_name = "TIME", value_parser = duration, default_value = "1h")]
    pub max_stream: Duration,

    /// Address of a proxy, which many callers share; repeat it for more. At the limit of connections, the
    /// caller with the most makes room, and such an address is no caller
    #[arg(long, env = "TRUSTED_PROXY", value_name = "IP", value_delimiter = ',')]
    pub trusted_proxy: Vec<IpAddr>,

    /// How long a new connection may take to send its HTTP/2 preface or its HTTP/1 head
    #[arg(long, env = "FIRST_BYTES", value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub first_bytes: Duration,

    /// How long a connection may have no call open; pings do not count
    #[arg(long, env = "IDLE_TIMEOUT", value_name = "TIME", value_parser = duration, default_value = "90s")]
    pub idle_timeout: Duration,

    /// How long the body of a REST or gRPC-Web request may pause
    #[arg(long, env = "BODY_PAUSE", value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub body_pause: Duration,

    /// How long a peer may leave an answer unread
    #[arg(long, env = "STALLED_WRITE", value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub stalled_write: Duration,

    /// How long calls in flight may take to finish after Ctrl-C or SIGTERM
    #[arg(long, env = "GRACE", value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub grace: Duration,

    /// How long to go on accepting after the signal, for load balancers to look away
    #[arg(long, env = "DRAIN_PAUSE", value_name = "TIME", value_parser = pause, default_value = "0s")]
    pub drain_pause: Duration,

    /// Print every limit of this server with its reason, and exit
    #[arg(long)]
    pub print_limits: bool,

    /// What is logged: a level, or a filter such as "info,tonic=debug"; trace is left out of builds with
    /// --release
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How the log on standard error is written
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

impl ServerArgs {
    /// Returns the limits of each listener.
    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            connections: self.max_connections as usize,
            calls: self.max_calls as usize,
            intake: self.max_intake as usize * 1024 * 1024,
            answers: self.max_unread as usize * 1024 * 1024,
            longest_call: self.max_call,
            longest_stream: self.max_stream,
            first_bytes: self.first_bytes,
            idle: self.idle_timeout,
            trusted_proxies: self.trusted_proxy.clone(),
            body_pause: self.body_pause,
            stalled_write: self.stalled_write,
            grace: self.grace,
            drain_pause: self.drain_pause,
            ..default
        }
    }

    /// Returns the address that the gRPC listener binds to.
    pub fn grpc_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.grpc_port)
    }
}

/// Reads the options of this process. An environment variable that is empty is as if it were not set, and one
/// that stands for a flag says `1`, `true`, `yes`, `on` or the opposite.
pub fn parse<P: Parser>() -> P {
    let mut command = P::command().mut_args(|arg| {
        let value = arg.get_env().and_then(env::var_os);
        let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
        let arg = match is_flag && value.is_some() {
            true => arg.value_parser(BoolishValueParser::new()),
            false => arg,
        };
        // What is off is not given: it conflicts with nothing.
        let is_off = |value: &OsString| value.is_empty() || is_flag && is_false(value);
        match value.as_ref().is_some_and(is_off) {
            true => arg.env(Resettable::Reset),
            false => arg,
        }
    });
    let matches = command.clone().try_get_matches();
    let parsed = matches.and_then(|matches| {
        let parsed = P::from_arg_matches(&matches);
        parsed.map_err(|error| error.format(&mut command))
    });
    parsed.unwrap_or_else(|error| end(&error))
}

/// Prints `error`, or the help that was asked for, and ends the process: with 1 where that cannot be printed,
/// unless its reader has seen enough.
fn end(error: &clap::Error) -> ! {
    match error.print() {
        Err(broken) if broken.kind() != ErrorKind::BrokenPipe && !error.use_stderr() => {
            unwritable(&broken)
        }
        _ => std::process::exit(error.exit_code()),
    }
}

/// Returns true if `value` says that a flag is not set.
fn is_false(value: &OsString) -> bool {
    let words = ["0", "false", "f", "no", "n", "off"];
    words
        .into_iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

/// The longest time that is taken: nobody waits longer, and the end of it can be reckoned.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a time such as `500ms`, `5s` or `2m` from a command line; it must be longer than zero, and at
/// most a year.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn duration(text: &str) -> Result<Duration, String> {
    match pause(text)? {
        Duration::ZERO => Err("it must be longer than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// The same, where zero is none.
fn pause(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(pause) if pause > YEAR => Err("it must be at most 365 days".to_owned()),
        Ok(pause) => Ok(pause),
        Err(_) => Err("it is no time; write it like 500ms, 5s or 2m".to_owned()),
    }
}
