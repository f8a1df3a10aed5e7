//! The outcomes of calls: a few kinds with fixed texts, so that they can be counted.

use std::fmt;

use tonic::Code;

use crate::{
    client::{CallError, Received},
    spec::{Accepted, Expect},
};

/// The end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// HTTP: the reply was whole and had this status.
    Http(u16),
    /// gRPC: the call had this status.
    Grpc(Code),
    /// The reply had a status that the caller takes for a good one.
    Accepted(Accepted),
    /// No reply, or none that is one.
    Broken(&'static str),
}

impl Outcome {
    /// The reply did not come before the time limit, or before waiting ended.
    pub(crate) const TOO_LATE: Self = Self::Broken("no answer in time");

    /// The body is not the one that the request expects.
    pub(crate) const UNEXPECTED: Self = Self::Broken("unexpected body");

    /// Checks what was received, after the clock has stopped; a sample is looked at more closely.
    pub(crate) fn of(
        received: &Result<Received, CallError>,
        expect: &Expect,
        accept: &[Accepted],
        is_sample: bool,
    ) -> Self {
        let (outcome, body) = match received {
            Ok(Received::Http(head, body)) => (Self::Http(head.status.as_u16()), body),
            Ok(Received::Grpc(reply)) => (Self::Grpc(Code::Ok), reply.get_ref()),
            Ok(Received::Status(status)) => return Self::Grpc(status.code()).or_accepted(accept),
            Err(error) => return Self::Broken(error.text()),
        };
        match expect {
            Expect::Body(expected) if outcome.is_ok() && body != expected => Self::UNEXPECTED,
            Expect::Json if outcome.is_ok() && !is_json(body, is_sample) => Self::UNEXPECTED,
            _ => outcome.or_accepted(accept),
        }
    }

    fn or_accepted(self, accept: &[Accepted]) -> Self {
        let mine = match self {
            Self::Http(status) => Accepted::Http(status),
            Self::Grpc(code) => Accepted::Grpc(code as i32),
            _ => return self,
        };
        match !self.is_ok() && accept.contains(&mine) {
            true => Self::Accepted(mine),
            false => self,
        }
    }

    /// Returns true if it is a good reply.
    pub(crate) fn is_ok(self) -> bool {
        matches!(
            self,
            Self::Http(200..=299) | Self::Grpc(Code::Ok) | Self::Accepted(_)
        )
    }

    /// The HTTP status, for goose. gRPC's own status is in the trailers, and is not one.
    pub(crate) fn http_status(self) -> Option<u16> {
        match self {
            Self::Http(status) | Self::Accepted(Accepted::Http(status)) => Some(status),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "{status}"),
            Self::Grpc(code) => f.write_str(code_name(*code)),
            Self::Accepted(Accepted::Http(status)) => write!(f, "{status}"),
            Self::Accepted(Accepted::Grpc(code)) => f.write_str(code_name(Code::from(*code))),
            Self::Broken(reason) => f.write_str(reason),
        }
    }
}

/// Returns true if `body` is JSON or empty: in whole for a sample, else by how it begins.
fn is_json(body: &[u8], is_sample: bool) -> bool {
    if is_sample {
        return body.is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    }
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_none_or(|first| b"{[\"-tfn0123456789".contains(first))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_from_a_page() {
        for (body, is_sample, expected) in [
            (&b"{\"a\":1}"[..], true, true),
            (b"", true, true),
            (b" [1]", false, true),
            (b"{\"a\":", true, false),
            (b"<html>", false, false),
            (b"<html>", true, false),
        ] {
            assert_eq!(is_json(body, is_sample), expected, "{body:?}");
        }
    }

    #[test]
    fn an_accepted_outcome_is_good_and_keeps_its_status() {
        let accept = [Accepted::Http(409), Accepted::Grpc(6)];
        let conflict = Outcome::Http(409).or_accepted(&accept);
        assert!(conflict.is_ok() && conflict.http_status() == Some(409));
        assert!(
            Outcome::Grpc(Code::AlreadyExists)
                .or_accepted(&accept)
                .is_ok()
        );
        assert!(!Outcome::Http(404).or_accepted(&accept).is_ok());
    }
}
