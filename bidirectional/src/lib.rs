//! A gRPC stream on which both sides read and write in any order they like.
//!
//! The server sends every message back; [`order::Order`] says when. [`Echo`] is the service,
//! [`serve`] puts it on a listener, and [`conversation`] is the client's side.

pub mod conversation;
pub mod order;

use std::pin::Pin;

use futures_util::Stream;
use order::Order;
use proto::bidirectional::{
    FILE_DESCRIPTOR_SET, Message,
    bidirectional_server::{Bidirectional, BidirectionalServer, SERVICE_NAME},
};
use serving::{
    CancellationToken,
    connection::Protocol,
    drain::ServeError,
    grpc::WithOperations,
    operations::{self, Health},
    refusal::GrpcStatus,
    server::Listener,
    status_mapping::StatusMappingLayer,
};
use tonic::{Request, Response, Status, Streaming, codec::CompressionEncoding::Gzip};
use tower::Layer;

/// The service: sends every message back, in the order it came, at a time that `order` chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo {
    /// When the answers are written.
    pub order: Order,
}

#[tonic::async_trait]
impl Bidirectional for Echo {
    type GetServerResponseStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    /// Returns before the first message is read, so that the client learns at once that the call
    /// was taken. The answers are a stream made of the questions: when the client goes away, tonic
    /// drops it, and nothing is left running.
    async fn get_server_response(
        &self,
        request: Request<Streaming<Message>>,
    ) -> Result<Response<Self::GetServerResponseStream>, Status> {
        Ok(Response::new(self.order.answers(request.into_inner())))
    }
}

/// Serves [`Echo`] on `listener` until `shutdown` is cancelled. Streams that are open then are ended
/// with UNAVAILABLE.
///
/// # Errors
/// [`ServeError`], when streams have to be cut at the end of the grace.
pub async fn serve(
    listener: impl Into<Listener>,
    order: Order,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let listener = listener.into();
    let health = Health::new(shutdown.clone());
    let operations = operations::routes(&health, &[SERVICE_NAME], FILE_DESCRIPTOR_SET);
    let service = BidirectionalServer::new(Echo { order })
        .max_decoding_message_size(listener.limits.message)
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let mapping = StatusMappingLayer::new(listener.limits.message).contract(FILE_DESCRIPTOR_SET);
    let service = mapping.layer(WithOperations::new(service, operations));
    listener
        .serve("gRPC", Protocol::Http2, service, GrpcStatus, shutdown)
        .await
}
