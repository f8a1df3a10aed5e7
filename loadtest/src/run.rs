//! A comparison from its options to its report.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use chrono::{SecondsFormat, Utc};
use goose::config::RUN_FOLDER;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serving::process::shutdown_on_signal;
use thiserror::Error;

use crate::{
    block::configuration::outputs,
    capacity, ceiling,
    cli::{self, Options, UsageError},
    commands::report::{PAGE, write_page},
    cores,
    embedded::{self, Kind},
    folder::{self, Folder},
    lab::{Lab, Outcome},
    machine, original, plan,
    plan::Planned,
    progress::Display,
    record::{Arm, BlockRecord, Cell, FORMAT, Mode, Plan, Recording, Run, store},
    report,
    statistics::LEAST_PAIRS,
    subject::Subject,
    validity,
    verdict::{Verdict, sentence::counted},
};

/// Where reports go where the user names no folder.
const REPORTS: &str = "reports";

/// How often a block is measured that is VOID each time: a disturbance passes, a cause stays.
pub(crate) const ATTEMPTS: u32 = 3;

/// What [`Run::cut_short`] says after a signal.
pub const INTERRUPTED: &str = "stopped by a signal";

/// What it says of a run whose tool did not live to end it.
pub const KILLED: &str = "the tool was killed, or failed";

/// A comparison that was stopped before it had measured anything.
#[derive(Debug, Error)]
#[error("stopped before anything was measured; no report was written")]
pub struct Interrupted;

/// A comparison that has a report.
#[derive(Debug)]
pub struct Finished {
    /// What was measured.
    pub recording: Recording,
    /// Where its report is.
    pub folder: PathBuf,
    /// Whether any answer was bad, warm-ups included.
    pub has_bad_answers: bool,
    /// What it says.
    pub verdict: Verdict,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// The arms, on the service that the options name.
    Arms,
    /// The original's comparison, on servers of our own.
    Original,
}

/// Runs the comparison of `design` that `options` ask for, and writes its report.
///
/// # Errors
/// When nothing was measured: a wrong option, an unreachable target, a tool that failed, or
/// [`Interrupted`]. No report is written then.
pub async fn compare(mut options: Options, design: Design) -> anyhow::Result<Finished> {
    let begun = Utc::now();
    refuse_to_overwrite(&mut options)?;
    let extent = options.extent();
    let cores = cores::split(options.share_cores);
    let subject = match options.targets()? {
        None => Subject::Fresh(embedded::Spec {
            cores: cores.server.clone(),
            kind: Kind::DualMode,
        }),
        Some((rest, grpc)) => Subject::running(rest, grpc).await?,
    };
    let arms = match design {
        Design::Arms => arms(&options, &subject).await,
        Design::Original => vec![Arm::JsonHttp1, Arm::Grpc],
    };
    let name = begun.format("%Y-%m-%dT%H-%M-%SZ").to_string();
    let name = options
        .folder()
        .unwrap_or_else(|| PathBuf::from(REPORTS).join(name));
    let run = Run {
        format: FORMAT,
        started_at: begun.to_rfc3339_opts(SecondsFormat::Secs, true),
        command: cli::typed(),
        seed: options.seed.unwrap_or_else(cli::random_seed),
        mode: extent.mode,
        plan: Plan { cells: Vec::new() },
        objective: options.slo,
        service: subject.service(),
        listening: subject.listening(),
        ceiling: Vec::new(),
        capacity: Vec::new(),
        thresholds_missed: Vec::new(),
        cut_short: None,
        tool: machine::tool(),
        machines: vec![machine::machine(&cores)],
    };
    if let Some(whose) = run.whose_cpu() {
        eprintln!("server CPU is that of {whose}");
    }
    if let Some(dashboard) = options.dashboard() {
        eprintln!("goose's dashboard, while a block is measured: {dashboard}");
    }
    complete_killed(name.parent().unwrap_or(Path::new("")));
    let folder = Folder::begin(&name)?;
    let mut comparison = Comparison {
        lab: Lab {
            subject,
            cores: cores.generator.clone(),
            window_us: extent.window_us,
            warm_up_us: extent.warm_up_us,
            folder: folder.path().to_owned(),
            display: Display::default(),
            stop: shutdown_on_signal()?,
            options: cli::options_of_blocks(),
        },
        random: ChaCha8Rng::seed_from_u64(run.seed),
        run,
        blocks: Vec::new(),
        has_bad_answers: false,
        too_many_void: false,
    };
    let compared = match arms.len() {
        1 => "1 arm, which is compared with no other".to_owned(),
        several => format!("{several} arms"),
    };
    let seed = comparison.run.seed;
    let display = &comparison.lab.display;
    display.say(&format!("{compared}, seed {seed}"));
    let pairs = extent.closed_pairs.max(extent.open_pairs);
    if (pairs as usize) < LEAST_PAIRS {
        let pairs = counted(pairs.into(), "pair");
        display.say(&format!(
            "{pairs} of blocks: too few for a verdict, which takes at least {LEAST_PAIRS}"
        ));
    }
    let place = folder.path().to_owned();
    let ended = async {
        if extent.closed_pairs as usize >= LEAST_PAIRS {
            comparison.ceiling(&options, &arms, &cores.server).await?;
        }
        match design {
            Design::Arms => comparison.measure_all(&options, &extent, &arms).await?,
            Design::Original => {
                let measured = comparison.measure_original(&options, &extent, &arms);
                measured.await?;
            }
        }
        comparison.finish(folder)
    };
    ended.await.map_err(|error| match place.exists() {
        true => error.context(format!(
            "the run broke off; what it had measured stays in {}, and the next one makes its report",
            place.display()
        )),
        false => error,
    })
}

/// The arms to compare: those that were named, or all, without what a running service does not
/// answer.
async fn arms(options: &Options, subject: &Subject) -> Vec<Arm> {
    if !options.arms.is_empty() {
        return options.arms.clone();
    }
    let mut arms = Vec::new();
    for arm in Arm::ALL {
        match subject.lacks(arm).await {
            None => arms.push(arm),
            Some(why) => eprintln!("{} is left out: {why}", arm.name()),
        }
    }
    arms
}

/// A comparison while it measures.
struct Comparison {
    lab: Lab,
    random: ChaCha8Rng,
    run: Run,
    blocks: Vec<BlockRecord>,
    has_bad_answers: bool,
    too_many_void: bool,
}

impl Comparison {
    /// Measures the generator's own limit, which stands beside every result.
    async fn ceiling(
        &mut self,
        options: &Options,
        arms: &[Arm],
        server: &[usize],
    ) -> anyhow::Result<()> {
        self.lab.plan(arms.len());
        for block in ceiling::blocks(arms, options.users()) {
            if self.is_over() {
                break;
            }
            self.run
                .ceiling
                .extend(ceiling::measure(&mut self.lab, &block, server).await?);
            if self.lab.stop.is_cancelled() {
                self.run.cut_short = Some(INTERRUPTED.to_owned());
            }
        }
        Ok(())
    }

    async fn measure_all(
        &mut self,
        options: &Options,
        extent: &plan::Extent,
        arms: &[Arm],
    ) -> anyhow::Result<()> {
        if self.is_over() {
            return Ok(());
        }
        let users = options.users();
        let with_floor = |cells: Vec<Cell>| {
            let aa = cells.first().and_then(|cell| plan::aa(extent, cell));
            aa.into_iter().chain(cells).collect::<Vec<_>>()
        };
        let open = |rate| with_floor(vec![plan::open(extent, arms, users, rate)]);
        let (mut closed, mut map) = (Vec::new(), Vec::new());
        if options.rate.is_none() {
            closed = plan::closed(extent, arms, users);
            let batches = extent.map_pairs > 0 && self.takes_batches(arms).await;
            map = plan::map(extent, arms, users, batches, &closed);
        }
        // In a quick run the closed loop is held against the open one's floor, and the page says so.
        if options.closed || extent.mode == Mode::Thorough {
            closed = with_floor(closed);
        }
        // All of it at once, so that it is known how long it takes.
        self.plan(&closed);
        self.plan(&map);
        if !options.closed {
            self.plan(&open(1.0));
        }
        self.measure(closed).await?;
        if options.closed {
            return self.measure(map).await;
        }
        let rate = options.rate.or_else(|| plan::common_rate(&self.blocks));
        let Some(rate) = rate.filter(|_| !self.is_over()) else {
            return Ok(());
        };
        self.measure([open(rate), map].concat()).await?;
        // The last cell may have been one of short blocks.
        (self.lab.window_us, self.lab.warm_up_us) = (extent.window_us, extent.warm_up_us);
        self.capacity(arms, users, rate).await
    }

    async fn measure_original(
        &mut self,
        options: &Options,
        extent: &plan::Extent,
        arms: &[Arm],
    ) -> anyhow::Result<()> {
        let floor = plan::closed(extent, arms, 1)
            .first()
            .and_then(|like| plan::aa(extent, like));
        let cells = original::cells(extent, options.users());
        let cells: Vec<Cell> = floor.into_iter().chain(cells).collect();
        self.plan(&cells);
        self.measure(cells).await
    }

    /// Whether the arms of the map can be asked for several greetings at once; says where not.
    async fn takes_batches(&self, arms: &[Arm]) -> bool {
        for arm in arms.first().into_iter().chain(arms.last()) {
            if let Some(why) = self.lab.subject.lacks_batches(*arm).await {
                self.lab.display.say(&format!(
                    "calls for more than one greeting are left out of the map: {}: {why}",
                    arm.name()
                ));
                return false;
            }
        }
        true
    }

    /// Searches for what each arm can do, where an objective was given.
    async fn capacity(&mut self, arms: &[Arm], users: u32, first: f64) -> anyhow::Result<()> {
        let Some(objective) = self.run.objective else {
            return Ok(());
        };
        for arm in arms {
            if self.is_over() {
                break;
            }
            let known = self.blocks.len();
            let found = capacity::search(
                &mut self.lab,
                (*arm, users),
                objective,
                first,
                &mut self.blocks,
            );
            let found = found.await;
            for block in &self.blocks[known..] {
                store::write_block(&self.lab.folder, block)?;
            }
            self.save()?;
            match found {
                Ok(found) => self.run.capacity.push(found),
                // What was measured before it stands.
                Err(error) => {
                    self.run.cut_short = Some(format!("the capacity of {}: {error:#}", arm.name()));
                }
            }
            if self.lab.stop.is_cancelled() {
                self.run.cut_short = Some(INTERRUPTED.to_owned());
            }
        }
        Ok(())
    }

    /// Lets the display know what is still to be measured.
    fn plan(&mut self, cells: &[Cell]) {
        for cell in cells {
            let each_us = cell.warm_up_us + cell.window_us;
            self.lab.display.plan(plan::blocks(cell), each_us);
        }
    }

    /// Measures `cells`, a round of each in turn, unless the run is over.
    async fn measure(&mut self, cells: Vec<Cell>) -> anyhow::Result<()> {
        if self.is_over() {
            return Ok(());
        }
        self.run.plan.cells.extend(cells.iter().cloned());
        for (cell, block) in plan::in_turn(&cells, &mut self.random) {
            (self.lab.window_us, self.lab.warm_up_us) = (cell.window_us, cell.warm_up_us);
            self.until_valid(block).await?;
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Measures a block, again where it is VOID, up to a bound.
    async fn until_valid(&mut self, mut block: Planned) -> anyhow::Result<()> {
        for attempt in 1..=ATTEMPTS {
            block.attempt = attempt;
            block.number = u32::try_from(self.blocks.len() + 1).unwrap_or(u32::MAX);
            if let Subject::Fresh(spec) = &mut self.lab.subject {
                spec.kind = original::kind(&block);
            }
            let report = self.goose_report(&block);
            let outcome = match self.lab.measure(&block, report).await {
                Ok(outcome) => outcome,
                Err(_) if self.lab.stop.is_cancelled() => {
                    self.run.cut_short = Some(INTERRUPTED.to_owned());
                    return Ok(());
                }
                Err(error) if self.blocks.is_empty() => return Err(error),
                Err(error) => {
                    self.run.cut_short = Some(format!("{}: {error:#}", block.arm.name()));
                    return Ok(());
                }
            };
            let void = outcome.void();
            self.keep(outcome)?;
            let Some(reason) = void.filter(|_| !self.is_over()) else {
                break;
            };
            let name = block.arm.name();
            let then = match attempt {
                ATTEMPTS => "it is left out",
                _ => "it is measured again",
            };
            let display = &self.lab.display;
            display.say(&format!("a block of {name} is VOID, and {then}: {reason}"));
        }
        self.lab.done();
        Ok(())
    }

    /// Goose's own report is kept of the first block of each arm.
    fn goose_report(&self, block: &Planned) -> Option<PathBuf> {
        let is_first = self.blocks.iter().all(|known| known.arm != block.arm);
        let file = format!("goose-{}.html", block.arm.slug());
        is_first.then(|| self.lab.folder.join(file))
    }

    fn keep(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        let Outcome {
            record,
            bad_answers,
            thresholds_missed,
            aborted,
            ..
        } = outcome;
        for (text, count) in &bad_answers {
            let name = record.arm.name();
            self.lab
                .display
                .say(&format!("{name}: {count} × {text}, warm-up included"));
        }
        self.has_bad_answers |= !bad_answers.is_empty();
        for missed in thresholds_missed {
            let missed = format!("block {}, {}: {missed}", record.number, record.arm.name());
            self.run.thresholds_missed.push(missed);
        }
        if self.lab.stop.is_cancelled() {
            self.run.cut_short = Some(INTERRUPTED.to_owned());
        } else if aborted.is_some() {
            self.run.cut_short = aborted;
        }
        store::write_block(&self.lab.folder, &record)?;
        self.blocks.push(record);
        self.save()?;
        self.too_many_void = validity::too_many_void(&self.blocks);
        Ok(())
    }

    /// Writes what a later run needs to complete this one, should it be killed.
    fn save(&self) -> anyhow::Result<()> {
        if !self.has_measured() {
            return Ok(());
        }
        let mut run = self.run.clone();
        run.cut_short.get_or_insert_with(|| KILLED.to_owned());
        store::write_run(&self.lab.folder, &run)
    }

    fn has_measured(&self) -> bool {
        self.blocks.iter().any(|block| block.requests > 0)
    }

    /// Whether no more blocks are to be measured.
    fn is_over(&self) -> bool {
        self.run.cut_short.is_some() || self.too_many_void || self.lab.stop.is_cancelled()
    }

    fn finish(self, folder: Folder) -> anyhow::Result<Finished> {
        ensure!(
            self.has_measured() || self.run.cut_short.as_deref() != Some(INTERRUPTED),
            Interrupted
        );
        let recording = Recording {
            run: self.run,
            blocks: self.blocks,
        };
        store::write_run(folder.path(), &recording.run)?;
        Ok(Finished {
            verdict: Verdict::of(&recording),
            has_bad_answers: self.has_bad_answers,
            folder: publish(folder, &recording)?,
            recording,
        })
    }
}

/// Gives a folder that holds `recording` all that is computed from it, and its name.
fn publish(folder: Folder, recording: &Recording) -> anyhow::Result<PathBuf> {
    store::write_logs(folder.path(), &recording.blocks)?;
    write_page(folder.path(), recording)?;
    let library = folder.path().join(report::goose::ECHARTS_FILE);
    folder::write(&library, report::goose::ECHARTS)?;
    folder.keep()
}

/// Makes the reports of runs in `parent` whose tool was killed.
fn complete_killed(parent: &Path) {
    for folder in Folder::left(parent) {
        let place = folder.path().join(store::RUN);
        if !place.exists() {
            continue;
        }
        let completed = Recording::read(folder.path()).and_then(|recording| {
            let blocks = counted(recording.blocks.len() as u64, "block");
            Ok((blocks, publish(folder, &recording)?))
        });
        match completed {
            Ok((blocks, folder)) => eprintln!(
                "a run before this one was killed, or failed, after {blocks}; its report: {}",
                folder.join(PAGE).display()
            ),
            Err(error) => eprintln!(
                "a run before this one was killed, or failed, and has no report; it stays where it is: {error:#}"
            ),
        }
    }
}

/// Goose truncates the files it is told to write; what stands there already is not ours to lose. The
/// names of the blocks' files begin like the name that was given.
fn refuse_to_overwrite(options: &mut Options) -> anyhow::Result<()> {
    for output in outputs(&mut options.goose)
        .into_iter()
        .filter(|output| output.file != RUN_FOLDER)
    {
        let file: &Path = output.file.as_ref();
        if let Some(taken) = namesake(file) {
            return Err(UsageError(format!(
                "{} would overwrite {}",
                output.option,
                taken.display()
            ))
            .into());
        }
    }
    Ok(())
}

/// A file that a block could write where `file` is asked for.
fn namesake(file: &Path) -> Option<PathBuf> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let stem = file.file_stem()?.to_str()?;
    let is_of_block = |name: &Path| {
        let rest = name
            .file_stem()?
            .to_str()?
            .strip_prefix(stem)?
            .strip_prefix('-')?;
        let (number, slug) = rest.split_once('-')?;
        let is_arm = Arm::ALL.iter().any(|arm| arm.slug() == slug);
        Some(number.parse::<u32>().is_ok() && is_arm && name.extension() == file.extension())
    };
    let mut names = std::fs::read_dir(folder).ok()?.flatten();
    let taken = names.find(|entry| is_of_block(Path::new(&entry.file_name())).unwrap_or(false))?;
    Some(file.with_file_name(taken.file_name()))
}
