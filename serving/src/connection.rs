//! One connection, with hyper's limits set and an end to each of its states.

use std::{
    future::{Future, pending},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use crate::{
    chunk::Open, guard::Guard, io::Connection, jitter::jittered, limits::Limits, refusal::Refuse,
    server::Shared, service::HttpService, stall::Unstalled,
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

pub(crate) async fn serve<S, R>(stream: TcpStream, shared: &Shared<S, R>)
where
    S: HttpService,
    R: Refuse + Sync,
{
    let limits = &shared.limits;
    let open = Arc::new(Open::default());
    let guard = Guard {
        service: shared.service.clone(),
        refuse: shared.refuse.clone(),
        calls: Arc::clone(&shared.calls),
        open: Arc::clone(&open),
    };
    let service = Noting {
        service: guard,
        asked: Arc::default(),
    };
    let mut stream = Connection::new(stream, limits.stalled_write);
    let first_bytes = Instant::now() + limits.first_bytes;
    let http2 = shared.protocol != Protocol::Http1
        && tokio::select! {
            biased;
            http2 = timeout_at(first_bytes, stream.speaks_http2()) => match http2 {
                Ok(Ok(http2)) => http2,
                Ok(Err(_)) | Err(_) => return,
            },
            () = shared.closing.cancelled() => return,
        };
    let stream = TokioIo::new(stream);
    if http2 {
        let connection = http2_builder(limits).serve_connection(stream, service);
        let go_away = http2::Connection::graceful_shutdown;
        until_end(connection, shared, &open, pending(), go_away).await;
    } else if shared.protocol != Protocol::Http2 {
        let asked = Arc::clone(&service.asked);
        // hyper bounds each head by itself, from when it begins to read.
        let silent = async {
            sleep_until(first_bytes).await;
            if asked.load(Relaxed) {
                pending::<()>().await;
            }
        };
        let connection = http1_builder(limits).serve_connection(stream, service);
        let go_away = http1::Connection::graceful_shutdown;
        until_end(connection, shared, &open, silent, go_away).await;
    }
}

/// Notes that a connection was asked for something.
struct Noting<S> {
    service: S,
    asked: Arc<AtomicBool>,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Noting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.asked.store(true, Relaxed);
        self.service.call(request)
    }
}

/// Runs `connection` until it ends, is `silent`, is too old, or has to go.
async fn until_end<C, E, S, R>(
    connection: C,
    shared: &Shared<S, R>,
    open: &Open,
    silent: impl Future<Output = ()>,
    go_away: impl Fn(Pin<&mut C>),
) where
    C: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let mut connection = pin!(connection);
    // Connections that came together do not go together.
    let age = jittered(shared.limits.connection_age, 0.1);
    tokio::select! {
        result = connection.as_mut() => return closed(result),
        () = silent => return,
        () = shared.closing.cancelled() => {}
        () = sleep(age) => {}
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

fn http2_builder(limits: &Limits) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(Streams {
        // No stall may take longer than a whole call.
        stalled_write: limits.stalled_write.min(limits.longest_call),
    });
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

/// Runs the streams of a connection on the worker of the connection, and resets those that a peer
/// keeps from ending: hyper asks no body for more, and so no guard for its deadline, while the peer
/// gives the stream no window to write to.
#[derive(Clone, Copy)]
struct Streams {
    stalled_write: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(Unstalled::new(stream, self.stalled_write));
    }
}
