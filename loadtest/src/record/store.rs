//! The raw data in a folder: `run.json`, `trials/0001.json` and on, `ceiling/` like it, and
//! `hdr/*.hlog`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::{Evidence, FORMAT, Purpose, Run, Service, Trial, disturbances, logs, upgrade};
use crate::folder;

/// File name of the facts about the run as a whole.
pub const RUN: &str = "run.json";

/// Folder of the trials.
pub const TRIALS: &str = "trials";

/// Name of that folder before format 4.
const BLOCKS: &str = "blocks";

/// Folder of the trials against a null server: [`Run::ceiling`] is read off them.
pub const CEILING: &str = "ceiling";

/// Folder of the HdrHistogram logs.
pub const LOGS: &str = "hdr";

/// A run as it was recorded: all there is to compute from.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Facts about the run as a whole.
    pub run: Run,
    /// Trials in the order in which they ran, disturbed ones too.
    pub trials: Vec<Trial>,
}

impl Recording {
    /// Reads the folder `directory`. Nothing is judged; formats 2 and 3 are upgraded.
    ///
    /// # Errors
    /// When it holds no run, one in a format that is not known, a file that cannot be read, or a trial whose
    /// counts cannot be.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(RUN);
        ensure!(
            path.is_file(),
            "{} holds no {RUN}; name the folder of a run, as it was printed at its end",
            directory.display()
        );
        let (run, _) = read(&path, upgrade::run)?;
        let mut trials = Vec::new();
        for folder in [BLOCKS, TRIALS].map(|name| directory.join(name)) {
            let files = files(&folder);
            for path in files.with_context(|| format!("{} cannot be read", folder.display()))? {
                if path
                    .extension()
                    .is_some_and(|extension| extension == "json")
                {
                    trials.push(read_trial(&path, &run)?);
                }
            }
        }
        trials.sort_by_key(|trial| trial.number);
        Ok(Self { run, trials })
    }

    /// Writes the raw data into `directory`, which must be there.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path) -> anyhow::Result<()> {
        for trial in &self.trials {
            write_trial(directory, trial)?;
        }
        write_run(directory, &self.run)
    }

    /// Writes a log of the times of each variant and scenario, which can be made again from the trials.
    ///
    /// # Errors
    /// When they cannot be made or written.
    pub fn write_logs(&self, directory: &Path) -> anyhow::Result<()> {
        for (name, log) in logs::of(&self.trials)? {
            folder::write(&directory.join(LOGS).join(name), log)?;
        }
        Ok(())
    }

    /// Returns true if there is a trial that has a log.
    pub fn has_logs(&self) -> bool {
        self.trials.iter().any(logs::is_logged)
    }
}

/// Writes one trial into the run's folder `directory`, as soon as it is measured: what stands on the disk is
/// not lost with the process.
///
/// # Errors
/// When it cannot be written.
pub fn write_trial(directory: &Path, trial: &Trial) -> anyhow::Result<()> {
    let file = format!("{:04}.json", trial.number);
    let folder = match trial.purpose {
        Purpose::Ceiling => CEILING,
        _ => TRIALS,
    };
    folder::write(&directory.join(folder).join(file), pretty(trial)?)
}

/// Writes the facts about the run as a whole into its folder.
///
/// # Errors
/// When they cannot be written; the old ones then stand.
pub fn write_run(directory: &Path, run: &Run) -> anyhow::Result<()> {
    folder::write(&directory.join(RUN), pretty(run)?)
}

fn pretty(value: &impl serde::Serialize) -> anyhow::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    Ok(json)
}

/// Those in `folder`; none if it is not there, as in a run that was cut short at once.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn read_trial(path: &Path, run: &Run) -> anyhow::Result<Trial> {
    let (mut trial, is_old): (Trial, bool) = read(path, upgrade::trial)?;
    if let Some(contradiction) = contradiction(&trial) {
        bail!("{} contradicts itself: {contradiction}", path.display());
    }
    if is_old {
        complete(&mut trial, run);
    }
    Ok(trial)
}

/// Adds the disturbances that the figures of an upgraded trial show.
fn complete(trial: &mut Trial, run: &Run) {
    let evidence = Evidence {
        server_restarted: false,
        server_is_known: run.service == Service::Embedded,
    };
    for found in disturbances(&trial.measurement, evidence) {
        let kind = std::mem::discriminant(&found);
        let is_known = |known| std::mem::discriminant(known) == kind;
        if !trial.disturbances.iter().any(is_known) {
            trial.disturbances.push(found);
        }
    }
}

/// Counts that cannot be: each counted call had a good reply, a bad one or none.
fn contradiction(trial: &Trial) -> Option<String> {
    let measurement = &trial.measurement;
    let good = measurement.service_time.count();
    let (counted, bad) = (measurement.counted, measurement.error_count());
    let told = good + bad;
    if told > counted || told + measurement.unanswered < counted {
        return Some(format!(
            "{counted} calls, {bad} of them bad, and the times of {good}"
        ));
    }
    let other = measurement.response_time.as_ref()?.count();
    (other != good)
        .then(|| format!("the service times of {good} calls and the response times of {other}"))
}

/// Reads a file, and whether it was upgraded. The format is looked at first: a file of another one should not
/// be called broken.
fn read<T: serde::de::DeserializeOwned>(
    path: &Path,
    upgrade: fn(&mut Value),
) -> anyhow::Result<(T, bool)> {
    let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut value: Value =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is no JSON", path.display()))?;
    let newest = u64::from(FORMAT);
    let is_old = match value["format"].as_u64() {
        Some(format) if format == newest => false,
        Some(format) if (upgrade::OLDEST..newest).contains(&format) => true,
        Some(format) => bail!(
            "{} is of format {format} and this version reads formats {} to {FORMAT}; read it with the version \
             that wrote it",
            path.display(),
            upgrade::OLDEST
        ),
        None => bail!(
            "{} names no format; it was not written by this tool",
            path.display()
        ),
    };
    if is_old {
        upgrade(&mut value);
    }
    let read = serde_json::from_value(value);
    let read = read.with_context(|| format!("{} cannot be understood", path.display()))?;
    Ok((read, is_old))
}
