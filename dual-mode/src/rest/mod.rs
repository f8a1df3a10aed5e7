//! The REST adapter: queries, JSON and protobuf to the core and back. It decides nothing.

mod calls;
mod gzip;
pub(crate) mod json;
mod media;
mod number;
mod openapi;
mod pages;
mod problem;
mod query;

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::State,
    http::{
        Extensions, HeaderValue, Request, StatusCode,
        header::{ALLOW, CONTENT_TYPE, VARY},
    },
    response::Response,
    routing::{MethodRouter, get, post},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serving::{
    Body as Incoming, CallContext,
    authorization::{Authorization, AuthorizationLayer},
    body::{Unpaused, is_incomplete},
    connection::Protocol,
    cors::Origins,
    drain::ServeError,
    limits::Limits,
    operations::Health,
    server::Listener,
    service::HttpService,
    side::Side,
};
use tower::{Layer, ServiceExt};

use crate::faults::Fault;
use calls::Call;
use gzip::Gzip;
pub(crate) use json::{AnswerBody, BatchBody};
pub(crate) use media::Form;
pub use pages::GrpcWeb;
use problem::Refused;
pub(crate) use problem::{Details, problem, render as rendered};

/// The paths that metrics count by name.
const PATHS: [&str; 3] = ["/v1/get_greetings", "/v1/get_greetings:batch", "/rpc"];

/// The service over REST, ready to be served or called by a test.
pub fn app() -> Router {
    routes(Limits::default().message)
}

/// The service, whose requests have at most `longest` bytes.
fn routes(longest: usize) -> Router {
    let one = |State(longest), request| by_body(request, longest, calls::one);
    let batch = |State(longest), request| by_body(request, longest, calls::batch);
    Router::new()
        .route(
            "/v1/get_greetings",
            only(get(by_query).post(one), "GET, HEAD, POST, OPTIONS"),
        )
        .route(
            "/v1/get_greetings:batch",
            only(post(batch), "POST, OPTIONS"),
        )
        .fallback(async |call: CallContext| problem(&Fault::UnknownPath, &call))
        .with_state(longest)
        .merge(crate::jsonrpc::routes(longest))
}

/// `methods`, which are called `allow`, with the answers to OPTIONS and to all others.
pub(crate) fn only<S>(methods: MethodRouter<S>, allow: &'static str) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    methods
        .options(async move || {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let allow = HeaderValue::from_static(allow);
            response.headers_mut().insert(ALLOW, allow);
            response
        })
        .fallback(async move |call: CallContext| problem(&Fault::MethodNotAllowed { allow }, &call))
}

/// The service with its own pages and the probes of orchestrators beside it, for pages of `origins`
/// too, if `authorization` lets the caller in. Its own pages call gRPC-Web at `grpc`.
pub(crate) fn side(
    limits: &Limits,
    origins: Origins,
    authorization: Authorization,
    grpc: &GrpcWeb,
    health: Health,
) -> Side<impl HttpService, Refused> {
    let routes = routes(limits.message)
        .merge(pages::routes(grpc))
        .merge(crate::probes::routes(health));
    let body_pause = limits.body_pause;
    let service = Gzip::new(routes).map_request(move |request: Request<Incoming>| {
        Unpaused::request(request, body_pause).map(Body::new)
    });
    Side {
        service: AuthorizationLayer::new(authorization, Refused).layer(service),
        refuse: Refused,
        paths: PATHS.map(str::to_owned).to_vec(),
        origins,
    }
}

/// Serves REST on `listener` to whom `authorization` lets in, to pages of `origins` too, until the shutdown
/// of `health` is cancelled and the calls in flight have finished. Its own pages call gRPC-Web at `grpc`.
///
/// # Errors
/// [`ServeError`], when calls have to be cut at the end of the grace.
pub async fn serve(
    listener: Listener,
    origins: Origins,
    authorization: Authorization,
    grpc: GrpcWeb,
    health: Health,
) -> Result<(), ServeError> {
    let side = side(
        &listener.limits,
        origins,
        authorization,
        &grpc,
        health.clone(),
    );
    listener
        .serve_side("REST", Protocol::Either, side, health.shutdown().clone())
        .await
}

async fn by_query(request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let form = Form::Json.of_answer(&head.headers);
    let read = match nothing(body).await {
        Ok(()) => query::request(head.uri.query().unwrap_or_default()),
        Err(fault) => Err(fault),
    };
    let answer = read.and_then(|request| calls::greet(&request, form));
    let mut response = respond(answer, form, &head.extensions);
    // Caches keep answers to GET by what made them so.
    let accept = HeaderValue::from_static("accept");
    response.headers_mut().append(VARY, accept);
    response
}

/// Reads the body of a request that must have none. A body that is sent all the same is an error.
async fn nothing(body: Body) -> Result<(), Fault> {
    if HttpBody::is_end_stream(&body) {
        return Ok(());
    }
    match whole(body, 0).await {
        Ok(_) => Ok(()),
        Err(Fault::TooLarge { .. }) => Err(Fault::Malformed(
            "a GET takes its fields from the query, and no body".to_owned(),
        )),
        Err(fault) => Err(fault),
    }
}

async fn by_body(request: Request<Body>, longest: usize, call: Call) -> Response {
    let (head, body) = request.into_parts();
    let form = match Form::of_request(&head.headers) {
        Ok(form) => form,
        Err(fault) => return problem(&fault, &CallContext::of(&head.extensions)),
    };
    let answer = form.of_answer(&head.headers);
    let called = match whole(body, longest).await {
        Ok(body) => call(form, body, answer),
        Err(fault) => Err(fault),
    };
    respond(called, answer, &head.extensions)
}

/// All of a body that has at most `limit` bytes. Of one that says it has more, nothing is read.
pub(crate) async fn whole(body: Body, limit: usize) -> Result<Bytes, Fault> {
    if HttpBody::size_hint(&body).lower() > limit as u64 {
        return Err(Fault::TooLarge { limit });
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Fault::TooLarge { limit }),
        Err(error) => match error.to_string() {
            text if is_incomplete(&text) => Err(Fault::Incomplete),
            text => Err(Fault::Malformed(text)),
        },
    }
}

fn respond(answer: Result<Bytes, Fault>, form: Form, call: &Extensions) -> Response {
    match answer {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            let form = HeaderValue::from_static(form.media_type());
            response.headers_mut().insert(CONTENT_TYPE, form);
            response
        }
        Err(fault) => problem(&fault, &CallContext::of(call)),
    }
}

#[cfg(test)]
mod tests {
    use proto::rest_grpc_dual_mode::{
        FILE_DESCRIPTOR_SET, greetings_generator_server::SERVICE_NAME,
    };

    use super::{PATHS, openapi};

    #[test]
    fn every_method_of_the_contract_has_a_path_that_is_counted_and_documented() {
        let document = openapi::document();
        let documented = document["paths"].as_object().unwrap().keys();
        let documented: Vec<_> = documented.filter(|path| path.starts_with("/v1/")).collect();
        let counted: Vec<_> = PATHS
            .iter()
            .filter(|path| path.starts_with("/v1/"))
            .collect();
        assert_eq!(
            documented, counted,
            "the document's paths, and those of PATHS"
        );
        let methods = serving::operations::paths(FILE_DESCRIPTOR_SET);
        let own = format!("/{SERVICE_NAME}/");
        let methods: Vec<_> = methods
            .iter()
            .filter(|path| path.starts_with(&own))
            .collect();
        assert_eq!(
            methods.len(),
            counted.len(),
            "{methods:?} and {counted:?}: dual-mode/README.md says under \"Add a call\" what each of them wants"
        );
    }
}
