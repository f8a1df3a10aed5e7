//! One of h2's connections as the service that tonic's client sends through.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::{
    RecvStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use thiserror::Error;
use tonic::{Status, body::Body, metadata::MetadataMap};

use super::{CallError, http2};

/// A reply over HTTP/2 that is not gRPC.
#[derive(Clone, Debug, Error)]
#[error("an HTTP reply that is not gRPC: status {status}, content type {content_type:?}")]
pub(crate) struct NotGrpc {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
}

impl NotGrpc {
    /// The reply with this `status` and these `headers`, unless `is_grpc` says of its content type that it is gRPC's.
    pub(super) fn unless(
        is_grpc: impl FnOnce(&[u8]) -> bool,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(), Self> {
        let content_type = headers.get(header::CONTENT_TYPE);
        let content_type = content_type.map(HeaderValue::as_bytes).unwrap_or_default();
        match is_grpc(content_type) {
            true => Ok(()),
            false => Err(Self {
                status,
                content_type: String::from_utf8_lossy(content_type).into_owned(),
            }),
        }
    }
}

/// Reason for the lack of a reply that tonic could read.
#[derive(Debug, Error)]
pub(super) enum ChannelError {
    #[error("{0}")]
    Http2(#[from] h2::Error),
    #[error("{0}")]
    NotGrpc(#[from] NotGrpc),
    #[error("tonic sends no message: {0}")]
    NoMessage(String),
    #[error("it was polled after its end")]
    Ended,
}

impl From<ChannelError> for CallError {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Http2(error) => Self::Http2(error),
            ChannelError::NotGrpc(error) => Self::NotGrpc(error),
            ChannelError::NoMessage(_) | ChannelError::Ended => {
                Self::Broken(Status::internal(error.to_string()))
            }
        }
    }
}

/// An h2 connection as the service that tonic's client sends through.
pub(super) struct Channel(pub(super) SendRequest<Bytes>);

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Reply>;
    type Error = ChannelError;
    type Future = Pending;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Pending {
        let (head, body) = request.into_parts();
        let head = Request::from_parts(head, ());
        Pending(message_of(body).and_then(|message| Ok(http2::send(&mut self.0, head, message)?)))
    }
}

/// The body of a unary call: one frame, which is there at once, as the message is.
fn message_of(mut body: Body) -> Result<Bytes, ChannelError> {
    let cx = &mut Context::from_waker(Waker::noop());
    let frame = match Pin::new(&mut body).poll_frame(cx) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data(),
        Poll::Ready(Some(Err(status))) => {
            return Err(ChannelError::NoMessage(status.message().to_owned()));
        }
        _ => return Err(ChannelError::NoMessage("its body is empty".to_owned())),
    };
    frame.map_err(|_| ChannelError::NoMessage("its body is trailers".to_owned()))
}

/// A reply that has not begun.
pub(super) struct Pending(Result<ResponseFuture, ChannelError>);

impl Future for Pending {
    type Output = Result<Response<Reply>, ChannelError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = match &mut self.0 {
            Ok(response) => ready!(Pin::new(response).poll(cx))?,
            Err(error) => return Poll::Ready(Err(std::mem::replace(error, ChannelError::Ended))),
        };
        let is_grpc = |media: &[u8]| media.starts_with(b"application/grpc");
        NotGrpc::unless(is_grpc, response.status(), response.headers())?;
        drop_unreadable_details(response.headers_mut());
        Poll::Ready(Ok(response.map(Reply)))
    }
}

/// Leaves out details of a status that are no base64, at which tonic panics (0.14.9, `Status::from_header_map`).
pub(super) fn drop_unreadable_details(headers: &mut HeaderMap) {
    let Some(details) = headers.get(Status::GRPC_STATUS_DETAILS) else {
        return;
    };
    let alone = HeaderMap::from_iter([(Status::GRPC_STATUS_DETAILS, details.clone())]);
    let metadata = MetadataMap::from_headers(alone);
    let read = metadata.get_bin(Status::GRPC_STATUS_DETAILS.as_str());
    if read.is_none_or(|details| details.to_bytes().is_err()) {
        headers.remove(Status::GRPC_STATUS_DETAILS);
    }
}

/// The body of a reply.
pub(super) struct Reply(RecvStream);

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(part) = ready!(self.0.poll_data(cx)) {
            let part = part?;
            self.0.flow_control().release_capacity(part.len())?;
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        let trailers: Option<HeaderMap> = ready!(self.0.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|mut trailers| {
            drop_unreadable_details(&mut trailers);
            Ok(Frame::trailers(trailers))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
