//! The fault table: everything that can be wrong with a call, once, with what each transport says
//! about it. [`Fault::row`] is the table; the adapters render its rows and add nothing.

use std::time::Duration;

use axum::http::StatusCode;
use serving::{
    CallContext,
    refusal::{RETRY_AFTER, Refusal},
    status_mapping::Rejection,
};
use thiserror::Error;
use tonic::Code;

use crate::greetings;

/// Whose reasons these are: with the reason, it names a fault for programs (AIP-193).
pub const DOMAIN: &str = "rest_grpc_dual_mode.GreetingsGenerator";

/// Anything that can be wrong with a call, whoever finds it: the business, an adapter, a framework,
/// or the server around them. Its text is the message that the caller reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The business refuses it.
    #[error(transparent)]
    Business(#[from] greetings::Fault),
    /// The request cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// There is nothing at this path.
    #[error("nothing is served at this path")]
    UnknownPath,
    /// The service has no such method.
    #[error("this server has no such service or method")]
    UnknownMethod,
    /// The path takes other HTTP methods.
    #[error("this path takes {allow}")]
    MethodNotAllowed {
        /// Which, as the `Allow` header lists them.
        allow: &'static str,
    },
    /// The request is written in a form that is not read.
    #[error("{form} is not read here; send {accept}")]
    UnsupportedMediaType {
        /// The form of the request: the media type that it names, or a description.
        form: String,
        /// The forms that are read, as an `Accept` header lists them.
        accept: &'static str,
    },
    /// The request is longer than the server takes.
    #[error("the request has more than the {limit} bytes that the server takes")]
    TooLarge {
        /// The most that it takes.
        limit: usize,
    },
    /// The path and the query are longer than the server takes.
    #[error("the path and the query are longer than the server takes")]
    UriTooLong,
    /// The server does not answer to the host of the request.
    #[error("{}", Refusal::UnknownHost.message())]
    UnknownHost,
    /// A page of another origin asks for what may change something.
    #[error("{}", Refusal::ForeignOrigin.message())]
    ForeignOrigin,
    /// The server does not know who calls.
    #[error("{}", Refusal::Unauthenticated.message())]
    Unauthenticated,
    /// The caller is known, and may not make this call.
    #[error("{}", Refusal::NotAllowed.message())]
    NotAllowed,
    /// The rest of the request did not come.
    #[error("the request paused for too long, or broke off")]
    Incomplete,
    /// The method takes one message, and another number of them came.
    #[error("{}", if *.came_more { Rejection::ManyMessages } else { Rejection::NoMessage }.message())]
    NotOneMessage {
        /// True if it was more than one.
        came_more: bool,
    },
    /// A message says that it is compressed, and nothing says how.
    #[error("{}", Rejection::CompressedWithoutEncoding.message())]
    CompressedWithoutEncoding,
    /// The deadline passed, the caller's or the server's own.
    #[error("the deadline passed before the call was finished")]
    DeadlinePassed,
    /// More calls are open than the server takes.
    #[error("the server has as much work as it takes; try again later")]
    Overloaded,
    /// The server is going away.
    #[error("the server is going away; call another one")]
    Draining,
    /// Something that the server needs is away. The log alone says which.
    #[error("{}", Rejection::Unavailable.message())]
    Unavailable,
    /// A fault of the server. Its cause is in the log, and nowhere else.
    #[error("internal error")]
    Internal,
}

/// A row of the fault table: the reason, the codes and the retry that transports give for a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name for programs: `google.rpc.ErrorInfo.reason`, and `reason` of a problem.
    pub reason: &'static str,
    /// Its status code over gRPC.
    pub code: Code,
    /// Its status over HTTP. The title of a problem is the phrase of this status (RFC 9457 §4.2.1).
    pub status: StatusCode,
    /// After which time a retry may help, if ever.
    pub retry: Option<Duration>,
}

impl Fault {
    /// The row of the table.
    pub fn row(&self) -> Row {
        let (reason, code, status) = match self {
            Self::Business(greetings::Fault::InvalidArgument { .. }) => (
                "INVALID_ARGUMENT",
                Code::InvalidArgument,
                StatusCode::BAD_REQUEST,
            ),
            Self::Malformed(_) => ("MALFORMED", Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Self::UnknownPath => ("UNKNOWN_PATH", Code::Unimplemented, StatusCode::NOT_FOUND),
            Self::UnknownMethod => ("UNKNOWN_METHOD", Code::Unimplemented, StatusCode::NOT_FOUND),
            Self::MethodNotAllowed { .. } => (
                "METHOD_NOT_ALLOWED",
                Code::Unimplemented,
                StatusCode::METHOD_NOT_ALLOWED,
            ),
            Self::UnsupportedMediaType { .. } => (
                "UNSUPPORTED_MEDIA_TYPE",
                Code::Unimplemented,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            Self::TooLarge { .. } => (
                "TOO_LARGE",
                Code::ResourceExhausted,
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            Self::UriTooLong => (
                "URI_TOO_LONG",
                Code::ResourceExhausted,
                StatusCode::URI_TOO_LONG,
            ),
            Self::UnknownHost => (
                "UNKNOWN_HOST",
                Code::PermissionDenied,
                StatusCode::MISDIRECTED_REQUEST,
            ),
            Self::ForeignOrigin => (
                "FOREIGN_ORIGIN",
                Code::PermissionDenied,
                StatusCode::FORBIDDEN,
            ),
            Self::Unauthenticated => (
                "UNAUTHENTICATED",
                Code::Unauthenticated,
                StatusCode::UNAUTHORIZED,
            ),
            Self::NotAllowed => (
                "PERMISSION_DENIED",
                Code::PermissionDenied,
                StatusCode::FORBIDDEN,
            ),
            Self::Incomplete => ("INCOMPLETE", Code::Cancelled, StatusCode::REQUEST_TIMEOUT),
            Self::NotOneMessage { .. } => (
                "NOT_ONE_MESSAGE",
                Code::Unimplemented,
                StatusCode::BAD_REQUEST,
            ),
            // gRPC fixes the code (compression.md). It is the caller's fault all the same.
            Self::CompressedWithoutEncoding => (
                "COMPRESSED_WITHOUT_ENCODING",
                Code::Internal,
                StatusCode::BAD_REQUEST,
            ),
            Self::DeadlinePassed => (
                "DEADLINE_PASSED",
                Code::DeadlineExceeded,
                StatusCode::GATEWAY_TIMEOUT,
            ),
            Self::Overloaded => (
                "OVERLOADED",
                Code::ResourceExhausted,
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::Draining => (
                "DRAINING",
                Code::Unavailable,
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::Unavailable => (
                "UNAVAILABLE",
                Code::Unavailable,
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            Self::Internal => (
                "INTERNAL",
                Code::Internal,
                StatusCode::INTERNAL_SERVER_ERROR,
            ),
        };
        let may_retry = matches!(self, Self::Overloaded | Self::Draining | Self::Unavailable);
        let retry = may_retry.then_some(RETRY_AFTER);
        Row {
            reason,
            code,
            status,
            retry,
        }
    }

    /// The fields that are wrong, where it is fields.
    pub fn violations(&self) -> &[greetings::Violation] {
        match self {
            Self::Business(greetings::Fault::InvalidArgument { violations, .. }) => violations,
            _ => &[],
        }
    }
}

/// The refusals of the server around the service.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Overloaded => Self::Overloaded,
            Refusal::DeadlinePassed => Self::DeadlinePassed,
            Refusal::MalformedDeadline | Refusal::MalformedHost => {
                Self::Malformed(refusal.message().to_owned())
            }
            Refusal::UriTooLong => Self::UriTooLong,
            Refusal::UnknownHost => Self::UnknownHost,
            Refusal::ForeignOrigin => Self::ForeignOrigin,
            Refusal::Unauthenticated => Self::Unauthenticated,
            Refusal::NotAllowed => Self::NotAllowed,
            Refusal::Draining => Self::Draining,
            Refusal::Panicked | Refusal::Failed => Self::Internal,
        }
    }
}

/// The findings of the layer around the gRPC service.
impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::MethodNotAllowed => Self::MethodNotAllowed { allow: "POST" },
            Rejection::UnsupportedMediaType { sent } => Self::UnsupportedMediaType {
                form: sent,
                accept: "application/grpc, application/grpc-web",
            },
            Rejection::UnknownMethod => Self::UnknownMethod,
            Rejection::UnsupportedEncoding => Self::UnsupportedMediaType {
                form: "this compression".to_owned(),
                accept: "gzip or identity",
            },
            Rejection::TooLarge { limit } => Self::TooLarge { limit },
            Rejection::Malformed { reason } => Self::Malformed(reason),
            Rejection::Incomplete => Self::Incomplete,
            Rejection::Overloaded => Self::Overloaded,
            Rejection::NoMessage => Self::NotOneMessage { came_more: false },
            Rejection::ManyMessages => Self::NotOneMessage { came_more: true },
            Rejection::CompressedWithoutEncoding => Self::CompressedWithoutEncoding,
            Rejection::Unavailable => Self::Unavailable,
            // A later one is a fault of the server until it has a row.
            _ => Self::Internal,
        }
    }
}

/// The id by which the log knows `call`. There is none where no server stands around the service.
pub(crate) fn request_id(call: &CallContext) -> Option<String> {
    let id = call.request_id()?;
    id.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// One of each.
    fn every() -> Vec<Fault> {
        vec![
            greetings::Fault::field("year", "is wrong").into(),
            Fault::Malformed("it cannot be read".to_owned()),
            Fault::UnknownPath,
            Fault::UnknownMethod,
            Fault::MethodNotAllowed { allow: "GET" },
            Fault::UnsupportedMediaType {
                form: "text/plain".to_owned(),
                accept: "application/json",
            },
            Fault::TooLarge { limit: 1 },
            Fault::UriTooLong,
            Fault::UnknownHost,
            Fault::ForeignOrigin,
            Fault::Unauthenticated,
            Fault::NotAllowed,
            Fault::Incomplete,
            Fault::NotOneMessage { came_more: true },
            Fault::CompressedWithoutEncoding,
            Fault::DeadlinePassed,
            Fault::Overloaded,
            Fault::Draining,
            Fault::Unavailable,
            Fault::Internal,
        ]
    }

    #[test]
    fn a_reason_names_one_fault() {
        let reasons: HashSet<_> = every().iter().map(|fault| fault.row().reason).collect();
        assert_eq!(reasons.len(), every().len());
    }

    #[test]
    fn the_transports_agree_on_whose_fault_it_is_and_whether_to_try_again() {
        for fault in every() {
            let row = fault.row();
            let ours = matches!(
                row.code,
                Code::DeadlineExceeded | Code::Unavailable | Code::Internal
            ) && fault != Fault::CompressedWithoutEncoding;
            let overloaded = row.reason == "OVERLOADED";
            assert_eq!(row.status.is_server_error(), ours || overloaded, "{row:?}");
            assert_eq!(
                row.retry.is_some(),
                row.status == StatusCode::SERVICE_UNAVAILABLE
            );
        }
    }

    #[test]
    fn a_fault_of_the_server_says_nothing_about_its_inside() {
        assert_eq!(Fault::from(Refusal::Panicked).to_string(), "internal error");
    }

    #[test]
    fn the_domain_is_the_service() {
        use proto::rest_grpc_dual_mode::greetings_generator_server::SERVICE_NAME;
        assert_eq!(DOMAIN, SERVICE_NAME);
    }
}
