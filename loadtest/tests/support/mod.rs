//! The tool as a process, and a service whose answers a test chooses.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::{
    convert::Infallible,
    io::BufRead,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request},
    http::HeaderMap,
    response::Response,
};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use loadtest::record::{Protocol, Purpose, Recording, Trial};
use prost::Message;
use proto::rest_grpc_dual_mode::ResponseMessage;
use tempfile::TempDir;

/// One trial of REST and one of gRPC: too few for a verdict.
pub const ONE_ROUND: [&str; 5] = ["--closed", "--rounds", "1", "--variants", "A,E"];

/// The exit code of a run without a verdict.
pub const INCONCLUSIVE: Option<i32> = Some(6);

/// Each run of the tool keeps its server and its generator on cores of their own: two at once would
/// make each other late.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// An empty working directory, and the tool run in it. A test has one at a time.
pub struct Room(TempDir, MutexGuard<'static, ()>);

impl Room {
    pub fn new() -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        Self(directory, alone)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The tool with a small load, one trial of REST and one of gRPC, to be started.
    pub fn tool(&self, args: &[&str]) -> Command {
        let mut tool = self.bare_tool(&["--users", "2", "--run-time", "1s"]);
        tool.args(ONE_ROUND);
        tool.args(args);
        tool
    }

    /// The tool with `args` alone, to be started.
    pub fn bare_tool(&self, args: &[&str]) -> Command {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        tool.args(args)
            .current_dir(self.path())
            .stdin(Stdio::null());
        tool.stdout(Stdio::piped()).stderr(Stdio::piped());
        tool
    }

    /// Runs the tool to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.tool(args).output().expect("the tool was built")
    }

    /// The only report in `reports/`.
    pub fn report(&self) -> PathBuf {
        let mut reports = names(&self.path().join("reports"));
        assert_eq!(reports.len(), 1, "{reports:?}");
        self.path().join("reports").join(reports.remove(0))
    }

    /// Reads the only report.
    pub fn recording(&self) -> Recording {
        read_run(&self.report())
    }
}

/// Reads the report in `folder`.
pub fn read_run(folder: &Path) -> Recording {
    Recording::read(folder).expect("a report has its raw data")
}

/// The trials of what is compared: not those of the null server, nor those that find a rate.
pub fn compared(recording: &Recording) -> impl Iterator<Item = &Trial> {
    let is_compared = |trial: &&Trial| !matches!(trial.purpose, Purpose::Pilot | Purpose::Ceiling);
    recording.trials.iter().filter(is_compared)
}

/// The last of them of `protocol`.
pub fn trial(recording: &Recording, protocol: Protocol) -> &Trial {
    let last = compared(recording)
        .filter(|trial| trial.variant.protocol == protocol)
        .last();
    last.expect("the protocol was measured")
}

/// The names in `folder`, sorted; none where there is no such folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Reads one answer of HTTP/1.1 that says how long it is.
pub fn read_answer(connection: &mut impl BufRead) {
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).expect("an answer comes");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length is a number");
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).expect("the body comes");
}

/// Returns the text that a process wrote to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Protocol of one side of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Rest,
    Grpc,
}

/// Behaviour of the service towards calls.
#[derive(Clone, Copy, Default)]
pub struct Behaviour {
    /// Between the head of an answer and its body.
    pub delay: Duration,
    /// More of it on gRPC.
    pub more_on_grpc: Duration,
    /// When after the first call of a trial, and for how long, no answer is given.
    pub stall: Option<(Duration, Duration)>,
    /// Refuse every call: 503, UNAVAILABLE.
    pub refuse: bool,
    /// Refuse the calls of the first second of a trial only.
    pub refuse_at_first: bool,
    /// Refuse what is not JSON: 415.
    pub json_only: bool,
    /// Answer with another greeting than the one asked for.
    pub nonsense: bool,
    /// Give one answer in this time, on each protocol: who comes sooner waits in a queue.
    pub one_in: Duration,
}

/// When each call came, and over which connection.
pub type Calls = Arc<Mutex<Vec<(Side, Instant, SocketAddr)>>>;

/// A service that runs in the test's own process until the test ends.
pub struct Running {
    pub rest: String,
    pub grpc: String,
    pub calls: Calls,
    _runtime: tokio::runtime::Runtime,
}

/// Starts the service on free ports. Both protocols are written by hand, so that a head can go out
/// long before its body.
pub fn service(behaviour: Behaviour) -> Running {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    let calls = Calls::default();
    let listen = async |side| {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port can be bound");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        tokio::spawn(
            axum::serve(
                listener,
                app(side, behaviour, Arc::clone(&calls))
                    .into_make_service_with_connect_info::<SocketAddr>(),
            )
            .into_future(),
        );
        format!("http://{address}")
    };
    let (rest, grpc) =
        runtime.block_on(async { (listen(Side::Rest).await, listen(Side::Grpc).await) });
    Running {
        rest,
        grpc,
        calls,
        _runtime: runtime,
    }
}

fn app(side: Side, behaviour: Behaviour, calls: Calls) -> Router {
    let next_answer = Mutex::new(Instant::now());
    let wait_in_queue = Arc::new(async move || {
        let mine = {
            let mut next = next_answer.lock().expect("no test panics with this lock");
            let mine = Instant::now().max(*next);
            *next = mine + behaviour.one_in;
            mine
        };
        tokio::time::sleep_until(mine.into()).await;
    });
    Router::new().fallback(
        async move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
            let first = {
                let mut calls = calls.lock().expect("no test panics with this lock");
                calls.push((side, Instant::now(), peer));
                // The first two ask who is there and look at a reply, before anything is measured.
                let of_side = calls.iter().filter(|call| call.0 == side);
                of_side.take(3).last().expect("it was just pushed").1
            };
            let is_json = request
                .headers()
                .get("content-type")
                .is_some_and(|media| media == "application/json");
            // Reading the question to its end keeps the connection usable.
            let _ = request.into_body().collect().await;
            let early = first.elapsed() < Duration::from_secs(1);
            let refuse = behaviour.refuse || behaviour.refuse_at_first && early;
            if let Some((after, length)) = behaviour.stall {
                let (now, end) = (first.elapsed(), after + length);
                if (after..end).contains(&now) {
                    tokio::time::sleep(end - now).await;
                }
            }
            wait_in_queue().await;
            let mut behaviour = behaviour;
            if side == Side::Grpc {
                behaviour.delay += behaviour.more_on_grpc;
            }
            match side {
                Side::Rest if behaviour.json_only && !is_json => unsupported(),
                Side::Rest => rest_answer(behaviour, refuse),
                Side::Grpc => grpc_answer(behaviour, refuse),
            }
        },
    )
}

fn greeting(behaviour: Behaviour) -> String {
    let year = if behaviour.nonsense { 1999 } else { 2023 };
    format!("Here is your greetings --> Today is a special day! (Diwali, {year})")
}

/// `frames`, the first of them after the delay.
fn late(behaviour: Behaviour, frames: Vec<Frame<Bytes>>) -> Body {
    let frames = stream::once(async move {
        tokio::time::sleep(behaviour.delay).await;
        stream::iter(frames.into_iter().map(Ok::<_, Infallible>))
    });
    Body::new(StreamBody::new(frames.flatten()))
}

fn unsupported() -> Response {
    let head = Response::builder().status(415);
    head.body(Body::empty()).expect("the parts are valid")
}

fn rest_answer(behaviour: Behaviour, refuse: bool) -> Response {
    let body = serde_json::json!({"greetings": greeting(behaviour), "messageReceived": true});
    let body = late(behaviour, vec![Frame::data(body.to_string().into())]);
    let status = if refuse { 503 } else { 200 };
    Response::builder()
        .status(status)
        .body(body)
        .expect("the parts are valid")
}

fn grpc_answer(behaviour: Behaviour, refuse: bool) -> Response {
    let head = Response::builder().header("content-type", "application/grpc");
    if refuse {
        let head = head
            .header("grpc-status", "14")
            .header("grpc-message", "not today");
        return head.body(Body::empty()).expect("the parts are valid");
    }
    let (greetings, message_received) = (greeting(behaviour), true);
    let message = ResponseMessage {
        greetings,
        message_received,
    }
    .encode_to_vec();
    let length = u32::try_from(message.len())
        .expect("it is short")
        .to_be_bytes();
    let framed = [&[0], &length[..], &message].concat();
    let trailers = HeaderMap::from_iter([(
        "grpc-status".parse().expect("a name"),
        "0".parse().expect("a value"),
    )]);
    let frames = vec![Frame::data(framed.into()), Frame::trailers(trailers)];
    head.body(late(behaviour, frames))
        .expect("the parts are valid")
}
