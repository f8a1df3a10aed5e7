//! A listener that serves: it accepts up to its limits, hands each connection to a worker, and ends
//! in order.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    chunk::Open,
    connection::{self, Protocol},
    cors::Origins,
    drain::ServeError,
    guard::Calls,
    hosts::Hosts,
    limits::Limits,
    peers::Peers,
    refusal::Refuse,
    service::HttpService,
    side::{Both, One, Serve, Side},
    telemetry::{
        Telemetry,
        call::Tracing,
        metrics::{self, Limit},
    },
    tls::Tls,
    workers::Workers,
};

/// Pause of the accept loop when the system has no file descriptor or memory left. Without it, the loop would
/// spin on the same connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Longest wait for an idle connection to go before the next one is asked.
const ROOM_PAUSE: Duration = Duration::from_millis(200);

/// The most idle connections that are asked to go at once. One that is silent takes a tenth of a second to go, so
/// that as many newcomers as this, ten times a second, find a place.
const MOST_ASKED: usize = 64;

/// Newcomers who find no place come one by one if so much time is between them.
const CALM: Duration = Duration::from_secs(1);

/// Longest time that connections may take to notice that they were cut: together with the end of the process,
/// less than a second.
const CUT: Duration = Duration::from_millis(500);

/// Bytes that the kernel buffers for one connection beyond those on their way: as much as one HTTP/2 stream
/// buffers. Without this bound the kernel takes megabytes, of which a third must be read before a write
/// goes on: a steady reader on a slow line would be taken for one that stopped.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 * 1024;

/// A silent peer is probed after half a minute, longer than a call takes that anybody waits for, and given up
/// after another one.
const PROBED: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// A bound socket, and how it is to be served.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// Its limits.
    pub limits: Limits,
    /// Worker threads that serve its connections.
    pub workers: Workers,
    /// TLS configuration of its connections; none if they speak cleartext.
    pub tls: Option<Tls>,
    /// The names that it answers to.
    pub hosts: Hosts,
    /// Telemetry that it reports to; none if calls are neither named nor counted.
    pub telemetry: Option<Telemetry>,
}

/// A socket with the default limits, served on the runtime of the caller.
impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Self {
            socket,
            limits: Limits::default(),
            workers: Workers::none(),
            tls: None,
            hosts: Hosts::default(),
            telemetry: Some(Telemetry::default()),
        }
    }
}

/// The state and settings that the connections of one listener share.
pub(crate) struct Shared<V> {
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<Tls>,
    pub(crate) serve: V,
    pub(crate) counters: Arc<metrics::Listener>,
    pub(crate) tracing: Tracing,
    pub(crate) limits: Limits,
    pub(crate) calls: Arc<Calls>,
    /// The listener has closed: connections finish what they have.
    pub(crate) closing: CancellationToken,
    /// The grace is over: connections end at once.
    pub(crate) cut: CancellationToken,
    /// Calls that were open when they were cut.
    pub(crate) lost: AtomicUsize,
}

impl Listener {
    /// [`Listener::serve_side`] of `service`, none of whose paths is counted by name, and whose answers
    /// no page of another origin may read.
    ///
    /// # Errors
    /// The same.
    pub async fn serve<S, R>(
        self,
        name: &'static str,
        protocol: Protocol,
        service: S,
        refuse: R,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError>
    where
        S: HttpService,
        R: Refuse + Sync,
    {
        let side = Side {
            service,
            refuse,
            paths: Vec::new(),
            origins: Origins::default(),
        };
        self.serve_side(name, protocol, side, shutdown).await
    }

    /// Serves `side` until `shutdown` is cancelled, and then drains: after the limits' drain pause
    /// the socket closes, connections are told to go away, streams end, and calls in flight finish;
    /// after the grace what is left is cut.
    ///
    /// # Errors
    /// [`ServeError::Cut`], naming the listener `name`, when calls had to be cut.
    pub async fn serve_side<S, R>(
        self,
        name: &'static str,
        protocol: Protocol,
        side: Side<S, R>,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError>
    where
        S: HttpService,
        R: Refuse + Sync,
    {
        let one = One::new(side, &self);
        self.run(name, protocol, one, shutdown).await
    }

    /// Serves `rest` and `grpc` on one socket, in HTTP/1.1 and HTTP/2: a request goes to `grpc` if its
    /// content type says gRPC or gRPC-Web, and to `rest` otherwise. Limits hold for both together.
    ///
    /// # Errors
    /// [`ServeError::Cut`], naming the listener `name`, when calls had to be cut.
    pub async fn serve_both<S, R, T, Q>(
        self,
        name: &'static str,
        rest: Side<S, R>,
        grpc: Side<T, Q>,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError>
    where
        S: HttpService,
        R: Refuse + Sync,
        T: HttpService,
        Q: Refuse + Sync,
    {
        let both = Both {
            rest: One::new(rest, &self),
            grpc: One::new(grpc, &self),
        };
        self.run(name, Protocol::Either, both, shutdown).await
    }

    async fn run<V: Serve>(
        self,
        name: &'static str,
        protocol: Protocol,
        serve: V,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let Self {
            socket,
            limits,
            workers,
            tls,
            telemetry,
            ..
        } = self;
        let counters = Arc::new(metrics::Listener::new(name));
        let Telemetry {
            metrics,
            traces,
            is_edge,
        } = telemetry.unwrap_or_default();
        let tracing = Tracing {
            traces,
            is_edge,
            is_tls: tls.is_some(),
        };
        if let Some(metrics) = metrics {
            metrics.add_listener(&counters);
        }
        let closing = CancellationToken::new();
        let shared = Arc::new(Shared {
            protocol,
            tls,
            serve,
            calls: Arc::new(Calls::new(&limits, closing.clone())),
            counters,
            tracing,
            closing: closing.clone(),
            cut: CancellationToken::new(),
            lost: AtomicUsize::new(0),
            limits,
        });
        let connections = TaskTracker::new();
        let accepting = Accepting {
            slots: Arc::new(Semaphore::new(shared.limits.connections)),
            shared: &shared,
            workers: &workers,
            connections: &connections,
            peers: Peers::new(&shared.limits.trusted_proxies),
        };
        tokio::select! {
            () = accepting.run(&socket) => unreachable!("accepting has no end of its own"),
            () = async {
                shutdown.cancelled().await;
                sleep(shared.limits.drain_pause).await;
            } => {}
        }
        if let Err(error) = accepting.last(socket) {
            tracing::warn!(%error, "the last connections could not be accepted");
        }
        closing.cancel();
        connections.close();
        if timeout(shared.limits.grace, connections.wait())
            .await
            .is_err()
        {
            shared.cut.cancel();
            if timeout(CUT, connections.wait()).await.is_err() {
                // Their worker is kept from saying what they lose.
                shared.lost.fetch_add(connections.len(), Relaxed);
            }
        }
        match shared.lost.load(Relaxed) {
            0 => Ok(()),
            calls => Err(ServeError::Cut {
                name,
                calls,
                grace: shared.limits.grace,
            }),
        }
    }
}

/// Acceptor of the connections of a socket: it finds a place for each, and hands it to a worker.
struct Accepting<'a, V> {
    slots: Arc<Semaphore>,
    shared: &'a Arc<Shared<V>>,
    workers: &'a Workers,
    connections: &'a TaskTracker,
    peers: Peers,
}

impl<V: Serve> Accepting<'_, V> {
    async fn run(&self, socket: &TcpListener) {
        // One newcomer needs one place. Where many find none, twice as many are made each time.
        let (mut places, mut made) = (1, None::<Instant>);
        loop {
            let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
            if slot.is_none() {
                self.shared.counters.hit(Limit::Connections);
            }
            let accepted = socket.accept().await;
            let accepted =
                accepted.and_then(|(stream, peer)| Ok((prepare(stream.into_std()?)?, peer)));
            match accepted {
                Ok((stream, peer)) => {
                    let slot = match slot {
                        Some(slot) => slot,
                        None => {
                            places = match made {
                                Some(made) if made.elapsed() < CALM => (places * 2).min(MOST_ASKED),
                                _ => 1,
                            };
                            let slot = self.make_room(places).await;
                            made = Some(Instant::now());
                            slot
                        }
                    };
                    self.hand_over(stream, peer, slot);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted; pausing");
                    self.shared.counters.hit(Limit::Descriptors);
                    for idle in self.peers.longest_idle(1) {
                        idle.make_room();
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Waits for a place, and has idle connections make `places`, as long as there are any.
    async fn make_room(&self, places: usize) -> OwnedSemaphorePermit {
        loop {
            for idle in self.peers.longest_idle(places) {
                idle.make_room();
            }
            let slot = Arc::clone(&self.slots).acquire_owned();
            if let Ok(slot) = timeout(ROOM_PAUSE, slot).await {
                return slot.expect("it is never closed");
            }
        }
    }

    /// Accepts what has connected to `socket` by now, and closes it: the kernel would reset the others.
    fn last(&self, socket: TcpListener) -> io::Result<()> {
        // The runtime may not have seen yet that anybody has connected.
        let socket = socket.into_std()?;
        while let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            let accepted = socket.accept().and_then(|(stream, peer)| {
                stream.set_nonblocking(true)?;
                Ok((prepare(stream)?, peer))
            });
            match accepted {
                Ok((stream, peer)) => self.hand_over(stream, peer, slot),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn hand_over(&self, stream: std::net::TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        let shared = Arc::clone(self.shared);
        let token = self.connections.token();
        let open = shared.calls.connection();
        let seat = self.peers.seat(peer.ip(), &open);
        self.workers.spawn(move || async move {
            run((stream, peer), open, &shared).await;
            drop((seat, slot, token));
        });
    }
}

/// `stream` without Nagle's algorithm, which holds small answers back, and with a bound to what is not sent.
fn prepare(stream: std::net::TcpStream) -> io::Result<std::net::TcpStream> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)?;
    // A peer that closed while a call is open looks like one that waits for its answer. Its system answers
    // the probe of a connection that it has forgotten with a reset.
    SockRef::from(&stream).set_tcp_keepalive(&PROBED)?;
    Ok(stream)
}

/// Returns true if the peer of one connection caused the error, which says nothing about the next connection.
fn is_of_one_connection(error: &io::Error) -> bool {
    use ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput | NotConnected
    )
}

async fn run<V: Serve>(
    (stream, peer): (std::net::TcpStream, SocketAddr),
    open: Arc<Open>,
    shared: &Shared<V>,
) {
    match TcpStream::from_std(stream) {
        Ok(stream) => connection::serve((stream, peer), open, shared).await,
        Err(error) => tracing::warn!(%error, "a connection could not be handed to its worker"),
    }
}
