//! A server's process: log, runtime, signals, exit code.

use std::{
    future::{Future, pending},
    io::{self, Write},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    args::ServerArgs,
    drain::ServeError,
    limits::Limits,
    server::Listener,
    telemetry::{self, Telemetry},
    tls::Tls,
    workers::Workers,
};

/// How long tasks that are left after the drain may take to notice that the runtime ends.
const RUNTIME_END: Duration = Duration::from_millis(200);

/// The exit code of a server that had to cut calls at the end of its drain.
pub const CUT: u8 = 3;

/// What a server is given by its process.
#[derive(Debug)]
pub struct Process {
    /// What bounds each listener.
    pub limits: Limits,
    /// Where connections are served.
    pub workers: Workers,
    /// What connections are greeted with, unless they speak cleartext.
    pub tls: Option<Tls>,
    /// Where its listeners report to.
    pub telemetry: Option<Telemetry>,
    /// Cancelled by the first SIGINT or SIGTERM.
    pub shutdown: CancellationToken,
}

impl Process {
    /// `socket` as a listener of this process.
    pub fn listener(&self, socket: TcpListener) -> Listener {
        Listener {
            limits: self.limits.clone(),
            workers: self.workers.clone(),
            tls: self.tls.clone(),
            telemetry: self.telemetry.clone(),
            ..Listener::from(socket)
        }
    }
}

/// Runs a server until it ends, and says why if it did not end well: 0 after a clean end, [`CUT`]
/// where calls had to be cut, 1 for any other failure. A second signal ends the process at once,
/// with 130.
pub fn run<F>(args: &ServerArgs, limits: Limits, server: impl FnOnce(Process) -> F) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    if args.print_limits {
        print!("{}", limits.text());
        return ExitCode::SUCCESS;
    }
    match start(args, limits, server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            match error.downcast_ref() {
                Some(ServeError::Cut { .. }) => ExitCode::from(CUT),
                None => ExitCode::FAILURE,
            }
        }
    }
}

fn start<F>(
    args: &ServerArgs,
    limits: Limits,
    server: impl FnOnce(Process) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let _log = telemetry::start(&args.log, args.log_format)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = Workers::start(args.grpc_max_workers.map_or(cores, usize::from))?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    let result = runtime.block_on(async {
        let shutdown = shutdown_on_signal()?;
        server(Process {
            limits,
            workers,
            tls: None,
            telemetry: Some(Telemetry::default()),
            shutdown,
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

/// Whether whoever started this process had it ignore SIGHUP, as `nohup` does, so that it outlives its
/// terminal. Known on Linux only (proc_pid_status(5)).
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
