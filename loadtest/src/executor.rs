//! The one way in which trials are made, for every command: the system is made ready, a worker process
//! loads it, the disturbances are noted, and a trial that measured nothing is repeated up to a bound.

mod turns;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use engine::{Measurement, Program, Progress, Timing, TrialError, TrialSpec};
use serving::CancellationToken;

use crate::{
    cli::{Config, UsageError, of_trial},
    greetings,
    progress::Display,
    record::{FORMAT, Protocol, Purpose, Scenario, Trial, Variant, store},
    report,
    service::Served,
    system::{self, System, embedded::Account, metrics},
    validity::{self, Evidence},
};

/// The most attempts at a trial that measures nothing: a disturbance passes, a lasting cause does
/// not.
const ATTEMPTS: u32 = 3;

/// Calls per second that a closed loop is taken for before its rate is known, where each call has to be
/// another: a service that does something is slower.
const UNKNOWN_RATE: f64 = 20_000.0;

/// Makes trials, and keeps them.
pub struct Executor {
    /// The options.
    pub config: Config,
    /// Run directory that the files are written to.
    pub folder: PathBuf,
    /// Display of progress and messages for a person.
    pub display: Display,
    /// Cancelled when the user wants an end.
    pub stop: CancellationToken,
    /// All trials so far, in the order in which they ran.
    pub trials: Vec<Trial>,
    /// Reason for the run's early end, other than a stop by the user; none if there is none.
    pub broken_off: Option<String>,
    /// Thresholds that were missed, in words.
    pub thresholds_missed: Vec<String>,
    /// The variants of a service of another contract: a null server is sent their requests.
    pub served: Vec<Served>,
    /// True as long as the trials of a round take turns where they can.
    takes_turns: bool,
    /// Good replies that were looked at, so that those of trials can be compared with them: of a null server
    /// or not, by protocol and batch.
    replies: HashMap<(bool, Protocol, u32), Bytes>,
}

/// A trial to be made.
pub struct Planned<'a> {
    /// Its scenario.
    pub scenario: &'a Scenario,
    /// Its variant.
    pub variant: &'a Variant,
    /// The system that the variant runs on.
    pub system: &'a System,
    /// The round that it belongs to, from 1.
    pub round: u32,
}

impl Executor {
    /// One that has made no trial yet.
    pub fn new(config: Config, folder: &Path, stop: CancellationToken) -> Self {
        Self {
            config,
            folder: folder.to_owned(),
            display: Display::default(),
            stop,
            trials: Vec::new(),
            broken_off: None,
            thresholds_missed: Vec::new(),
            served: Vec::new(),
            takes_turns: true,
            replies: HashMap::new(),
        }
    }

    /// Returns true if no more trials are to be made: the run broke off, or the user stopped it.
    pub fn is_over(&self) -> bool {
        self.broken_off.is_some() || self.stop.is_cancelled()
    }

    /// Returns true if any reply of any trial was bad, warm-ups included. Trials of a search for
    /// capacity do not count.
    pub fn has_bad_replies(&self) -> bool {
        // A search for capacity goes beyond what the service bears on purpose.
        let mut trials = self.trials.iter();
        trials.any(|trial| trial.purpose != Purpose::Capacity && trial.bad_replies() > 0)
    }

    /// Makes `planned`, again while it measures nothing, and returns the last attempt, which is kept
    /// and written as the others are; none if the run is over.
    ///
    /// # Errors
    /// When the first trial of all cannot be made, or a file cannot be written. Later failures end the
    /// run, and are in [`Self::broken_off`].
    pub async fn trial(&mut self, planned: &Planned<'_>) -> anyhow::Result<Option<&Trial>> {
        let before = self.trials.len();
        for attempt in 1..=ATTEMPTS {
            let Some(trial) = self.once(planned, attempt).await? else {
                break;
            };
            if validity::is_usable(trial) {
                break;
            }
            if let Some(trial) = self.trials.last().filter(|_| !self.is_over()) {
                self.say_unusable(trial, attempt);
            }
        }
        self.display.done(planned.scenario);
        Ok(self.trials[before..].last())
    }

    /// Makes `planned` once; none if the run is over.
    ///
    /// # Errors
    /// As [`Self::trial`].
    pub async fn once(
        &mut self,
        planned: &Planned<'_>,
        attempt: u32,
    ) -> anyhow::Result<Option<&Trial>> {
        if self.is_over() {
            return Ok(None);
        }
        let before = self.trials.len();
        let made = self.alone(planned, attempt).await.map(|trial| vec![trial]);
        self.keep(made, || planned.variant.name.clone())?;
        Ok(self.trials[before..].last())
    }

    /// Keeps what was made, and writes it; what went wrong ends the run. `what` was to be made.
    fn keep(
        &mut self,
        made: anyhow::Result<Vec<Trial>>,
        what: impl Fn() -> String,
    ) -> anyhow::Result<()> {
        let made = match made {
            Ok(made) => made,
            Err(_) if self.stop.is_cancelled() => return Ok(()),
            Err(error) if self.trials.is_empty() || error.is::<UsageError>() => return Err(error),
            Err(error) => {
                self.broken_off = Some(format!("{}: {error:#}", what()));
                return Ok(());
            }
        };
        for trial in made {
            for (text, count) in &trial.measurement.errors_in_all {
                let name = &trial.variant.name;
                self.display
                    .say(&format!("{name}: {count} × {text}, warm-up included"));
            }
            store::write_trial(&self.folder, &trial)?;
            self.trials.push(trial);
        }
        Ok(())
    }

    /// Makes one trial.
    async fn alone(&mut self, planned: &Planned<'_>, attempt: u32) -> anyhow::Result<Trial> {
        let number = self.next_number();
        let (session, spec) = self.prepare(planned, number, 1).await?;
        let before = session.scrape().await?;
        let display = &mut self.display;
        let show = |progress: &Progress| display.show(planned, progress);
        let stop = self.stop.clone();
        let measured = engine::run_trial(&this_worker()?, &spec, show, stop).await;
        self.display.clear();
        let after = session.scrape().await;
        let ended = session.end().await;
        self.finish_goose_report(planned);
        let mut measurement = measured.map_err(of_engine)?;
        if let Some(before) = before {
            match after {
                Ok(after) => metrics::add(&mut measurement, before, after.unwrap_or(before)),
                Err(error) => {
                    self.display.say(&format!("{error:#}"));
                    (measurement.server, measurement.server_lost) = (None, true);
                }
            }
        }
        Ok(self.recorded(planned, &spec, (number, attempt), measurement, ended))
    }

    fn next_number(&self) -> u32 {
        u32::try_from(self.trials.len() + 1).unwrap_or(u32::MAX)
    }

    /// Makes the system ready for `planned`.
    async fn prepare(
        &mut self,
        planned: &Planned<'_>,
        number: u32,
        parts: u32,
    ) -> anyhow::Result<(system::Session, TrialSpec)> {
        let session = planned.system.begin(planned.variant.protocol).await?;
        let Scenario {
            window_us,
            warm_up_us,
            ..
        } = *planned.scenario;
        let mut timing = self
            .config
            .timing(window_us, warm_up_us, session.connecting);
        timing.parts = parts;
        let spec = self.spec(planned, &session, number, timing).await;
        Ok((session, spec))
    }

    /// The record of what was measured of `planned`.
    fn recorded(
        &mut self,
        planned: &Planned<'_>,
        spec: &TrialSpec,
        (number, attempt): (u32, u32),
        mut measurement: Measurement,
        ended: system::Ended,
    ) -> Trial {
        let Planned {
            scenario, variant, ..
        } = *planned;
        let requests = spec.workload.requests.len() as u64;
        if let System::Foreign(served) = planned.system
            && served.is_unique()
            && measurement.completed_in_all > requests
        {
            // What was sent twice may be refused, or be answered from a cache.
            measurement.cut_short.get_or_insert_with(|| {
                format!(
                    "its {requests} unique calls ran out, and were sent again; a lower --rate needs fewer"
                )
            });
        }
        self.note_thresholds(&measurement, number, variant);
        let evidence = Evidence {
            server_restarted: ended.restarted,
            server_is_known: planned.system.is_known(),
        };
        let mut trial = Trial {
            format: FORMAT,
            number,
            round: planned.round,
            attempt,
            purpose: scenario.purpose,
            shape: scenario.shape,
            batch: scenario.batch,
            load: scenario.load,
            variant: variant.clone(),
            added_cpu_us: ended.account.as_ref().and_then(Account::added_us_per_call),
            waited: ended.account.and_then(Account::waited),
            measurement,
            disturbances: Vec::new(),
        };
        trial.disturbances = validity::disturbances(&trial, &evidence);
        trial
    }

    /// All that the worker process needs to know.
    async fn spec(
        &mut self,
        planned: &Planned<'_>,
        session: &system::Session,
        number: u32,
        timing: Timing,
    ) -> TrialSpec {
        let Planned {
            scenario, variant, ..
        } = *planned;
        let protocol = variant.protocol;
        let mut goose = match scenario.purpose {
            // Of a null server there is no report or log to look for.
            Purpose::Ceiling => goose::config::GooseConfiguration::default(),
            _ => of_trial(&self.config.goose, number, protocol),
        };
        (goose.increase_rate, goose.increase_time) = (
            self.config.goose.increase_rate.clone(),
            self.config.goose.increase_time.clone(),
        );
        goose.report_file.extend(self.goose_report(planned));
        if goose.dashboard {
            // What a person saves from the dashboard.
            let saved = self
                .folder
                .join(format!("dashboard-{number}-{}", protocol.slug()));
            goose.output_dir = Some(saved.to_string_lossy().into_owned());
        }
        let cores = self.config.cores.generator.clone();
        TrialSpec {
            name: variant.name.clone(),
            transport: protocol.transport(),
            workload: self.workload(planned, session, &timing).await,
            endpoint: session.endpoint.clone(),
            shape: scenario.shape,
            load: scenario.load,
            timing,
            server: session.accounts.clone(),
            watch_for_others: session.may_forward,
            affinity: (!cores.is_empty()).then_some(cores),
            goose,
        }
    }

    /// The requests, and the reply that each must have: one that was looked at once, and was good.
    /// While none can be had, the status alone is checked.
    async fn workload(
        &mut self,
        planned: &Planned<'_>,
        session: &system::Session,
        timing: &Timing,
    ) -> engine::Workload {
        let (protocol, batch) = (planned.variant.protocol, planned.scenario.batch);
        if let Some(foreign) = self.foreign(planned, timing) {
            return foreign;
        }
        let key = (
            planned.scenario.purpose == Purpose::Ceiling,
            protocol,
            batch,
        );
        let request = greetings::request(protocol, batch);
        if let Some(reply) = self.replies.get(&key) {
            return greetings::workload(request, Some(reply.clone()));
        }
        let reply = match system::look(protocol, batch, &session.endpoint).await {
            Ok((_, reply)) => {
                self.replies.insert(key, reply.body.clone());
                Some(reply.body)
            }
            // A service that answers something else is not measured as one that answers.
            Err(misfit) if misfit.is_wrong_reply => Some(greetings::fixed_reply(protocol)),
            Err(_) => None,
        };
        greetings::workload(request, reply)
    }

    /// The requests of a service of another contract, if it is one.
    fn foreign(&self, planned: &Planned<'_>, timing: &Timing) -> Option<engine::Workload> {
        if let System::Foreign(served) = planned.system {
            return Some(served.workload(self.expected_calls(planned, timing)));
        }
        let is_ceiling = planned.scenario.purpose == Purpose::Ceiling;
        let protocol = planned.variant.protocol;
        let mut served = self.served.iter().filter(|_| is_ceiling);
        let mut workload = served.find(|one| one.protocol() == protocol)?.workload(0);
        for request in &mut workload.requests {
            request.expect = engine::Expect::Status;
        }
        Some(workload)
    }

    /// The most calls that a trial makes, about, its warm-up included.
    fn expected_calls(&self, planned: &Planned<'_>, timing: &Timing) -> u64 {
        let Planned {
            scenario, variant, ..
        } = *planned;
        let per_second = match scenario.load {
            engine::Load::Open { per_second } => per_second,
            engine::Load::Closed => {
                let alike = self.trials.iter().filter(|trial| {
                    trial.variant.protocol == variant.protocol && trial.shape == scenario.shape
                });
                let rates = alike.map(|trial| trial.measurement.requests_per_second());
                // Half as much again, as the rate of a closed loop varies.
                rates
                    .max_by(f64::total_cmp)
                    .map_or(UNKNOWN_RATE, |rate| rate * 1.5)
            }
        };
        (per_second * timing.under_load().as_secs_f64()) as u64 + u64::from(self.config.users)
    }

    /// Makes goose's own report a page that needs no network.
    fn finish_goose_report(&self, planned: &Planned<'_>) {
        let page = self.goose_report(planned);
        if let Some(page) = page.filter(|page| Path::new(page).exists())
            && let Err(error) = make_offline(Path::new(&page))
        {
            eprintln!("warning: goose's own report is left out: {error:#}");
            let _ = fs::remove_file(page);
        }
    }

    /// goose's own report is kept of the first trial of each protocol.
    fn goose_report(&self, planned: &Planned<'_>) -> Option<String> {
        let protocol = planned.variant.protocol;
        let is_first = |trial: &Trial| trial.variant.protocol != protocol;
        let wanted = planned.scenario.purpose != Purpose::Ceiling
            && self
                .trials
                .iter()
                .all(|trial| trial.purpose == Purpose::Ceiling || is_first(trial));
        let file = self.folder.join(format!("goose-{}.html", protocol.slug()));
        wanted.then(|| file.to_string_lossy().into_owned())
    }

    fn note_thresholds(&mut self, measurement: &Measurement, number: u32, variant: &Variant) {
        for missed in &measurement.thresholds_missed {
            let missed = format!("trial {number}, {}: {missed}", variant.name);
            self.thresholds_missed.push(missed);
        }
        if measurement.aborted {
            self.broken_off.clone_from(&measurement.cut_short);
        }
    }

    fn say_unusable(&self, trial: &Trial, attempt: u32) {
        let then = match attempt {
            ATTEMPTS => "is left out",
            _ => "is made again",
        };
        let reasons: Vec<_> = trial.disturbances.iter().map(ToString::to_string).collect();
        self.display.say(&format!(
            "a trial of {} measured nothing that counts, and {then}: {}",
            trial.variant.name,
            reasons.join("; ")
        ));
    }
}

/// The worker process: this program.
fn this_worker() -> anyhow::Result<Program> {
    Program::this(["trial"]).context("this program's own file is not known")
}

fn of_engine(error: TrialError) -> anyhow::Error {
    match error {
        TrialError::Refused(option) => UsageError(option).into(),
        error => error.into(),
    }
}

/// Time that a trial takes besides its warm-up and its window: two processes start and end, and
/// users start.
pub const AROUND: Duration = Duration::from_millis(400);

/// Gives goose's report at `path` the script for its charts from beside it.
fn make_offline(path: &Path) -> anyhow::Result<()> {
    let page = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    fs::write(path, report::goose::offline(&page)?)?;
    Ok(())
}
