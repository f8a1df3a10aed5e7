//! Faults of a call, and a service's words for them.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::ALLOW};
use http_body_util::Full;
use tonic::{Code, Status};

use crate::{
    context::CallContext,
    refusal::{GrpcStatus, Refusal},
};

/// A fault of a call, whoever finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// gRPC calls by POST.
    MethodNotAllowed,
    /// It is not gRPC with protobuf messages.
    UnsupportedMediaType {
        /// The media type that was sent, or that there was none. At most 80 characters of it.
        sent: String,
    },
    /// There is no such service or method.
    UnknownMethod,
    /// Its messages are compressed in a way that the service does not read.
    UnsupportedEncoding,
    /// A message has more than `limit` bytes, unpacked or not.
    TooLarge {
        /// The most bytes that a message may have.
        limit: usize,
    },
    /// Its bytes are no message of the contract.
    Malformed {
        /// Reason, which speaks of the caller's bytes alone.
        reason: String,
    },
    /// The rest of the request did not come.
    Incomplete,
    /// The requests on their way in hold too much memory.
    Overloaded,
    /// The contract has one message, and none came.
    NoMessage,
    /// The contract has one message, and more came.
    ManyMessages,
    /// A message says that it is compressed, and no header says how.
    CompressedWithoutEncoding,
    /// A fault of the server. Its cause is in the log.
    Internal,
    /// Something that the handler needs is away. The log says which.
    Unavailable,
}

impl Rejection {
    /// The text for the caller. It never says anything about the inside of the server.
    pub fn message(&self) -> String {
        match self {
            Self::MethodNotAllowed => "gRPC calls by POST".to_owned(),
            Self::UnsupportedMediaType { sent } => {
                format!("{sent} is not read here; send application/grpc over HTTP/2")
            }
            Self::UnknownMethod => "this server has no such service or method".to_owned(),
            Self::UnsupportedEncoding => "this compression is not read here; send what \
                                          grpc-accept-encoding names, or identity"
                .to_owned(),
            Self::TooLarge { limit } => {
                format!("a message has more than the {limit} bytes that the server takes")
            }
            Self::Malformed { reason } => reason.clone(),
            Self::Incomplete => "the request paused for too long, or broke off".to_owned(),
            Self::Overloaded => Refusal::Overloaded.message().to_owned(),
            Self::NoMessage => "this method takes one message, and none came".to_owned(),
            Self::ManyMessages => "this method takes one message, and more came".to_owned(),
            Self::CompressedWithoutEncoding => {
                "a message has its compressed flag set, and no grpc-encoding says how it is \
                 compressed"
                    .to_owned()
            }
            Self::Internal => Refusal::Panicked.message().to_owned(),
            Self::Unavailable => {
                "a service that this one needs does not answer; try again later".to_owned()
            }
        }
    }

    /// Its gRPC code.
    pub fn code(&self) -> Code {
        match self {
            Self::MethodNotAllowed
            | Self::UnsupportedMediaType { .. }
            | Self::UnknownMethod
            | Self::UnsupportedEncoding
            // statuscodes.md: cardinality violations.
            | Self::NoMessage
            | Self::ManyMessages => Code::Unimplemented,
            Self::TooLarge { .. } | Self::Overloaded => Code::ResourceExhausted,
            Self::Malformed { .. } => Code::InvalidArgument,
            Self::Incomplete => Code::Cancelled,
            // compression.md: test case 3.
            Self::CompressedWithoutEncoding | Self::Internal => Code::Internal,
            Self::Unavailable => Code::Unavailable,
        }
    }

    /// Its HTTP status, if it is found by the head of a request: whoever sent it may know no gRPC.
    pub fn http_status(&self) -> Option<StatusCode> {
        match self {
            Self::MethodNotAllowed => Some(StatusCode::METHOD_NOT_ALLOWED),
            Self::UnsupportedMediaType { .. } => Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            _ => None,
        }
    }
}

/// A service's words for the faults of a call. [`GrpcStatus`] says it in few words.
pub trait Reject: Send + Sync + 'static {
    /// The status of a call for `rejection`.
    fn status(&self, rejection: &Rejection, _: &CallContext) -> Status {
        match rejection {
            Rejection::Overloaded => GrpcStatus::status(Refusal::Overloaded),
            _ => Status::new(rejection.code(), rejection.message()),
        }
    }

    /// The whole answer to `call`, whose head is rejected already.
    fn answer(&self, rejection: &Rejection, call: &CallContext) -> Response<Full<Bytes>> {
        let mut answer: Response<Full<Bytes>> = self.status(rejection, call).into_http();
        if let Some(status) = rejection.http_status() {
            *answer.status_mut() = status;
        }
        if *rejection == Rejection::MethodNotAllowed {
            let post = HeaderValue::from_static("POST");
            answer.headers_mut().insert(ALLOW, post);
        }
        answer
    }
}

impl Reject for GrpcStatus {}

/// The status for a handler's caller, of a call that the handler made itself and that failed with `status`:
/// UNAVAILABLE where it may help to try again, and INTERNAL otherwise. It is not the caller's fault, whatever
/// the code, and the text is for the log alone, where the request id of `call`, the handler's own, stands beside it.
///
/// ```
/// # use serving::{CallContext, status_mapping::downstream};
/// # use tonic::{Code, Request, Status};
/// # let request = Request::new(());
/// let call = CallContext::of(request.extensions());
/// let failed = Status::invalid_argument("no column \"nmae\" in table users");
/// let status = downstream(&failed, &call);
/// assert_eq!(status.code(), Code::Internal);
/// assert!(!status.message().contains("users"));
/// ```
pub fn downstream(status: &Status, call: &CallContext) -> Status {
    super::log(status.code(), &status.message(), call);
    let rejection = behind(status.code());
    Status::new(rejection.code(), rejection.message())
}

/// The rejection that a failure with `code`, of something behind the handler, is to the handler's caller.
pub(super) fn behind(code: Code) -> Rejection {
    match code {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted => {
            Rejection::Unavailable
        }
        _ => Rejection::Internal,
    }
}
