//! A block: one goose attack on one arm, in a child process of its own, because a second attack in
//! one process inherits the first one's kill switch and memory.
//!
//! The parent writes a [`Spec`] to the child's standard input as one line of JSON and keeps it open:
//! when it closes, the child stops its attack and reports what it has. The child writes [`Event`]s
//! to its standard output, one line of JSON each; the last one is [`Event::Done`],
//! [`Event::Refused`] or [`Event::Failed`].

mod attack;
pub(crate) mod configuration;
mod grpc;
mod latency;
mod recorder;
mod rest;
mod user;
mod window;

use std::{
    io::{self, BufRead, Write},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context;
use goose::config::GooseConfiguration;
use serde::{Deserialize, Serialize};
use serving::CancellationToken;

use crate::{
    cli::UsageError,
    result::{Arm, Protocol},
    target::Target,
};
use window::Window;

/// How often the parent hears how far the block is.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// How long calls may go on when an attack is stopped: most take less than a hundredth of it.
const OPEN_CALLS_MAY_FINISH: Duration = Duration::from_secs(1);

/// What the parent asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The protocol to speak.
    pub protocol: Protocol,
    /// Where to send it.
    pub target: Target,
    /// The server's processes, where they are on this machine.
    pub server: Vec<u32>,
    /// Users to start.
    pub users: usize,
    /// Where goose writes its HTML report.
    pub goose_report: PathBuf,
}

/// What the child tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// How far it is.
    Progress(Progress),
    /// What it measured. The last event.
    Done(Box<Arm>),
    /// Which option it cannot carry out. The last event.
    Refused(String),
    /// Why it measured nothing. The last event.
    Failed(String),
}

/// How far a block is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// Seconds in the window; none before it opens.
    pub measured: Option<f64>,
    /// Users that have started.
    pub users: usize,
    /// Answers so far, the ramp's included.
    pub answers: u64,
    /// Bad answers so far, the ramp's included.
    pub failures: u64,
}

/// Runs the block that standard input asks for, with goose's options as the user gave them.
///
/// # Errors
/// When the parent cannot be understood; a block that fails tells it with [`Event::Failed`].
pub fn main(options: GooseConfiguration) -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let spec: Spec = serde_json::from_str(&line).context("standard input is not a block to run")?;
    let window = Arc::new(Window::new(spec.users, spec.server.clone()));

    let stop = CancellationToken::new();
    stop_when_the_parent_says_so(Arc::clone(&window), stop.clone());
    tell_progress(Arc::clone(&window));
    raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().context("the runtime could not be started")?;
    let event = match runtime.block_on(attack::run(&spec, options, window, stop)) {
        Ok(arm) => Event::Done(Box::new(arm)),
        Err(error) if error.is::<UsageError>() => Event::Refused(error.to_string()),
        Err(error) => Event::Failed(format!("{error:#}")),
    };
    // Where the parent is gone, nobody is left to be told.
    let _ = tell(&event);
    Ok(())
}

/// Each user holds a connection, and common soft limits are as low as 256 files.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, users that get no connection say so.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn tell(event: &Event) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    io::stdout()
        .write_all(&line)
        .context("the parent does not listen")
}

/// Stops the attack when standard input closes: the parent wants it cut short, or is gone. Calls that
/// are open then may finish for a moment, and are broken off after it.
fn stop_when_the_parent_says_so(window: Arc<Window>, stop: CancellationToken) {
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        goose::trigger_killswitch(attack::CUT_SHORT);
        thread::sleep(OPEN_CALLS_MAY_FINISH);
        window.abandon();
        stop.cancel();
        // Goose forgets the kill switch when an attack starts, which may be after this.
        loop {
            goose::trigger_killswitch(attack::CUT_SHORT);
            thread::sleep(PROGRESS_EVERY);
        }
    });
}

fn tell_progress(window: Arc<Window>) {
    thread::spawn(move || {
        while tell(&Event::Progress(window.progress())).is_ok() {
            thread::sleep(PROGRESS_EVERY);
        }
    });
}
