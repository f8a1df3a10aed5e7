//! The outcomes of calls: a few kinds with fixed texts, so that they can be counted.

use std::fmt;

use tonic::Code;

use crate::{
    client::{CallError, Received},
    spec::Expect,
};

/// The end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// HTTP: the reply was whole and had this status.
    Http(u16),
    /// gRPC: the call had this status.
    Grpc(Code),
    /// No reply, or none that is one.
    Broken(&'static str),
}

impl Outcome {
    /// The reply did not come before the time limit, or before waiting ended.
    pub(crate) const TOO_LATE: Self = Self::Broken("no answer in time");

    /// The body is not the one that the request expects.
    pub(crate) const UNEXPECTED: Self = Self::Broken("unexpected body");

    /// Checks what was received, after the clock has stopped.
    pub(crate) fn of(received: &Result<Received, CallError>, expect: &Expect) -> Self {
        let (outcome, body) = match received {
            Ok(Received::Http(head, body)) => (Self::Http(head.status.as_u16()), body),
            Ok(Received::Grpc(reply)) => (Self::Grpc(Code::Ok), reply.get_ref()),
            Ok(Received::Status(status)) => return Self::Grpc(status.code()),
            Err(error) => return Self::Broken(error.text()),
        };
        match expect {
            Expect::Body(expected) if outcome.is_ok() && body != expected => Self::UNEXPECTED,
            _ => outcome,
        }
    }

    /// Whether it is a good reply.
    pub(crate) fn is_ok(self) -> bool {
        matches!(self, Self::Http(200..=299) | Self::Grpc(Code::Ok))
    }

    /// The HTTP status, for goose. gRPC's own status is in the trailers, and is not one.
    pub(crate) fn http_status(self) -> Option<u16> {
        match self {
            Self::Http(status) => Some(status),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "{status}"),
            Self::Grpc(code) => f.write_str(code_name(*code)),
            Self::Broken(reason) => f.write_str(reason),
        }
    }
}

/// The name of a status code as gRPC spells it, such as `NOT_FOUND`.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
