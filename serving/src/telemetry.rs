//! A server's reports about itself: the structured log on standard error, and around every call its
//! [`request_id`], its trace, and the counters of [`metrics`].

pub(crate) mod call;
pub mod codes;
mod ended;
#[cfg(feature = "admin")]
pub mod exposition;
pub mod metrics;
#[cfg(feature = "admin")]
mod process;
pub mod request_id;
pub(crate) mod trace_context;
#[cfg_attr(not(feature = "otlp"), path = "telemetry/traces/none.rs")]
pub mod traces;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{IsTerminal, stderr},
    panic::{self, PanicHookInfo},
};

use anyhow::anyhow;
use clap::ValueEnum;
use http::{HeaderMap, HeaderValue};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Lines that may wait to be written, about 2 MiB of them. More are dropped: whoever does not read a
/// server's log must not stop the server.
const WAITING_LINES: usize = 8192;

/// Format of a log line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// One line of text, coloured on a terminal
    Text,
    /// One JSON object a line
    Json,
}

/// Destinations of a listener's reports. By default there are none: it counts, and is not asked.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// Metrics that its counters are added to.
    pub metrics: Option<metrics::Metrics>,
    /// Destination of the spans of sampled calls.
    pub traces: Option<traces::Traces>,
    /// True if traces begin at the listener, whatever callers say of theirs: so it is at an edge, where anybody
    /// may call.
    pub is_edge: bool,
}

/// Returns the names that a caller gives its call: the values of `x-request-id` and `traceparent`, each if
/// there is exactly one. It looks at each header once, as few calls have either.
fn names(headers: &HeaderMap) -> [Option<&HeaderValue>; 2] {
    let (mut values, mut seen) = ([None; 2], [false; 2]);
    for (name, value) in headers {
        let place = match name.as_str() {
            "x-request-id" => 0,
            "traceparent" => 1,
            _ => continue,
        };
        values[place] = (!seen[place]).then_some(value);
        seen[place] = true;
    }
    values
}

/// Starts the log of this process, which a thread of its own writes until the guard is dropped.
/// `filter` has the syntax of `tracing_subscriber::EnvFilter`.
///
/// # Errors
/// When `filter` cannot be read, or a log was started before.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<WorkerGuard> {
    let wrong = |reason: String| {
        anyhow!("--log {filter:?} is not a log filter: {reason}; try \"info\" or \"debug\"")
    };
    // The syntax takes a bare word for the name of a module, of which it lets everything pass, and
    // nothing of all others.
    if let Some(word) = filter
        .split(',')
        .map(str::trim)
        .find(|part| is_bare_word(part))
    {
        return Err(wrong(format!(
            "{word:?} is no level; of a module say {word}=debug"
        )));
    }
    let filter = EnvFilter::try_new(without_frames(filter));
    let filter = filter.map_err(|error| wrong(error.to_string()))?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(writer);
    match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow!("the log could not be started: {error}"))?;
    panic::set_hook(Box::new(log_panic));
    Ok(guard)
}

/// A panic is a line of the log like any other: in its format, and written by its thread, for one that
/// nobody reads must not stop a worker.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no text");
    let place = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    tracing::error!(
        place,
        backtrace = backtrace.map(|backtrace| backtrace.to_string()),
        "panicked: {text}"
    );
}

fn is_bare_word(part: &str) -> bool {
    let is_word = part.starts_with(char::is_alphabetic) && !part.contains(['=', '[']);
    is_word && part.parse::<LevelFilter>().is_err()
}

/// `filter` without a line for each frame of HTTP/2, unless it names h2 itself: a call has a dozen of them.
fn without_frames(filter: &str) -> String {
    let talks = |part: &str| {
        let level = part.trim().parse::<LevelFilter>();
        level.is_ok_and(|level| level > LevelFilter::INFO)
    };
    match filter.split(',').any(talks) {
        // What is said later holds.
        true => format!("h2=info,{filter}"),
        false => filter.to_owned(),
    }
}
