//! A service whose behaviour is known beforehand: it answers every call with the same bytes, at once
//! or after a known time. What the load test says of it can be held against the truth.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use engine::{Nanoseconds, alarm::Alarm};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    task::yield_now,
};

use crate::greetings;

/// The known behaviour of the service, in microseconds. By default it answers at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Time that it takes for each answer.
    pub delay_us: u64,
    /// When after the first call it stops answering.
    pub stall_after_us: u64,
    /// For how long.
    pub stall_us: u64,
}

/// First bytes of the HTTP/2 connection preface (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI";

/// The service: what all of its connections share.
#[derive(Debug)]
pub struct Service {
    known: Known,
    first_call: OnceLock<Instant>,
    /// Times for which calls were really kept waiting, in nanoseconds: no timer is exact.
    waited: Mutex<Nanoseconds>,
    json: Bytes,
    protobuf: Bytes,
    grpc: Bytes,
    grpc_web: Bytes,
}

/// Serves on `listener` for as long as it is polled. A connection speaks HTTP/1.1 or HTTP/2.
pub async fn serve(listener: TcpListener, shared: Arc<Service>) {
    loop {
        // A connection that cannot be accepted is one that the load test misses and says so.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&shared)));
        } else {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Service>) {
    let mut first = [0; PREFACE.len()];
    let _ = stream.set_nodelay(true);
    if !stream.peek(&mut first).await.is_ok_and(|read| read > 0) {
        return;
    }
    let is_http2 = first == PREFACE;
    let stream = TokioIo::new(stream);
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    // How a connection ends is the load test's business.
    if is_http2 {
        let http2 = http2::Builder::new(TokioExecutor::new());
        let _ = http2.serve_connection(stream, service).await;
    } else {
        let _ = http1::Builder::new()
            .serve_connection(stream, service)
            .await;
    }
}

type Answer = Either<Full<Bytes>, StreamBody<Frames>>;
type Frames = stream::Iter<std::array::IntoIter<Result<Frame<Bytes>, Infallible>, 2>>;

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Service>,
) -> Result<Response<Answer>, hyper::Error> {
    let (head, body) = request.into_parts();
    // Reading the question to its end keeps the connection usable.
    body.collect().await?;
    shared.wait().await;
    let media = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let (media, body) = match media.unwrap_or_default() {
        b"application/protobuf" => (
            "application/protobuf",
            Either::Left(Full::new(shared.protobuf.clone())),
        ),
        media if media.starts_with(b"application/grpc-web") => (
            "application/grpc-web+proto",
            Either::Left(Full::new(shared.grpc_web.clone())),
        ),
        media if media.starts_with(b"application/grpc") => {
            let status = HeaderName::from_static("grpc-status");
            let trailers = HeaderMap::from_iter([(status, HeaderValue::from_static("0"))]);
            let frames = [
                Ok(Frame::data(shared.grpc.clone())),
                Ok(Frame::trailers(trailers)),
            ];
            let frames = StreamBody::new(stream::iter(frames));
            ("application/grpc", Either::Right(frames))
        }
        _ => (
            "application/json",
            Either::Left(Full::new(shared.json.clone())),
        ),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    Ok(response)
}

impl Service {
    /// One that behaves like this.
    pub fn new(known: Known) -> Self {
        let [json, protobuf] = greetings::fixed_replies();
        // Not compressed, and its length: gRPC's frame (PROTOCOL-HTTP2.md).
        let mut grpc = vec![0];
        grpc.extend(
            u32::try_from(protobuf.len())
                .unwrap_or_default()
                .to_be_bytes(),
        );
        grpc.extend_from_slice(&protobuf);
        // The trailers are a frame of their own (PROTOCOL-WEB.md).
        let grpc_web = [&grpc[..], b"\x80\0\0\0\x0fgrpc-status:0\r\n"].concat();
        Self {
            known,
            first_call: OnceLock::new(),
            waited: Mutex::new(Nanoseconds::default()),
            json,
            protobuf,
            grpc: grpc.into(),
            grpc_web: grpc_web.into(),
        }
    }

    /// Returns the times for which calls were kept waiting, from the arrival of a call until its
    /// answer was made.
    pub fn waited(&self) -> Nanoseconds {
        let waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        waited.clone()
    }

    /// Waits as long as is known for a call that has just come.
    async fn wait(&self) {
        let Known {
            delay_us,
            stall_after_us,
            stall_us,
        } = self.known;
        let now = Instant::now();
        let mut until = now + Duration::from_micros(delay_us);
        let stall = *self.first_call.get_or_init(|| now) + Duration::from_micros(stall_after_us);
        let stall_end = stall + Duration::from_micros(stall_us);
        if (stall..stall_end).contains(&now) {
            until = until.max(stall_end);
        }
        if until <= now {
            return;
        }
        if sleep_until(until).await.is_err() {
            // Without a timer of the system it takes longer, and is recorded as such.
            tokio::time::sleep(until - now).await;
        }
        let nanos = u64::try_from(now.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        waited.0.saturating_record(nanos);
    }
}

/// Accurate to microseconds, as what is known should be.
async fn sleep_until(end: Instant) -> std::io::Result<()> {
    let early = end.saturating_duration_since(Instant::now());
    if early > Alarm::ACCURACY {
        Alarm::new()?.sleep(early - Alarm::ACCURACY).await?;
    }
    while Instant::now() < end {
        yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn an_answer_never_comes_before_its_time_and_the_quickest_comes_close_to_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Known {
            delay_us: 20_000,
            ..Known::default()
        };
        let service = Arc::new(Service::new(known));
        tokio::spawn(serve(listener, Arc::clone(&service)));
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut quickest = Duration::MAX;
        for _ in 0..50 {
            let begun = Instant::now();
            client
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
            let mut answer = [0; 1024];
            let read = client.read(&mut answer).await.unwrap();
            assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
            quickest = quickest.min(begun.elapsed());
        }
        let delay = Duration::from_millis(20);
        assert!(quickest >= delay, "{quickest:?}");
        assert!(quickest < delay * 3, "{quickest:?}");
        let waited = service.waited();
        assert_eq!(waited.count(), 50);
        // Kept to three digits.
        let least = Duration::from_nanos(waited.0.min());
        assert!(
            least > delay - delay / 500 && least <= quickest,
            "{least:?}"
        );
    }
}
