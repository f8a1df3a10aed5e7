//! The REST adapter: queries and JSON to the core and back. It decides nothing.

use axum::{
    Router,
    body::Body,
    extract::{
        DefaultBodyLimit, Query,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{
        HeaderMap, HeaderValue, Request, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http_body_util::Full;
use serde::{Deserialize, Deserializer, Serialize};
use serving::{
    CancellationToken,
    body::Unpaused,
    connection::Protocol,
    drain::ServeError,
    intake::CountedBody,
    refusal::{Refusal, Refuse},
    server::Listener,
};

use tower::ServiceExt;

use crate::greetings::{self, Fault};

/// The service over REST, ready to be served or called by a test.
pub fn app() -> Router {
    Router::new()
        .route("/v1/get_greetings", get(by_query).post(by_body))
        .fallback(async || problem(StatusCode::NOT_FOUND, "nothing is served at this path"))
        .method_not_allowed_fallback(async || {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path takes GET, HEAD and POST",
            )
        })
}

/// Serves REST on `listener` until `shutdown` is cancelled and the calls in flight have finished.
///
/// # Errors
/// [`ServeError`], when calls have to be cut at the end of the grace.
pub async fn serve(listener: Listener, shutdown: CancellationToken) -> Result<(), ServeError> {
    let body_pause = listener.limits.body_pause;
    let app = app()
        .layer(DefaultBodyLimit::max(listener.limits.message))
        .merge(crate::probes::routes(shutdown.clone()));
    let service = app.map_request(move |request: Request<CountedBody>| {
        request.map(|body| Body::new(Unpaused::new(body, body_pause)))
    });
    listener
        .serve("REST", Protocol::Either, service, Refused, shutdown)
        .await
}

async fn by_query(query: Result<Query<RequestBody>, QueryRejection>) -> Response {
    match query {
        Ok(Query(request)) => answer(request),
        Err(rejection) => problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    }
}

/// Reads the body as JSON whatever its content type says, as the original did.
async fn by_body(body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    if !body.trim_ascii_start().starts_with(b"{") {
        // serde would take an array for the fields in their order.
        return problem(StatusCode::BAD_REQUEST, "the body is not a JSON object");
    }
    match serde_json::from_slice(&body) {
        Ok(request) => answer(request),
        Err(error) => problem(
            StatusCode::BAD_REQUEST,
            &format!("the body is not the JSON expected: {error}"),
        ),
    }
}

fn answer(request: RequestBody) -> Response {
    match crate::answer("REST", &request.into()) {
        Ok(answer) => json(
            StatusCode::OK,
            "application/json",
            &AnswerBody::from(answer),
        ),
        Err(fault @ Fault::InvalidArgument { .. }) => {
            problem(StatusCode::BAD_REQUEST, &fault.to_string())
        }
    }
}

/// A problem as RFC 9457 writes it.
fn problem(status: StatusCode, detail: &str) -> Response {
    let body = ProblemBody::new(status, detail);
    json(status, "application/problem+json", &body)
}

/// How REST words what the server around the service refuses.
#[derive(Clone, Copy)]
struct Refused;

impl Refuse for Refused {
    fn answer(&self, refusal: Refusal) -> axum::http::Response<Full<Bytes>> {
        let status = match refusal {
            Refusal::Overloaded | Refusal::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::DeadlinePassed => StatusCode::GATEWAY_TIMEOUT,
            Refusal::MalformedDeadline => StatusCode::BAD_REQUEST,
            Refusal::UriTooLong => StatusCode::URI_TOO_LONG,
            Refusal::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let body =
            serde_json::to_vec(&ProblemBody::new(status, refusal.message())).unwrap_or_default();
        let mut response = axum::http::Response::new(Full::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(delay) = refusal.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
        }
        response
    }

    /// An HTTP answer that has begun cannot say that it is not whole: the connection breaks off.
    fn trailers(&self, _: Refusal) -> Option<HeaderMap> {
        None
    }
}

fn json(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(CONTENT_TYPE, content_type)], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The request as REST spells it, in a query or in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestBody {
    #[serde(default)]
    data_comm_type: String,
    #[serde(default)]
    message_type: String,
    #[serde(default, deserialize_with = "number_or_text")]
    year: i32,
}

impl From<RequestBody> for greetings::Request {
    fn from(body: RequestBody) -> Self {
        Self {
            data_comm_type: body.data_comm_type,
            message_type: body.message_type,
            year: body.year,
        }
    }
}

/// The answer as REST spells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerBody {
    greetings: String,
    message_received: bool,
}

impl From<greetings::Answer> for AnswerBody {
    fn from(answer: greetings::Answer) -> Self {
        Self {
            greetings: answer.greetings,
            message_received: answer.message_received,
        }
    }
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl<'a> ProblemBody<'a> {
    fn new(status: StatusCode, detail: &'a str) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail,
        }
    }
}

/// A year as `2023` or `"2023"`: proto3's JSON mapping takes both, and the original did.
fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "year must be a whole number")]
    enum Year {
        Number(i32),
        Text(String),
    }
    match Year::deserialize(deserializer)? {
        Year::Number(year) => Ok(year),
        Year::Text(text) => text
            .parse()
            .map_err(|_| serde::de::Error::custom("year must be a whole number")),
    }
}
