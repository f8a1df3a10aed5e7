//! A trial as its caller sees it: a worker process is started, told what to do, and listened to.

use std::{collections::BTreeMap, io, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    Nanoseconds,
    measurement::{GeneratorCost, Measurement},
    process::{Child, END, Program},
    run::is_open_loop,
    spec::TrialSpec,
    worker::Event,
};

/// Progress of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Seconds since the window opened; none before.
    pub measured_s: Option<f64>,
    /// Users that have started.
    pub users: usize,
    /// Replies so far, the ramp's included.
    pub replies: u64,
    /// Bad replies so far, the ramp's included.
    pub failures: u64,
}

/// Why there is no measurement at all.
#[derive(Debug, Error)]
pub enum TrialError {
    /// An option of goose that cannot be carried out.
    #[error("{0}")]
    Refused(String),
    /// The worker process could not be started.
    #[error("the worker process could not be started: {0}")]
    NotStarted(#[from] io::Error),
}

/// Runs the trial that `spec` describes in a worker process, `worker`, whose `main` is
/// [`crate::worker::main`]. When `stop` is cancelled it is cut short, and reports what it has.
///
/// A worker that fails, or crashes, leaves a measurement that says so in `cut_short`.
///
/// # Errors
/// When an option cannot be carried out, or the worker cannot be started.
pub async fn run_trial(
    worker: &Program,
    spec: &TrialSpec,
    mut on_progress: impl FnMut(&Progress),
    stop: CancellationToken,
) -> Result<Measurement, TrialError> {
    let mut child = Child::start(worker)?;
    let cut_short = match listen(&mut child, spec, &mut on_progress, &stop).await {
        Ok(Heard::Measured(measurement)) => {
            // What it had to say is said.
            let _ = child.end().await;
            return Ok(*measurement);
        }
        Ok(Heard::Refused(option)) => {
            let _ = child.end().await;
            return Err(TrialError::Refused(option));
        }
        Ok(Heard::Silence(time)) => {
            child.kill().await;
            let seconds = time.as_secs();
            format!("the worker process said nothing for {seconds} s and was killed")
        }
        // One that broke says why by how it ended.
        Err(error) => format!("{:#}", child.end().await.err().unwrap_or(error)),
    };
    Ok(Measurement {
        cut_short: Some(cut_short),
        ..blank(spec)
    })
}

/// Longest silence of a worker: it tells its progress twice a second.
const SILENCE: Duration = Duration::from_secs(30);

/// The last word of a worker.
enum Heard {
    Measured(Box<Measurement>),
    Refused(String),
    /// Nothing for so long.
    Silence(Duration),
}

/// Listens to a worker until it is done, and tells it to end when `stop` says so.
async fn listen(
    child: &mut Child,
    spec: &TrialSpec,
    on_progress: &mut impl FnMut(&Progress),
    stop: &CancellationToken,
) -> anyhow::Result<Heard> {
    child.tell(spec).await?;
    tokio::select! {
        heard = last_word(child, on_progress) => return heard,
        () = stop.cancelled() => {}
    }
    child.tell_to_end();
    let heard = timeout(END, last_word(child, on_progress)).await;
    heard.unwrap_or(Ok(Heard::Silence(END)))
}

async fn last_word(
    child: &mut Child,
    on_progress: &mut impl FnMut(&Progress),
) -> anyhow::Result<Heard> {
    loop {
        let Ok(heard) = timeout(SILENCE, child.hear()).await else {
            return Ok(Heard::Silence(SILENCE));
        };
        match heard? {
            Some(Event::Progress(progress)) => on_progress(&progress),
            Some(Event::Done(measurement)) => return Ok(Heard::Measured(measurement)),
            Some(Event::Refused(option)) => return Ok(Heard::Refused(option)),
            Some(Event::Failed(reason)) => anyhow::bail!(reason),
            None => anyhow::bail!("the worker process ended without a result"),
        }
    }
}

/// The measurement of a trial in which nothing was measured.
pub fn blank(spec: &TrialSpec) -> Measurement {
    Measurement {
        opened_unix_us: 0,
        window_us: 0,
        warm_up_us: 0,
        steady: None,
        completed: 0,
        counted: 0,
        unanswered: 0,
        errors: BTreeMap::new(),
        errors_in_all: BTreeMap::new(),
        service_time: Nanoseconds::default(),
        response_time: is_open_loop(spec).then(Nanoseconds::default),
        server: None,
        server_lost: false,
        server_asked: None,
        completed_in_all: 0,
        generator: GeneratorCost {
            cpu_us: 0,
            busiest_core_share: None,
            peak_memory_kib: None,
        },
        wire: None,
        dispatch: None,
        steal_share: None,
        others_share: None,
        thresholds_missed: Vec::new(),
        cut_short: None,
        aborted: false,
    }
}

/// A trial of one user in a closed loop, for tests.
#[cfg(test)]
pub(crate) fn example() -> TrialSpec {
    use crate::spec::{
        Endpoint, Expect, Load, PreparedRequest, Shape, Timing, Transport, Workload,
    };
    TrialSpec {
        name: "example".to_owned(),
        transport: Transport::Http1,
        endpoint: Endpoint {
            address: ([127, 0, 0, 1], 1).into(),
            authority: "localhost:1".to_owned(),
            tls: None,
        },
        workload: Workload {
            accept: Vec::new(),
            requests: vec![PreparedRequest {
                method: "GET".to_owned(),
                path: "/".to_owned(),
                headers: Vec::new(),
                body: bytes::Bytes::new(),
                expect: Expect::Status,
            }],
        },
        shape: Shape {
            connections: 1,
            in_flight: 1,
        },
        load: Load::Closed,
        timing: Timing {
            warm_up_us: 100_000,
            longest_warm_up_us: 100_000,
            window_us: 1_000_000,
            connecting_us: 100_000,
            time_limit_us: 1_000_000,
        },
        server: crate::usage::Accounts::default(),
        watch_for_others: false,
        affinity: None,
        goose: goose::config::GooseConfiguration::default(),
    }
}
