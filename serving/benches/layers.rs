//! The cost of each layer: the time that a call to a service that answers at once takes longer with the layer around
//! it, without any server. Rounds take all layers in turn, and the median of their differences from the bare service
//! of the same round is printed, with the quartiles.
//!
//! `cargo bench -p serving --bench layers`

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::{Full, StreamBody};
use serving::{
    CancellationToken,
    authorization::{Authorization, AuthorizationLayer, Tokens},
    cors::Origins,
    cross_site::CrossSiteGate,
    gate::GateLayer,
    hosts::{HostGate, Hosts},
    layers::{
        self, BodyIdleTimeoutLayer, CatchPanicLayer, ConcurrencyLimitLayer, DeadlineLayer,
        DrainLayer, RequestMemoryLayer, ResponseMemoryLayer, TelemetryLayer,
    },
    limits::Limits,
    refusal::GrpcStatus,
    status_mapping::StatusMappingLayer,
    telemetry::{Telemetry, codes::Transport},
};
use tower::{Layer, Service, layer::util::Identity, service_fn};

const PATH: &str = "/shop.v1.Orders/GetOrder";
/// Odd, so that a median is one of them.
const ROUNDS: usize = 41;
const CALLS: u32 = 10_000;

/// A message of gRPC with 32 bytes.
const MESSAGE: &[u8] = b"\0\0\0\0\x20abcdefghijklmnopqrstuvwxyzabcdef";

fn request() -> Request<Full<Bytes>> {
    Request::post(format!("http://localhost{PATH}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "grpc-go/1.80.0")
        .header("grpc-timeout", "5S")
        .header("authorization", "Bearer 4ZbQyGm3K1rXwT0v")
        .body(Full::from(MESSAGE))
        .expect("it is a request")
}

type Answer = Response<StreamBody<futures_util::stream::Iter<std::array::IntoIter<Piece, 2>>>>;
type Piece = Result<Frame<Bytes>, Infallible>;

/// Reads one message, and answers with one and its status, as a service of gRPC does.
async fn answer<B: Body<Data = Bytes>>(request: Request<B>) -> Result<Answer, Infallible> {
    let mut body = pin!(request.into_body());
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        black_box(frame);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [
        Frame::data(Bytes::from_static(MESSAGE)),
        Frame::trailers(trailers),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok)));
    let mut answer = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert("content-type", kind);
    Ok(answer)
}

/// Makes one call, and reads all of its answer.
fn call<S, B>(service: &mut S, request: Request<Full<Bytes>>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    B: Body,
{
    const AT_ONCE: &str = "nothing here waits";
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(service.poll_ready(cx).is_ready(), "{AT_ONCE}");
    let Poll::Ready(Ok(answer)) = pin!(service.call(request)).poll(cx) else {
        panic!("{AT_ONCE}");
    };
    assert!(answer.status().is_success(), "every layer lets it pass");
    let mut body = pin!(answer.into_body());
    loop {
        match body.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => drop(black_box(frame)),
            Poll::Ready(None) => return,
            _ => panic!("{AT_ONCE}"),
        }
    }
}

/// Each of the layers by its name, and what measures the nanoseconds of a call in it.
macro_rules! measured {
    ($($name:literal => $layer:expr),+ $(,)?) => {
        [$(($name, {
            let layer = $layer;
            let time = move || {
                let mut service = Layer::layer(&layer, service_fn(answer));
                let request = request();
                let begun = Instant::now();
                for _ in 0..CALLS {
                    call(&mut service, request.clone());
                }
                begun.elapsed().as_nanos() as f64 / f64::from(CALLS)
            };
            Box::new(time) as Box<dyn Fn() -> f64>
        })),+]
    };
}

fn main() {
    let words = GrpcStatus;
    let limits = Limits::default();
    let origins = Origins {
        hosts: Hosts::new(&["shop.example".to_owned()]),
        ..Origins::default()
    };
    let hosts = HostGate::new(origins.hosts.clone(), words);
    let pages = CrossSiteGate::new(Arc::new(origins.clone()), words);
    let tokens = Tokens::new("backend 4ZbQyGm3K1rXwT0v").expect("it is a token");
    let telemetry = TelemetryLayer::new(&Telemetry::default(), "bench", Transport::Grpc, [PATH]);
    let gates = GateLayer((hosts, pages));
    let known = Authorization::by_tokens(tokens);
    let authorization = AuthorizationLayer::new(known.clone(), words);
    let deadline = DeadlineLayer::new(words, limits.longest_call, limits.longest_stream);
    let drain = DrainLayer::new(words, CancellationToken::new());
    let calls = ConcurrencyLimitLayer::new(words, limits.calls);
    let answers = ResponseMemoryLayer::new(words, limits.answers);
    let pause = BodyIdleTimeoutLayer::new(limits.body_pause);
    let mapping = StatusMappingLayer::new(limits.message);
    let requests = RequestMemoryLayer::new(words, limits.intake);
    let stop = CancellationToken::new();
    let all = layers::stack(words, &limits, telemetry.clone(), origins, known, stop);
    let all = all.layer(mapping.clone());
    let layers = measured! {
        "none" => Identity::new(),
        "TelemetryLayer" => telemetry,
        "CatchPanicLayer" => CatchPanicLayer::new(words),
        "GateLayer, hosts and origins" => gates,
        "AuthorizationLayer, one token" => authorization,
        "DeadlineLayer" => deadline,
        "DrainLayer" => drain,
        "ConcurrencyLimitLayer" => calls,
        "RequestMemoryLayer" => requests,
        "ResponseMemoryLayer" => answers,
        "BodyIdleTimeoutLayer" => pause,
        "StatusMappingLayer" => mapping,
        "all of them" => all,
    };
    let rounds: Vec<Vec<f64>> = (0..ROUNDS)
        .map(|_| layers.iter().map(|(_, time)| time()).collect())
        .collect();
    println!("ns of a call    quartiles    layer; all but the first beside it");
    for (at, (name, _)) in layers.iter().enumerate() {
        let bare = |round: &[f64]| if at == 0 { 0.0 } else { round[0] };
        let mut more: Vec<_> = rounds.iter().map(|round| round[at] - bare(round)).collect();
        more.sort_by(f64::total_cmp);
        let [low, median, high] = [ROUNDS / 4, ROUNDS / 2, ROUNDS * 3 / 4].map(|at| more[at]);
        println!("{median:12.0}    {low:4.0} {high:4.0}    {name}");
    }
}
