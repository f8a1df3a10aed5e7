//! Watches the answer to a call, to tell the server's status from the client's own: tonic's client has one
//! type for both.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    TryFutureExt,
    future::{BoxFuture, FutureExt},
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body, metadata::MetadataMap, transport::Channel};
use tower::Service;

use super::{CallError, call_error, no_grpc, on_one_line};
use crate::grpc::{MEDIA_TYPE, begins};

#[derive(Debug, Default)]
struct Seen {
    /// The server said how the call ended.
    said: AtomicBool,
    /// The answer was not gRPC: its HTTP status and media type.
    foreign: OnceLock<(StatusCode, String)>,
}

impl Seen {
    /// Looks at the head or the trailers of an answer. Details that cannot be read are left out: tonic panics at them
    /// (0.14.9, `Status::from_header_map`).
    fn look(&self, headers: &mut HeaderMap) {
        if headers.contains_key(Status::GRPC_STATUS) {
            self.said.store(true, Relaxed);
        }
        if let Some(details) = headers.get(Status::GRPC_STATUS_DETAILS)
            && !is_base64(details)
        {
            headers.remove(Status::GRPC_STATUS_DETAILS);
        }
    }
}

/// Returns true if tonic can read `details`.
fn is_base64(details: &HeaderValue) -> bool {
    let alone = HeaderMap::from_iter([(Status::GRPC_STATUS_DETAILS, details.clone())]);
    let metadata = MetadataMap::from_headers(alone);
    let read = metadata.get_bin(Status::GRPC_STATUS_DETAILS.as_str());
    read.is_some_and(|details| details.to_bytes().is_ok())
}

/// A watcher of the answer to one call.
#[derive(Clone, Debug)]
pub struct Witness(Arc<Seen>);

/// A channel that is watched. One call is to be made over it.
#[derive(Clone, Debug)]
pub struct Watched {
    channel: Channel,
    seen: Arc<Seen>,
}

/// `channel` for one call, and what will be seen of its answer.
pub fn watched(channel: Channel) -> (Watched, Witness) {
    let seen = Arc::new(Seen::default());
    let witness = Witness(Arc::clone(&seen));
    (Watched { channel, seen }, witness)
}

impl Witness {
    /// The meaning of `status` to the caller who set `deadline`: that of [`call_error`], if the server said it.
    pub fn error(&self, status: &Status, deadline: Duration) -> CallError {
        let has_cause = std::error::Error::source(status).is_some();
        if self.0.said.load(Relaxed) || has_cause {
            return call_error(status, deadline);
        }
        if let Some((http, kind)) = self.0.foreign.get() {
            let reason = format!("HTTP {http} with {kind}");
            return no_grpc(Some(http.as_u16()), format!("HTTP {http}"), reason);
        }
        match call_error(status, deadline) {
            CallError::Status { message, .. } => CallError::Unusable { reason: message },
            other => other,
        }
    }
}

impl Service<Request<Body>> for Watched {
    type Response = Response<WatchedBody>;
    type Error = tonic::transport::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let seen = Arc::clone(&self.seen);
        let answer = self.channel.call(request).map_ok(move |mut answer| {
            // The head has the status only if it is all there is (PROTOCOL-HTTP2.md, Trailers-Only); tonic takes
            // it in any case.
            if !http_body::Body::is_end_stream(answer.body()) {
                answer.headers_mut().remove(Status::GRPC_STATUS);
            }
            seen.look(answer.headers_mut());
            let kind = answer.headers().get(CONTENT_TYPE);
            let is_grpc = kind.is_some_and(|kind| begins(kind.as_bytes(), MEDIA_TYPE));
            if !is_grpc {
                let kind = kind.map_or_else(
                    || "no content type".to_owned(),
                    |kind| on_one_line(&String::from_utf8_lossy(kind.as_bytes())),
                );
                let _ = seen.foreign.set((answer.status(), kind));
            }
            answer.map(|body| WatchedBody { body, seen })
        });
        answer.boxed()
    }
}

/// An answer that is watched.
#[derive(Debug)]
pub struct WatchedBody {
    body: Body,
    seen: Arc<Seen>,
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            self.seen.look(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
