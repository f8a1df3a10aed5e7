//! The gRPC adapter: proto messages to the core and back. It decides nothing.

use proto::rest_grpc_dual_mode::{
    FILE_DESCRIPTOR_SET, RequestMessage, ResponseMessage,
    greetings_generator_server::{GreetingsGenerator, GreetingsGeneratorServer, SERVICE_NAME},
};
use serving::{
    CancellationToken, connection::Protocol, drain::ServeError, grpc::WithOperations, operations,
    refusal::GrpcStatus, server::Listener,
};
use tonic::{Request, Response, Status};

use crate::greetings::{self, Fault};

/// The service over gRPC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greetings;

#[tonic::async_trait]
impl GreetingsGenerator for Greetings {
    async fn grpc_get_greetings(
        &self,
        request: Request<RequestMessage>,
    ) -> Result<Response<ResponseMessage>, Status> {
        let request = greetings::Request::from(request.into_inner());
        let answer = crate::answer("gRPC", &request)?;
        Ok(Response::new(answer.into()))
    }
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
        .serve("gRPC", Protocol::Either, service, GrpcStatus, shutdown)
        .await
}

impl From<RequestMessage> for greetings::Request {
    fn from(message: RequestMessage) -> Self {
        Self {
            data_comm_type: message.data_comm_type,
            message_type: message.message_type,
            year: message.year,
        }
    }
}

impl From<greetings::Answer> for ResponseMessage {
    fn from(answer: greetings::Answer) -> Self {
        Self {
            greetings: answer.greetings,
            message_received: answer.message_received,
        }
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::InvalidArgument { .. } => Self::invalid_argument(fault.to_string()),
        }
    }
}
