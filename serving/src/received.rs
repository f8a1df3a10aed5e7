//! The body of a request as a peer sends it, over either protocol.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::{http2::Http2Body, service::BoxError, unread::Http1Body};

/// The body of a request as it comes from the connection. It is boxed, for requests are moved often, from layer to
/// layer.
#[derive(Debug)]
pub struct Received(Box<Kind>);

#[derive(Debug)]
enum Kind {
    /// Over HTTP/1.1.
    Http1(Http1Body),
    /// Over HTTP/2.
    Http2(Http2Body),
}

impl Received {
    /// Over HTTP/1.1.
    pub(crate) fn http1(body: Http1Body) -> Self {
        Self(Box::new(Kind::Http1(body)))
    }

    /// Over HTTP/2.
    pub(crate) fn http2(body: Http2Body) -> Self {
        Self(Box::new(Kind::Http2(body)))
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self.0 {
            Kind::Http1(body) => body.poll_frame(cx).map_err(Into::into),
            Kind::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &*self.0 {
            Kind::Http1(body) => body.is_end_stream(),
            Kind::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &*self.0 {
            Kind::Http1(body) => body.size_hint(),
            Kind::Http2(body) => body
                .left()
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
