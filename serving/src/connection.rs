//! One connection, with its limits set and an end to each of its states.

use std::{
    future::{Future, pending, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::coop::unconstrained,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    chunk::Open,
    http1::{self, Http1},
    http2::{self, Handshaken, Http2, Manner, Waste},
    io::{Connection, Socket},
    jitter::jittered,
    limits::Limits,
    linger::{Bounds, LingeringStream},
    peer::Peer,
    server::Shared,
    side::Serve,
    telemetry::{call::Watcher, metrics::Limit},
    tls::Tls,
    unread::Unread,
};

/// Longest time that a connection without an open call may take to close once the listener has closed.
const LINGER: Duration = Duration::from_secs(1);

/// Versions of HTTP that a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 with prior knowledge only: gRPC.
    Http2,
    /// Either of the two, told apart by the first bytes: REST, and gRPC with gRPC-Web beside it.
    Either,
}

/// Serves `stream`, which comes from an address, and notes in `open` what it has open.
pub(crate) async fn serve<V: Serve>(
    stream: (TcpStream, SocketAddr),
    open: Arc<Open>,
    shared: &Shared<V>,
) {
    let limits = &shared.limits;
    let watcher = Arc::new(Watcher::of_connection(&shared.counters, &shared.tracing));
    let _counted = shared.counters.open();
    let socket = Socket::new(stream, limits.stalled_write, &open, &shared.counters);
    let first_bytes = Instant::now() + limits.first_bytes;
    // Boxed, as what follows is, too: a connection then takes the memory that its protocol needs, and keeps none
    // of its beginning.
    let opening = Box::pin(begin(socket, shared.tls.as_ref(), shared.protocol, limits));
    let opened = tokio::select! {
        biased;
        opened = timeout_at(first_bytes, opening) => opened,
        // Its peer may have asked already, of a worker that was busy.
        () = async {
            shared.closing.cancelled().await;
            let _ = timeout(LINGER, shared.cut.cancelled()).await;
        } => return,
        () = open.has_to_go() => return,
    };
    match opened {
        Ok(Ok((peer, Opened::Http2(connection)))) => {
            Box::pin(serve_http2(connection, peer, (&open, &watcher), shared)).await;
        }
        Ok(Ok((peer, Opened::Http1(stream)))) => {
            Box::pin(serve_http1(stream, peer, (&open, &watcher), shared)).await;
        }
        Ok(Ok((_, Opened::Neither))) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection did not begin"),
        Err(_) => shared.counters.hit(Limit::FirstBytes),
    }
}

/// Answers the calls of `peer` on `connection`.
async fn serve_http2<V: Serve>(
    mut connection: Box<Handshaken<Connection>>,
    peer: Peer,
    (open, watcher): (&Arc<Open>, &Arc<Watcher>),
    shared: &Shared<V>,
) {
    let service = shared
        .serve
        .connection((&shared.calls, open, watcher), peer);
    let limits = &shared.limits;
    let silent = http2::silent(connection.ping_pong(), open, limits).boxed();
    let manner = Manner {
        dated: V::DATED,
        patience: limits.longest_stall(),
        counters: Arc::clone(&shared.counters),
        open: Arc::clone(open),
        waste: Waste::new(limits),
    };
    let connection = pin!(Http2::new(connection, service, manner));
    until_end(connection, shared, (open, watcher), silent, Http2::go_away).await;
}

/// Answers the calls of `peer` on `stream`.
async fn serve_http1<V: Serve>(
    stream: Connection,
    peer: Peer,
    (open, watcher): (&Arc<Open>, &Arc<Watcher>),
    shared: &Shared<V>,
) {
    let service = shared
        .serve
        .connection((&shared.calls, open, watcher), peer);
    let limits = &shared.limits;
    open.one_by_one();
    let silent = async {
        open.slow_head(limits.first_bytes).await;
        shared.counters.hit(Limit::FirstBytes);
    }
    .boxed();
    let unread = Arc::new(Unread::default());
    let stream = LingeringStream::new(
        stream,
        Arc::clone(&unread),
        Arc::clone(open),
        Bounds::of(limits),
    );
    let service = Http1 { service, unread };
    let connection = http1::builder(limits).serve_connection(TokioIo::new(stream), service);
    let go_away = hyper::server::conn::http1::Connection::graceful_shutdown;
    until_end(pin!(connection), shared, (open, watcher), silent, go_away).await;
}

/// A connection whose protocol is known.
enum Opened {
    Http1(Connection),
    Http2(Box<Handshaken<Connection>>),
    /// It is not what the listener speaks.
    Neither,
}

/// Greets the peer of `socket`, and tells who it is and what it speaks.
async fn begin(
    socket: Socket,
    tls: Option<&Tls>,
    protocol: Protocol,
    limits: &Limits,
) -> io::Result<(Peer, Opened)> {
    let mut stream = Connection::open(socket, tls, Bounds::of(limits)).await?;
    let peer = stream.peer();
    if protocol != Protocol::Http1 && stream.speaks_http2().await? {
        let connection = http2::handshake(stream, limits).await;
        let connection = connection.map_err(io::Error::other)?;
        return Ok((peer, Opened::Http2(Box::new(connection))));
    }
    let opened = match protocol {
        Protocol::Http2 => Opened::Neither,
        Protocol::Http1 | Protocol::Either => Opened::Http1(stream),
    };
    Ok((peer, opened))
}

/// Longest time that a connection may take to go once it has to make room for another.
const QUICKLY: Duration = Duration::from_millis(100);

/// Reason for a connection not to go on as it is.
enum End {
    /// Its peer is gone, or reads nothing: it ends at once.
    Gone,
    /// It is too old, or idle, or the listener has closed: its peer is told.
    Leaving,
    /// The same, and another connection waits for its place.
    MakingRoom,
}

/// Events that may end a connection. Its calls wake the connection all the time: each event is polled only
/// when it was woken itself.
type Ends<'a> = FuturesUnordered<BoxFuture<'a, End>>;

/// Runs `connection` until it ends, or one of `ends` has come. There is one.
async fn until_first<C: Future>(
    connection: Pin<&mut C>,
    ends: &mut Ends<'_>,
) -> Result<C::Output, End> {
    tokio::select! {
        biased;
        result = connection => Ok(result),
        // A peer that always has more to read may use up what the task may do in a turn.
        Some(end) = unconstrained(ends.next()) => Err(end),
    }
}

/// Ends when the peer is gone, whatever else happened.
async fn gone(ends: &mut Ends<'_>) {
    while let Some(end) = ends.next().await {
        if let End::Gone = end {
            return;
        }
    }
    pending::<()>().await;
}

/// Runs `connection` until it ends, is `silent`, is too old, or has to go.
async fn until_end<C, E, V>(
    mut connection: Pin<&mut C>,
    shared: &Shared<V>,
    (open, watcher): (&Open, &Watcher),
    silent: BoxFuture<'_, ()>,
    go_away: impl Fn(Pin<&mut C>),
) where
    C: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
    V: Serve,
{
    let silent = silent.map(|()| End::Gone);
    let unread = async {
        open.unread(shared.limits.longest_stall()).await;
        shared.counters.hit(Limit::StalledWrite);
        End::Gone
    };
    // Connections that came together do not go together.
    let age = jittered(shared.limits.connection_age, 0.1);
    let leaving = async {
        tokio::select! {
            () = sleep(age) => {}
            () = shared.closing.cancelled() => {}
            () = open.idle(shared.limits.idle) => shared.counters.hit(Limit::Idle),
        }
        End::Leaving
    };
    let making_room = async {
        open.has_to_go().await;
        End::MakingRoom
    };
    let mut ends = Ends::from_iter([
        silent.boxed(),
        unread.boxed(),
        leaving.boxed(),
        making_room.boxed(),
    ]);
    match until_first(connection.as_mut(), &mut ends).await {
        Ok(result) => return closed(result),
        Err(End::Gone) => return,
        Err(End::MakingRoom) => {
            go_away(connection.as_mut());
            open.leave();
            if let Ok(result) = timeout(QUICKLY, connection).await {
                closed(result);
            }
            return;
        }
        Err(End::Leaving) => {}
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
        () = gone(&mut ends) => return,
        () = shared.cut.cancelled() => return,
    }
    go_away(connection.as_mut());
    open.leave();
    // A peer that takes its time may finish its calls, for as long as a call may take; one that has
    // none open has nothing to wait for.
    let limits = &shared.limits;
    let end = Instant::now() + limits.longest_call.max(limits.longest_stream);
    loop {
        tokio::select! {
            result = timeout(LINGER, connection.as_mut()) => match result {
                Ok(result) => return closed(result),
                Err(_) if open.calls() == 0 || Instant::now() > end => return,
                Err(_) => {}
            },
            () = gone(&mut ends) => return,
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

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use futures_util::FutureExt;
    use tokio::{
        task::consume_budget,
        time::{sleep, timeout},
    };

    use super::{End, Ends, until_first};

    async fn busy() {
        loop {
            consume_budget().await;
        }
    }

    #[tokio::test]
    async fn a_connection_that_always_has_more_to_read_ends() {
        let end = async {
            sleep(Duration::from_millis(20)).await;
            End::Gone
        };
        let mut ends = Ends::from_iter([end.boxed()]);
        let busy = pin!(busy());
        let ended = until_first(busy, &mut ends);
        let ended = timeout(Duration::from_secs(10), ended).await;
        assert!(matches!(ended, Ok(Err(End::Gone))));
    }
}
