//! A server program under attack, with an honest client beside the attacker: every call of it must
//! succeed, and the server's memory is looked at while it calls.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use super::process::{descriptors, memory, processor_time};
use crate::program::{PATIENCE, Running, program};

/// Above its idle value, in KiB.
const MOST_MEMORY: usize = 64 * 1024;
const HONEST_PAUSE: Duration = Duration::from_millis(20);
const HONEST_LIMIT: Duration = Duration::from_secs(10);
/// Half of the shortest time after which an attacked server closes an idle connection.
const MAYBE_IDLE: Duration = Duration::from_millis(500);
/// Fewest honest calls that must be answered after the attack.
const AFTERWARDS: usize = 10;

type Call = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// A server program, and how an honest client calls it.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) program: &'static str,
    pub(crate) args: &'static [&'static str],
    /// One call, answered as it should be.
    pub(crate) call: fn(Channel) -> Call,
    /// The path of the same call.
    pub(crate) path: &'static str,
    /// A request of it, with a text about so long.
    pub(crate) request: fn(usize) -> Vec<u8>,
    /// An honest request of REST, where it is spoken.
    pub(crate) get: &'static str,
}

impl Target {
    /// A request as a message of gRPC.
    pub(crate) fn message(&self, length: usize) -> Vec<u8> {
        let request = (self.request)(length);
        super::wire::message(0, request.len() as u32, &request)
    }
}

pub(crate) struct Siege {
    server: Running,
    /// Its directory in /proc.
    process: String,
    grpc: SocketAddr,
    rest: Option<SocketAddr>,
    honest: Vec<JoinHandle<()>>,
    idle: Arc<Idle>,
    descriptors: usize,
}

/// The state that the honest clients share.
struct Idle {
    process: String,
    memory: usize,
    most: AtomicUsize,
    calls: AtomicUsize,
    over: AtomicBool,
}

impl Siege {
    /// Starts the server with more options, and the honest clients.
    pub(crate) async fn begin(target: &Target, options: &[&str]) -> Self {
        Self::with_descriptors(target, options, "$(ulimit -Hn)").await
    }

    /// The same, with `most` file descriptors for the server.
    pub(crate) async fn with_descriptors(target: &Target, options: &[&str], most: &str) -> Self {
        let open = getrlimit(Resource::Nofile);
        let most_open = Rlimit {
            current: open.maximum,
            maximum: open.maximum,
        };
        setrlimit(Resource::Nofile, most_open).expect("a soft limit may be raised");

        // No other limit of time ends an attack than the one that `options` name.
        let never = "FIRST_BYTES=1h IDLE_TIMEOUT=1h BODY_PAUSE=1h STALLED_WRITE=1h MAX_CALL=1h";
        let script = format!("ulimit -Sn {most} && echo $$ && {never} exec \"$@\"");
        let shell = ["-c", &script, "sh", target.program];
        let mut server =
            Running::start(program("/bin/sh", &[&shell, target.args, options].concat()));
        let process = format!("/proc/{}", server.line().await);
        let (mut grpc, mut rest) = (None, None);
        while grpc.is_none() {
            let line = server.line().await;
            let address = |name| line.strip_prefix(name).and_then(|line| line.parse().ok());
            grpc = address("gRPC on ");
            rest = rest.or(address("REST on "));
        }
        let grpc: SocketAddr = grpc.expect("just read");

        let channel = Endpoint::from_shared(format!("http://{grpc}")).expect("an address");
        let channel = channel.connect().await.expect("the server listens");
        (target.call)(channel.clone()).await.expect("a first call");
        let mut keep_alive = None;
        if let Some(rest) = rest {
            let mut connection = KeepAlive::connect(rest).await;
            connection.get(target.get).await;
            keep_alive = Some(connection);
        }
        let memory = memory(&process);
        let idle = Arc::new(Idle {
            process: process.clone(),
            memory,
            most: AtomicUsize::new(memory),
            calls: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let descriptors = descriptors(&process);
        let call = target.call;
        let mut honest = vec![tokio::spawn(Arc::clone(&idle).calls(async move || {
            let answer = call(channel.clone()).await;
            answer.expect("an honest call should succeed");
        }))];
        if let Some(mut connection) = keep_alive {
            let request = target.get;
            honest.push(tokio::spawn(
                Arc::clone(&idle).calls(async move || connection.get(request).await),
            ));
        }
        Self {
            server,
            process,
            grpc,
            rest,
            honest,
            idle,
            descriptors,
        }
    }

    pub(crate) fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    pub(crate) fn rest(&self) -> SocketAddr {
        self.rest.expect("it speaks REST")
    }

    /// The time of a processor that the server takes during `wait`.
    pub(crate) async fn processor_time(&self, wait: Duration) -> Duration {
        let before = processor_time(&self.process);
        sleep(wait).await;
        processor_time(&self.process).saturating_sub(before)
    }

    /// Waits until the server has no more file descriptors than before the attack.
    pub(crate) async fn descriptors_return(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let open = descriptors(&self.process);
            if open <= self.descriptors {
                return;
            }
            let before = self.descriptors;
            assert!(Instant::now() < end, "{open} descriptors; {before} before");
            sleep(HONEST_PAUSE).await;
        }
    }

    /// The attack is over: asserts that the server is as it was, and ends it.
    pub(crate) async fn end(self) {
        self.descriptors_return().await;
        let calls = self.idle.calls.load(Relaxed);
        let end = Instant::now() + PATIENCE;
        while self.idle.calls.load(Relaxed) < calls + AFTERWARDS
            && self.honest.iter().all(|honest| !honest.is_finished())
        {
            assert!(Instant::now() < end, "the honest clients stand still");
            sleep(HONEST_PAUSE).await;
        }
        self.idle.over.store(true, Relaxed);
        for honest in self.honest {
            honest.await.expect("every honest call should succeed");
        }
        let (idle, most) = (self.idle.memory, self.idle.most.load(Relaxed));
        assert!(most <= idle + MOST_MEMORY, "{most} KiB; {idle} KiB idle");

        self.server.signal(Signal::TERM);
        let ended = self.server.end().await;
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

impl Idle {
    /// Calls at an even pace until the attack is over.
    async fn calls(self: Arc<Self>, mut call: impl AsyncFnMut()) {
        let mut pace = interval(HONEST_PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.over.load(Relaxed) {
            pace.tick().await;
            let called = timeout(HONEST_LIMIT, call()).await;
            called.expect("an honest call should be answered in time");
            self.calls.fetch_add(1, Relaxed);
            self.most.fetch_max(memory(&self.process), Relaxed);
        }
    }
}

/// The connection of an honest client of REST.
struct KeepAlive {
    address: SocketAddr,
    stream: TcpStream,
    used: Instant,
}

impl KeepAlive {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await;
        Self {
            address,
            stream: stream.expect("the server listens"),
            used: Instant::now(),
        }
    }

    /// Asks, and is answered. Only where this client was kept from asking until the server may have
    /// taken the connection for an idle one does it ask again on another, as every client of
    /// HTTP/1.1 has to.
    async fn get(&mut self, request: &str) {
        let mut answer = get(&mut self.stream, request).await;
        if answer.is_err() && self.used.elapsed() > MAYBE_IDLE {
            *self = Self::connect(self.address).await;
            answer = get(&mut self.stream, request).await;
        }
        answer.expect("an honest request should be answered");
        self.used = Instant::now();
    }
}

/// One request on a connection that stays open; its answer must be 200.
pub(crate) async fn get(stream: &mut TcpStream, request: &str) -> std::io::Result<()> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.starts_with("http/1.1 200"), "{text}");
        let (_, length) = head.split_once("content-length: ").expect("a length");
        let length = length.lines().next().map(str::parse);
        if length == Some(Ok(body.len())) {
            return Ok(());
        }
    }
}
