//! Reading of batches over gRPC: their requests are counted before they are held. tonic's generated
//! service would hold all of them first, however many they are.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::{body::HttpBody, http};
use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage,
    greetings_generator_server::{GreetingsGenerator, GreetingsGeneratorServer},
};
use serving::CallContext;
use tonic::{
    Request, Status,
    body::Body,
    codec::{Codec, CompressionEncoding::Gzip, DecodeBuf, Decoder},
    codegen::StdError,
    server::{Grpc, NamedService},
};
use tonic_prost::ProstEncoder;
use tower::{Service, service_fn};

use super::{Greetings, status::status};
use crate::messages;

const BATCH: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetingsBatch";

/// The service, which counts the requests of a batch.
#[derive(Clone, Debug)]
pub(super) struct CountedBatch {
    service: GreetingsGeneratorServer<Greetings>,
    limit: usize,
}

impl CountedBatch {
    /// `service`, whose batches have at most `limit` bytes.
    pub(super) fn new(service: GreetingsGeneratorServer<Greetings>, limit: usize) -> Self {
        Self { service, limit }
    }
}

impl NamedService for CountedBatch {
    const NAME: &'static str = GreetingsGeneratorServer::<Greetings>::NAME;
}

impl<B> Service<http::Request<B>> for CountedBatch
where
    B: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if request.uri().path() != BATCH {
            return self.service.call(request);
        }
        let mut grpc = Grpc::new(Counting(CallContext::of(request.extensions())))
            .accept_compressed(Gzip)
            .send_compressed(Gzip)
            .max_decoding_message_size(self.limit);
        let batch = async |request| Greetings.grpc_get_greetings_batch(request).await;
        let batch = service_fn(move |request: Request<_>| batch(request));
        Box::pin(async move { Ok(grpc.unary(batch, request).await) })
    }
}

/// The codec of the generated service for one call, but for the counting.
#[derive(Clone)]
struct Counting(CallContext);

impl Codec for Counting {
    type Encode = BatchResponseMessage;
    type Decode = BatchRequestMessage;
    type Encoder = ProstEncoder<BatchResponseMessage>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Decoder for Counting {
    type Item = BatchRequestMessage;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let message = message.copy_to_bytes(message.remaining());
        let batch = messages::batch(message);
        batch.map(Some).map_err(|fault| status(&fault, &self.0))
    }
}
