//! Refusals: the answers of a server to calls that it does not let through, or cannot finish.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER as RETRY_AFTER_HEADER},
};
use http_body::Frame;
use http_body_util::Full;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    context::CallContext,
    telemetry::{
        codes::{Transport, Web},
        metrics::Limit,
    },
};

/// Time after which a caller that was refused for load may try again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Reason for which the server around the service refuses or ends a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More calls are open, or hold more memory with what they have sent or leave unread, than the limits
    /// allow.
    Overloaded,
    /// The deadline passed, the caller's or the server's own.
    DeadlinePassed,
    /// The caller's deadline cannot be read.
    MalformedDeadline,
    /// The path and the query are longer than the limit.
    UriTooLong,
    /// It does not name one host.
    MalformedHost,
    /// It is for a host that the server does not answer to.
    UnknownHost,
    /// A page of another origin has a browser ask for what may change something.
    ForeignOrigin,
    /// It does not say by whom it is made, or says it in a way that cannot be trusted.
    Unauthenticated,
    /// Its caller is known, and may not make it.
    NotAllowed,
    /// The server is going away.
    Draining,
    /// The service panicked.
    Panicked,
    /// The service answered with an error, and not with a response.
    Failed,
}

impl Refusal {
    /// Returns the text for the caller. It never says anything about the inside of the server.
    pub fn message(self) -> &'static str {
        match self {
            Self::Overloaded => "the server has as much work as it takes; try again later",
            Self::DeadlinePassed => "the deadline passed before the call was finished",
            Self::MalformedDeadline => {
                "grpc-timeout must come once, as 1 to 8 digits and one of the units H, M, S, m, u, n"
            }
            Self::UriTooLong => "the path and the query are longer than the server takes",
            Self::MalformedHost => "a request must name one host, by one valid Host header",
            Self::UnknownHost => {
                "the server does not answer to this host; call it by an IP address or as localhost, or \
                 have it answer to this one, by --allowed-host where it has that option"
            }
            Self::ForeignOrigin => {
                "pages of this origin may not call the server; have it let them, by --cors-origin, or by \
                 --public-origin if the page is its own behind a proxy, where it has these options"
            }
            Self::Unauthenticated => {
                "the call needs one Authorization header with a token that the server knows, as Bearer TOKEN"
            }
            Self::NotAllowed => "this caller may not make this call",
            Self::Draining => "the server is going away; call another one",
            Self::Panicked | Self::Failed => "internal error",
        }
    }

    /// When a retry may help.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Overloaded | Self::Draining => Some(RETRY_AFTER),
            Self::DeadlinePassed
            | Self::MalformedDeadline
            | Self::UriTooLong
            | Self::MalformedHost
            | Self::UnknownHost
            | Self::ForeignOrigin
            | Self::Unauthenticated
            | Self::NotAllowed
            | Self::Panicked
            | Self::Failed => None,
        }
    }

    /// Its HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Overloaded | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlinePassed => StatusCode::GATEWAY_TIMEOUT,
            Self::MalformedDeadline | Self::MalformedHost => StatusCode::BAD_REQUEST,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin | Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::Panicked | Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// As the error with which an answer breaks off.
impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Refusal {}

/// Wording of refusals in one protocol.
pub trait Refuse: Clone + Send + 'static {
    /// The transport whose calls it words, and whose codes are counted.
    const TRANSPORT: Transport;

    /// True if an answer that has begun can say that it is not whole.
    const CAN_BREAK_OFF: bool = matches!(Self::TRANSPORT, Transport::Grpc);

    /// The whole answer to `call`, where none has begun.
    fn answer(&self, refusal: Refusal, call: &CallContext) -> Response<Full<Bytes>>;

    /// The trailers that end an answer to `call` which has begun; none where the protocol has no way to say
    /// that an answer is not whole, and the connection must break off.
    fn trailers(&self, refusal: Refusal, call: &CallContext) -> Option<HeaderMap>;

    /// The event that ends a stream of server-sent events, between two of the service's own. A browser connects
    /// again after the time that it names.
    fn last_event(&self, refusal: Refusal) -> Bytes {
        let retry = RETRY_AFTER.as_millis();
        let message = refusal.message();
        format!("event: error\nretry: {retry}\ndata: {message}\n\n").into()
    }
}

/// The words of one protocol for the caller of one call. Limits that it is told of are counted.
#[derive(Clone, Debug)]
pub(crate) struct Wording<R> {
    refuse: R,
    /// The form of its answer, if it is gRPC-Web, whose trailers are its last data.
    web: Option<Web>,
    call: CallContext,
}

impl<R: Refuse> Wording<R> {
    /// Those of `refuse` for the caller that sent `request`.
    pub(crate) fn of<B>(refuse: R, request: &Request<B>) -> Self {
        let web = match R::TRANSPORT {
            Transport::Rest => None,
            Transport::Grpc => Web::of(request.headers()),
        };
        let call = CallContext::of(request.extensions());
        Self { refuse, web, call }
    }

    /// The context of its call.
    pub(crate) fn call(&self) -> &CallContext {
        &self.call
    }

    /// The whole answer, where none has begun.
    pub(crate) fn answer(&self, refusal: Refusal) -> Response<Full<Bytes>> {
        self.count(refusal);
        let mut answer = self.refuse.answer(refusal, &self.call);
        if let Some(web) = self.web {
            let kind = web.content_type();
            answer.headers_mut().insert(CONTENT_TYPE, kind);
        }
        answer
    }

    /// The last frame of an answer that has begun, if it can say why it ends.
    pub(crate) fn last_frame(&self, refusal: Refusal) -> Option<Frame<Bytes>> {
        self.count(refusal);
        let trailers = self.refuse.trailers(refusal, &self.call)?;
        Some(match self.web {
            None => Frame::trailers(trailers),
            Some(web) => Frame::data(web.ending(&trailers)),
        })
    }

    /// The last event of a stream of them.
    pub(crate) fn last_event(&self, refusal: Refusal) -> Frame<Bytes> {
        self.count(refusal);
        Frame::data(self.refuse.last_event(refusal))
    }

    fn count(&self, refusal: Refusal) {
        match refusal {
            Refusal::DeadlinePassed => self.call.hit(Limit::Deadline),
            Refusal::UriTooLong => self.call.hit(Limit::Uri),
            // Counted where it is known what there is too much of.
            Refusal::Overloaded => {}
            Refusal::MalformedDeadline
            | Refusal::MalformedHost
            | Refusal::UnknownHost
            | Refusal::ForeignOrigin
            | Refusal::Unauthenticated
            | Refusal::NotAllowed
            | Refusal::Draining
            | Refusal::Panicked
            | Refusal::Failed => {}
        }
    }
}

/// gRPC's way: a status, in trailers.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcStatus;

impl GrpcStatus {
    pub(crate) fn status(refusal: Refusal) -> Status {
        let code = match refusal {
            Refusal::Overloaded | Refusal::UriTooLong => Code::ResourceExhausted,
            Refusal::DeadlinePassed => Code::DeadlineExceeded,
            Refusal::MalformedDeadline | Refusal::MalformedHost => Code::InvalidArgument,
            Refusal::UnknownHost | Refusal::ForeignOrigin | Refusal::NotAllowed => {
                Code::PermissionDenied
            }
            Refusal::Unauthenticated => Code::Unauthenticated,
            Refusal::Draining => Code::Unavailable,
            Refusal::Panicked | Refusal::Failed => Code::Internal,
        };
        match refusal.retry_after() {
            None => Status::new(code, refusal.message()),
            Some(delay) => {
                let details = ErrorDetails::with_retry_info(Some(delay));
                Status::with_error_details(code, refusal.message(), details)
            }
        }
    }
}

impl Refuse for GrpcStatus {
    const TRANSPORT: Transport = Transport::Grpc;

    fn answer(&self, refusal: Refusal, _: &CallContext) -> Response<Full<Bytes>> {
        Self::status(refusal).into_http()
    }

    fn trailers(&self, refusal: Refusal, _: &CallContext) -> Option<HeaderMap> {
        let mut trailers = HeaderMap::new();
        Self::status(refusal).add_header(&mut trailers).ok()?;
        Some(trailers)
    }
}

/// `refusal` as an HTTP answer of the media type `kind`.
fn over_http(
    refusal: Refusal,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(delay) = refusal.retry_after() {
        headers.insert(RETRY_AFTER_HEADER, HeaderValue::from(delay.as_secs()));
    }
    response
}

/// A REST service's way, if it has none of its own: the status, and the message as text.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainText;

impl Refuse for PlainText {
    const TRANSPORT: Transport = Transport::Rest;

    fn answer(&self, refusal: Refusal, _: &CallContext) -> Response<Full<Bytes>> {
        over_http(refusal, "text/plain", refusal.message())
    }

    fn trailers(&self, _: Refusal, _: &CallContext) -> Option<HeaderMap> {
        None
    }
}

/// The same as a problem (RFC 9457), with title, status and detail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Problem;

impl Refuse for Problem {
    const TRANSPORT: Transport = Transport::Rest;

    fn answer(&self, refusal: Refusal, _: &CallContext) -> Response<Full<Bytes>> {
        let status = refusal.status();
        let title = status.canonical_reason().unwrap_or_default();
        // No title and no message has what JSON escapes.
        let body = format!(
            r#"{{"title":"{title}","status":{},"detail":"{}"}}"#,
            status.as_u16(),
            refusal.message()
        );
        over_http(refusal, "application/problem+json", body)
    }

    /// An HTTP answer that has begun cannot say that it is not whole: the connection breaks off.
    fn trailers(&self, _: Refusal, _: &CallContext) -> Option<HeaderMap> {
        None
    }
}
