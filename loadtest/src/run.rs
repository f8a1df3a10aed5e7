//! A comparison from its options to its report.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use chrono::{SecondsFormat, Utc};
use goose::config::RUN_FOLDER;
use serving::{CancellationToken, process::shutdown_on_signal};
use thiserror::Error;
use tokio::time::timeout;

use crate::{
    block::{
        Event, Spec,
        configuration::{of_protocol, outputs},
    },
    child::Child,
    cli::{self, Options, UsageError},
    embedded::Embedded,
    folder::Folder,
    machine,
    progress::Display,
    report,
    result::{Arm, Load, Protocol, Run, SCHEMA, Service},
    target::Target,
    usage,
};

/// The order in which the protocols are tested.
const ORDER: [Protocol; 2] = [Protocol::Rest, Protocol::Grpc];

/// Where reports go where the user names no folder.
const REPORTS: &str = "reports";

/// How long a block may take to stop and to say what it has. It breaks open calls off after a second
/// and writes a report then.
const STOPPED: Duration = Duration::from_secs(15);

/// What [`Run::cut_short`] says after a signal.
pub const INTERRUPTED: &str = "stopped by a signal";

/// A comparison that was stopped before it had measured anything.
#[derive(Debug, Error)]
#[error("stopped before anything was measured; no report was written")]
pub struct Interrupted;

/// A comparison that has a report.
#[derive(Debug)]
pub struct Finished {
    /// What was measured.
    pub run: Run,
    /// Where its report is.
    pub folder: PathBuf,
}

/// Runs the comparison that `options` ask for, and writes its report.
///
/// # Errors
/// When nothing was measured: a wrong option, an unreachable target, a tool that failed, or
/// [`Interrupted`]. No report is written then.
pub async fn compare(mut options: Options) -> anyhow::Result<Finished> {
    let begun = Utc::now();
    refuse_to_overwrite(&mut options)?;
    let running = match options.targets()? {
        None => None,
        Some((rest, grpc)) => Some([
            reach(rest, Protocol::Rest).await?,
            reach(grpc, Protocol::Grpc).await?,
        ]),
    };
    let name = begun.format("%Y-%m-%dT%H-%M-%SZ").to_string();
    let name = options
        .folder()
        .unwrap_or_else(|| PathBuf::from(REPORTS).join(name));
    let mut run = Run {
        schema: SCHEMA,
        started: begun.to_rfc3339_opts(SecondsFormat::Secs, true),
        command: cli::typed(),
        cut_short: None,
        tool: machine::tool(),
        machine: machine::machine(),
        load: load(&options),
        service: if running.is_some() {
            Service::Running
        } else {
            Service::Embedded
        },
        arms: Vec::new(),
    };
    if let Some(dashboard) = options.dashboard() {
        eprintln!("goose's dashboard, while a protocol is tested: {dashboard}");
    }
    let mut comparison = Comparison {
        display: Display::new(ORDER.len(), options.run_seconds()),
        users: run.load.users,
        running,
        folder: Folder::begin(&name)?,
        stop: shutdown_on_signal()?,
    };
    (run.arms, run.cut_short) = comparison.measure_all().await?;
    let folder = write(&run, comparison.folder)?;
    Ok(Finished { run, folder })
}

/// What a comparison needs while it measures.
struct Comparison {
    display: Display,
    users: usize,
    /// REST and gRPC of a service that runs already; none where dual-mode is to be started.
    running: Option<[Running; 2]>,
    folder: Folder,
    stop: CancellationToken,
}

/// One side of a service that runs already.
struct Running {
    target: Target,
    processes: Vec<u32>,
}

impl Comparison {
    /// Measures each protocol in turn. Returns what was measured, and why that is not all of it.
    async fn measure_all(&mut self) -> anyhow::Result<(Vec<Arm>, Option<String>)> {
        let mut arms: Vec<Arm> = Vec::new();
        for protocol in ORDER {
            match self.measure(protocol).await {
                Ok(arm) => arms.push(arm),
                Err(error) if arms.is_empty() => return Err(error),
                Err(error) => return Ok((arms, Some(format!("{}: {error:#}", protocol.name())))),
            }
            if self.stop.is_cancelled() {
                ensure!(arms.iter().any(|arm| arm.requests > 0), Interrupted);
                return Ok((arms, Some(INTERRUPTED.to_owned())));
            }
        }
        Ok((arms, None))
    }

    async fn measure(&mut self, protocol: Protocol) -> anyhow::Result<Arm> {
        self.display.begin();
        if let Some([rest, grpc]) = &self.running {
            let side = if protocol == Protocol::Rest {
                rest
            } else {
                grpc
            };
            let (target, processes) = (side.target.clone(), side.processes.clone());
            return self.block(protocol, target, processes).await;
        }
        // Each arm gets a fresh server, so that none inherits the other's memory.
        let own = Embedded::start().await?;
        let target = match protocol {
            Protocol::Rest => own.rest.clone(),
            Protocol::Grpc => own.grpc.clone(),
        };
        let arm = self
            .block(protocol, target, own.id().into_iter().collect())
            .await;
        if let Err(error) = own.stop().await {
            eprintln!("warning: {error:#}");
        }
        arm
    }

    async fn block(
        &mut self,
        protocol: Protocol,
        target: Target,
        server: Vec<u32>,
    ) -> anyhow::Result<Arm> {
        let goose_report = self.folder.path().join(format!("{}.html", protocol.slug()));
        let args = std::env::args_os().skip(1);
        let mut child = Child::start(std::iter::once("block".into()).chain(args))?;
        let spec = Spec {
            protocol,
            target,
            server,
            users: self.users,
            goose_report,
        };
        child.tell(&spec).await?;
        let result = self.listen(&mut child, protocol).await;
        self.display.clear();
        let ended = child.end().await;
        // A child that broke says why by how it ended.
        let mut arm = result.map_err(|error| ended.err().unwrap_or(error))?;
        if let Err(error) = make_offline(&spec.goose_report) {
            eprintln!("warning: goose's own report is left out: {error:#}");
            let _ = fs::remove_file(&spec.goose_report);
            arm.goose_report = None;
        }
        Ok(arm)
    }

    /// Listens to a block until it is done, and tells it to end when a signal asks for that.
    async fn listen(&mut self, child: &mut Child, protocol: Protocol) -> anyhow::Result<Arm> {
        loop {
            let event = tokio::select! {
                event = child.hear() => event?,
                () = self.stop.cancelled() => break,
            };
            if let Some(arm) = self.take(event, protocol)? {
                return Ok(arm);
            }
        }
        self.display.clear();
        eprintln!("stopping; what was measured until now will be written");
        child.tell_to_end();
        timeout(STOPPED, async {
            loop {
                let event = child.hear().await?;
                if let Some(arm) = self.take(event, protocol)? {
                    return Ok(arm);
                }
            }
        })
        .await
        .unwrap_or_else(|_| bail!("the load of {} did not stop", protocol.name()))
    }

    /// Shows or passes on what a block tells.
    fn take(&mut self, event: Option<Event>, protocol: Protocol) -> anyhow::Result<Option<Arm>> {
        match event {
            Some(Event::Progress(progress)) => {
                self.display.show(protocol, self.users, &progress);
                Ok(None)
            }
            Some(Event::Done(arm)) => Ok(Some(*arm)),
            Some(Event::Refused(option)) => bail!(UsageError(option)),
            Some(Event::Failed(reason)) => bail!(reason),
            None => bail!("the load of {} ended without a result", protocol.name()),
        }
    }
}

/// Gives goose's report at `path` the script for its charts from beside it.
fn make_offline(path: &Path) -> anyhow::Result<()> {
    let page = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    fs::write(path, report::goose::offline(&page)?)?;
    Ok(())
}

/// Makes sure that something answers at `target`, and finds its process where it is on this machine.
async fn reach(target: Target, protocol: Protocol) -> anyhow::Result<Running> {
    let address = target.reach(protocol).await?;
    Ok(Running {
        target,
        processes: usage::listening_processes(address),
    })
}

/// Goose truncates the files it is told to write; what stands there already is not ours to lose.
fn refuse_to_overwrite(options: &mut Options) -> anyhow::Result<()> {
    for output in outputs(&mut options.goose)
        .into_iter()
        .filter(|output| output.file != RUN_FOLDER)
    {
        for protocol in ORDER {
            let file = of_protocol(output.file.as_ref(), protocol);
            ensure!(
                !file.exists(),
                UsageError(format!(
                    "{} would overwrite {}",
                    output.option,
                    file.display()
                ))
            );
        }
    }
    Ok(())
}

fn load(options: &Options) -> Load {
    let goose = &options.goose;
    let users = goose.users.unwrap_or_default();
    let ramp = match (&goose.increase_time, &goose.increase_rate) {
        (Some(time), _) => format!("all {users} within {time}"),
        (None, Some(rate)) => format!("{rate} users/s"),
        (None, None) => "all at once".to_owned(),
    };
    let run_time = goose.run_time.clone().unwrap_or_default();
    Load {
        users,
        connections: users,
        in_flight_per_connection: 1,
        ramp,
        run_time,
    }
}

fn write(run: &Run, folder: Folder) -> anyhow::Result<PathBuf> {
    folder.write("run.json", serde_json::to_vec_pretty(run)?)?;
    folder.write("index.html", report::page::render(run))?;
    folder.write(report::goose::ECHARTS_FILE, report::goose::ECHARTS)?;
    folder.keep()
}
