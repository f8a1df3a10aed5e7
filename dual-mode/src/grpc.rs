//! The gRPC adapter: proto messages to the core and back. It decides nothing.

use proto::rest_grpc_dual_mode::{
    FILE_DESCRIPTOR_SET, RequestMessage, ResponseMessage,
    greetings_generator_server::{GreetingsGenerator, GreetingsGeneratorServer, SERVICE_NAME},
};
use serving::{
    CancellationToken,
    drain::{self, ServeError},
    operations,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

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
/// [`ServeError`], when the listener fails or calls have to be cut at the end of the grace.
pub async fn serve(listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let server = Server::builder()
        .add_routes(operations::routes(SERVICE_NAME, FILE_DESCRIPTOR_SET, &shutdown).await)
        .add_service(GreetingsGeneratorServer::new(Greetings))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.clone().cancelled_owned(),
        );
    drain::finish("gRPC", server, &shutdown).await
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
