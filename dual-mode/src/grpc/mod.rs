//! The gRPC adapter: proto messages to the core and back. It decides nothing.

mod status;

use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage, FILE_DESCRIPTOR_SET, RequestMessage,
    ResponseMessage,
    greetings_generator_server::{GreetingsGenerator, GreetingsGeneratorServer, SERVICE_NAME},
};
use serving::{
    CancellationToken, connection::Protocol, drain::ServeError, grpc::WithOperations, operations,
    server::Listener,
};
use tonic::{Request, Response, Status};

use crate::{faults, greetings, messages};
use status::{Refused, status};

/// How the adapter names itself in the log where the caller does not.
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
        let (metadata, _, message) = request.into_parts();
        match crate::answer(GRPC, &message.into()) {
            Ok(answer) => Ok(Response::new(answer.into())),
            Err(fault) => Err(refused(fault, metadata)),
        }
    }

    async fn grpc_get_greetings_batch(
        &self,
        request: Request<BatchRequestMessage>,
    ) -> Result<Response<BatchResponseMessage>, Status> {
        let (metadata, _, message) = request.into_parts();
        match crate::answer_batch(GRPC, &messages::requests(message)) {
            Ok(answers) => Ok(Response::new(messages::responses(answers))),
            Err(fault) => Err(refused(fault, metadata)),
        }
    }
}

fn refused(fault: greetings::Fault, metadata: tonic::metadata::MetadataMap) -> Status {
    let headers = metadata.into_headers();
    status(&fault.into(), faults::request_id(&headers))
}

/// Serves gRPC on `listener` until `shutdown` is cancelled and the calls in flight have finished.
///
/// # Errors
/// [`ServeError`], when calls have to be cut at the end of the grace.
pub async fn serve(listener: Listener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let (operations, shutdown) =
        operations::routes(SERVICE_NAME, FILE_DESCRIPTOR_SET, shutdown).await;
    let service =
        GreetingsGeneratorServer::new(Greetings).max_decoding_message_size(listener.limits.message);
    let service = WithOperations::new(service, operations);
    listener
        .serve("gRPC", Protocol::Http2, service, Refused, shutdown)
        .await
}
