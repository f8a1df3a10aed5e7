//! What a listener can serve.

use std::{convert::Infallible, future::Future};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::Service;

use crate::intake::CountedBody;

/// Why a body broke off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An HTTP service that any number of connections may use at once. It answers every request: what
/// went wrong is an answer too. tonic's services and axum's routers are such services, and whatever
/// else meets the bounds.
pub trait HttpService:
    Service<
        Request<CountedBody>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future: Future + Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request<CountedBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Body = B;
}
