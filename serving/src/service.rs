//! The HTTP services that a listener can serve.

use std::future::Future;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::Service;

/// The error of a body that broke off, or of a service that failed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An HTTP service that a listener can serve: tonic's services and `Routes`, an `axum::Router`, each with any tower
/// layers around it, and whatever else meets the bounds.
///
/// Every call has a clone of its own. The listener waits until that clone is ready, for as long as the call may
/// take, so that a concurrency limit or a buffer works inside. An error of the service is answered as
/// [`Refusal::Failed`](crate::refusal::Refusal::Failed) and goes to the log, unless it is a
/// [`Refusal`](crate::refusal::Refusal) itself, or tower's word for an overload.
pub trait HttpService:
    Service<
        Request<crate::Body>,
        Response = Response<Self::Body>,
        Error: Into<BoxError> + Send + 'static,
        Future: Future + Send + 'static,
    > + Clone
    + Send
    + 'static
{
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request<crate::Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Body = B;
}
