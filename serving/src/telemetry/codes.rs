//! The code with which a call ended, as its transport says it: never "HTTP 200" for a call that gRPC refused.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use tonic::{Code, Status};

use crate::{client::code_name, grpc::begins, refusal::Refusal};

/// Transport that a call came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Its code is the HTTP status.
    Rest,
    /// Its code is the gRPC status, of the trailers as a rule.
    Grpc,
}

/// The statuses that have a label of their own, in order. All others share one.
const STATUSES: [u16; 39] = [
    200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409,
    410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 428, 429, 431, 499, 500, 501, 502, 503,
    504,
];

/// Largest number of codes of a transport.
pub(crate) const CODES: usize = STATUSES.len() + 1;

/// A code as the place of its label.
pub(crate) type Place = u8;

/// As what an answer is counted whose HTTP status does not say how its call ended, such as one of JSON-RPC. A
/// service puts it among the extensions of its response; gRPC's answers say it themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedAs(pub StatusCode);

impl Transport {
    /// Its label, and its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::Grpc => "gRPC",
        }
    }

    /// Returns the code that the head of an answer tells; none for gRPC if the code follows in the trailers.
    pub(crate) fn code_of_head(self, status: StatusCode, headers: &HeaderMap) -> Option<Place> {
        match self {
            Self::Rest => Some(self.of_status(status)),
            Self::Grpc => grpc_status(headers)
                .or_else(|| (status != StatusCode::OK).then(|| of_http(status.as_u16()) as Place)),
        }
    }

    /// The code of an answer that its caller did not get whole: CANCELLED, or 499 as nginx has it.
    pub(crate) fn cut(self) -> Place {
        match self {
            Self::Rest => STATUSES.binary_search(&499).unwrap_or(STATUSES.len()) as Place,
            Self::Grpc => Code::Cancelled as Place,
        }
    }

    /// The code of an answer that the server itself did not bring to its end, because of `refusal` if it has
    /// one.
    pub(crate) fn broken(self, refusal: Option<Refusal>) -> Place {
        let status = refusal.map_or(StatusCode::INTERNAL_SERVER_ERROR, Refusal::status);
        match self {
            Self::Rest => self.of_status(status),
            Self::Grpc => Code::Internal as Place,
        }
    }

    fn of_status(self, status: StatusCode) -> Place {
        let place = STATUSES.binary_search(&status.as_u16());
        place.unwrap_or(STATUSES.len()) as Place
    }

    /// Returns true if `place` is an error of the server to OpenTelemetry (semantic conventions, HTTP spans and gRPC).
    pub(crate) fn is_error(self, place: Place) -> bool {
        match self {
            Self::Rest => STATUSES
                .get(usize::from(place))
                .is_some_and(|status| *status >= 500),
            Self::Grpc => matches!(
                Code::from_i32(place.into()),
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::Unimplemented
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            ),
        }
    }

    /// Returns true if the code at `place` says that the server failed, in a way that is to be looked into.
    pub(crate) fn is_internal(self, place: Place) -> bool {
        match self {
            Self::Rest => STATUSES.get(usize::from(place)) == Some(&500),
            Self::Grpc => {
                let code = Code::from_i32(place.into());
                matches!(code, Code::Unknown | Code::Internal | Code::DataLoss)
            }
        }
    }

    /// Calls `use_it` with the label of `place`.
    pub(crate) fn label(self, place: Place) -> String {
        match self {
            Self::Rest => STATUSES
                .get(usize::from(place))
                .map_or_else(|| "other".to_owned(), u16::to_string),
            Self::Grpc => code_name(Code::from_i32(place.into())).to_owned(),
        }
    }
}

/// The first value of `name` among `headers`. Few headers are compared faster than one name is hashed.
fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut headers = headers.iter();
    headers.find_map(|(known, value)| (known == name).then_some(value))
}

/// gRPC's code in the head or the trailers of an answer; what cannot be read is UNKNOWN.
pub(crate) fn grpc_status(headers: &HeaderMap) -> Option<Place> {
    static NAME: HeaderName = Status::GRPC_STATUS;
    let status = first(headers, &NAME)?;
    Some(Code::from_bytes(status.as_bytes()) as Place)
}

/// Encoding of the body of a gRPC-Web answer (PROTOCOL-WEB.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Web {
    Binary,
    /// In base64, each frame by itself.
    Text,
}

impl Web {
    /// The form that an answer names in its content type, if it is gRPC-Web.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = first(headers, &CONTENT_TYPE)?.as_bytes();
        if !begins(kind, b"application/grpc-web") {
            return None;
        }
        Some(match begins(kind, b"application/grpc-web-text") {
            true => Self::Text,
            false => Self::Binary,
        })
    }

    /// The content type of an answer.
    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Binary => "application/grpc-web+proto",
            Self::Text => "application/grpc-web-text+proto",
        })
    }

    /// The frame that says `trailers`, the last one of a body.
    pub(crate) fn ending(self, trailers: &HeaderMap) -> Bytes {
        let mut text = Vec::new();
        for (name, value) in trailers {
            for part in [name.as_str().as_bytes(), b":", value.as_bytes(), b"\r\n"] {
                text.extend_from_slice(part);
            }
        }
        let mut frame = vec![0x80];
        frame.extend((text.len() as u32).to_be_bytes());
        frame.append(&mut text);
        match self {
            Self::Binary => frame.into(),
            Self::Text => BASE64_STANDARD.encode(frame).into(),
        }
    }

    /// The code, which ends the last frame of the body: a frame whose first bit is set, and whose
    /// text is that of trailers.
    pub(crate) fn status(self, frame: &[u8]) -> Option<Place> {
        let decoded;
        let frame = match self {
            Self::Binary => frame,
            Self::Text => {
                decoded = BASE64_STANDARD.decode(frame).ok()?;
                &decoded
            }
        };
        let (head, text) = frame.split_at_checked(5)?;
        if head[0] & 0x80 == 0 {
            return None;
        }
        let lines = text.split(|&byte| byte == b'\n');
        let mut status = lines.filter_map(|line| line.strip_prefix(b"grpc-status:"));
        status
            .next()
            .map(|status| Code::from_bytes(status.trim_ascii()) as Place)
    }
}

/// The code of an HTTP status without a gRPC one: what a gRPC client makes of it
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>), but for those that only
/// callers of another kind get, such as a browser that asks before it calls (204) or opens the address
/// (415). Nothing failed inside of the server then.
pub(crate) fn of_http(status: u16) -> Code {
    match status {
        200..=399 => Code::Ok,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404..=406 | 415 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        400..=499 => Code::InvalidArgument,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderMap, STATUSES, StatusCode, Transport, Web};

    #[test]
    fn each_transport_names_its_own_code() {
        assert!(STATUSES.is_sorted());
        let mut none = HeaderMap::new();
        for (status, label) in [(200, "200"), (404, "404"), (504, "504"), (418, "other")] {
            let status = StatusCode::from_u16(status).unwrap();
            let place = Transport::Rest.code_of_head(status, &none).unwrap();
            assert_eq!(Transport::Rest.label(place), label);
        }
        assert_eq!(Transport::Rest.label(Transport::Rest.cut()), "499");
        assert_eq!(Transport::Grpc.code_of_head(StatusCode::OK, &none), None);
        for (status, label, internal) in [
            (204, "OK", false),
            (400, "INVALID_ARGUMENT", false),
            (405, "UNIMPLEMENTED", false),
            (415, "UNIMPLEMENTED", false),
            (500, "UNKNOWN", true),
            (502, "UNAVAILABLE", false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let place = Transport::Grpc.code_of_head(status, &none).unwrap();
            assert_eq!(Transport::Grpc.label(place), label, "{status}");
            assert_eq!(Transport::Grpc.is_internal(place), internal, "{status}");
        }
        for (sent, label) in [
            ("0", "OK"),
            ("3", "INVALID_ARGUMENT"),
            ("99", "UNKNOWN"),
            ("16", "UNAUTHENTICATED"),
        ] {
            none.insert("grpc-status", sent.parse().unwrap());
            let place = Transport::Grpc.code_of_head(StatusCode::OK, &none).unwrap();
            assert_eq!(Transport::Grpc.label(place), label);
        }
        for web in [Web::Binary, Web::Text] {
            assert_eq!(web.status(&web.ending(&none)), Some(16), "{none:?}");
        }
        let web = b"\x80\0\0\0\x20grpc-message:no\r\ngrpc-status: 5\r\n";
        assert_eq!(Web::Binary.status(web), Some(5));
        let text = b"gAAAAA9ncnBjLXN0YXR1czogNQ0K";
        assert_eq!(Web::Text.status(text), Some(5));
        assert_eq!(Web::Binary.status(b"\0\0\0\0\x0egrpc-status:5\n"), None);
    }
}
