//! Connections that calls are made on: hyper's over HTTP/1.1, which gRPC-Web travels on, too, h2's over
//! HTTP/2, and tonic's client upon that for gRPC. Requests are made before the clock starts, and checked
//! after it has stopped.

mod channel;
mod codec;
mod driver;
mod grpc;
pub(crate) mod grpc_web;
mod http1;
mod http2;

use std::{io, pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tonic::Status;

use crate::{
    prepared::Ready,
    spec::{Endpoint, Transport},
    tls::Connector,
    wire,
};
use channel::NotGrpc;

/// The longest reply that is read, in bytes: what tonic's client reads of a message by default.
const LONGEST_REPLY: usize = 4 * 1024 * 1024;

/// A body that is copied behind its head, in bytes at most.
const SHORT_BODY: usize = 4 * 1024;

/// A connection, or a user's share of one.
pub(crate) enum Client {
    Http1(http1::Connection),
    Http2(http2::Connection),
    Grpc(Box<grpc::Connection>),
}

/// A whole reply, unchecked.
pub(crate) enum Received {
    /// Over HTTP.
    Http(http::response::Parts, Bytes),
    /// Over gRPC, with status OK.
    Grpc(tonic::Response<Bytes>),
    /// Over gRPC, with another status, which the server gave.
    Status(Status),
}

/// Reason for the lack of a connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    /// TCP failed.
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// HTTP/1.1 failed.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// HTTP/2 failed.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

/// Reason for the lack of a reply.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// HTTP/1.1 failed.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// HTTP/2 failed.
    #[error(transparent)]
    Http2(#[from] h2::Error),
    /// The connection failed under tonic's client.
    #[error("{}", .0.message())]
    Broken(Status),
    /// The peer speaks HTTP/2, and not gRPC.
    #[error(transparent)]
    NotGrpc(#[from] NotGrpc),
    /// It is gRPC-Web, and not whole or not a reply to a unary call.
    #[error("no reply of gRPC-Web: {0}")]
    BadReply(&'static str),
    /// Longer than [`LONGEST_REPLY`].
    #[error("the reply is longer than {LONGEST_REPLY} bytes")]
    TooLong,
}

/// The purpose of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    pub(crate) sharing: Sharing,
    /// Length of the longest body that is sent.
    pub(crate) longest_body: usize,
}

/// Sharing of a connection between users.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// One call at a time.
    Exclusive,
    /// Several calls in flight.
    Shared,
}

impl Client {
    /// Connects to `endpoint` by `connector`. Its bytes are counted in `bytes`.
    pub(crate) async fn open(
        transport: Transport,
        connector: &Connector,
        endpoint: &Endpoint,
        bytes: &Arc<wire::Bytes>,
        purpose: Use,
    ) -> Result<Self, ConnectError> {
        let stream = connector.open(endpoint, bytes).await?;
        Ok(match transport {
            Transport::Http1 | Transport::GrpcWeb => Self::Http1(
                http1::Connection::open(stream, purpose.longest_body <= SHORT_BODY).await?,
            ),
            Transport::Http2 => {
                Self::Http2(http2::Connection::open(stream, purpose.sharing).await?)
            }
            Transport::Grpc => {
                let connection = http2::Connection::open(stream, purpose.sharing).await?;
                Self::Grpc(Box::new(grpc::Connection::new(connection, endpoint)))
            }
        })
    }

    /// The same connection for another user; none over HTTP/1.1, which has one call at a time.
    pub(crate) fn share(&self) -> Option<Self> {
        Some(match self {
            Self::Http1(_) => return None,
            Self::Http2(connection) => Self::Http2(connection.share()?),
            Self::Grpc(connection) => Self::Grpc(Box::new(connection.share()?)),
        })
    }

    /// Returns true if another call can be sent.
    pub(crate) fn is_open(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_open(),
            Self::Http2(connection) => connection.is_open(),
            Self::Grpc(connection) => connection.is_open(),
        }
    }

    /// Returns true if it can be used after a call that was given up.
    pub(crate) fn outlives_calls(&self) -> bool {
        !matches!(self, Self::Http1(_))
    }

    /// Makes one call, and reads its reply to the last byte. A request of another transport is never
    /// given to it.
    pub(crate) async fn call(&mut self, request: Ready) -> Result<Received, CallError> {
        match (self, request) {
            (Self::Http1(connection), Ready::Http1(request)) => {
                let (head, body) = connection.call(request).await?;
                Ok(Received::Http(head, body))
            }
            (Self::Http1(connection), Ready::GrpcWeb(request)) => {
                let (head, body) = connection.call(request).await?;
                grpc_web::read(head, body)
            }
            (Self::Http2(connection), Ready::Http2(head, body)) => {
                connection.call(head, body).await
            }
            (Self::Grpc(connection), Ready::Grpc(request, path)) => {
                connection.call(request, path).await
            }
            _ => unreachable!("requests are prepared for the transport of the trial"),
        }
    }

    /// Does the connection's own work, such as answering pings, while `future` is waited for.
    pub(crate) async fn attend<F: Future>(&mut self, future: Pin<&mut F>) -> F::Output {
        match self {
            Self::Http1(connection) => connection.attend(future).await,
            Self::Http2(connection) => connection.attend(future).await,
            Self::Grpc(connection) => connection.attend(future).await,
        }
    }
}

impl CallError {
    /// The fixed text it is counted under.
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Self::Http1(_) | Self::Http2(_) | Self::Broken(_) => "connection broken",
            Self::NotGrpc(_) => "no gRPC",
            Self::BadReply(_) => "no reply of gRPC-Web",
            Self::TooLong => "reply too long",
        }
    }
}

impl ConnectError {
    /// The fixed text it is counted under.
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Self::Socket(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "connection refused"
            }
            Self::Socket(error) if is_too_many_files(error) => "this machine: too many open files",
            Self::Socket(_) => "no connection",
            Self::Http1(_) | Self::Http2(_) => "connection broken",
        }
    }
}

fn is_too_many_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}

/// The parts of a body: mostly one, which is not copied.
#[derive(Default)]
struct Collected {
    first: Bytes,
    all: BytesMut,
}

impl Collected {
    fn push(&mut self, part: Bytes) -> Result<(), CallError> {
        if self.first.is_empty() {
            self.first = part;
        } else {
            if self.all.is_empty() {
                self.all.extend_from_slice(&self.first);
            }
            self.all.extend_from_slice(&part);
        }
        let length = self.first.len().max(self.all.len());
        if length > LONGEST_REPLY {
            return Err(CallError::TooLong);
        }
        Ok(())
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}
