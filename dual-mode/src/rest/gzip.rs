//! Gzip for clients that ask for it. Requests of all others pass it by.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, header::ACCEPT_ENCODING},
    routing::future::RouteFuture,
};
use futures_util::future::{BoxFuture, Either};
use tower::{Layer, Service};
use tower_http::compression::{Compression, CompressionLayer, predicate::SizeAbove};

use crate::COMPRESSED_FROM;

/// The routes, and the same with gzip.
#[derive(Clone)]
pub(super) struct Gzip {
    plain: Router,
    /// Shared: a connection clones its service for every call, and most calls do not need it.
    gzip: Arc<Compression<Router, SizeAbove>>,
}

impl Gzip {
    pub(super) fn new(routes: Router) -> Self {
        let gzip = CompressionLayer::new().compress_when(SizeAbove::new(COMPRESSED_FROM));
        Self {
            plain: routes.clone(),
            gzip: Arc::new(gzip.layer(routes)),
        }
    }
}

impl Service<Request<Body>> for Gzip {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        Either<RouteFuture<Infallible>, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !request.headers().contains_key(ACCEPT_ENCODING) {
            return Either::Left(self.plain.call(request));
        }
        let answer = Compression::clone(&self.gzip).call(request);
        Either::Right(Box::pin(async { Ok(answer.await?.map(Body::new)) }))
    }
}
