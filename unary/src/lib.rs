//! A first gRPC call: one request, one answer.
//!
//! [`Greeter`] is the service, [`serve`] puts it on a listener, [`ask`] calls it.

use std::time::{Duration, Instant};

use proto::unary::{
    FILE_DESCRIPTOR_SET, Message, MessageResponse,
    unary_client::UnaryClient,
    unary_server::{SERVICE_NAME, Unary, UnaryServer},
};
use serving::{
    CancellationToken,
    client::{self, CallError},
    connection::Protocol,
    drain::ServeError,
    grpc::{self, WORTH_COMPRESSING, WithOperations},
    operations::{self, Health},
    refusal::GrpcStatus,
    retry::Retry,
    server::Listener,
    status_mapping::StatusMappingLayer,
};
use tonic::{Request, Response, Status, codec::CompressionEncoding::Gzip};
use tower::Layer;

/// The service: tells the caller that the server is up, quoting the message it received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greeter;

#[tonic::async_trait]
impl Unary for Greeter {
    async fn get_server_response(
        &self,
        request: Request<Message>,
    ) -> Result<Response<MessageResponse>, Status> {
        let (metadata, _, Message { message }) = request.into_parts();
        tracing::debug!(text = message, "received");
        let answer = MessageResponse {
            message: format!("Hello I am up and running received \"{message}\" message from you"),
            received: true,
        };
        let headers = metadata.into_headers();
        Ok(grpc::written(answer, &headers, WORTH_COMPRESSING))
    }
}

/// Serves [`Greeter`] on `listener` until `shutdown` is cancelled and the calls in flight have
/// finished. The caller owns the socket and the signals, so a test binds port 0 and stops when it
/// likes.
///
/// # Errors
/// [`ServeError`], when calls have to be cut at the end of the grace.
pub async fn serve(
    listener: impl Into<Listener>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let listener = listener.into();
    let health = Health::new(shutdown.clone());
    let operations = operations::routes(&health, &[SERVICE_NAME], FILE_DESCRIPTOR_SET);
    let service = UnaryServer::new(Greeter)
        .max_decoding_message_size(listener.limits.message)
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let mapping = StatusMappingLayer::new(listener.limits.message).contract(FILE_DESCRIPTOR_SET);
    let service = mapping.layer(WithOperations::new(service, operations));
    listener
        .serve("gRPC", Protocol::Http2, service, GrpcStatus, shutdown)
        .await
}

/// Sends `message` to the server at `address` and returns its answer, trying again as `retry` has it.
/// The whole of it, connecting included, takes at most `deadline`, which the server is told too.
///
/// # Errors
/// [`CallError`]: no connection, the deadline, or the status that the server answered with.
pub async fn ask(
    address: &str,
    message: String,
    deadline: Duration,
    retry: Retry,
) -> Result<MessageResponse, CallError> {
    let begin = Instant::now();
    let attempt = || async {
        let channel = client::connect(address).await?;
        let message = Message {
            message: message.clone(),
        };
        // What the attempts before have left of it.
        let left = deadline.saturating_sub(begin.elapsed());
        let request = client::with_deadline(message, left);
        let (channel, witness) = client::watched(channel);
        let mut client = UnaryClient::new(channel).accept_compressed(Gzip);
        match client.get_server_response(request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(witness.error(&status, deadline)),
        }
    };
    retry.run(deadline, attempt).await
}
