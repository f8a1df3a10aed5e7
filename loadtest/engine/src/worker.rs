//! The worker process: one goose attack, because a second attack in one process inherits the first
//! one's kill switch and memory.
//!
//! The parent writes a [`TrialSpec`] to standard input as one line of JSON and keeps it open: when it
//! closes, the worker stops its attack and reports what it has. The worker writes
//! events to its standard output, one line of JSON each: its progress, and last its measurement, an
//! option that it cannot carry out, or why it failed.
//!
//! A trial that takes turns with others says when it rests: before its warm-up, and before each part of its
//! window. It goes on at the next line of the parent, whatever that says.

use std::{
    io::{self, BufRead, Write},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::{
    configuration::Refused, measurement::Measurement, run, spec::TrialSpec, trial::Progress, usage,
    window::Window,
};

/// Time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// A message of a worker process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// Its progress.
    Progress(Progress),
    /// It rests until it is told to go on.
    Resting,
    /// The measurement. The last event.
    Done(Box<Measurement>),
    /// An option that it cannot carry out. The last event.
    Refused(String),
    /// Reason for which it measured nothing. The last event.
    Failed(String),
}

/// Runs the trial that standard input asks for: the body of a hidden subcommand.
///
/// # Errors
/// When the parent cannot be understood. A trial that fails tells its parent why.
pub fn main() -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let spec: TrialSpec = serde_json::from_str(&line).context("standard input is not a trial")?;
    let event = match measure(&spec) {
        Ok(measurement) => Event::Done(Box::new(measurement)),
        Err(error) if error.is::<Refused>() => Event::Refused(error.to_string()),
        Err(error) => Event::Failed(format!("{error:#}")),
    };
    // If the parent is gone, nobody is left to be told.
    let _ = tell(&event);
    Ok(())
}

fn measure(spec: &TrialSpec) -> anyhow::Result<Measurement> {
    if let Some(cores) = &spec.affinity {
        usage::pin(cores).context("the generator cannot be kept on its cores")?;
    }
    usage::raise_file_limit();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let runtime =
        runtime(threads, spec.affinity.is_none()).context("the runtime could not be started")?;
    let window = Arc::new(Window::new(spec, threads));
    follow_the_parent(Arc::clone(&window))?;
    tell_progress(Arc::clone(&window))?;
    window.on_rest(|| {
        // If the parent is gone, the trial ends by itself.
        let _ = tell(&Event::Resting);
    });
    runtime.block_on(run::run(spec, window))
}

/// One thread for each core. A single one needs no queue that others could take from.
fn runtime(threads: usize, is_shared: bool) -> io::Result<Runtime> {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    if is_shared {
        // Before it sleeps it lets go of the core once: if the server shares it, that runs, and what it
        // sends is found without a sleep and the waking after it.
        builder.on_thread_park(thread::yield_now);
    }
    builder.enable_all().build()
}

fn tell(event: &Event) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    io::stdout()
        .write_all(&line)
        .context("the parent does not listen")
}

/// Goes on at each line of standard input, and ends the trial when that closes: the parent wants it cut
/// short, or is gone.
fn follow_the_parent(window: Arc<Window>) -> io::Result<()> {
    let wait = move || {
        for _ in io::stdin().lock().lines().map_while(Result::ok) {
            window.tell_to_go();
        }
        window.tell_to_end();
    };
    thread::Builder::new().spawn(wait).map(drop)
}

fn tell_progress(window: Arc<Window>) -> io::Result<()> {
    let report = move || {
        // Nobody listens to one that rests.
        while window.is_between_turns() || tell(&Event::Progress(window.progress())).is_ok() {
            thread::sleep(PROGRESS_EVERY);
        }
    };
    thread::Builder::new().spawn(report).map(drop)
}
