//! The raw data in a folder: `run.json`, `blocks/0001.json` and on, `ceiling/` like it, and
//! `hdr/*.hlog`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use serde::de::DeserializeOwned;

use super::{BlockRecord, FORMAT, Purpose, Run, Service, logs};
use crate::{
    folder,
    validity::{self, Evidence},
};

/// File name of what holds for all blocks.
pub const RUN: &str = "run.json";

/// Folder of the blocks.
pub const BLOCKS: &str = "blocks";

/// Folder of the blocks against a server that does nothing: [`Run::ceiling`] is read off them.
pub const CEILING: &str = "ceiling";

/// Folder of the HdrHistogram logs.
pub const LOGS: &str = "hdr";

/// A run as it was recorded: all there is to compute from.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// What holds for all blocks.
    pub run: Run,
    /// The blocks in the order in which they ran, VOID ones too.
    pub blocks: Vec<BlockRecord>,
}

impl Recording {
    /// Reads the folder `directory`.
    ///
    /// # Errors
    /// When it holds no run, one in a format that is not known, a file that cannot be read, or a block that
    /// contradicts itself.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let run = directory.join(RUN);
        ensure!(
            run.is_file(),
            "{} holds no {RUN}; name the folder of a run, as it was printed at its end",
            directory.display()
        );
        let run: Run = read(&run)?;
        let folder = directory.join(BLOCKS);
        let mut blocks = Vec::new();
        for path in
            files(&folder).with_context(|| format!("{} cannot be read", folder.display()))?
        {
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let block = read(&path)?;
                if let Some(contradiction) = contradiction(&block, &run) {
                    bail!(
                        "{} contradicts itself: {contradiction}; it was changed, or another version recorded it by other rules",
                        path.display()
                    );
                }
                blocks.push(block);
            }
        }
        blocks.sort_by_key(|block| block.number);
        Ok(Self { run, blocks })
    }

    /// Writes everything into `directory`, which must be there.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path) -> anyhow::Result<()> {
        for block in &self.blocks {
            write_block(directory, block)?;
        }
        write_logs(directory, &self.blocks)?;
        write_run(directory, &self.run)
    }
}

/// Writes one block into the run's folder `directory`, as soon as it is measured: what stands on the
/// disk is not lost with the process.
///
/// # Errors
/// When it cannot be written.
pub fn write_block(directory: &Path, block: &BlockRecord) -> anyhow::Result<()> {
    let file = format!("{:04}.json", block.number);
    let folder = match block.purpose {
        Purpose::Ceiling => CEILING,
        _ => BLOCKS,
    };
    folder::write(&directory.join(folder).join(file), pretty(block)?)
}

/// Writes what holds for all blocks into the run's folder.
///
/// # Errors
/// When it cannot be written; an old one then stands.
pub fn write_run(directory: &Path, run: &Run) -> anyhow::Result<()> {
    folder::write(&directory.join(RUN), pretty(run)?)
}

/// Writes the logs of the valid blocks into the run's folder.
///
/// # Errors
/// When they cannot be made or written.
pub fn write_logs(directory: &Path, blocks: &[BlockRecord]) -> anyhow::Result<()> {
    for (name, log) in logs::of(blocks)? {
        folder::write(&directory.join(LOGS).join(name), log)?;
    }
    Ok(())
}

/// Those in `folder`; none where it is not there, as in a run that was cut short at once.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn pretty(value: &impl serde::Serialize) -> anyhow::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    Ok(json)
}

/// Makes what was written in format 2, in which all blocks of a run were as long, one of today's.
fn upgrade(value: &mut serde_json::Value) {
    value["format"] = FORMAT.into();
    let lengths = ["window_us", "warm_up_us"].map(|name| (name, value["plan"][name].clone()));
    let cells = value
        .pointer_mut("/plan/cells")
        .and_then(serde_json::Value::as_array_mut);
    for cell in cells.into_iter().flatten() {
        for (name, length) in &lengths {
            cell[*name] = length.clone();
        }
    }
}

/// What a block says in two ways has to agree, and one that counts has to keep the rules that its record can
/// be held against. What several machines measured was held against them machine by machine.
fn contradiction(block: &BlockRecord, run: &Run) -> Option<String> {
    let good = block.requests.checked_sub(block.error_count());
    let latency = &block.latency;
    let mut counts = [Some(&latency.uncorrected), latency.corrected.as_ref()]
        .into_iter()
        .flatten();
    if let Some(other) = counts.find(|times| Some(times.count()) != good) {
        return Some(format!(
            "{} answers, {} of them bad, and the times of {}",
            block.requests,
            block.error_count(),
            other.count()
        ));
    }
    let is_checked = block.is_valid() && run.machines.len() <= 1;
    let evidence = Evidence {
        server_is_known: run.service == Service::Embedded,
        ..Evidence::default()
    };
    let broken = validity::check(block, &evidence);
    let broken = broken.first().filter(|_| is_checked)?;
    Some(format!("it counts, and breaks a rule: {broken}"))
}

/// The format is looked at first: a file of another one should not be called broken.
fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut value: serde_json::Value =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is no JSON", path.display()))?;
    match value["format"].as_u64() {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(2) => upgrade(&mut value),
        Some(format) => bail!(
            "{} is of format {format} and this version reads formats 2 and {FORMAT}; read it with the \
             version that wrote it",
            path.display()
        ),
        None => bail!(
            "{} names no format; it was not written by this tool, or before format {FORMAT}",
            path.display()
        ),
    }
    serde_json::from_value(value)
        .with_context(|| format!("{} cannot be understood", path.display()))
}
