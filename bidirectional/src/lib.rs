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
    drain::{self, ServeError},
    operations,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

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

/// Serves [`Echo`] on `listener` until `shutdown` is cancelled and the open streams have ended.
///
/// # Errors
/// [`ServeError`], when the listener fails or streams have to be cut at the end of the grace.
pub async fn serve(
    listener: TcpListener,
    order: Order,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let server = Server::builder()
        .add_routes(operations::routes(SERVICE_NAME, FILE_DESCRIPTOR_SET, &shutdown).await)
        .add_service(BidirectionalServer::new(Echo { order }))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.clone().cancelled_owned(),
        );
    drain::finish("gRPC", server, &shutdown).await
}
