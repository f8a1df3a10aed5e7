//! The description of a trial: all that a worker process needs, and all that it gets.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use goose::config::GooseConfiguration;
use serde::{Deserialize, Serialize};

use crate::{snapshot::micros, usage::Accounts};

/// One variant under load for a while.
#[derive(Clone, Serialize, Deserialize)]
pub struct TrialSpec {
    /// Name of the variant in goose's own reports and logs.
    pub name: String,
    /// Transport of the requests.
    pub transport: Transport,
    /// Endpoint that they go to.
    pub endpoint: Endpoint,
    /// The requests.
    pub workload: Workload,
    /// Connections, and calls in flight on each.
    pub shape: Shape,
    /// When calls begin.
    pub load: Load,
    /// Durations of the trial.
    pub timing: Timing,
    /// Whose CPU time and memory are the server's, where it runs on this machine.
    pub server: Accounts,
    /// True if the server's requests to others are to be looked for: its processes were found by their port, and may
    /// be a proxy's.
    pub watch_for_others: bool,
    /// CPU affinity of the worker process; none leaves it as it is.
    pub affinity: Option<Vec<usize>>,
    /// goose's configuration. The trial sets users, host and run time.
    pub goose: GooseConfiguration,
}

/// HTTP version and framing of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// HTTP/1.1, one call at a time on a connection.
    Http1,
    /// HTTP/2.
    Http2,
    /// gRPC over HTTP/2: the body is one message, which the client frames, and the status is in the
    /// trailers.
    Grpc,
    /// gRPC-Web over HTTP/1.1: the same, in frames of a body that browsers can read.
    GrpcWeb,
}

/// Destination of requests. Its name was resolved once, by the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address to connect to.
    pub address: SocketAddr,
    /// Value of `Host` or `:authority`, such as `localhost:5000`.
    pub authority: String,
    /// The encryption of the connection, if it has any.
    #[serde(default)]
    pub tls: Option<Tls>,
}

impl Endpoint {
    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }
}

/// The encryption of a connection.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// The name that the server's certificate has to be for.
    pub server_name: String,
    /// Roots that it may come from, as PEM; none stands for those of the system.
    pub roots: Option<String>,
    /// True if it is verified at all.
    pub is_verified: bool,
    /// The client's own, if the server asks for it.
    pub identity: Option<Identity>,
}

/// A certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The certificate, and those that link it to its root.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// Without the key.
impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .field("is_verified", &self.is_verified)
            .finish_non_exhaustive()
    }
}

/// Requests, encoded before any clock starts. Users take them in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// At least one.
    pub requests: Vec<PreparedRequest>,
    /// Outcomes that are good besides 2xx, and OK over gRPC.
    #[serde(default)]
    pub accept: Vec<Accepted>,
}

/// An outcome that is good because the caller says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accepted {
    /// A status of HTTP.
    Http(u16),
    /// A code of gRPC, by its number.
    Grpc(i32),
}

/// One request and what its reply must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedRequest {
    /// Method, such as `POST`; gRPC is always `POST`.
    pub method: String,
    /// Path and query, such as `/v1/orders?limit=10`, or `/package.Service/Method`.
    pub path: String,
    /// Headers besides `host`, and besides those that gRPC itself sends.
    pub headers: Vec<(String, String)>,
    /// The body; over gRPC the message without its length prefix.
    #[serde(with = "crate::spec::base64")]
    pub body: Bytes,
    /// The rule that replies are checked by, after the clock has stopped.
    pub expect: Expect,
}

/// The rule for a good reply, besides its status: 2xx, or OK over gRPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Any body.
    Status,
    /// JSON, or nothing. Of every 64 replies of a user one is read in whole, the others by their first
    /// byte.
    Json,
    /// Exactly these bytes; over gRPC those of the message.
    Body(#[serde(with = "crate::spec::base64")] Bytes),
}

/// Connections, and calls in flight on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Connections.
    pub connections: u32,
    /// Calls in flight on each connection; 1 over HTTP/1.1.
    pub in_flight: u32,
}

impl Shape {
    /// Calls in flight on all connections together, at most: as many as there are users.
    pub fn users(self) -> usize {
        self.connections as usize * self.in_flight as usize
    }
}

/// When calls begin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Closed loop: a user calls when its last reply has come.
    Closed,
    /// Open loop: calls fall due at even distances, whether or not earlier ones have ended.
    Open {
        /// Calls per second, of all connections together.
        per_second: f64,
    },
}

/// The time for which calls are made at the beginning of a turn, as what rested is cold.
pub(crate) const COLD: Duration = Duration::from_millis(20);

/// The least lead of a part of a window, where trials take turns: more than the 40 ms by which Linux may delay an
/// acknowledgement, and hold up the first of many calls.
const LEAD: Duration = Duration::from_millis(50);

/// A part is so many times as long as its lead, at most: whoever wants a longer lead, as its calls take longer, has
/// longer parts.
pub const PARTS_OF_A_LEAD: u32 = 4;

/// The time that a turn takes besides, about: calls are made until the last one that counts has its reply.
const AROUND: Duration = Duration::from_millis(100);

/// Durations of a trial, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Shortest warm-up, once all users have started.
    pub warm_up_us: u64,
    /// Longest warm-up: it ends between the two, when the service is steady.
    pub longest_warm_up_us: u64,
    /// Length of the measured window, of all its parts together.
    pub window_us: u64,
    /// Parts that the window is measured in. Between them the trial rests, while others have their turn.
    pub parts: u32,
    /// The time that the turns of others take, about.
    pub others_us: u64,
    /// Time that users may take to connect.
    pub connecting_us: u64,
    /// Time that a call may take, and how long replies that are due are waited for after the window.
    pub time_limit_us: u64,
}

impl Timing {
    /// The length of a part of the window.
    pub fn part(&self) -> Duration {
        Duration::from_micros(self.window_us) / self.parts.max(1)
    }

    /// The time for which calls are made just before a part of the window, where trials take turns: no call is on its
    /// way at first, and as many as at its close are to be when it opens.
    pub fn lead(&self) -> Duration {
        LEAD.max(self.part() / PARTS_OF_A_LEAD)
    }

    /// The most time for which calls are made, about.
    pub fn under_load(&self) -> Duration {
        let warm_up = self.warm_up_us.max(self.longest_warm_up_us);
        let around = match self.parts {
            ..=1 => 0,
            parts => u64::from(parts).saturating_mul(micros(COLD + self.lead() + AROUND)),
        };
        let all = [warm_up, self.window_us, around, self.connecting_us];
        Duration::from_micros(all.into_iter().fold(0, u64::saturating_add))
    }

    /// The most time that it takes, without the turns of others.
    pub fn longest(&self) -> Duration {
        self.under_load() + Duration::from_micros(self.time_limit_us)
    }
}

/// Bytes as base64 in JSON.
mod base64 {
    use ::base64::{Engine, prelude::BASE64_STANDARD};
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(de::Error::custom)?;
        Ok(bytes.into())
    }
}
