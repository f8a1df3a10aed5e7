//! Servers that behave in a known way, and trials against them.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "../../benches/null_server/mod.rs"]
pub(crate) mod null_server;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use engine::{
    Endpoint, Expect, Load, Measurement, PreparedRequest, Program, Shape, Timing, Transport,
    TrialSpec, Workload, usage::Accounts,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// A call as a server sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Since the first call came.
    pub(crate) since_first: Duration,
    /// Of the connection, from 0.
    pub(crate) connection: usize,
    pub(crate) since_1970: Duration,
}

/// A server's answer to a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// Before it replies; none: never.
    pub(crate) delay: Option<Duration>,
    pub(crate) status: u16,
    /// Header lines, each with its end.
    pub(crate) headers: &'static str,
    pub(crate) body: &'static str,
    /// True if it closes the connection.
    pub(crate) closes: bool,
}

pub(crate) const GOOD: Answer = Answer {
    delay: Some(Duration::ZERO),
    status: 200,
    headers: "",
    body: "good",
    closes: false,
};

/// An HTTP/1.1 server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// One that does with each call what `decide` says.
    pub(crate) async fn start(decide: impl Fn(Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (first, decide) = (Arc::new(OnceLock::new()), Arc::new(decide));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (first, decide, log) =
                    (Arc::clone(&first), Arc::clone(&decide), Arc::clone(&log));
                tokio::spawn(async move {
                    let see = || Seen {
                        since_first: first.get_or_init(Instant::now).elapsed(),
                        connection,
                        since_1970: SystemTime::UNIX_EPOCH.elapsed().unwrap(),
                    };
                    let decide = |seen| {
                        log.lock().unwrap().push(seen);
                        decide(seen)
                    };
                    serve(stream, see, decide).await
                });
            }
        });
        Self { address, seen }
    }

    /// Calls until now.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    stream: TcpStream,
    see: impl Fn() -> Seen,
    decide: impl Fn(Seen) -> Answer,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(digits) = line.strip_prefix("content-length: ") {
                length = digits.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let answer = decide(see());
        let Some(delay) = answer.delay else {
            std::future::pending::<()>().await;
            return None;
        };
        tokio::time::sleep(delay).await;
        let Answer {
            status,
            headers,
            body,
            ..
        } = answer;
        let length = body.len();
        let reply =
            format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}");
        stream.get_mut().write_all(reply.as_bytes()).await.ok()?;
        if answer.closes {
            return None;
        }
    }
}

/// A request of which nothing is special.
pub(crate) fn request() -> PreparedRequest {
    PreparedRequest {
        method: "POST".to_owned(),
        path: "/x".to_owned(),
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: Bytes::from_static(b"question"),
        expect: Expect::Body(Bytes::from_static(b"good")),
    }
}

/// A trial over HTTP/1.1: two users, a warm-up of 300 ms, a window of one second, a time limit of five.
pub(crate) fn trial(address: SocketAddr, load: Load) -> TrialSpec {
    let mut spec = TrialSpec {
        name: "variant".to_owned(),
        transport: Transport::Http1,
        endpoint: Endpoint {
            address,
            // The name is never looked up.
            authority: "no-such-host.invalid:1".to_owned(),
            tls: None,
        },
        workload: Workload {
            accept: Vec::new(),
            requests: vec![request()],
        },
        shape: Shape {
            connections: 2,
            in_flight: 1,
        },
        load,
        timing: Timing {
            warm_up_us: 300_000,
            longest_warm_up_us: 300_000,
            window_us: 1_000_000,
            connecting_us: 100_000,
            time_limit_us: 5_000_000,
            parts: 1,
            others_us: 0,
        },
        server: Accounts::default(),
        watch_for_others: false,
        affinity: None,
        goose: goose::config::GooseConfiguration::default(),
    };
    spec.goose.increase_rate = Some("1000".to_owned());
    spec
}

/// The worker process: this program, told to run the one test that is ignored.
pub(crate) fn worker() -> Program {
    Program::this([
        "--ignored",
        "--exact",
        "worker_process",
        "--nocapture",
        "--test-threads=1",
    ])
    .unwrap()
}

/// Runs a trial to its end.
pub(crate) async fn run(spec: &TrialSpec) -> Measurement {
    let measured = engine::run_trial(&worker(), spec, |_| {}, CancellationToken::new()).await;
    measured.unwrap()
}

/// Checks what is true of every trial that was not cut short.
pub(crate) fn check(measured: &Measurement) {
    assert_eq!(measured.cut_short, None);
    assert_eq!(
        measured.counted,
        measured.service_time.count() + measured.error_count(),
        "each call that counts has a time or a reason: {measured:?}"
    );
    if let Some(dispatch) = measured.dispatch {
        assert_eq!(measured.counted, dispatch.offered, "{measured:?}");
    }
}
