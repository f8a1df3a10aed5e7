//! What only some clients ask for: gzip, and answers for the pages of other origins. Requests of all
//! others pass it by.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    http::{
        HeaderMap, Request, Response,
        header::{ACCEPT_ENCODING, ORIGIN},
    },
    routing::future::RouteFuture,
};
use futures_util::future::{BoxFuture, Either};
use tower::{Layer, Service};
use tower_http::{
    compression::{Compression, CompressionLayer, predicate::SizeAbove},
    cors::Cors,
};

use crate::{COMPRESSED_FROM, cors::Origins};

/// The routes, and the same with extras.
#[derive(Clone)]
pub(super) struct Extras {
    plain: Router,
    rich: Cors<Compression<Router, SizeAbove>>,
    /// Whether any page may read answers.
    pages: bool,
}

impl Extras {
    /// `routes`, whose answers the pages of `origins` may read.
    pub(super) fn new(routes: Router, origins: Origins) -> Self {
        let gzip = CompressionLayer::new().compress_when(SizeAbove::new(COMPRESSED_FROM));
        Self {
            plain: routes.clone(),
            pages: !origins.are_none(),
            rich: origins.layer().layer(gzip.layer(routes)),
        }
    }

    fn are_asked_for(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(ACCEPT_ENCODING) || (self.pages && headers.contains_key(ORIGIN))
    }
}

impl Service<Request<Body>> for Extras {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        Either<RouteFuture<Infallible>, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !self.are_asked_for(request.headers()) {
            return Either::Left(self.plain.call(request));
        }
        let answer = self.rich.call(request);
        Either::Right(Box::pin(async { Ok(answer.await?.map(Body::new)) }))
    }
}
