//! A block: one goose attack on one arm, in a child process of its own, because a second attack in
//! one process inherits the first one's kill switch and memory.
//!
//! The parent writes a [`Spec`] to the child's standard input as one line of JSON and keeps it open:
//! when it closes, the child stops its attack and reports what it has. The child writes [`Event`]s
//! to its standard output, one line of JSON each; the last one is [`Event::Done`],
//! [`Event::Refused`] or [`Event::Failed`].

mod attack;
mod batch;
pub(crate) mod configuration;
mod grpc;
mod http;
mod pacer;
pub(crate) mod recorder;
mod user;
mod window;
mod wire;

use std::{
    collections::BTreeMap,
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
    plan::Planned,
    record::{Arm, BlockRecord, Load, Purpose},
    target::Target,
    usage,
};
pub(crate) use attack::blank;
use recorder::Outcome;
pub(crate) use user::GREETING;
use user::{Attack, Connections};
use window::Window;

/// How often the parent hears how far the block is.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// How long calls may go on when an attack is stopped: most take less than a hundredth of it.
const OPEN_CALLS_MAY_FINISH: Duration = Duration::from_secs(1);

/// How long a probe may take: a call takes less than a thousandth of it, or a round trip across the
/// world.
const PROBE: Duration = Duration::from_secs(3);

/// How long the users of a block have to connect, in microseconds, at least: on this machine they take a
/// hundredth of it.
pub const CONNECTING_US: u64 = 100_000;

/// What the parent asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// Its place in the plan.
    pub planned: Planned,
    /// Where to send the load.
    pub target: Target,
    /// The server's processes, where they are on this machine.
    pub server: Vec<u32>,
    /// The cores to run on; none stands for all.
    pub cores: Vec<usize>,
    /// Length of the window.
    pub window_us: u64,
    /// Length of what comes before it, once all users have started.
    pub warm_up_us: u64,
    /// How long users may take to connect.
    pub connecting_us: u64,
    /// The run's folder.
    pub folder: PathBuf,
    /// Where goose writes its HTML report, if it is to.
    pub goose_report: Option<PathBuf>,
}

/// What the child tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// How far it is.
    Progress(Progress),
    /// What it measured. The last event.
    Done(Box<Measured>),
    /// Which option it cannot carry out. The last event.
    Refused(String),
    /// Why it measured nothing. The last event.
    Failed(String),
}

/// What a block measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// For the report. Its rules are not checked yet.
    pub record: BlockRecord,
    /// Bad answers over the whole attack, ramp included, by their text.
    pub bad_answers: BTreeMap<String, u64>,
    /// Whether the server's processes were there at the beginning and not at the end.
    pub server_lost: bool,
    /// Thresholds that were missed, as goose words them.
    pub thresholds_missed: Vec<String>,
    /// Why the attack ended before its time, if it did.
    pub cut_short: Option<String>,
    /// Whether a threshold ended it, which is meant to end the run.
    pub aborted: bool,
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
    usage::pin(&spec.cores).context("the generator cannot be kept on its cores")?;
    let window = Arc::new(Window::new(&spec));

    let stop = CancellationToken::new();
    stop_when_the_parent_says_so(Arc::clone(&window), stop.clone());
    tell_progress(Arc::clone(&window));
    usage::raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().context("the runtime could not be started")?;
    let event = match runtime.block_on(attack::run(&spec, options, window, stop)) {
        Ok(measured) => Event::Done(Box::new(measured)),
        Err(error) if error.is::<UsageError>() => Event::Refused(error.to_string()),
        Err(error) => Event::Failed(format!("{error:#}")),
    };
    // Where the parent is gone, nobody is left to be told.
    let _ = tell(&event);
    Ok(())
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

/// Makes one call of `arm` to `target` for so many greetings, and says what was wrong with the
/// answer, if anything.
pub async fn probe(arm: Arm, target: &Target, greetings: u32) -> Option<String> {
    let outcome = outcome(arm, target, greetings).await;
    (!outcome.is_ok()).then(|| outcome.to_string())
}

/// What came back instead of a greeting, where it shows that `target` is no service of `arm`.
pub async fn misfit(arm: Arm, target: &Target) -> Option<String> {
    let outcome = outcome(arm, target, 1).await;
    outcome.is_of_another().then(|| outcome.to_string())
}

async fn outcome(arm: Arm, target: &Target, greetings: u32) -> Outcome {
    let spec = Spec::single(arm, target.clone());
    let attack = Attack {
        arm,
        batch: user::batch(arm, greetings),
        connections: Connections::of(&spec.planned),
        target: spec.target.clone(),
        time_limit: PROBE,
        window: Arc::new(Window::new(&spec)),
        stop: CancellationToken::new(),
    };
    let outcome = user::once(&attack).await;
    attack.stop.cancel();
    outcome
}

impl Spec {
    /// A block of one user in a closed loop.
    fn single(arm: Arm, target: Target) -> Self {
        Self {
            planned: Planned {
                number: 1,
                pair: 1,
                attempt: 1,
                arm,
                label: arm.letter().to_owned(),
                purpose: Purpose::Primary,
                connections: 1,
                in_flight: 1,
                batch: 1,
                load: Load::Closed,
            },
            target,
            server: Vec::new(),
            cores: Vec::new(),
            window_us: 1_500_000,
            warm_up_us: 500_000,
            connecting_us: CONNECTING_US,
            folder: PathBuf::new(),
            goose_report: None,
        }
    }

    /// A block of `users` in a closed loop, for tests.
    #[cfg(test)]
    pub(crate) fn example(users: u32) -> Self {
        let target = Target {
            host: "localhost".to_owned(),
            port: 1,
        };
        let mut spec = Self::single(Arm::JsonHttp1, target);
        spec.planned.connections = users;
        spec
    }
}
