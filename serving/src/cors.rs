//! Which pages of other origins may read in a browser what a listener answers: by default none.
//!
//! It stands outside of the guard: a page reads refusals too, and what a browser asks beforehand takes
//! no place of a call.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
    },
};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::service::Service;

use crate::{received::Received, service::BoxError};

/// How long a browser may remember that it was let in, in seconds; none remembers for longer.
const REMEMBERED: HeaderValue = HeaderValue::from_static("7200");

/// What a page may do. HEAD goes with GET.
const METHODS: HeaderValue = HeaderValue::from_static("GET,POST");

/// The headers of answers that a page may read, beside those that any may.
const READ: HeaderValue = HeaderValue::from_static(
    "grpc-status,grpc-message,grpc-status-details-bin,x-request-id,retry-after",
);

/// The origins whose pages may read answers.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Named by who runs the server, each as [`origin`] reads it.
    pub named: Vec<HeaderValue>,
    /// The port of the server's own page, on whatever host the server is called by.
    pub own_port: Option<u16>,
}

impl Origins {
    /// What the answer to `request` has to say beside (fetch.spec.whatwg.org, CORS protocol). Nothing
    /// where no page may read answers.
    fn headers<B>(&self, request: &Request<B>) -> Option<Box<HeaderMap>> {
        if self.named.is_empty() && self.own_port.is_none() {
            return None;
        }
        let asked = request.headers();
        let origin = asked.get(ORIGIN);
        // Caches keep no answers to other methods.
        if origin.is_none() && !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let mut headers = Box::new(HeaderMap::new());
        headers.insert(VARY, HeaderValue::from_static("origin"));
        let admitted = origin.filter(|origin| {
            self.named.contains(origin) || self.is_own(origin, asked, request.uri())
        });
        if let Some(origin) = admitted {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if is_preflight(request) {
                headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
                headers.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED);
                if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
                    headers.append(VARY, HeaderValue::from(ACCESS_CONTROL_REQUEST_HEADERS));
                }
            } else {
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
            }
        }
        Some(headers)
    }

    /// Whether `origin` is the server's own page: the host that the request was sent to, and its port.
    fn is_own(&self, origin: &HeaderValue, headers: &HeaderMap, uri: &Uri) -> bool {
        let Some(origin) = origin.to_str().ok().and_then(|o| o.parse::<Uri>().ok()) else {
            return false;
        };
        let default = match origin.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return false,
        };
        let port = origin.port_u16().unwrap_or(default);
        // HTTP/2 sends the host as :authority, HTTP/1 as a header.
        let header = || headers.get(HOST)?.to_str().ok()?.parse::<Uri>().ok();
        let called = match uri.host() {
            Some(host) => Some(host.to_owned()),
            None => header().and_then(|uri| uri.host().map(str::to_owned)),
        };
        self.own_port == Some(port)
            && called
                .is_some_and(|host| origin.host().is_some_and(|o| o.eq_ignore_ascii_case(&host)))
    }
}

/// Reads an origin from a command line, as browsers send it.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn origin(text: &str) -> Result<HeaderValue, String> {
    const WANTED: &str = "write it as the browser does, like https://shop.example or \
                          http://localhost:8080";
    let uri: Uri = text.parse().map_err(|error| format!("{error}; {WANTED}"))?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let canonical = uri.authority().map(|authority| {
        format!(
            "{}://{}",
            uri.scheme_str().unwrap_or_default(),
            authority.as_str()
        )
    });
    if !scheme || canonical.as_deref() != Some(text) || text.contains('@') {
        return Err(WANTED.to_owned());
    }
    HeaderValue::from_str(text).map_err(|error| format!("{error}; {WANTED}"))
}

/// Whether a browser asks beforehand if its page may call.
fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// A service whose answers the pages of `origins` may read.
pub(crate) struct ForPages<S> {
    pub(crate) service: S,
    pub(crate) origins: Arc<Origins>,
}

impl<S, B> Service<Request<Received>> for ForPages<S>
where
    S: Service<Request<Received>, Response = Response<B>, Error = Infallible>,
    B: Body<Error: Into<BoxError>>,
{
    type Response = Response<Either<B, Empty<B::Data>>>;
    type Error = Infallible;
    type Future = ForPage<S::Future>;

    fn call(&self, request: Request<Received>) -> Self::Future {
        let headers = self.origins.headers(&request);
        let let_in = |headers: &HeaderMap| headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS);
        let answer = match headers.as_deref().is_some_and(let_in) {
            true => None,
            false => Some(self.service.call(request)),
        };
        ForPage { answer, headers }
    }
}

pin_project_lite::pin_project! {
    /// An answer to come; none where only the browser asks.
    pub(crate) struct ForPage<F> {
        #[pin]
        answer: Option<F>,
        headers: Option<Box<HeaderMap>>,
    }
}

impl<F, B> Future for ForPage<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Error: Into<BoxError>>,
{
    type Output = Result<Response<Either<B, Empty<B::Data>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.answer.as_pin_mut() {
            Some(answer) => ready!(answer.poll(cx))?.map(Either::Left),
            None => {
                let mut response = Response::new(Either::Right(Empty::new()));
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
        };
        // What the service says of itself stays: `vary` may come from both.
        for (name, value) in this.headers.iter().flat_map(|headers| headers.iter()) {
            response.headers_mut().append(name.clone(), value.clone());
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for good in [
            "https://shop.example",
            "http://localhost:8080",
            "http://[::1]:80",
        ] {
            assert_eq!(origin(good).unwrap(), good);
        }
        for bad in [
            "*",
            "",
            "null",
            "shop.example",
            "https://shop.example/",
            "ftp://x",
            "http://a@b",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_own_page_is_on_the_own_port_of_the_host_that_was_called() {
        let origins = Origins {
            named: Vec::new(),
            own_port: Some(5000),
        };
        for (from, host, own) in [
            ("http://localhost:5000", "localhost:50051", true),
            ("https://Example.com:5000", "example.com:50051", true),
            ("http://[::1]:5000", "[::1]:50051", true),
            ("http://localhost:5001", "localhost:50051", false),
            ("http://localhost", "localhost:50051", false),
            ("http://evil.example:5000", "localhost:50051", false),
            ("null", "localhost:50051", false),
        ] {
            let from = HeaderValue::from_static(from);
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            let path = Uri::from_static("/x");
            assert_eq!(
                origins.is_own(&from, &headers, &path),
                own,
                "{from:?}, {host}"
            );
            let whole = format!("http://{host}/x").parse().unwrap();
            let none = HeaderMap::new();
            assert_eq!(
                origins.is_own(&from, &none, &whole),
                own,
                "{from:?}, {host}"
            );
        }
    }
}
