//! A server whose calls do what their path says, and that counts the work behind them. The test
//! files include it by path.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};
use serving::{
    Body as Incoming, CancellationToken,
    connection::Protocol,
    drain::ServeError,
    limits::Limits,
    refusal::{GrpcStatus, PlainText},
    server::Listener,
    workers::Workers,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tower::service_fn;

/// Room in what is measured, for a machine that is busy with other tests.
const BUSY: Duration = Duration::from_secs(10);
/// The end of every wait, reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Length in bytes of the answer of `/large`: more than the kernel and the windows of HTTP/2 hold.
pub(crate) const LARGE: usize = 32 * 1024 * 1024;

/// Length in bytes of the answer of `/sized`.
pub(crate) const SIZED: usize = 100 * 1024;

/// The header value with which `/head` answers. Many of them are more than the kernel holds.
const LONG_HEADER: &str = match std::str::from_utf8(&[b'x'; 8 * 1024]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A server that runs, and what is known of it.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    /// Calls that have work behind them.
    pub(crate) alive: watch::Receiver<usize>,
    /// Lets `/slow` answer.
    pub(crate) release: CancellationToken,
    pub(crate) shutdown: CancellationToken,
    end: Duration,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    pub(crate) async fn start(protocol: Protocol, limits: Limits) -> Self {
        Self::with_workers(protocol, limits, Workers::none()).await
    }

    pub(crate) async fn with_workers(protocol: Protocol, limits: Limits, workers: Workers) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await;
        let socket = socket.expect("loopback has a free port");
        let address = socket.local_addr().expect("it is bound");
        let (count, alive) = watch::channel(0);
        let count = Arc::new(count);
        let (release, shutdown) = (CancellationToken::new(), CancellationToken::new());
        let end = limits.drain_pause + limits.grace + Duration::from_secs(1) + BUSY;
        let listener = Listener {
            limits,
            workers,
            ..Listener::from(socket)
        };
        let released = release.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            assert_ne!(request.uri().path(), "/panic-at-once", "a secret");
            let work = Work::begin(&count);
            let released = released.clone();
            async move { Ok::<_, Infallible>(answer(request, work, released).await) }
        });
        let stop = shutdown.clone();
        let server = tokio::spawn(async move {
            match protocol {
                Protocol::Http1 | Protocol::Either => {
                    listener
                        .serve("REST", protocol, service, PlainText, stop)
                        .await
                }
                Protocol::Http2 => {
                    let refuse = GrpcStatus;
                    listener
                        .serve("gRPC", protocol, service, refuse, stop)
                        .await
                }
            }
        });
        Self {
            address,
            alive,
            release,
            shutdown,
            end,
            server,
        }
    }

    /// Waits until `count` calls have work behind them.
    pub(crate) async fn alive(&mut self, count: usize) {
        let reached = timeout(PATIENCE, self.alive.wait_for(|alive| *alive == count)).await;
        let reached = reached.map(|reached| *reached.expect("the server holds the other end"));
        assert_eq!(reached.unwrap_or(*self.alive.borrow()), count);
    }

    /// Returns true if the server has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.server.is_finished()
    }

    /// Tells the server to stop, and asserts that it has ended within the grace and a second.
    /// Returns how, and after how long.
    pub(crate) async fn stop(self) -> (Result<(), ServeError>, Duration) {
        let start = Instant::now();
        self.shutdown.cancel();
        let ended = timeout(self.end, self.server).await;
        let ended = ended.expect("it should end within the grace and a second");
        (ended.expect("it should not panic"), start.elapsed())
    }
}

/// The work behind one call, which ends when it is dropped.
pub(crate) struct Work(Arc<watch::Sender<usize>>);

impl Work {
    pub(crate) fn begin(count: &Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(Arc::clone(count))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The answer that the path of `request` asks for.
pub(crate) async fn answer<B>(
    request: Request<B>,
    work: Work,
    release: CancellationToken,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/echo" => match request.into_body().collect().await {
            Ok(body) => respond(whole(body.to_bytes()), work),
            Err(_) => respond(stream::empty(), work),
        },
        // The same, which begins to read when it is told to.
        "/echo-later" => {
            release.cancelled().await;
            match request.into_body().collect().await {
                Ok(body) => respond(whole(body.to_bytes()), work),
                Err(_) => respond(stream::empty(), work),
            }
        }
        // Each piece as it comes.
        "/echo-each" => {
            let frames = BodyStream::new(request.into_body());
            respond(frames.map(|frame| frame.map_err(Into::into)), work)
        }
        "/slow" => {
            release.cancelled().await;
            respond(whole(text("whole")), work)
        }
        // Its last piece is known to be the last, so that the server is done with it at once.
        "/short" => Response::new(
            Full::from("whole")
                .map_err(|never| match never {})
                .boxed_unsync(),
        ),
        // It says how long it is.
        "/sized" => Response::new(
            Full::from(vec![b'x'; SIZED])
                .map_err(|never| match never {})
                .boxed_unsync(),
        ),
        // An answer that no window holds back, for it is a head only.
        "/head" => {
            let mut response = Response::new(
                Full::default()
                    .map_err(|never| match never {})
                    .boxed_unsync(),
            );
            let value = HeaderValue::from_static(LONG_HEADER);
            response.headers_mut().insert("long", value);
            response
        }
        "/stream" => respond(once(text("begun")).chain(stream::pending()), work),
        // One event, and the beginning of another if the path says so.
        "/events" | "/half-event" => {
            let events = match path.as_str() {
                "/events" => text("data: 1\n\n"),
                _ => text("data: 1\n\ndata: 2"),
            };
            let mut response = respond(once(events).chain(stream::pending()), work);
            let value = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert("content-type", value);
            response
        }
        "/busy" => respond(
            stream::repeat_with(|| data(Bytes::from_static(&[b'x'; 16 * 1024]))),
            work,
        ),
        "/large" => respond(whole(Bytes::from(vec![b'x'; LARGE])), work),
        // It begins, and ends when it is told to.
        "/later" => {
            let rest = stream::once(async move { release.cancelled_owned().await });
            let rest = rest.flat_map(move |()| whole(text(" and whole")));
            respond(once(text("begun")).chain(rest), work)
        }
        // The name of the thread that serves it.
        "/worker" => {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            respond(whole(Bytes::from(name)), work)
        }
        // Keeps its worker from all else for a while.
        "/blocks" => {
            std::thread::sleep(Duration::from_millis(300));
            respond(whole(text("whole")), work)
        }
        "/panic" => panic!("a secret"),
        "/panic-later" => {
            // After what came before was written.
            let panics = stream::once(tokio::task::yield_now()).map(|()| panic!("a secret"));
            respond(once(text("begun")).chain(panics), work)
        }
        unknown => panic!("{unknown} is no path of this server"),
    }
}

type Item = Result<Frame<Bytes>, BoxError>;

fn data(bytes: Bytes) -> Item {
    Ok(Frame::data(bytes))
}

fn once(bytes: Bytes) -> impl Stream<Item = Item> {
    stream::iter([data(bytes)])
}

/// `bytes`, and the trailers that say that they are all.
fn whole(bytes: Bytes) -> impl Stream<Item = Item> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream::iter([data(bytes), Ok(Frame::trailers(trailers))])
}

/// An answer that ends `work` when it is dropped.
fn respond(frames: impl Stream<Item = Item> + Send + 'static, work: Work) -> Response<Body> {
    let frames = frames.inspect(move |_| {
        let _ = &work;
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let value = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", value);
    response
}
