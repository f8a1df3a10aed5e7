//! The gRPC adapter: proto messages to the core and back. It decides nothing.

mod batch;
mod status;

use axum::http::HeaderMap;
use prost::Message;
use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage, FILE_DESCRIPTOR_SET, RequestMessage,
    ResponseMessage,
    greetings_generator_server::{GreetingsGenerator, GreetingsGeneratorServer, SERVICE_NAME},
};
use serving::{
    CallContext,
    authorization::{Authorization, AuthorizationLayer},
    connection::Protocol,
    cors::Origins,
    drain::ServeError,
    grpc::WithOperations,
    layers::GrpcWebLayer,
    limits::Limits,
    operations::{self, Health},
    server::Listener,
    service::HttpService,
    side::Side,
    status_mapping::StatusMappingLayer,
};
use tonic::{Extensions, Request, Response, Status, codec::CompressionEncoding::Gzip};
use tower::Layer;

use crate::{COMPRESSED_FROM, greetings, messages};
use batch::CountedBatch;
use status::{Refused, status};

/// Name of this adapter in the log, if the caller names no transport.
const GRPC: &str = "gRPC";

/// The service over gRPC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greetings;

#[tonic::async_trait]
impl GreetingsGenerator for Greetings {
    async fn grpc_get_greetings(
        &self,
        request: Request<RequestMessage>,
    ) -> Result<Response<ResponseMessage>, Status> {
        let (metadata, call, message) = request.into_parts();
        let headers = metadata.into_headers();
        let answer = crate::answer(GRPC, &message.into());
        let answer = answer.map_err(|fault| refused(fault, &call))?;
        Ok(written(answer.into(), &headers))
    }

    async fn grpc_get_greetings_batch(
        &self,
        request: Request<BatchRequestMessage>,
    ) -> Result<Response<BatchResponseMessage>, Status> {
        let (metadata, call, message) = request.into_parts();
        let headers = metadata.into_headers();
        let answers = crate::answer_batch(GRPC, &messages::requests(message));
        let answers = answers.map_err(|fault| refused(fault, &call))?;
        Ok(written(messages::responses(answers), &headers))
    }
}

fn refused(fault: greetings::Fault, call: &Extensions) -> Status {
    status(&fault.into(), &CallContext::of(call))
}

fn written<M: Message>(message: M, headers: &HeaderMap) -> Response<M> {
    serving::grpc::written(message, headers, COMPRESSED_FROM.into())
}

/// The service with what operators expect beside it, for whom `authorization` lets in, and for browsers of
/// `origins` too.
pub(crate) fn side(
    limits: &Limits,
    origins: Origins,
    authorization: Authorization,
    health: &Health,
) -> Side<impl HttpService, Refused> {
    let operations = operations::routes(health, &[SERVICE_NAME], FILE_DESCRIPTOR_SET);
    let service = GreetingsGeneratorServer::new(Greetings)
        .max_decoding_message_size(limits.message)
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let service = CountedBatch::new(service, limits.message);
    let mapping =
        StatusMappingLayer::with_words(limits.message, Refused).contract(FILE_DESCRIPTOR_SET);
    let service = mapping.layer(WithOperations::new(service, operations));
    let web = GrpcWebLayer::new(Refused, limits.body_pause);
    Side {
        service: AuthorizationLayer::new(authorization, Refused).layer(web.layer(service)),
        refuse: Refused,
        paths: operations::paths(FILE_DESCRIPTOR_SET),
        origins,
    }
}

/// Serves gRPC on `listener` to whom `authorization` lets in, to browsers of `origins` too, until the shutdown
/// of `health` is cancelled and the
/// calls in flight have finished.
///
/// # Errors
/// [`ServeError`], when calls have to be cut at the end of the grace.
pub async fn serve(
    listener: Listener,
    origins: Origins,
    authorization: Authorization,
    health: Health,
) -> Result<(), ServeError> {
    let side = side(&listener.limits, origins, authorization, &health);
    listener
        .serve_side("gRPC", Protocol::Either, side, health.shutdown().clone())
        .await
}
