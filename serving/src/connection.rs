//! One connection, with hyper's limits set and an end to each of its states.

use std::{
    future::{Future, pending, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use crate::{
    chunk::Open,
    io::{Connection, Socket},
    jitter::jittered,
    limits::Limits,
    server::Shared,
    side::Serve,
    stall::Patience,
    streams::{Streams, WithStreams},
    telemetry::{call::Watcher, metrics::Limit},
    tls::Tls,
};

/// How long a connection without an open call may take to close once the listener has closed.
const LINGER: Duration = Duration::from_secs(1);

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 with prior knowledge only: gRPC.
    Http2,
    /// Either of the two, told apart by the first bytes: REST, and gRPC with gRPC-Web beside it.
    Either,
}

pub(crate) async fn serve<V: Serve>(stream: TcpStream, shared: &Shared<V>) {
    let limits = &shared.limits;
    let open = shared.calls.connection();
    let watcher = Arc::new(Watcher::new(&shared.counters, shared.traces.as_ref()));
    let service = shared.serve.connection(&shared.calls, &open, &watcher);
    let socket = Socket::new(stream, limits.stalled_write, &open, &shared.counters);
    let first_bytes = Instant::now() + limits.first_bytes;
    let opened = tokio::select! {
        biased;
        opened = timeout_at(first_bytes, begin(socket, shared.tls.as_ref(), shared.protocol)) => opened,
        // Its peer may have asked already, of a worker that was busy.
        () = async {
            shared.closing.cancelled().await;
            let _ = timeout(LINGER, shared.cut.cancelled()).await;
        } => return,
    };
    let (stream, http2) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return tracing::debug!(%error, "a connection did not begin"),
        Err(_) => return shared.counters.hit(Limit::FirstBytes),
    };
    let stream = TokioIo::new(stream);
    if http2 {
        let patience = Patience {
            limit: limits.longest_stall(),
            counters: Arc::clone(&shared.counters),
        };
        let connection = WithStreams::new(patience, |streams| {
            http2_builder(limits, streams)
                .auto_date_header(V::DATED)
                .serve_connection(stream, service)
        });
        let go_away = |connection: Pin<&mut WithStreams<_>>| {
            http2::Connection::graceful_shutdown(connection.connection());
        };
        until_end(connection, shared, (&open, &watcher), pending(), go_away).await;
    } else if shared.protocol != Protocol::Http2 {
        // hyper bounds each head by itself, from when it begins to read.
        let silent = async {
            sleep_until(first_bytes).await;
            if watcher.asked.load(Relaxed) {
                pending::<()>().await;
            }
            shared.counters.hit(Limit::FirstBytes);
        };
        open.one_by_one();
        let connection = http1_builder(limits).serve_connection(stream, service);
        let go_away = http1::Connection::graceful_shutdown;
        until_end(connection, shared, (&open, &watcher), silent, go_away).await;
    }
}

/// The connection, and whether it is HTTP/2.
async fn begin(
    socket: Socket,
    tls: Option<&Tls>,
    protocol: Protocol,
) -> io::Result<(Connection, bool)> {
    let mut stream = Connection::open(socket, tls).await?;
    let http2 = protocol != Protocol::Http1 && stream.speaks_http2().await?;
    Ok((stream, http2))
}

/// Runs `connection` until it ends, is `silent`, is too old, or has to go.
async fn until_end<C, E, V>(
    connection: C,
    shared: &Shared<V>,
    (open, watcher): (&Open, &Watcher),
    silent: impl Future<Output = ()>,
    go_away: impl Fn(Pin<&mut C>),
) where
    C: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let unread = async {
        open.unread(shared.limits.longest_stall()).await;
        shared.counters.hit(Limit::StalledWrite);
    };
    let mut unread = pin!(unread);
    // Connections that came together do not go together.
    let age = jittered(shared.limits.connection_age, 0.1);
    tokio::select! {
        result = connection.as_mut() => return closed(result),
        () = silent => return,
        () = unread.as_mut() => return,
        () = shared.closing.cancelled() => {}
        () = sleep(age) => {}
    }
    // A connection that is told to go away before its first request ends at once, and that may be on its
    // way. An idle one has had its own.
    let first_request = poll_fn(|cx| match connection.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if watcher.asked.load(Relaxed) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    tokio::select! {
        asked = timeout(LINGER, first_request) => if let Ok(Some(result)) = asked {
            return closed(result);
        },
        () = shared.cut.cancelled() => return,
    }
    go_away(connection.as_mut());
    // A peer that takes its time may finish its calls, for as long as a call may take; one that has
    // none open has nothing to wait for.
    let end = Instant::now() + shared.limits.longest_call;
    loop {
        tokio::select! {
            result = timeout(LINGER, connection.as_mut()) => match result {
                Ok(result) => return closed(result),
                Err(_) if open.calls() == 0 || Instant::now() > end => return,
                Err(_) => {}
            },
            () = unread.as_mut() => return,
            () = shared.cut.cancelled() => {
                shared.lost.fetch_add(open.calls(), Relaxed);
                return;
            }
        }
    }
}

/// Peers break connections all the time: that is not worth a line of the log.
fn closed<E: std::fmt::Display>(result: Result<(), E>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke");
    }
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.first_bytes)
        .max_buf_size(limits.head)
        .max_header_size(limits.head)
        .max_headers(limits.headers);
    builder
}

fn http2_builder(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_send_buf_size(limits.send_buffer)
        .max_frame_size(limits.frame)
        .max_header_list_size(limits.header_list)
        .max_pending_accept_reset_streams(limits.remote_resets)
        .max_local_error_reset_streams(limits.local_resets)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout);
    builder
}
