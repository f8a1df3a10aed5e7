//! The shapes of load, and h2load, which makes them.

use std::{io::ErrorKind, io::Write, process::Command};

use anyhow::{Context, bail, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::server::Server;

/// A load, and how much CPU ours may take for it.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    protocol: Protocol,
    connections: u32,
    /// Calls in flight on each connection.
    in_flight: u32,
    /// The most CPU per request, as a ratio to stock.
    pub(crate) cpu_bound: Option<f64>,
    /// True if each request comes on a connection of its own.
    connects: bool,
}

#[derive(Clone, Copy)]
enum Protocol {
    Grpc,
    Rest,
}

const fn shape(
    name: &'static str,
    protocol: Protocol,
    connections: u32,
    in_flight: u32,
    cpu_bound: Option<f64>,
) -> Shape {
    Shape {
        name,
        protocol,
        connections,
        in_flight,
        cpu_bound,
        connects: false,
    }
}

/// Connections × calls in flight on each.
pub(crate) const SHAPES: [Shape; 6] = [
    shape("gRPC 32 × 8", Protocol::Grpc, 32, 8, Some(0.60)),
    shape("gRPC 64 × 1", Protocol::Grpc, 64, 1, Some(0.85)),
    shape("gRPC 1 × 100", Protocol::Grpc, 1, 100, Some(0.50)),
    shape("gRPC 1 × 1", Protocol::Grpc, 1, 1, None),
    shape("REST 64 × 1", Protocol::Rest, 64, 1, Some(0.92)),
    shape("REST 1 × 1", Protocol::Rest, 1, 1, None),
];

/// Connections that are made at once, and make one request each: by more, h2load runs out of descriptors.
const CONNECTING: u32 = 400;

/// The shapes of which a handshake is the larger part, for TLS.
pub(crate) const HANDSHAKES: [Shape; 2] = [
    handshakes("gRPC, a connection each", Protocol::Grpc),
    handshakes("REST, a connection each", Protocol::Rest),
];

const fn handshakes(name: &'static str, protocol: Protocol) -> Shape {
    Shape {
        connects: true,
        ..shape(name, protocol, CONNECTING, 1, None)
    }
}

/// `RequestMessage { "gRPC", "Diwali", 2023 }` behind gRPC's length prefix.
const GRPC_BODY: &[u8] = b"\0\0\0\0\x11\x0a\x04gRPC\x12\x06Diwali\x18\xe7\x0f";

/// The same for REST.
pub(crate) const REST_BODY: &str = r#"{"dataCommType":"REST","messageType":"Diwali","year":2023}"#;

/// Path of the request over REST.
pub(crate) const REST_PATH: &str = "/v1/get_greetings";

const GRPC_PATH: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";

/// Request rate and CPU cost of one run.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    /// Requests per second.
    pub(crate) rate: f64,
    /// CPU time of the server for each request, in microseconds.
    pub(crate) cpu_micros: f64,
}

impl Shape {
    /// Returns true if only one call is in flight, so that the server waits for most of the time.
    pub(crate) fn waits(&self) -> bool {
        self.connections * self.in_flight == 1
    }

    /// Returns the number of requests in a run of this shape: `requests`, or a quarter of them with
    /// one call in flight, which takes longer.
    pub(crate) fn share_of(&self, requests: u32) -> u32 {
        match self.connects {
            true => self.connections,
            false if self.waits() => requests / 4,
            false => requests,
        }
    }

    /// Returns the number of requests that warm a server up for a run of this shape, of so many.
    pub(crate) fn warm_up(&self, requests: u32) -> u32 {
        (requests / 10).max(self.connections)
    }

    /// Sends `requests` to `server`.
    ///
    /// # Errors
    /// When h2load is missing, or a request was not answered 2xx.
    pub(crate) fn drive(&self, server: &Server, requests: u32) -> anyhow::Result<Run> {
        let scheme = if server.is_tls { "https" } else { "http" };
        let (url, body, headers): (_, _, &[_]) = match self.protocol {
            Protocol::Grpc => (
                format!("{scheme}://{}{GRPC_PATH}", server.grpc),
                GRPC_BODY,
                &["-H", "content-type: application/grpc", "-H", "te: trailers"],
            ),
            Protocol::Rest => (
                format!("{scheme}://{}{REST_PATH}", server.rest),
                REST_BODY.as_bytes(),
                &["--h1", "-H", "content-type: application/json"],
            ),
        };
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(body)?;
        let mut h2load = Command::new("h2load");
        h2load
            .args(["-t", "1", "-n", &requests.to_string()])
            .args(["-c", &self.connections.to_string()])
            .args(["-m", &self.in_flight.to_string()])
            .arg("-d")
            .arg(file.path())
            .args(headers)
            .arg(url);
        let apart = self.waits().then(|| Apart::put(server)).transpose()?;
        let before = server.cpu()?;
        let output = h2load.output();
        drop(apart);
        let output = match output {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("h2load is not installed; on Debian and Ubuntu: apt install nghttp2-client")
            }
            output => output.context("h2load could not be started")?,
        };
        let cpu = server.cpu()?.checked_sub(before);
        let cpu = cpu.context("a thread of the server ended")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let answered = number_before(&text, "status codes: ", " 2xx");
        ensure!(
            answered == Some(f64::from(requests)),
            "not all of {requests} requests were answered 2xx; h2load said:\n{text}"
        );
        Ok(Run {
            rate: number_before(&text, "finished in ", " req/s")
                .with_context(|| format!("h2load named no rate:\n{text}"))?,
            cpu_micros: cpu.as_secs_f64() * 1e6 / f64::from(requests),
        })
    }
}

/// A server that keeps to the first core, while what this thread starts keeps to the last one. With one
/// call in flight the system otherwise chooses, for a whole run, whether they share a core, and that is
/// measured and not the server: of a stock server, 14,000 requests/s on two cores, 47,000 on one.
struct Apart<'a> {
    server: &'a Server,
    all: CpuSet,
}

impl<'a> Apart<'a> {
    fn put(server: &'a Server) -> anyhow::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        let first = cores.next().context("there is no core to run on")?;
        let last = cores.next_back().unwrap_or(first);
        let apart = Self { server, all };
        server.keep_to(&only(first))?;
        sched_setaffinity(None, &only(last))?;
        Ok(apart)
    }
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

impl Drop for Apart<'_> {
    fn drop(&mut self) {
        let back = self.server.keep_to(&self.all);
        let back = back.and_then(|()| Ok(sched_setaffinity(None, &self.all)?));
        if let Err(error) = back {
            eprintln!("one core may be left for all that follows: {error:#}");
        }
    }
}

/// The number before `unit` in the line that starts with `start`.
fn number_before(text: &str, start: &str, unit: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(start))?;
    let (before, _) = line.split_once(unit)?;
    before.rsplit(' ').next()?.parse().ok()
}
