//! One call outside of any trial, whose reply the caller looks at before it measures.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use thiserror::Error;
use tokio::time::timeout;
use tonic::Code;

use crate::{
    client::{CallError, Client, ConnectError, Received, Sharing, Use},
    outcome::code_name,
    prepared::{InvalidRequest, Prepared},
    spec::{Endpoint, PreparedRequest, Transport},
    tls::{Connector, InvalidTls},
    wire,
};

/// A whole reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status of the reply, which tells whether it is good and, if not, what it says instead.
    pub status: Status,
    /// Headers; over gRPC those of the trailers too.
    pub headers: HeaderMap,
    /// The body; over gRPC the message without its length prefix.
    pub body: Bytes,
}

/// The status of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Over HTTP.
    Http(StatusCode),
    /// Over gRPC, with the server's message.
    Grpc(Code, String),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(status) => write!(f, "{status}"),
            Self::Grpc(code, message) if message.is_empty() => f.write_str(code_name(*code)),
            Self::Grpc(code, message) => write!(f, "{}: {message}", code_name(*code)),
        }
    }
}

impl Status {
    /// Returns true if it is 2xx, or OK over gRPC.
    pub fn is_ok(&self) -> bool {
        match self {
            Self::Http(status) => status.is_success(),
            Self::Grpc(code, _) => *code == Code::Ok,
        }
    }
}

/// Reason for the lack of a good reply.
#[derive(Debug, Error)]
pub enum Failure {
    /// The request cannot be sent at all.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// Its TLS cannot be used.
    #[error(transparent)]
    InvalidTls(#[from] InvalidTls),
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// There is no way there.
    #[error("not reachable: {0}")]
    NotReachable(io::Error),
    /// The time limit has passed.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection ended, or the peer speaks something else.
    #[error("connection broken: {0}")]
    Broken(String),
    /// The reply is not gRPC.
    #[error("no gRPC there: {0}")]
    NoGrpc(String),
    /// The reply is longer than is read.
    #[error("{0}")]
    TooLong(String),
    /// The reply has a bad status.
    #[error("{}", .0.status)]
    BadStatus(Reply),
}

/// Makes one call and returns its reply, if that has a good status. Its body is not checked.
///
/// # Errors
/// When there is none, or its status is not 2xx, or not OK over gRPC.
pub async fn probe(
    transport: Transport,
    endpoint: &Endpoint,
    request: &PreparedRequest,
    time_limit: Duration,
) -> Result<Reply, Failure> {
    let purpose = Use {
        sharing: Sharing::Exclusive,
        longest_body: request.body.len(),
    };
    let request = Prepared::new(transport, endpoint, request)?.ready();
    let bytes: Arc<wire::Bytes> = Arc::default();
    let call = async {
        let connector = Connector::new(transport, endpoint)?;
        let mut client = Client::open(transport, &connector, endpoint, &bytes, purpose)
            .await
            .map_err(|error| not_connected(transport, error))?;
        let received = client.call(request).await;
        received.map_err(|error| not_answered(transport, error))
    };
    let received = timeout(time_limit, call).await;
    let reply = reply(received.map_err(|_| Failure::Timeout(time_limit))??);
    match reply.status.is_ok() {
        true => Ok(reply),
        false => Err(Failure::BadStatus(reply)),
    }
}

fn not_connected(transport: Transport, error: ConnectError) -> Failure {
    match error {
        ConnectError::Socket(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Failure::Refused
        }
        // What rustls finds is wrapped so.
        ConnectError::Socket(error) if error.get_ref().is_some() => Failure::Tls(error.to_string()),
        ConnectError::Socket(error) => Failure::NotReachable(error),
        ConnectError::Http1(error) => Failure::Broken(error.to_string()),
        ConnectError::Http2(error) => not_http2(transport, &error),
    }
}

fn not_answered(transport: Transport, error: CallError) -> Failure {
    match error {
        CallError::NotGrpc(_) => Failure::NoGrpc(error.to_string()),
        CallError::Http2(error) => not_http2(transport, &error),
        CallError::TooLong => Failure::TooLong(error.to_string()),
        CallError::BadReply(_) => Failure::Broken(error.to_string()),
        CallError::Broken(status) => broken(transport, &status),
        CallError::Http1(error) => Failure::Broken(error.to_string()),
    }
}

/// An error that this side found in what the peer sent: over HTTP/2 it would not be there.
fn not_http2(transport: Transport, error: &h2::Error) -> Failure {
    if transport == Transport::Grpc && error.is_library() {
        return Failure::NoGrpc(format!("the peer does not speak HTTP/2: {error}"));
    }
    Failure::Broken(error.to_string())
}

/// The same, found under tonic's client.
fn broken(transport: Transport, status: &tonic::Status) -> Failure {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return not_http2(transport, error);
        }
        cause = error.source();
    }
    Failure::Broken(status.message().to_owned())
}

fn reply(received: Received) -> Reply {
    match received {
        Received::Http(head, body) => Reply {
            status: Status::Http(head.status),
            headers: head.headers,
            body,
        },
        Received::Grpc(reply) => {
            let (metadata, body, _) = reply.into_parts();
            Reply {
                status: Status::Grpc(Code::Ok, String::new()),
                headers: metadata.into_headers(),
                body,
            }
        }
        Received::Status(status) => Reply {
            status: Status::Grpc(status.code(), status.message().to_owned()),
            headers: status.metadata().clone().into_headers(),
            body: Bytes::copy_from_slice(status.details()),
        },
    }
}
