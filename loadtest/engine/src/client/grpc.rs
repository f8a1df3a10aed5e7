//! gRPC: tonic's client on one of h2's connections. Messages are bytes, encoded before the clock
//! starts and left as they are.

use std::{
    error::Error as _,
    pin::{Pin, pin},
};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Uri, uri::PathAndQuery};
use tonic::{Status, client::Grpc};

use super::{
    CallError, Received,
    channel::{Channel, ChannelError, NotGrpc},
    codec::Raw,
    driver::Driver,
    http2::{self, is_open},
};
use crate::spec::Endpoint;

/// One connection, or a user's share of it.
pub(crate) struct Connection {
    grpc: Grpc<Channel>,
    /// Another handle, as tonic keeps its own.
    sender: SendRequest<Bytes>,
    driver: Driver,
    origin: Uri,
}

impl Connection {
    pub(super) fn new(connection: http2::Connection, endpoint: &Endpoint) -> Self {
        let origin = Uri::builder()
            .scheme(endpoint.scheme())
            .authority(endpoint.authority.as_str())
            .path_and_query("/")
            .build()
            .unwrap_or_default();
        Self::of(connection.sender, connection.driver, origin)
    }

    fn of(sender: SendRequest<Bytes>, driver: Driver, origin: Uri) -> Self {
        Self {
            grpc: Grpc::with_origin(Channel(sender.clone()), origin.clone()),
            sender,
            driver,
            origin,
        }
    }

    /// The same connection for another user; none where it has one call at a time.
    pub(super) fn share(&self) -> Option<Self> {
        let driver = self.driver.share()?;
        Some(Self::of(self.sender.clone(), driver, self.origin.clone()))
    }

    pub(super) fn is_open(&mut self) -> bool {
        !self.driver.has_ended() && is_open(&mut self.sender)
    }

    pub(super) async fn attend<F: Future>(&mut self, future: Pin<&mut F>) -> F::Output {
        self.driver.attend(future).await
    }

    pub(super) async fn call(
        &mut self,
        request: tonic::Request<Bytes>,
        path: PathAndQuery,
    ) -> Result<Received, CallError> {
        let grpc = &mut self.grpc;
        let codec = Raw(request.get_ref().len());
        let exchange = async {
            grpc.ready().await?;
            Ok::<_, ChannelError>(grpc.unary(request, path, codec).await)
        };
        match self
            .driver
            .call(pin!(exchange))
            .await
            .map_err(CallError::from)?
        {
            Ok(reply) => Ok(Received::Grpc(reply)),
            Err(status) => unfinished(status),
        }
    }
}

/// Tells a status that the server sent, which has no cause on this side of the wire, from a failure.
fn unfinished(status: Status) -> Result<Received, CallError> {
    let Some(cause) = status.source() else {
        return Ok(Received::Status(status));
    };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(cause);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<NotGrpc>() {
            return Err(CallError::NotGrpc(error.clone()));
        }
        cause = error.source();
    }
    Err(CallError::Broken(status))
}
