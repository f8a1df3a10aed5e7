//! Every limit of a server, once, with its reason.

use std::{fmt::Write, net::IpAddr, time::Duration};

/// Limits of a server. `--print-limits` and the README show [`Limits::default`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once on one listener. Beyond it, the one that is idle for the longest time is
    /// closed for the next, of the peer that has the most; while none is idle, new ones wait. A process has
    /// fewer if it may open too few files.
    pub connections: usize,
    /// Addresses behind which many peers are. They are not taken for one that has many connections, and
    /// neither is loopback.
    pub trusted_proxies: Vec<IpAddr>,
    /// Calls between head and end of answer at once on one listener. Beyond it they are refused.
    pub calls: usize,
    /// Longest time that a new connection may take to send its HTTP/2 preface, and that every HTTP/1 head may
    /// take from its first byte to its last.
    pub first_bytes: Duration,
    /// Longest time that a connection may have no call open. Pings do not count as calls.
    pub idle: Duration,
    /// Longest pause in the body of a REST or gRPC-Web request.
    pub body_pause: Duration,
    /// Longest time that a peer may leave bytes unread that the kernel has no more room for, or an HTTP/2
    /// stream without the window to answer.
    pub stalled_write: Duration,
    /// The longest a call may take where the caller sets no deadline, and the most it may ask for.
    pub longest_call: Duration,
    /// The same for a stream: an answer that has begun in the time of a call, and goes on after its first piece.
    pub longest_stream: Duration,
    /// Longest time that a closed HTTP/1.1 connection reads on, so that its peer can read an answer that came
    /// before the peer had sent all.
    pub linger: Duration,
    /// The most bytes that it reads meanwhile, and discards.
    pub linger_bytes: usize,
    /// Longest time that calls in flight may take to finish once the listener has closed.
    pub grace: Duration,
    /// Time that the listener stays open after the signal, for load balancers to look away.
    pub drain_pause: Duration,
    /// Age at which a connection is told to go away, give or take a tenth.
    pub connection_age: Duration,
    /// Longest silence of an HTTP/2 connection before it is pinged.
    pub keepalive_interval: Duration,
    /// Longest time that its peer may take to answer the ping.
    pub keepalive_timeout: Duration,
    /// Open streams on one HTTP/2 connection.
    pub streams: u32,
    /// Bytes of one HTTP/2 stream that may be on their way before the server has read any.
    pub stream_window: u32,
    /// The same for all streams of a connection together.
    pub connection_window: u32,
    /// Bytes of answers that one HTTP/2 stream buffers for a slow reader.
    pub send_buffer: usize,
    /// Bytes of one HTTP/2 frame.
    pub frame: u32,
    /// Bytes of the header list of one HTTP/2 request.
    pub header_list: u32,
    /// Calls that the peer of one HTTP/2 connection may cancel before their answers begin, beyond those that it
    /// lets be answered (CVE-2023-44487).
    pub cancelled: usize,
    /// Streams that a peer may provoke the server to reset (RUSTSEC-2024-0003).
    pub local_resets: usize,
    /// Streams that the server has let go of before they ended, and of which it takes what is still on its way
    /// without a word. Frames of other such streams count as provoked.
    pub let_go: usize,
    /// Bytes of the head of one HTTP/1 request.
    pub head: usize,
    /// Headers of one HTTP/1 request.
    pub headers: usize,
    /// Bytes of the path and the query of one request.
    pub uri: usize,
    /// Bytes of one request: a gRPC message, or the body of a REST request.
    pub message: usize,
    /// Bytes of messages above 4 KiB that all calls of one listener may hold while they come in.
    pub intake: usize,
    /// Bytes of answers above 4 KiB that all calls of one listener may hold until they are read.
    pub answers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            trusted_proxies: Vec::new(),
            calls: 10_000,
            first_bytes: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            body_pause: Duration::from_secs(10),
            stalled_write: Duration::from_secs(30),
            longest_call: Duration::from_secs(60),
            longest_stream: Duration::from_secs(60 * 60),
            linger: Duration::from_secs(10),
            linger_bytes: 64 * 1024 * 1024,
            grace: Duration::from_secs(10),
            drain_pause: Duration::ZERO,
            connection_age: Duration::from_secs(30 * 60),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            streams: 200,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            send_buffer: 64 * 1024,
            frame: 16 * 1024,
            header_list: 16 * 1024,
            cancelled: 5_000,
            local_resets: 100,
            let_go: 1_000,
            head: 64 * 1024,
            headers: 100,
            uri: 8 * 1024,
            message: 4 * 1024 * 1024,
            intake: 32 * 1024 * 1024,
            answers: 32 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// Each limit as (name, value, reason), in the order of the struct.
    pub fn table(&self) -> Vec<(&'static str, String, &'static str)> {
        let time = |time: Duration| match time {
            Duration::ZERO => "0s".to_owned(),
            time => humantime::format_duration(time).to_string(),
        };
        let bytes = |bytes: usize| match (bytes / 1024, bytes / 1024 / 1024) {
            (_, mib @ 1..) if bytes.is_multiple_of(1024 * 1024) => format!("{mib} MiB"),
            (kib @ 1.., _) if bytes.is_multiple_of(1024) => format!("{kib} KiB"),
            _ => format!("{bytes} bytes"),
        };
        vec![
            (
                "connections per listener",
                self.connections.to_string(),
                "an idle one takes 20 KiB: about 80 MiB in all; beyond it, the longest idle of the peer with the most makes room; fewer if the process may open too few files; --max-connections",
            ),
            (
                "calls at once per listener",
                self.calls.to_string(),
                "a waiting one takes a few KiB; beyond it, refusing at once keeps the others fast; --max-calls",
            ),
            (
                "first bytes, HTTP/1 head",
                time(self.first_bytes),
                "a slow phone needs seconds; a silent peer must not hold a connection; --first-bytes",
            ),
            (
                "idle connection",
                time(self.idle),
                "longer than proxies commonly keep theirs, so that they close first; --idle-timeout",
            ),
            (
                "pause in a REST or gRPC-Web body",
                time(self.body_pause),
                "as long as the first bytes may take; --body-pause",
            ),
            (
                "stalled write",
                time(self.stalled_write),
                "TCP retries a lost packet several times in this time; --stalled-write",
            ),
            (
                "longest call",
                time(self.longest_call),
                "what load balancers commonly allow; --max-call",
            ),
            (
                "longest stream",
                time(self.longest_stream),
                "to come again once an hour costs a client nothing, and one that was forgotten ends; --max-stream",
            ),
            (
                "lingering close, HTTP/1.1",
                time(self.linger),
                "a peer that is refused while it sends reads the answer when it has sent all; idle for 2 s it is gone",
            ),
            (
                "bytes of a lingering close",
                bytes(self.linger_bytes),
                "sixteen of the largest messages; they are discarded as they come",
            ),
            (
                "grace",
                time(self.grace),
                "orchestrators commonly kill after 30 s; --grace",
            ),
            (
                "drain pause",
                time(self.drain_pause),
                "behind a load balancer, its polling interval; --drain-pause",
            ),
            (
                "connection age",
                time(self.connection_age),
                "lets load balancers spread long-lived connections anew",
            ),
            (
                "keepalive interval",
                time(self.keepalive_interval),
                "below the idle time of common NATs",
            ),
            (
                "keepalive timeout",
                time(self.keepalive_timeout),
                "a round trip across the world takes less than a second",
            ),
            (
                "HTTP/2 streams per connection",
                self.streams.to_string(),
                "RFC 9113 advises at least 100",
            ),
            (
                "HTTP/2 calls with work",
                self.begun().to_string(),
                "one that was cancelled counts until its work has ended; the next is REFUSED_STREAM",
            ),
            (
                "HTTP/2 stream window",
                bytes(self.stream_window as usize),
                "a reader's round trip of 20 ms at 100 Mbit/s; small frames take no more memory than large ones",
            ),
            (
                "HTTP/2 connection window",
                bytes(self.connection_window as usize),
                "bounds what one peer can make the server buffer",
            ),
            (
                "HTTP/2 send buffer per stream",
                bytes(self.send_buffer),
                "a peer that does not read costs this much",
            ),
            (
                "HTTP/2 frame",
                bytes(self.frame as usize),
                "the protocol's own default",
            ),
            (
                "HTTP/2 header list",
                bytes(self.header_list as usize),
                "cookies and traces fit; a header bomb does not",
            ),
            (
                "HTTP/2 calls cancelled",
                self.cancelled.to_string(),
                "more than were answered, and 100 a second are forgiven; rapid reset, CVE-2023-44487",
            ),
            (
                "HTTP/2 local resets",
                self.local_resets.to_string(),
                "provoked resets, RUSTSEC-2024-0003",
            ),
            (
                "HTTP/2 streams let go of",
                self.let_go.to_string(),
                "answered before they were whole; what is still on its way of them provokes no reset",
            ),
            (
                "HTTP/1 head",
                bytes(self.head),
                "cookies and long queries fit",
            ),
            (
                "HTTP/1 headers",
                self.headers.to_string(),
                "hyper parses this many without allocating",
            ),
            (
                "path and query",
                bytes(self.uri),
                "RFC 9110 advises at least 8,000 bytes",
            ),
            ("message", bytes(self.message), "gRPC's own default"),
            (
                "half-sent messages per listener",
                bytes(self.intake),
                "eight of the largest; one too many is refused, but never one below 4 KiB; --max-intake",
            ),
            (
                "unread answers per listener",
                bytes(self.answers),
                "as many, of peers that read slowly; the next is refused, but never one below 4 KiB; --max-unread",
            ),
        ]
    }

    /// Returns the longest time that a peer may leave an answer unread: no stall may take longer than a whole
    /// call.
    pub(crate) fn longest_stall(&self) -> Duration {
        self.stalled_write.min(self.longest_call)
    }

    /// Calls of one HTTP/2 connection whose work may go on at once: those of its streams, and as many again
    /// three times that were cancelled and have not noticed it.
    pub(crate) fn begun(&self) -> usize {
        4 * self.streams as usize
    }

    /// The table for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value, reason) in self.table() {
            let _ = writeln!(text, "{name:<32} {value:>10}  {reason}");
        }
        text
    }
}
