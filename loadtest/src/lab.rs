//! One block from its plan to its record: the service is made ready, a child process loads it, and
//! the rules are checked.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use serving::CancellationToken;
use tokio::time::timeout;

use crate::{
    block::{Event, Measured, Spec, blank},
    child::Child,
    cli::UsageError,
    embedded::Account,
    plan::Planned,
    progress::Display,
    record::{BlockRecord, Void},
    report,
    subject::Subject,
    validity::{self, Evidence},
};

/// How long a block may take to stop and to say what it has. It breaks open calls off after a second
/// and writes a report then.
const STOPPED: Duration = Duration::from_secs(15);

/// What a block needs that all of them share.
#[derive(Debug)]
pub struct Lab {
    /// What is measured.
    pub subject: Subject,
    /// The cores of the generator; none stands for all.
    pub cores: Vec<usize>,
    /// Length of each window in microseconds.
    pub window_us: u64,
    /// Length of what is dropped before it.
    pub warm_up_us: u64,
    /// Where files go.
    pub folder: PathBuf,
    /// What a person sees.
    pub display: Display,
    /// Cancelled when the user wants an end.
    pub stop: CancellationToken,
    /// Goose's options as the user gave them.
    pub options: Vec<OsString>,
}

/// A block that was measured, or could not be.
#[derive(Debug)]
pub struct Outcome {
    /// Its record, checked.
    pub record: BlockRecord,
    /// Bad answers over the whole attack, ramp included, by their text.
    pub bad_answers: BTreeMap<String, u64>,
    /// Thresholds that were missed, in words.
    pub thresholds_missed: Vec<String>,
    /// Why the run is to end here, if a threshold says so.
    pub aborted: Option<String>,
    /// What the server says it did on purpose, where it is one whose behaviour is known.
    pub account: Option<Account>,
}

impl Lab {
    /// So many more blocks are to be measured, as long as the next one.
    pub fn plan(&mut self, blocks: usize) {
        let each_us = self.warm_up_us + self.window_us;
        self.display.plan(blocks, each_us);
    }

    /// A block has ended that is not repeated.
    pub fn done(&mut self) {
        self.display.done(self.warm_up_us + self.window_us);
    }

    /// Measures one block. Where `goose_report` names a file, goose writes its own report there.
    ///
    /// # Errors
    /// When an option cannot be carried out, or a process cannot be started. A block that fails
    /// while it is measured is VOID.
    pub async fn measure(
        &mut self,
        planned: &Planned,
        goose_report: Option<PathBuf>,
    ) -> anyhow::Result<Outcome> {
        let session = self.subject.begin(planned.arm).await?;
        let spec = Spec {
            planned: planned.clone(),
            target: session.target.clone(),
            server: session.processes.clone(),
            cores: self.cores.clone(),
            window_us: self.window_us,
            warm_up_us: self.warm_up_us,
            connecting_us: session.connecting_us,
            folder: self.folder.clone(),
            goose_report,
        };
        let result = self.attack(&spec).await;
        let ended = session.end().await;
        let measured = result?;
        let evidence = Evidence {
            bad_answers: measured.bad_answers.values().sum(),
            server_restarted: ended.restarted || measured.server_lost,
            server_is_known: matches!(self.subject, Subject::Fresh(_)),
            cut_short: measured.cut_short.clone(),
        };
        let mut record = measured.record;
        record.void = validity::check(&record, &evidence);
        Ok(Outcome {
            record,
            bad_answers: measured.bad_answers,
            thresholds_missed: measured.thresholds_missed,
            aborted: measured.cut_short.filter(|_| measured.aborted),
            account: ended.account,
        })
    }

    async fn attack(&mut self, spec: &Spec) -> anyhow::Result<Measured> {
        let mut child =
            Child::start(std::iter::once("block".into()).chain(self.options.iter().cloned()))?;
        child.tell(spec).await?;
        let result = self.listen(&mut child, &spec.planned).await;
        self.display.clear();
        let ended = child.end().await;
        let measured = match result {
            Ok(measured) => measured,
            Err(error) if error.is::<UsageError>() => return Err(error),
            // A child that broke says why by how it ended.
            Err(error) => failed(spec, &ended.err().unwrap_or(error)),
        };
        if let Some(report) = spec
            .goose_report
            .as_deref()
            .filter(|report| report.exists())
            && let Err(error) = make_offline(report)
        {
            eprintln!("warning: goose's own report is left out: {error:#}");
            let _ = fs::remove_file(report);
        }
        Ok(measured)
    }

    /// Listens to a block until it is done, and tells it to end when a signal asks for that.
    async fn listen(&mut self, child: &mut Child, block: &Planned) -> anyhow::Result<Measured> {
        loop {
            let event = tokio::select! {
                event = child.hear() => event?,
                () = self.stop.cancelled() => break,
            };
            if let Some(measured) = self.take(event, block)? {
                return Ok(measured);
            }
        }
        self.display
            .say("stopping; what was measured until now will be written, if there is any");
        child.tell_to_end();
        timeout(STOPPED, async {
            loop {
                let event = child.hear().await?;
                if let Some(measured) = self.take(event, block)? {
                    return Ok(measured);
                }
            }
        })
        .await
        .unwrap_or_else(|_| bail!("the load of {} did not stop", block.arm.name()))
    }

    /// Shows or passes on what a block tells.
    fn take(&mut self, event: Option<Event>, block: &Planned) -> anyhow::Result<Option<Measured>> {
        match event {
            Some(Event::Progress(progress)) => {
                self.display.show(block, self.window_us, &progress);
                Ok(None)
            }
            Some(Event::Done(measured)) => Ok(Some(*measured)),
            Some(Event::Refused(option)) => bail!(UsageError(option)),
            Some(Event::Failed(reason)) => bail!(reason),
            None => bail!("the load of {} ended without a result", block.arm.name()),
        }
    }
}

/// A block that failed.
fn failed(spec: &Spec, error: &anyhow::Error) -> Measured {
    Measured {
        record: blank(spec),
        bad_answers: BTreeMap::new(),
        server_lost: false,
        thresholds_missed: Vec::new(),
        cut_short: Some(format!("{error:#}")),
        aborted: false,
    }
}

impl Outcome {
    /// The reasons for which it does not count, in a line.
    pub fn void(&self) -> Option<String> {
        let reasons: Vec<_> = self.record.void.iter().map(Void::to_string).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// Gives goose's report at `path` the script for its charts from beside it.
fn make_offline(path: &Path) -> anyhow::Result<()> {
    let page = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    fs::write(path, report::goose::offline(&page)?)?;
    Ok(())
}
