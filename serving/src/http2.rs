//! One HTTP/2 connection, on h2. It accepts streams and asks each once, when it has read all that has
//! come: by then most calls have what they need, and are answered without a task of their own. The others
//! get one, on the worker of the connection.
//!
//! It reads in turns, and takes what came of each request off h2 after each: see `gate` and `inbox`.
//!
//! To ask a stream as soon as it is accepted would spare the same, but a connection goes on to accept
//! by writing first: one write for each answer then, and no longer one for all.

mod date;
mod gate;
mod inbox;
mod stream;

use std::{
    convert::Infallible,
    future::{Future, pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use h2::{
    Ping, PingPong, Reason,
    server::{self, Builder},
};
use http::{Method, Request, Response, header::CONTENT_LENGTH};
use http_body::Body;
use hyper::service::Service;
use tokio::time::{sleep, timeout};

use crate::{
    chunk::{Bounded, Chunk, Open},
    limits::Limits,
    received::Received,
    service::BoxError,
    telemetry::metrics::Limit,
};
use gate::Gated;
use inbox::Inboxes;
use stream::Stream;

pub(crate) use gate::{Gate, Wire};
pub(crate) use inbox::Http2Body;
pub(crate) use stream::{LAST_WORD, Manner, Waste};

/// Room for this many streams is kept between bursts: half a KiB for each connection.
const KEPT: usize = 32;

/// Longest time that a connection asks the streams of one burst itself. It leaves the others to tasks,
/// between which other connections of the worker have their turn.
const TURN: Duration = Duration::from_millis(1);

/// After so many streams it looks at the clock.
const FEW: usize = 8;

/// Turns of reading until other connections of the worker have theirs.
const TURNS: usize = 8;

/// Budget of h2 for small frames: no bound. There are never more of them than come in one turn.
const UNBOUNDED: usize = usize::MAX;

/// A connection whose settings were sent, and whose peer has begun as HTTP/2 begins.
pub(crate) struct Handshaken<T> {
    connection: server::Connection<Gated<T>, Chunk>,
    gate: Arc<Gate>,
}

impl<T: Wire> Handshaken<T> {
    /// By which its peer is pinged, once, and what tells whether that can still answer.
    pub(crate) fn ping_pong(&mut self) -> (Option<PingPong>, Arc<Gate>) {
        (self.connection.ping_pong(), Arc::clone(&self.gate))
    }
}

/// Greets the peer on `stream`, with `limits` set.
///
/// # Errors
/// When the peer closes first.
pub(crate) async fn handshake<T>(stream: T, limits: &Limits) -> Result<Handshaken<T>, h2::Error>
where
    T: Wire,
{
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_send_buffer_size(limits.send_buffer)
        .max_frame_size(limits.frame)
        .max_header_list_size(limits.header_list)
        .max_pending_accept_reset_streams(gate::MOST_STREAMS)
        .max_local_error_reset_streams(Some(limits.local_resets))
        .data_frame_budget(UNBOUNDED)
        .max_concurrent_reset_streams(limits.let_go)
        .reset_stream_duration(limits.longest_stall());
    let gate = Arc::default();
    let connection = builder.handshake(Gated::new(stream, &gate)).await?;
    Ok(Handshaken { connection, gate })
}

/// Ends when the peer is silent and does not answer when it is pinged.
pub(crate) async fn silent(
    (ping, gate): (Option<PingPong>, Arc<Gate>),
    open: &Open,
    limits: &Limits,
) {
    let Some(mut ping) = ping else {
        // h2 gives it once, and was not asked before.
        return pending().await;
    };
    loop {
        tokio::select! {
            // Looked at twice in the interval, so that no silence is longer.
            () = sleep(limits.keepalive_interval / 2) => if open.was_heard() {
                continue;
            },
            // It may be gone, or wait for its answers. The system of one that is gone says so when it is
            // sent something; the other never answers.
            () = gate.ended() => {}
        }
        if ping.send_ping(Ping::opaque()).is_err() {
            // The connection has ended, and says so itself.
            return pending().await;
        }
        if gate.has_ended() {
            return pending().await;
        }
        loop {
            let pong = poll_fn(|cx| ping.poll_pong(cx));
            match timeout(limits.keepalive_timeout, pong).await {
                Ok(Ok(_)) => break,
                Ok(Err(_)) => return pending().await,
                // The ping may wait behind what a slow peer is still reading.
                Err(_) if open.was_heard() || gate.has_ended() => {}
                Err(_) => return tracing::debug!("a silent peer did not answer a ping"),
            }
        }
    }
}

type Accepted = BoxFuture<'static, ()>;

pin_project_lite::pin_project! {
    /// A connection that asks `service` for each stream it accepts.
    pub(crate) struct Http2<T, S> {
        connection: server::Connection<Gated<T>, Chunk>,
        // Behind the connection, so that it is dropped after it.
        inboxes: Inboxes,
        gate: Arc<Gate>,
        service: S,
        manner: Arc<Manner>,
        accepted: Vec<Accepted>,
    }
}

impl<T, S> Http2<T, S>
where
    T: Wire,
{
    /// `connection`, whose streams are answered by `service`, in this `manner`.
    #[expect(
        clippy::boxed_local,
        reason = "a box that its caller took apart would stay as long as the caller"
    )]
    pub(crate) fn new(connection: Box<Handshaken<T>>, service: S, manner: Manner) -> Self {
        let Handshaken { connection, gate } = *connection;
        Self {
            connection,
            inboxes: Inboxes::default(),
            gate,
            service,
            manner: Arc::new(manner),
            accepted: Vec::new(),
        }
    }

    /// Tells the peer that no new streams are taken. Those that are open go on.
    pub(crate) fn go_away(self: Pin<&mut Self>) {
        self.project().connection.graceful_shutdown();
    }
}

impl<T, S, B> Http2<T, S>
where
    T: Wire,
    S: Service<
            Request<Received>,
            Response = Response<B>,
            Error = Infallible,
            Future: Send + 'static,
        >,
    B: Body<Data = Chunk, Error: Into<BoxError>> + Bounded + Send + 'static,
{
    /// Reads for one turn, and accepts what has come.
    fn poll_turn(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let this = self.project();
        this.gate.begin_turn();
        let ended = loop {
            let (request, mut respond) = match this.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok(accepted))) => accepted,
                Poll::Ready(Some(Err(error))) => break Poll::Ready(Err(error)),
                Poll::Ready(None) => break Poll::Ready(Ok(())),
                Poll::Pending => break Poll::Pending,
            };
            let (head, stream) = request.into_parts();
            let length = head.headers.get(CONTENT_LENGTH);
            let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
            let Ok(body) = this.inboxes.receive(stream, length, this.gate) else {
                this.manner.cancelled();
                continue;
            };
            if this.manner.is_crowded() {
                respond.send_reset(Reason::REFUSED_STREAM);
                continue;
            }
            let (service, manner) = (&*this.service, Arc::clone(this.manner));
            this.accepted.extend(contained(|| {
                let is_head = head.method == Method::HEAD;
                let call = service.call(Request::from_parts(head, Received::http2(body)));
                Box::pin(Stream::new(call, respond, is_head, manner)) as Accepted
            }));
        };
        this.inboxes.take_in();
        ended
    }
}

impl<T, S, B> Future for Http2<T, S>
where
    T: Wire,
    S: Service<
            Request<Received>,
            Response = Response<B>,
            Error = Infallible,
            Future: Send + 'static,
        >,
    B: Body<Data = Chunk, Error: Into<BoxError>> + Bounded + Send + 'static,
{
    type Output = Result<(), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut ended = self.as_mut().poll_turn(cx);
        for _ in 1..TURNS {
            let goes_on = self.gate.is_over() && self.accepted.is_empty();
            if ended.is_ready() || !goes_on {
                break;
            }
            ended = self.as_mut().poll_turn(cx);
        }
        let this = self.as_mut().project();
        if this.gate.is_over() {
            cx.waker().wake_by_ref();
        }
        let begun = (this.accepted.len() > FEW).then(Instant::now);
        let mut is_long = false;
        for (place, stream) in this.accepted.drain(..).enumerate() {
            if place % FEW == FEW - 1 {
                is_long |= begun.is_some_and(|begun| begun.elapsed() > TURN);
            }
            if is_long {
                tokio::spawn(stream);
            } else {
                contained(|| ask(stream));
            }
        }
        this.accepted.shrink_to(KEPT);
        if this.manner.has_wasted() && ended.is_pending() {
            this.manner.counters.hit(Limit::Cancelled);
            tracing::debug!("a peer cancels more calls than it lets be answered");
            this.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            return self.poll_turn(cx);
        }
        if this.gate.has_ended() && ended.is_pending() {
            // What is not whole never will be; what is, is answered first.
            this.inboxes.close();
            if !this.connection.has_streams() && !this.gate.tell() {
                return self.poll_turn(cx);
            }
        }
        ended
    }
}

/// As within a task, a panic ends its own stream only; the guard has worded what it could.
fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn ask(mut stream: Accepted) {
    // Nobody has to be woken: a stream that waits is asked again at once, by its task.
    let nobody = &mut Context::from_waker(Waker::noop());
    if stream.as_mut().poll(nobody).is_pending() {
        tokio::spawn(stream);
    }
}

#[cfg(test)]
mod tests;
