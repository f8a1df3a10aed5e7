//! A fault as REST says it: RFC 9457, problem details.

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Response,
        header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER},
    },
};
use bytes::Bytes;
use http_body_util::Full;
use serde::Serialize;
use serving::{
    CallContext,
    refusal::{Refusal, Refuse},
    telemetry::codes::Transport,
};

use super::media::COMPRESSED;
use crate::faults::{self, DOMAIN, Fault};

/// The answer to `call`, which met `fault`.
pub(crate) fn problem(fault: &Fault, call: &CallContext) -> Response<Body> {
    render(fault, call).map(Body::from)
}

/// The wording over REST of the refusals of the server around the service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refused;

impl Refuse for Refused {
    const TRANSPORT: Transport = Transport::Rest;

    fn answer(&self, refusal: Refusal, call: &CallContext) -> Response<Full<Bytes>> {
        render(&refusal.into(), call).map(Full::from)
    }

    /// An HTTP answer that has begun cannot say that it is not whole: the connection breaks off.
    fn trailers(&self, _: Refusal, _: &CallContext) -> Option<HeaderMap> {
        None
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(flatten)]
    details: Details<'a>,
}

/// The details of a fault that programs read, under the names that `google.rpc` has for them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Details<'a> {
    reason: &'static str,
    domain: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Wrong<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// One field that is wrong.
#[derive(Serialize)]
struct Wrong<'a> {
    field: &'a str,
    description: &'static str,
}

impl<'a> Details<'a> {
    /// Those of `fault`, which `call` met.
    pub(crate) fn of(fault: &'a Fault, call: &CallContext) -> Self {
        let violations = fault.violations().iter().map(|violation| Wrong {
            field: &violation.field,
            description: violation.rule,
        });
        Self {
            reason: fault.row().reason,
            domain: DOMAIN,
            violations: violations.collect(),
            request_id: faults::request_id(call),
        }
    }
}

/// The answer itself, with its whole body.
pub(crate) fn render(fault: &Fault, call: &CallContext) -> Response<Bytes> {
    let row = fault.row();
    let problem = Problem {
        title: row.status.canonical_reason().unwrap_or_default(),
        status: row.status.as_u16(),
        detail: fault.to_string(),
        details: Details::of(fault, call),
    };
    let body = serde_json::to_vec(&problem).expect("texts and numbers are always JSON");
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = row.status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(delay) = row.retry {
        headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
    }
    match fault {
        Fault::MethodNotAllowed { allow } => {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        // RFC 9110 §15.5.16.
        Fault::UnsupportedMediaType { form, .. } if form == COMPRESSED => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        Fault::UnsupportedMediaType { accept, .. } => {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        _ => {}
    }
    response
}
