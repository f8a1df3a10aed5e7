use std::{future::Future, thread};

use bytes::Bytes;
use h2::{Reason, client};
use http::{Uri, header::HeaderMap};
use http_body::Frame;
use http_body_util::{Empty, Full};
use hyper::service::service_fn;
use tokio::{
    io::{DuplexStream, duplex},
    select,
    sync::mpsc,
    task::yield_now,
    time::Instant,
};

use super::{stream::LAST_WORD, *};
use crate::{
    chunk::Account,
    pieces::Pieces,
    telemetry::metrics::{Limit, Listener},
};

/// Far more than anything here takes, in the time of the test.
const HOUR: Duration = Duration::from_secs(3_600);

impl Wire for DuplexStream {
    fn poll_broken(&mut self, _: &mut Context<'_>) -> Poll<std::io::Error> {
        Poll::Pending
    }
}

type Peer = client::SendRequest<Bytes>;
type Answer = Response<Pieces<Full<Bytes>>>;

impl Bounded for Full<Bytes> {
    fn end(&self) -> Option<Instant> {
        None
    }
}

pin_project_lite::pin_project! {
    /// A body whose call ends at a time.
    struct Until {
        #[pin]
        body: Pieces<Full<Bytes>>,
        end: Option<Instant>,
    }
}

impl Bounded for Until {
    fn end(&self) -> Option<Instant> {
        self.end
    }
}

impl Body for Until {
    type Data = Chunk;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Infallible>>> {
        self.project().body.poll_frame(cx)
    }
}

/// Both ends of one connection before anything is asked.
struct Ends {
    server: Box<Handshaken<DuplexStream>>,
    peer: Peer,
    /// The peer's connection, which somebody has to drive.
    driver: client::Connection<DuplexStream, Bytes>,
    manner: Manner,
}

impl Ends {
    async fn meet(peer: &client::Builder) -> Self {
        let limits = Limits::default();
        // More than is ever on its way.
        let (ours, theirs) = duplex(1024 * 1024);
        let (server, peer) = tokio::join!(handshake(ours, &limits), peer.handshake(theirs));
        let (peer, driver) = peer.unwrap();
        let manner = Manner {
            dated: false,
            patience: Duration::from_secs(30),
            counters: Arc::new(Listener::new("test")),
            open: Arc::new(Open::new(&Arc::new(Account::new(&limits)))),
            waste: Waste::new(&limits),
        };
        Self {
            server: Box::new(server.unwrap()),
            peer,
            driver,
            manner,
        }
    }
}

/// Asks for `path`, with nothing behind the head.
fn ask_for(peer: &mut Peer, path: &'static str) -> client::ResponseFuture {
    ask_by(Method::GET, peer, path)
}

fn ask_by(method: Method, peer: &mut Peer, path: &'static str) -> client::ResponseFuture {
    let request = Request::new(());
    let (mut head, ()) = request.into_parts();
    head.method = method;
    head.uri = Uri::builder()
        .scheme("http")
        .authority("test")
        .path_and_query(path)
        .build()
        .unwrap();
    let request = Request::from_parts(head, ());
    peer.send_request(request, true).unwrap().0
}

fn answer(open: &Arc<Open>, text: &'static str) -> Answer {
    Response::new(Pieces::new(Full::from(text), text.len(), Arc::clone(open)))
}

/// Polls `connection` until something has come of it.
async fn until_asked<T>(
    mut connection: Pin<&mut impl Future<Output = T>>,
    answers: &mpsc::UnboundedReceiver<&str>,
) {
    while answers.is_empty() {
        let polled = poll_fn(|cx| Poll::Ready(connection.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        yield_now().await;
    }
}

/// The rest of a burst that takes long is left to tasks, so that others have their turn.
#[tokio::test]
async fn a_burst_of_long_calls_does_not_keep_the_worker() {
    let mut ends = Ends::meet(&client::Builder::new()).await;
    tokio::spawn(ends.driver);
    let asked: Vec<_> = (0..100).map(|_| ask_for(&mut ends.peer, "/")).collect();
    let (answered, mut answers) = mpsc::unbounded_channel();
    let open = Arc::clone(&ends.manner.open);
    let service = service_fn(|_| {
        let (answered, open) = (answered.clone(), Arc::clone(&open));
        async move {
            thread::sleep(Duration::from_millis(1));
            answered.send("").unwrap();
            Ok(answer(&open, ""))
        }
    });
    let mut connection = Box::pin(Http2::new(ends.server, service, ends.manner));
    until_asked(connection.as_mut(), &answers).await;
    assert!((1..100).contains(&answers.len()), "{}", answers.len());
    for _ in 0..100 {
        answers.recv().await.unwrap();
    }
    drop(asked);
}

/// Whoever waits for a timer or for another task is asked once by the connection, whose waker wakes
/// nobody, and must be woken all the same; and one that panics harms no other.
#[tokio::test(start_paused = true)]
async fn a_call_is_answered_at_once_or_when_what_it_waits_for_has_come() {
    let mut ends = Ends::meet(&client::Builder::new()).await;
    tokio::spawn(ends.driver);
    let failing = ask_for(&mut ends.peer, "/fails");
    let others = ["/at-once", "/in-time", "/when-asked"];
    let others = others.map(|path| ask_for(&mut ends.peer, path));
    let (answered, mut answers) = mpsc::unbounded_channel();
    let release = tokio::sync::Semaphore::new(0);
    let release = Arc::new(release);
    let open = Arc::clone(&ends.manner.open);
    let service = service_fn(|request: Request<Received>| {
        let (answered, open, release) = (answered.clone(), open.clone(), release.clone());
        async move {
            let text = match request.uri().path() {
                "/fails" => panic!("a call that fails"),
                "/at-once" => "at once",
                "/in-time" => {
                    sleep(Duration::from_secs(5)).await;
                    "in time"
                }
                _ => {
                    let _permit = release.acquire().await;
                    "when asked"
                }
            };
            answered.send(text).unwrap();
            Ok(answer(&open, text))
        }
    });
    let mut connection = Box::pin(Http2::new(ends.server, service, ends.manner));
    until_asked(connection.as_mut(), &answers).await;
    assert_eq!(answers.try_recv(), Ok("at once"), "without a task");
    assert!(answers.try_recv().is_err());
    release.add_permits(1);
    assert_eq!(answers.recv().await, Some("when asked"));
    assert_eq!(answers.recv().await, Some("in time"));
    let ended = async {
        assert_eq!(failing.await.unwrap_err().reason(), Some(Reason::CANCEL));
        for other in others {
            assert!(other.await.unwrap().status().is_success());
        }
    };
    select! {
        _ = connection => panic!("the connection goes on"),
        () = ended => {}
    }
}

/// Answers one call of a peer that gives it no window to write to. Returns after how long it was reset,
/// and with what counters.
async fn unread(deadline: Option<Duration>) -> (Duration, Arc<Listener>) {
    let mut ends = Ends::meet(client::Builder::new().initial_window_size(0)).await;
    tokio::spawn(ends.driver);
    let (open, counters) = (
        Arc::clone(&ends.manner.open),
        Arc::clone(&ends.manner.counters),
    );
    let service = service_fn(|_| {
        let open = Arc::clone(&open);
        async move {
            let end = deadline.map(|deadline| Instant::now() + deadline);
            Ok(answer(&open, "unread").map(|body| Until { body, end }))
        }
    });
    let begun = Instant::now();
    let answer = ask_for(&mut ends.peer, "/");
    let mut connection = Box::pin(Http2::new(ends.server, service, ends.manner));
    let reset = async {
        let mut body = answer.await.unwrap().into_body();
        let error = body.data().await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CANCEL));
        begun.elapsed()
    };
    select! {
        _ = &mut connection => panic!("the connection goes on"),
        took = reset => (took, counters),
        () = sleep(HOUR) => panic!("the stream is still open"),
    }
}

/// Tokio's timers count in milliseconds.
fn is_after(took: Duration, expected: Duration) -> bool {
    (expected..=expected + Duration::from_millis(2)).contains(&took)
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_window_ends_when_its_peer_had_its_time_or_with_its_call() {
    let (took, counters) = unread(None).await;
    assert!(is_after(took, Duration::from_secs(30)), "{took:?}");
    assert_eq!(counters.hits(Limit::StalledWrite), 1);
    assert_eq!(counters.hits(Limit::Deadline), 0);

    let deadline = Duration::from_secs(5);
    let (took, counters) = unread(Some(deadline)).await;
    assert!(is_after(took, deadline + LAST_WORD), "{took:?}");
    assert_eq!(counters.hits(Limit::StalledWrite), 0);
    assert_eq!(counters.hits(Limit::Deadline), 1);

    // The end of that call is not taken for the end of this one.
    let (took, _) = unread(None).await;
    assert!(is_after(took, Duration::from_secs(30)), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_service_is_not_taken_for_one_that_waits_for_its_peer() {
    let mut ends = Ends::meet(client::Builder::new().initial_window_size(0)).await;
    tokio::spawn(ends.driver);
    let counters = Arc::clone(&ends.manner.counters);
    let service = service_fn(|_| pending::<Result<Answer, Infallible>>());
    let answer = ask_for(&mut ends.peer, "/");
    let connection = Http2::new(ends.server, service, ends.manner);
    select! {
        _ = connection => panic!("the connection goes on"),
        _ = answer => panic!("nothing answers"),
        () = sleep(HOUR) => {}
    }
    assert_eq!(counters.hits(Limit::StalledWrite), 0);
}

/// The work behind a call stops when its peer resets it.
#[tokio::test(start_paused = true)]
async fn a_call_that_its_peer_resets_is_dropped() {
    let mut ends = Ends::meet(&client::Builder::new()).await;
    tokio::spawn(ends.driver);
    let (work, mut stopped) = mpsc::unbounded_channel::<()>();
    let (called, mut calls) = mpsc::unbounded_channel();
    let work = std::sync::Mutex::new(Some(work));
    let call = ask_for(&mut ends.peer, "/");
    let service = service_fn(|_| {
        let held = work.lock().unwrap().take();
        called.send(()).unwrap();
        async move {
            let _held = held;
            pending::<Result<Answer, Infallible>>().await
        }
    });
    let connection = Http2::new(ends.server, service, ends.manner);
    let reset = async {
        calls.recv().await.unwrap();
        drop(call);
        assert_eq!(stopped.recv().await, None);
    };
    select! {
        _ = connection => panic!("the connection goes on"),
        () = reset => {}
        () = sleep(HOUR) => panic!("the call is still open"),
    }
}

/// The head that a peer sees of `answer`.
async fn head_of<B>(dated: bool, answer: impl Fn(&Arc<Open>) -> Response<B>) -> HeaderMap
where
    B: Body<Data = Chunk, Error: Into<BoxError>> + Bounded + Send + 'static,
{
    let mut ends = Ends::meet(&client::Builder::new()).await;
    tokio::spawn(ends.driver);
    ends.manner.dated = dated;
    let open = Arc::clone(&ends.manner.open);
    let service = service_fn(|_| std::future::ready(Ok(answer(&open))));
    let head = ask_for(&mut ends.peer, "/");
    let connection = Http2::new(ends.server, service, ends.manner);
    select! {
        _ = connection => panic!("the connection goes on"),
        head = head => head.unwrap().into_parts().0.headers,
    }
}

#[tokio::test]
async fn an_answer_has_a_length_and_a_date_and_nothing_that_is_of_http1() {
    let head = head_of(true, |open| {
        let mut answer = answer(open, "twelve bytes");
        let headers = answer.headers_mut();
        for name in ["connection", "keep-alive", "transfer-encoding", "te"] {
            headers.append(name, "close".parse().unwrap());
            headers.append(name, "x".parse().unwrap());
        }
        headers.insert("x-own", "kept".parse().unwrap());
        answer
    })
    .await;
    let date = head["date"].to_str().unwrap();
    assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
    assert_eq!(head["content-length"], "12");
    assert_eq!(head["x-own"], "kept");
    assert_eq!(head.len(), 3, "{head:?}");

    let head = head_of(false, |_| Response::new(Empty::<Chunk>::new())).await;
    assert!(head.is_empty(), "{head:?}");
}

/// axum leaves out the body for its own routes; nobody else does for refusals of the server around it.
#[tokio::test]
async fn head_is_answered_without_a_body() {
    let mut ends = Ends::meet(&client::Builder::new()).await;
    tokio::spawn(ends.driver);
    let open = Arc::clone(&ends.manner.open);
    let service = service_fn(|_| std::future::ready(Ok(answer(&open, "twelve bytes"))));
    let head = ask_by(Method::HEAD, &mut ends.peer, "/");
    let connection = Http2::new(ends.server, service, ends.manner);
    let whole = async {
        let answer = head.await.unwrap();
        assert_eq!(answer.headers()["content-length"], "12");
        assert!(answer.body().is_end_stream());
    };
    select! {
        _ = connection => panic!("the connection goes on"),
        () = whole => {}
    }
}

/// Returns true if a connection is left alone for an hour. Its peer answers pings if `answers`, and
/// does not otherwise.
async fn is_left_alone(answers: bool) -> bool {
    let limits = Limits::default();
    let ends = Ends::meet(&client::Builder::new()).await;
    let mut server = ends.server;
    let ping = server.ping_pong();
    let open = Arc::clone(&ends.manner.open);
    let service = service_fn(|_| pending::<Result<Answer, Infallible>>());
    let connection = Http2::new(server, service, ends.manner);
    let peer = async {
        // Held, for the connection would end without it.
        let _peer = ends.peer;
        match answers {
            true => drop(ends.driver.await),
            false => {
                let _driver = ends.driver;
                pending::<()>().await;
            }
        }
    };
    select! {
        _ = connection => panic!("the connection goes on"),
        () = peer => panic!("the peer stays"),
        () = silent(ping, &open, &limits) => false,
        () = sleep(HOUR) => true,
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_left_alone_as_long_as_it_answers_pings() {
    assert!(is_left_alone(true).await);
    assert!(!is_left_alone(false).await);
}
