//! The layers around services without a socket: what is asked of a service that is not ready, and what no peer sees.

use std::{convert::Infallible, future::pending, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use serving::{
    CancellationToken,
    authorization::Authorization,
    cors::Origins,
    layers::{self, DeadlineLayer, DrainLayer, Layers, TelemetryLayer},
    limits::Limits,
    refusal::{GrpcStatus, PlainText, Refuse},
    status_mapping::StatusMappingLayer,
    telemetry::{Telemetry, codes::Transport},
};
use tokio::time::{Instant, sleep};
use tonic::server::NamedService;
use tower::{
    ServiceBuilder, ServiceExt,
    limit::{ConcurrencyLimitLayer as TowersLimit, GlobalConcurrencyLimitLayer},
    service_fn,
};

const CALL: Duration = Duration::from_secs(60);
const STREAM: Duration = Duration::from_secs(3600);

fn ask(path: &str) -> Request<()> {
    Request::get(path).body(()).expect("it is a request")
}

/// Answers at once.
async fn whole(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("whole")))
}

/// Every layer, for anybody and with the limits of a listener.
fn all<R: Refuse>(words: R, transport: Transport) -> Layers<R> {
    let telemetry = TelemetryLayer::new(&Telemetry::default(), "it", transport, ["/"]);
    let (origins, anybody) = (Origins::default(), Authorization::default());
    let stop = CancellationToken::new();
    layers::stack(words, &Limits::default(), telemetry, origins, anybody, stop)
}

/// tower's own limit panics if it is called before it was ready.
#[tokio::test]
async fn a_service_is_called_when_it_is_ready() {
    let whole = async |_: Request<_>| Ok::<_, Infallible>(Response::new(Full::from("whole")));
    let service = all(PlainText, Transport::Rest)
        .layer(TowersLimit::new(1))
        .service(service_fn(whole));
    for _ in 0..3 {
        let ask = Request::get("/").header("host", "localhost");
        let ask = ask.body(Full::<Bytes>::default()).unwrap();
        let answer = service.clone().oneshot(ask).await.unwrap();
        let body = answer.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "whole");
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_service_that_is_not_ready_counts() {
    let service = ServiceBuilder::new()
        .layer(DeadlineLayer::new(PlainText, CALL, STREAM).route("/patient", 2 * CALL, STREAM))
        .layer(GlobalConcurrencyLimitLayer::new(1))
        .service(service_fn(async |_| {
            pending::<Result<Response<Full<Bytes>>, Infallible>>().await
        }));
    let start = Instant::now();
    let ahead = tokio::spawn(service.clone().oneshot(ask("/patient")));
    tokio::task::yield_now().await;
    let answer = service.clone().oneshot(ask("/")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!((CALL..2 * CALL).contains(&start.elapsed()));
    let ahead = ahead.await.unwrap().unwrap();
    assert_eq!(ahead.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(start.elapsed() >= 2 * CALL);
}

/// A timer of tokio's panics outside of its runtime.
#[test]
fn a_call_that_never_waits_arms_no_timer() {
    let service = ServiceBuilder::new()
        .layer(DeadlineLayer::new(PlainText, CALL, STREAM))
        .layer(DrainLayer::new(PlainText, CancellationToken::new()))
        .service(service_fn(whole));
    let answer = service.oneshot(ask("/")).now_or_never().unwrap().unwrap();
    let body = answer.into_body().collect().now_or_never().unwrap();
    assert_eq!(body.unwrap().to_bytes(), "whole");
}

/// An answer that always has more at hand gives no timer a chance to be waited for.
#[tokio::test(start_paused = true)]
async fn a_stream_has_an_end_of_its_own_that_it_need_not_wait_for() {
    let seconds = service_fn(async |_: Request<()>| {
        let seconds = stream::repeat(Bytes::from_static(b"second")).then(async |second| {
            sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(Frame::data(second))
        });
        Ok::<_, Infallible>(Response::new(StreamBody::new(seconds)))
    });
    let busy = service_fn(async |_: Request<()>| {
        let busy = stream::repeat_with(|| Ok::<_, Infallible>(Frame::data(Bytes::from("busy"))));
        Ok::<_, Infallible>(Response::new(StreamBody::new(busy)))
    });
    let layer = DeadlineLayer::new(GrpcStatus, CALL, STREAM);
    let start = Instant::now();
    let answer = tower::Layer::layer(&layer, seconds).oneshot(ask("/"));
    let answer = answer.await.unwrap().into_body().collect().await.unwrap();
    assert!(start.elapsed() >= STREAM);
    assert_eq!(answer.trailers().unwrap()["grpc-status"], "4");

    let answer = tower::Layer::layer(&layer, busy).oneshot(ask("/"));
    let mut body = answer.await.unwrap().into_body();
    for _ in 0..99 {
        body.frame().await.unwrap().unwrap().into_data().unwrap();
    }
    tokio::time::advance(STREAM).await;
    let last = body.frame().await.unwrap().unwrap();
    assert!(last.is_data(), "what is at hand is passed on");
    let last = body.frame().await.unwrap().unwrap();
    assert_eq!(last.into_trailers().unwrap()["grpc-status"], "4");
    assert!(body.frame().await.is_none());
}

#[test]
fn a_service_of_tonics_keeps_its_name() {
    fn name<S: NamedService>(_: &S) -> &'static str {
        S::NAME
    }
    let (_, health) = tonic_health::server::health_reporter();
    let service = all(GrpcStatus, Transport::Grpc)
        .layer(StatusMappingLayer::new(9))
        .service(health);
    assert_eq!(name(&service), "grpc.health.v1.Health");
    tonic::transport::Server::builder().add_service(service);
}
