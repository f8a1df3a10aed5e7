//! A gRPC service and the operators' services beside it, as one.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either};
use http::{Request, Response};
use tonic::{body::Body, server::NamedService, service::Routes};
use tower::Service;

use crate::service::BoxError;

/// Sends the calls of one service straight to it, and all others to the operators' services, whose
/// router would cost every call more than the call itself.
#[derive(Clone, Debug)]
pub struct WithOperations<S> {
    service: S,
    operations: Routes,
}

impl<S> WithOperations<S> {
    /// `service`, and `operations` beside it.
    pub fn new(service: S, operations: Routes) -> Self {
        Self {
            service,
            operations: operations.prepare(),
        }
    }
}

impl<S, B> Service<Request<B>> for WithOperations<S>
where
    S: NamedService + Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The path is /package.Service/Method.
        let method = request
            .uri()
            .path()
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(S::NAME));
        if method.is_some_and(|method| method.starts_with('/')) {
            Either::Left(self.service.call(request))
        } else {
            Either::Right(Box::pin(self.operations.call(request)))
        }
    }
}
