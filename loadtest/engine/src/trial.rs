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
    snapshot::micros,
    spec::TrialSpec,
    timekeeper::INTERRUPTED,
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

/// Reason for the lack of any measurement.
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
    let mut spec = spec.clone();
    spec.timing.parts = 1;
    let mut running = Running::start(worker, spec).await?;
    running.listen(&mut on_progress, &stop).await?;
    Ok(running.end().await)
}

/// Runs trials that take turns: all are there at once, each in a worker process of its own, and one at a
/// time has its turn, for its warm-up first, and then for one part of its window after the other. A change
/// of the machine from one moment to another then befalls all of them alike. `order` is asked for the
/// order of each cycle of turns: it is given the places of the trials.
///
/// Each has as many parts as its `timing` says; with one part this is [`run_trial`] for one after the other.
/// The measurements are in the order of `specs`.
///
/// # Errors
/// As [`run_trial`]; the other trials are broken off then.
pub async fn run_in_turns(
    worker: &Program,
    specs: &[TrialSpec],
    mut order: impl FnMut(&mut [usize]),
    mut on_progress: impl FnMut(usize, &Progress),
    stop: CancellationToken,
) -> Result<Vec<Measurement>, TrialError> {
    let longest = |spec: &TrialSpec| micros(spec.timing.longest());
    let all: u64 = specs.iter().map(longest).sum();
    let mut running = Vec::new();
    for spec in specs {
        if stop.is_cancelled() {
            break;
        }
        let mut spec = spec.clone();
        spec.timing.others_us = all - longest(&spec);
        let mut one = Running::start(worker, spec).await?;
        let place = running.len();
        // Until it rests, before its warm-up.
        one.listen(&mut |progress| on_progress(place, progress), &stop)
            .await?;
        running.push(one);
    }
    let mut places: Vec<usize> = (0..running.len()).collect();
    while running.iter().any(|one| one.measured.is_none()) {
        order(&mut places);
        for place in &places {
            if stop.is_cancelled() {
                // All at once, and not one after the other.
                running.iter_mut().for_each(|one| one.child.tell_to_end());
            }
            let one = &mut running[*place];
            one.go().await;
            one.listen(&mut |progress| on_progress(*place, progress), &stop)
                .await?;
        }
    }
    let mut measured = Vec::new();
    for one in running {
        measured.push(one.end().await);
    }
    let not_begun = specs.iter().skip(measured.len()).map(|spec| Measurement {
        cut_short: Some(INTERRUPTED.to_owned()),
        ..blank(spec)
    });
    measured.extend(not_begun.collect::<Vec<_>>());
    Ok(measured)
}

/// Longest silence of a worker: it tells its progress twice a second.
const SILENCE: Duration = Duration::from_secs(30);

/// A trial and the worker that runs it.
struct Running {
    child: Child,
    spec: TrialSpec,
    /// Its result, if it is done.
    measured: Option<Measurement>,
}

/// The reason to listen to a worker no longer.
enum Heard {
    Resting,
    Measured(Box<Measurement>),
    Refused(String),
    /// Nothing for so long.
    Silence(Duration),
}

impl Running {
    async fn start(worker: &Program, spec: TrialSpec) -> Result<Self, TrialError> {
        let mut one = Self {
            child: Child::start(worker)?,
            spec,
            measured: None,
        };
        if let Err(error) = one.child.tell(&one.spec).await {
            one.broke(error).await;
        }
        Ok(one)
    }

    /// Gives it its turn.
    async fn go(&mut self) {
        if self.measured.is_none() {
            // One that does not listen has had its last word, or none.
            let _ = self.child.tell(&()).await;
        }
    }

    /// Listens until it rests or is done; tells it to end when `stop` says so.
    async fn listen(
        &mut self,
        on_progress: &mut impl FnMut(&Progress),
        stop: &CancellationToken,
    ) -> Result<(), TrialError> {
        if self.measured.is_some() {
            return Ok(());
        }
        let heard = tokio::select! {
            heard = next_word(&mut self.child, on_progress) => heard,
            () = stop.cancelled() => {
                self.child.tell_to_end();
                let last = async {
                    loop {
                        match next_word(&mut self.child, on_progress).await {
                            Ok(Heard::Resting) => {}
                            last => return last,
                        }
                    }
                };
                timeout(END, last).await.unwrap_or(Ok(Heard::Silence(END)))
            }
        };
        match heard {
            Ok(Heard::Resting) => {}
            Ok(Heard::Measured(measurement)) => self.measured = Some(*measurement),
            Ok(Heard::Refused(option)) => return Err(TrialError::Refused(option)),
            Ok(Heard::Silence(time)) => {
                let seconds = time.as_secs();
                self.child.kill().await;
                self.cut_short(format!(
                    "the worker process said nothing for {seconds} s and was killed"
                ));
            }
            Err(error) => self.broke(error).await,
        }
        Ok(())
    }

    /// One that broke says why by how it ended.
    async fn broke(&mut self, error: anyhow::Error) {
        let ended = self.child.end().await;
        self.cut_short(format!("{:#}", ended.err().unwrap_or(error)));
    }

    fn cut_short(&mut self, why: String) {
        self.measured = Some(Measurement {
            cut_short: Some(why),
            ..blank(&self.spec)
        });
    }

    /// Ends its worker and returns its result. An error of the worker at its end is ignored, as all that
    /// it had to say is said.
    async fn end(mut self) -> Measurement {
        let _ = self.child.end().await;
        self.measured.unwrap_or_else(|| blank(&self.spec))
    }
}

async fn next_word(
    child: &mut Child,
    on_progress: &mut impl FnMut(&Progress),
) -> anyhow::Result<Heard> {
    loop {
        let Ok(heard) = timeout(SILENCE, child.hear()).await else {
            return Ok(Heard::Silence(SILENCE));
        };
        match heard? {
            Some(Event::Progress(progress)) => on_progress(&progress),
            Some(Event::Resting) => return Ok(Heard::Resting),
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
        parts: spec.timing.parts.max(1),
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
            parts: 1,
            others_us: 0,
            connecting_us: 100_000,
            time_limit_us: 1_000_000,
        },
        server: crate::usage::Accounts::default(),
        watch_for_others: false,
        affinity: None,
        goose: goose::config::GooseConfiguration::default(),
    }
}
