//! A server's process: log, runtime, signals, exit code.

use std::{future::Future, process::ExitCode, time::Duration};

use anyhow::Context;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{args::ServerArgs, telemetry};

/// How long tasks that are left after the drain may take to notice that the runtime ends.
const RUNTIME_END: Duration = Duration::from_millis(500);

/// Runs a server until it ends, and says why if it failed.
///
/// `server` gets a token that is cancelled by the first SIGINT or SIGTERM; a second signal ends the
/// process at once, with status 130.
pub fn run<F>(args: &ServerArgs, server: impl FnOnce(CancellationToken) -> F) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    let result = start(args).and_then(|runtime| {
        let result = runtime.block_on(async { server(shutdown_on_signal()?).await });
        runtime.shutdown_timeout(RUNTIME_END);
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &ServerArgs) -> anyhow::Result<tokio::runtime::Runtime> {
    telemetry::start(&args.log, args.log_format)?;
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = args.grpc_max_workers {
        builder.worker_threads(workers.into());
    }
    builder
        .enable_all()
        .build()
        .context("the runtime could not be started")
}

/// Signals within this time of the first are the same wish to end.
const ONE_WISH: Duration = Duration::from_millis(50);

/// A token that is cancelled by the first SIGINT, SIGTERM or SIGHUP. A second one ends the process at
/// once, with status 130.
///
/// # Errors
/// When signals cannot be watched.
pub fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let mut hang_up = signal(SignalKind::hangup()).context("SIGHUP cannot be watched")?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                _ = hang_up.recv() => "SIGHUP",
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
