//! A first gRPC call: one request, one answer.
//!
//! [`Greeter`] is the service, [`serve`] puts it on a listener, [`ask`] calls it.

use std::time::Duration;

use proto::unary::{
    FILE_DESCRIPTOR_SET, Message, MessageResponse,
    unary_client::UnaryClient,
    unary_server::{SERVICE_NAME, Unary, UnaryServer},
};
use serving::{
    CancellationToken,
    client::{self, CallError},
    drain::{self, ServeError},
    operations,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// The service: tells the caller that the server is up, quoting the message it received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greeter;

#[tonic::async_trait]
impl Unary for Greeter {
    async fn get_server_response(
        &self,
        request: Request<Message>,
    ) -> Result<Response<MessageResponse>, Status> {
        let Message { message } = request.into_inner();
        tracing::debug!(text = message, "received");
        Ok(Response::new(MessageResponse {
            message: format!("Hello I am up and running received \"{message}\" message from you"),
            received: true,
        }))
    }
}

/// Serves [`Greeter`] on `listener` until `shutdown` is cancelled and the calls in flight have
/// finished. The caller owns the socket and the signals, so a test binds port 0 and stops when it
/// likes.
///
/// # Errors
/// [`ServeError`], when the listener fails or calls have to be cut at the end of the grace.
pub async fn serve(listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let server = Server::builder()
        .add_routes(operations::routes(SERVICE_NAME, FILE_DESCRIPTOR_SET, &shutdown).await)
        .add_service(UnaryServer::new(Greeter))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.clone().cancelled_owned(),
        );
    drain::finish("gRPC", server, &shutdown).await
}

/// Sends `message` to the server at `address` and returns its answer. The whole of it, connecting
/// included, takes at most `deadline`, which the server is told too.
///
/// # Errors
/// [`CallError`]: no connection, the deadline, or the status that the server answered with.
pub async fn ask(
    address: &str,
    message: String,
    deadline: Duration,
) -> Result<MessageResponse, CallError> {
    client::within(deadline, async {
        let channel = client::connect(address).await?;
        let request = client::with_deadline(Message { message }, deadline);
        match UnaryClient::new(channel).get_server_response(request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(client::call_error(&status, deadline)),
        }
    })
    .await
}
