//! A comparison from its options to its report: round by round until the headline is known well enough, or
//! the budget is spent.

mod itself;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::ensure;
use chrono::{SecondsFormat, Utc};
use engine::Load;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serving::process::shutdown_on_signal;
use stats::Look;
use thiserror::Error;

use crate::{
    capacity, ceiling,
    cli::{Config, UsageError},
    commands::report::{PAGE, write_page},
    executor::{Executor, Planned},
    folder::{self, Folder},
    machine, original,
    record::{
        FORMAT, Mode, Plan, Protocol, Purpose, Recording, Run, Scenario, Service, Trial,
        UNKNOWN_CPU, Variant, store,
    },
    report,
    service::{self, Subject},
    study::{self, Design, Experiment},
    system::{
        System,
        embedded::{self, Kind},
    },
    verdict::{Verdict, sentence::counted},
};

/// Folder of reports if the user names none.
const REPORTS: &str = "reports";

/// The text of [`Run::cut_short`] after a signal.
pub const INTERRUPTED: &str = "stopped by a signal";

/// The text of it in a run whose tool did not live to end it.
pub const KILLED: &str = "the tool was killed, or failed";

/// A comparison that was stopped before it had measured anything.
#[derive(Debug, Error)]
#[error("stopped before anything was measured; no report was written")]
pub struct Interrupted;

/// A comparison that has a report.
#[derive(Debug)]
pub struct Finished {
    /// The run and its trials as they were recorded.
    pub recording: Recording,
    /// Run directory, which holds the report.
    pub folder: PathBuf,
    /// True if any reply was bad, warm-ups included; searches for capacity do not count.
    pub has_bad_replies: bool,
    /// Verdict on the recording.
    pub verdict: Verdict,
}

/// The question that a run answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The cost of one protocol against another, on the service that the options name.
    Protocols,
    /// The outcome of the original's comparison, made again on servers of our own.
    Original,
    /// The difference between REST and itself: there is none.
    Same,
    /// The difference between REST and REST with a fifth more work: there is one.
    MoreWork,
}

/// Answers `question` with the options in `config`, and writes the report.
///
/// # Errors
/// When nothing was measured: an unreachable target, a tool that failed, or [`Interrupted`]. No report
/// is written then.
pub async fn compare(config: Config, question: Question) -> anyhow::Result<Finished> {
    let begun = Utc::now();
    let fresh = System::Fresh(embedded::Spec {
        cores: config.cores.server.clone(),
        kind: Kind::DualMode,
    });
    let subject = match &config.service {
        Some(options) => Some(service::prepare(options, &config).await?),
        None => None,
    };
    let system = match (&subject, config.targets.clone()) {
        (Some(subject), _) => subject.baseline(),
        (None, Some(targets)) => System::running(targets, &config.server).await?,
        (None, None) => fresh,
    };
    let variants = match (&subject, question) {
        (Some(subject), _) => subject.variants(),
        (None, Question::Protocols) => study::variants(&protocols(&config, &system).await),
        (None, Question::Original) => study::variants(&[Protocol::JsonHttp1, Protocol::Grpc]),
        (None, Question::Same | Question::MoreWork) => study::variants(&[Protocol::JsonHttp1]),
    };
    for required in &config.requirements {
        if let Some(name) = required.unknown(&variants) {
            let names: Vec<_> = variants.iter().map(|one| one.name.as_str()).collect();
            return Err(UsageError(format!(
                "--require {:?} is about {name:?}, and there is no such variant; there are {}",
                required.text,
                names.join(" and ")
            ))
            .into());
        }
    }
    let name = begun.format("%Y-%m-%dT%H-%M-%SZ").to_string();
    let name = config
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(REPORTS).join(name));
    let run = Run {
        format: FORMAT,
        started_at: begun.to_rfc3339_opts(SecondsFormat::Secs, true),
        command: config.command.clone(),
        seed: config.seed,
        mode: config.design.mode,
        budget_s: config.design.budget.map(|budget| budget.as_secs()),
        plan: Plan {
            scenarios: Vec::new(),
        },
        objective: config.objective,
        service: match &subject {
            Some(subject) => subject.record.clone(),
            None => system.service(),
        },
        listening: match &subject {
            Some(subject) => subject.listening.clone(),
            None => system.counted(),
        },
        ceiling: Vec::new(),
        codec: match &subject {
            // Its messages have no types here.
            Some(_) => Vec::new(),
            None => crate::codec::costs().into(),
        },
        capacity: Vec::new(),
        requirements: config
            .requirements
            .iter()
            .map(|required| required.text.clone())
            .collect(),
        core_price: config.core_price,
        thresholds_missed: Vec::new(),
        cut_short: None,
        tool: machine::tool(),
        machines: vec![machine::machine(&config.cores)],
    };
    match (run.whose_cpu(), &run.service) {
        (Some(whose), _) => eprintln!("server CPU is that of {whose}"),
        (None, Service::Host { .. } | Service::Foreign { .. }) => {
            eprintln!("server CPU is {UNKNOWN_CPU}");
        }
        (None, Service::Embedded) => {}
    }
    if let Some(dashboard) = config.dashboard() {
        eprintln!("goose's dashboard, while a trial runs: {dashboard}");
    }
    complete_killed(name.parent().unwrap_or(Path::new("")));
    let folder = Folder::begin(&name)?;
    let mut executor = Executor::new(config.clone(), folder.path(), shutdown_on_signal()?);
    if let Some(subject) = &subject {
        executor.served = subject.served();
    }
    let mut comparison = Comparison {
        deadline: config.design.budget.map(|budget| Instant::now() + budget),
        executor,
        system,
        systems: subject.as_ref().map(Subject::systems).unwrap_or_default(),
        variants,
        random: ChaCha8Rng::seed_from_u64(run.seed),
        run,
        open: Vec::new(),
    };
    comparison.announce();
    let place = folder.path().to_owned();
    let ended = match comparison.measure(question).await {
        Ok(()) => comparison.finish(folder),
        Err(error) => Err(error),
    };
    ended.map_err(|error| match place.join(store::RUN).exists() {
        true => error.context(format!(
            "the run broke off; what it had measured stays in {}, and the next one makes its report",
            place.display()
        )),
        false => error,
    })
}

/// The protocols to compare: those that were named, or the design's, without what a running service
/// does not answer.
async fn protocols(config: &Config, system: &System) -> Vec<Protocol> {
    if !config.protocols.is_empty() {
        return config.protocols.clone();
    }
    if config.design.mode == Mode::Quick {
        return vec![Protocol::JsonHttp1, Protocol::Grpc];
    }
    let mut protocols = Vec::new();
    for protocol in Protocol::STEPS {
        let lacks = match protocol {
            // REST and gRPC as people have them are measured in any case.
            Protocol::JsonHttp1 | Protocol::Grpc => None,
            _ => system.lacks(protocol, 1).await,
        };
        match lacks {
            None => protocols.push(protocol),
            Some(why) => eprintln!("{} is left out: {why}", protocol.name()),
        }
    }
    protocols
}

/// A comparison while it measures.
struct Comparison {
    executor: Executor,
    system: System,
    /// That of each variant by its name, if they are of one service and not alike.
    systems: Vec<(String, System)>,
    variants: Vec<Variant>,
    random: ChaCha8Rng,
    run: Run,
    /// When no round is begun any more, if there is a budget.
    deadline: Option<Instant>,
    /// The scenarios that are measured on.
    open: Vec<Scenario>,
}

impl Comparison {
    fn announce(&mut self) {
        let display = &mut self.executor.display;
        let names: Vec<_> = self.variants.iter().map(|one| one.name.as_str()).collect();
        let design = &self.executor.config.design;
        let extent = match (design.budget, design.rounds) {
            (Some(budget), _) => {
                display.bound(budget);
                format!("until it is known, at most {} s", budget.as_secs())
            }
            (None, rounds) => counted(rounds.unwrap_or_default().into(), "round"),
        };
        display.say(&format!(
            "{}: {extent}, seed {}",
            names.join(" and "),
            self.run.seed
        ));
    }

    async fn measure(&mut self, question: Question) -> anyhow::Result<()> {
        if matches!(question, Question::Protocols | Question::Original) {
            let users = self.executor.config.users;
            let mut protocols: Vec<Protocol> = Vec::new();
            for Variant { protocol, .. } in &self.variants {
                if !protocols.contains(protocol) {
                    protocols.push(*protocol);
                }
            }
            let found = ceiling::measure(&mut self.executor, &protocols, users, study::ROUGH_US);
            self.run.ceiling = found.await?;
        }
        let experiments = self.experiments(question).await?;
        self.run
            .plan
            .scenarios
            .extend(experiments.iter().map(|one| one.scenario.clone()));
        self.rounds(&experiments).await?;
        self.capacity(&experiments).await
    }

    /// Returns the experiments to measure in rounds for `question`.
    async fn experiments(&mut self, question: Question) -> anyhow::Result<Vec<Experiment>> {
        let design = self.executor.config.design;
        let users = self.executor.config.users;
        if question == Question::Original {
            let cores = &self.executor.config.cores.server;
            return Ok(original::experiments(&design, users, cores));
        }
        if question == Question::MoreWork {
            return itself::with_more_work(self).await;
        }
        if self.executor.config.closed {
            let closed = study::scenario(
                &design,
                Purpose::Closed,
                &self.variants,
                users,
                Load::Closed,
            );
            return Ok(vec![self.on_its_system(closed)]);
        }
        let headline = study::headline(&design, &self.variants, users, 1.0);
        let mut experiments: Vec<Experiment> = headline
            .into_iter()
            .map(|scenario| self.on_its_system(scenario))
            .collect();
        if question == Question::Same {
            itself::twice(&mut experiments);
        } else if design.mode == Mode::Thorough {
            let known: Vec<_> = experiments.iter().map(|one| one.scenario.clone()).collect();
            let batches = self.takes_batches().await;
            let map = study::map(&design, &self.variants, users, batches, &known);
            experiments.extend(map.into_iter().map(|place| self.on_its_system(place)));
        }
        self.rated(experiments).await
    }

    /// `scenario` with the system of each of its variants.
    fn on_its_system(&self, scenario: Scenario) -> Experiment {
        let mut experiment = Experiment::on(&self.system, scenario);
        let pairs = experiment
            .scenario
            .variants
            .iter()
            .zip(&mut experiment.systems);
        for (variant, system) in pairs {
            // A twin is on the baseline's.
            let named = self.systems.iter().find(|(name, _)| *name == variant.name);
            if let Some((_, found)) = named {
                *system = found.clone();
            }
        }
        experiment
    }

    /// The same with the rate that each is measured at, where calls begin at a rate: the one that was
    /// named, or what a pilot of every variant finds.
    async fn rated(&mut self, experiments: Vec<Experiment>) -> anyhow::Result<Vec<Experiment>> {
        let design = self.executor.config.design;
        let mut rated = Vec::new();
        for mut experiment in experiments {
            let purpose = experiment.scenario.purpose;
            if purpose != Purpose::Single {
                let named = self
                    .executor
                    .config
                    .rate
                    .filter(|_| purpose == Purpose::Open);
                let rate = match named {
                    Some(rate) => Some(rate),
                    None => self.pilot(&experiment).await?,
                };
                let Some(per_second) = rate else {
                    self.without_a_rate(experiment.scenario);
                    continue;
                };
                experiment.scenario.load = Load::Open { per_second };
                let for_tail = study::window(&design, &experiment.scenario, per_second);
                let known = self.executor.trials.iter();
                let known = known.filter(|trial| trial.purpose == Purpose::Pilot);
                experiment.scenario.window_us =
                    for_tail.max(study::window_for_cpu(&design, known, per_second));
            }
            rated.push(experiment);
        }
        Ok(rated)
    }

    /// Says that `scenario` cannot be measured. It stays in the plan, as what the headline is about does not
    /// follow from what came out.
    fn without_a_rate(&mut self, scenario: Scenario) {
        if !self.executor.is_over() {
            self.executor.display.say(&format!(
                "no rate is known that all variants bear on {} × {} in flight: a trial of one measured nothing that counts",
                counted(scenario.shape.connections.into(), "connection"),
                scenario.shape.in_flight
            ));
        }
        self.run.plan.scenarios.push(scenario);
    }

    /// The common rate of `like`'s variants; none if one of them measured nothing.
    async fn pilot(&mut self, like: &Experiment) -> anyhow::Result<Option<f64>> {
        let scenario = study::pilot(&like.scenario);
        self.run.plan.scenarios.push(scenario.clone());
        let mut pilots = Vec::new();
        for variant in &scenario.variants {
            let index = like.scenario.variants.iter().position(|one| one == variant);
            let system = &like.systems[index.unwrap_or_default()];
            let planned = Planned {
                scenario: &scenario,
                variant,
                system,
                round: 1,
            };
            if let Some(trial) = self.executor.trial(&planned).await? {
                pilots.push(trial.clone());
            }
            self.save()?;
            if self.executor.is_over() {
                return Ok(None);
            }
        }
        Ok(study::common_rate(&pilots))
    }

    /// Measures round by round.
    async fn rounds(&mut self, experiments: &[Experiment]) -> anyhow::Result<()> {
        if let Some(rounds) = self.executor.config.design.rounds {
            for experiment in experiments {
                self.executor.display.plan(&experiment.scenario, rounds);
            }
        }
        // How long each round took for each of them.
        let mut took: Vec<Vec<Duration>> = Vec::new();
        self.open = experiments.iter().map(|one| one.scenario.clone()).collect();
        for round in 1.. {
            let longest = |open: &[Scenario]| {
                let of_round = |took: &Vec<Duration>| {
                    let open_ones = took.iter().zip(experiments);
                    let open_ones = open_ones.filter(|(_, one)| open.contains(&one.scenario));
                    open_ones.map(|(took, _)| *took).sum()
                };
                took.iter().map(of_round).max().unwrap_or_default()
            };
            self.look(round, longest);
            let end = Instant::now() + longest(&self.open);
            // Two rounds are the least that an estimate takes.
            let is_late = round > 2 && self.deadline.is_some_and(|deadline| end > deadline);
            if self.open.is_empty() || is_late {
                break;
            }
            let mut took_now = vec![Duration::ZERO; experiments.len()];
            for (experiment, took) in experiments.iter().zip(&mut took_now) {
                if !self.open.contains(&experiment.scenario) {
                    continue;
                }
                let begun = Instant::now();
                let order = experiment.round(&mut self.random).into_iter();
                let planned = order.map(|(variant, system)| Planned {
                    scenario: &experiment.scenario,
                    variant,
                    system,
                    round,
                });
                let planned: Vec<_> = planned.collect();
                self.executor.round(&planned).await?;
                if self.executor.is_over() {
                    return self.save();
                }
                *took = begun.elapsed();
            }
            took.push(took_now);
            self.save()?;
        }
        Ok(())
    }

    /// Looks at what the rounds before `round` found, where a look is scheduled, and closes the scenarios that are
    /// known well enough: all of them once the headline is, and in a quick run each by itself. `longest` is the
    /// longest that a round of the scenarios that it is given may take.
    fn look(&mut self, round: u32, longest: impl Fn(&[Scenario]) -> Duration) {
        let Design {
            rounds,
            least_rounds,
            mode,
            ..
        } = self.executor.config.design;
        let done = round.saturating_sub(1);
        if let Some(rounds) = rounds {
            if done >= rounds {
                self.open.clear();
            }
            return;
        }
        // A look has its price, and is taken only when it is scheduled.
        if !Look::is_scheduled(done as usize) {
            return;
        }
        let recording = self.lend_recording();
        let verdict = Verdict::of(&recording);
        self.take_back(recording);
        let mut open = verdict.undecided();
        let mut with_wide_ones = open.clone();
        with_wide_ones.extend(verdict.imprecise());
        // Rounds without a look behind them would only cost: the last look spends less of the error than this one.
        let until_next = Look::next_after(done as usize) - done as usize;
        let measured = match mode {
            Mode::Thorough => &self.open,
            Mode::Quick => &with_wide_ones,
        };
        let end = Instant::now() + longest(measured) * until_next as u32;
        if self.deadline.is_none_or(|deadline| end <= deadline) {
            open = with_wide_ones;
        }
        match mode {
            // The map gains by each round.
            Mode::Thorough if done < least_rounds || !open.is_empty() => {}
            Mode::Thorough => self.open.clear(),
            Mode::Quick => self.open.retain(|scenario| open.contains(scenario)),
        }
    }

    /// All that was measured, to be judged, and to be given back.
    fn lend_recording(&mut self) -> Recording {
        Recording {
            run: self.run.clone(),
            trials: std::mem::take(&mut self.executor.trials),
        }
    }

    fn take_back(&mut self, recording: Recording) {
        self.executor.trials = recording.trials;
    }

    /// Returns true if calls of the map may ask for several greetings at once. If the service
    /// cannot answer them, says so on the display.
    async fn takes_batches(&self) -> bool {
        if !self.systems.is_empty() {
            // A row is a call.
            return false;
        }
        let ends = self
            .variants
            .first()
            .into_iter()
            .chain(self.variants.last());
        for Variant { protocol, name, .. } in ends {
            if let Some(why) = self.system.lacks(*protocol, 2).await {
                self.executor.display.say(&format!(
                    "calls for more than one greeting are left out of the map: {name}: {why}"
                ));
                return false;
            }
        }
        true
    }

    /// Searches for what each variant can do, if an objective was given.
    async fn capacity(&mut self, experiments: &[Experiment]) -> anyhow::Result<()> {
        let open = experiments
            .iter()
            .find(|experiment| experiment.scenario.purpose == Purpose::Open);
        let (Some(objective), Some(open)) = (self.run.objective, open) else {
            return Ok(());
        };
        for (variant, system) in open.scenario.variants.iter().zip(&open.systems) {
            if variant.is_twin || self.executor.is_over() {
                continue;
            }
            let found = capacity::search(
                &mut self.executor,
                &open.scenario,
                (variant, system),
                objective,
            )
            .await?;
            self.run.capacity.extend(found);
            self.save()?;
        }
        Ok(())
    }

    /// Returns the reason for the run's early end, if it ended early.
    fn cut_short(&self) -> Option<String> {
        match self.executor.stop.is_cancelled() {
            true => Some(INTERRUPTED.to_owned()),
            false => self.executor.broken_off.clone(),
        }
    }

    /// Writes what a later run needs to complete this one, should it be killed.
    fn save(&self) -> anyhow::Result<()> {
        if !has_measured(&self.executor.trials) {
            return Ok(());
        }
        let run = Run {
            cut_short: Some(self.cut_short().unwrap_or_else(|| KILLED.to_owned())),
            thresholds_missed: self.executor.thresholds_missed.clone(),
            ..self.run.clone()
        };
        store::write_run(&self.executor.folder, &run)
    }

    fn finish(mut self, folder: Folder) -> anyhow::Result<Finished> {
        self.run.cut_short = self.cut_short();
        self.run.thresholds_missed = std::mem::take(&mut self.executor.thresholds_missed);
        ensure!(
            has_measured(&self.executor.trials) || !self.executor.stop.is_cancelled(),
            Interrupted
        );
        let has_bad_replies = self.executor.has_bad_replies();
        let recording = self.lend_recording();
        store::write_run(folder.path(), &recording.run)?;
        Ok(Finished {
            verdict: Verdict::of(&recording),
            has_bad_replies,
            folder: publish(folder, &recording)?,
            recording,
        })
    }
}

fn has_measured(trials: &[Trial]) -> bool {
    let mut counted = trials
        .iter()
        .filter(|trial| trial.purpose != Purpose::Ceiling);
    counted.any(|trial| trial.measurement.completed > 0)
}

/// Gives a folder that holds `recording` all that is computed from it, and its name.
fn publish(folder: Folder, recording: &Recording) -> anyhow::Result<PathBuf> {
    write_page(folder.path(), recording)?;
    let library = folder.path().join(report::goose::ECHARTS_FILE);
    folder::write(&library, report::goose::ECHARTS)?;
    folder.keep()
}

/// Makes the reports of runs in `parent` whose tool was killed.
pub(crate) fn complete_killed(parent: &Path) {
    for folder in Folder::left(parent) {
        if !folder.path().join(store::RUN).exists() {
            continue;
        }
        let completed = Recording::read(folder.path()).and_then(|recording| {
            let trials = counted(recording.trials.len() as u64, "trial");
            Ok((trials, publish(folder, &recording)?))
        });
        match completed {
            Ok((trials, folder)) => eprintln!(
                "a run before this one was killed, or failed, after {trials}; its report: {}",
                folder.join(PAGE).display()
            ),
            Err(error) => eprintln!(
                "a run before this one was killed, or failed, and has no report; it stays where it is: {error:#}"
            ),
        }
    }
}
