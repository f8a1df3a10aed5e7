//! A server's process: log, runtime, signals, exit code.

use std::{
    future::{Future, pending},
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_appender::non_blocking::WorkerGuard;

use crate::{
    args::ServerArgs,
    descriptors,
    drain::ServeError,
    hosts::Hosts,
    limits::Limits,
    operations::Health,
    server::Listener,
    telemetry::{self, Telemetry},
    tls::Tls,
    workers::Workers,
};

/// Longest time that tasks left after the drain may take to notice that the runtime ends.
const RUNTIME_END: Duration = Duration::from_millis(200);

/// Longest time that writing the last lines of the log may take, with a reader who takes them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Longest time after the grace until a process that was told to end is gone.
const GONE: Duration = Duration::from_secs(1);

/// Parts of that time that are kept for the last steps: the last lines of the log, and before them the end of
/// the runtime.
const FOR_EXIT: Duration = Duration::from_millis(50);
const FOR_LINES: Duration = Duration::from_millis(400);

/// The exit code of a server that had to cut calls at the end of its drain.
pub const CUT: u8 = 3;

/// The resources and settings that a server is given by its process.
#[derive(Debug)]
pub struct Process {
    /// Limits of each listener.
    pub limits: Limits,
    /// Worker threads that serve connections.
    pub workers: Workers,
    /// TLS configuration of connections, unless they speak cleartext.
    pub tls: Option<Tls>,
    /// Telemetry that its listeners report to.
    pub telemetry: Option<Telemetry>,
    /// The names that its listeners answer to.
    pub hosts: Hosts,
    /// Cancelled by the first SIGINT or SIGTERM.
    pub shutdown: CancellationToken,
    /// The state that `/readyz` of its admin port tells, and gRPC's health of whatever listener is given it, until
    /// `shutdown` is cancelled.
    pub health: Health,
    pub(crate) end: End,
}

/// When a process that was told to end must be gone. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct End(Arc<OnceLock<Instant>>);

impl End {
    /// Returns the time left before exit, less `FOR_LINES`, capped at `most`; `most` if no end is set yet.
    pub(crate) fn left(&self, most: Duration) -> Duration {
        self.left_but(FOR_LINES, most)
    }

    fn left_but(&self, rest: Duration, most: Duration) -> Duration {
        self.0.get().map_or(most, |end| {
            let left = end.saturating_duration_since(Instant::now());
            left.saturating_sub(rest).min(most)
        })
    }
}

impl Process {
    /// `socket` as a listener of this process.
    pub fn listener(&self, socket: TcpListener) -> Listener {
        Listener {
            limits: self.limits.clone(),
            workers: self.workers.clone(),
            tls: self.tls.clone(),
            telemetry: self.telemetry.clone(),
            hosts: self.hosts.clone(),
            ..Listener::from(socket)
        }
    }
}

/// Runs a server until it ends, and says why if it did not end well: 0 after a clean end, [`CUT`]
/// if calls had to be cut, 1 for any other failure. A second signal ends the process at once,
/// with 130. The file descriptors that the process may have are shared by its `listeners`, not counting
/// the admin listener.
pub fn run<F>(
    args: &ServerArgs,
    limits: Limits,
    listeners: usize,
    server: impl FnOnce(Process) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    if args.print_limits {
        return match io::stdout().write_all(limits.text().as_bytes()) {
            // Its reader has seen enough.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let error = anyhow::Error::new(error).context("the limits cannot be printed");
                failed(&error, None, LAST_LINES)
            }
            _ => ExitCode::SUCCESS,
        };
    }
    let log = match telemetry::start(&args.log, args.log_format) {
        Ok(log) => log,
        Err(error) => return failed(&error, None, LAST_LINES),
    };
    let end = End::default();
    let result = serve(args, limits, listeners, end.clone(), server);
    let left = end.left_but(FOR_EXIT, LAST_LINES);
    match result {
        Ok(()) => {
            say_last(None, Some(log), left);
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error, Some(log), left),
    }
}

fn failed(error: &anyhow::Error, log: Option<WorkerGuard>, within: Duration) -> ExitCode {
    say_last(Some(format!("error: {error:#}\n")), log, within);
    match error.downcast_ref() {
        Some(ServeError::Cut { .. }) => ExitCode::from(CUT),
        None => ExitCode::FAILURE,
    }
}

/// Writes the rest of `log`, and then `line`, on standard error. Whoever does not read that, or has
/// gone, does not keep the process.
fn say_last(line: Option<String>, log: Option<WorkerGuard>, within: Duration) {
    let (said, wait) = mpsc::channel::<()>();
    let say = move || {
        drop(log);
        if let Some(line) = line {
            let _ = io::stderr().write_all(line.as_bytes());
        }
        drop(said);
    };
    if thread::Builder::new().spawn(say).is_ok() {
        // The other end is dropped when all is said.
        let _ = wait.recv_timeout(within);
    }
}

fn serve<F>(
    args: &ServerArgs,
    mut limits: Limits,
    listeners: usize,
    end: End,
    server: impl FnOnce(Process) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let most = descriptors::raise();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = Workers::start(args.grpc_max_workers.map_or(cores, usize::from))?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    descriptors::fit(&mut limits, listeners, most);
    let result = runtime.block_on(async {
        let shutdown = shutdown_on_signal()?;
        let (told, ends) = (shutdown.clone(), end.clone());
        let longest = limits.drain_pause + limits.grace + GONE;
        tokio::spawn(async move {
            told.cancelled().await;
            let _ = ends.0.set(Instant::now() + longest);
        });
        server(Process {
            limits,
            workers,
            tls: None,
            telemetry: Some(Telemetry::default()),
            hosts: Hosts::new(&args.allowed_host),
            health: Health::new(shutdown.clone()),
            shutdown,
            end,
        })
        .await
    });
    runtime.shutdown_timeout(RUNTIME_END);
    result
}

/// Prints what whoever started the server waits for. A reader that has gone since does not stop it.
pub fn announce(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Signals within this time of the first are the same wish to end.
const ONE_WISH: Duration = Duration::from_millis(50);

/// Returns true if whoever started this process had it ignore SIGHUP, as `nohup` does, so that it outlives
/// its terminal. Known on Linux only (proc_pid_status(5)).
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    // The first bit is signal 1.
    ignored.is_some_and(|signals| signals & 1 == 1)
}

/// A token that is cancelled by the first SIGINT, SIGTERM or, unless it is ignored, SIGHUP. A second one
/// ends the process at once, with status 130.
///
/// # Errors
/// When signals cannot be watched.
pub fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let mut hang_up = match ignores_hang_up() {
        true => None,
        false => Some(signal(SignalKind::hangup()).context("SIGHUP cannot be watched")?),
    };
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                () = async {
                    match &mut hang_up {
                        Some(hang_up) => drop(hang_up.recv().await),
                        None => pending().await,
                    }
                } => "SIGHUP",
            }
        };
        let signal = next().await;
        tracing::info!(
            signal,
            "shutting down; a second signal ends the process at once"
        );
        shutdown.cancel();
        // `timeout` and others signal a process and then its group: that is one wish, not two.
        let _ = tokio::time::timeout(ONE_WISH, async {
            loop {
                next().await;
            }
        })
        .await;
        next().await;
        std::process::exit(130);
    });
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::{Duration, End, FOR_LINES, Instant};

    #[test]
    fn the_last_steps_share_what_is_left_of_the_time_after_the_grace() {
        let most = Duration::from_secs(2);
        let end = End::default();
        assert_eq!(end.left(most), most, "nobody told it to end");
        let told = |until: Duration| {
            let end = End::default();
            end.0.set(Instant::now() + until).unwrap();
            end.left(most)
        };
        assert_eq!(told(Duration::from_secs(3_600)), most);
        assert_eq!(told(FOR_LINES), Duration::ZERO);
        let left = told(most);
        assert!(
            left > Duration::ZERO && left <= most - FOR_LINES,
            "{left:?}"
        );
    }
}
