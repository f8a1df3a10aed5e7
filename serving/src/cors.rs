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
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::service::Service;

use crate::{
    chunk::Open,
    hosts::{Hosts, called, without_port},
    received::Received,
    service::BoxError,
};

/// Seconds for which a browser may remember that it was let in; none remembers for longer.
const REMEMBERED: HeaderValue = HeaderValue::from_static("7200");

/// Methods that a page may use. HEAD goes with GET.
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
    /// The origin of the server's own page, where a proxy makes another of it.
    pub public: Option<HeaderValue>,
    /// The port of the server's own page, on the host that the server is called by, if no stranger can have
    /// its name resolve to the server.
    pub own_port: Option<u16>,
    /// The names that the server answers to, by default all. A listener puts in its own.
    pub hosts: Hosts,
    /// True if the server speaks TLS. A listener knows it by itself.
    pub is_tls: bool,
}

impl Origins {
    /// Returns the headers that the answer to `request` has to carry in addition (fetch.spec.whatwg.org, CORS
    /// protocol). Returns none if no page may read answers.
    fn headers<B>(&self, request: &Request<B>) -> Option<Box<HeaderMap>> {
        if self.named.is_empty() && self.public.is_none() && self.own_port.is_none() {
            return None;
        }
        let asked = request.headers();
        // Few headers are compared faster than one name is hashed.
        let mut origin = asked.iter().filter(|(name, _)| *name == ORIGIN);
        let origin = origin.next().map(|(_, origin)| origin);
        // Caches keep no answers to other methods.
        if origin.is_none() && !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let mut headers = Box::new(HeaderMap::new());
        headers.insert(VARY, HeaderValue::from_static("origin"));
        let admitted = origin.filter(|origin| self.admit(origin, request));
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

    /// Returns true if pages of `origin` may read the answer to `request`.
    pub(crate) fn admit<B>(&self, origin: &HeaderValue, request: &Request<B>) -> bool {
        self.named.contains(origin)
            || self.public.as_ref() == Some(origin)
            || self.is_own(origin, request)
    }

    /// Returns true if `origin` is that of the server's own page: the host that the request was sent to, the
    /// page's port, and the scheme that the server speaks.
    fn is_own<B>(&self, origin: &HeaderValue, request: &Request<B>) -> bool {
        let (scheme, default) = match self.is_tls {
            true => (&b"https://"[..], 443),
            false => (&b"http://"[..], 80),
        };
        let Some(origin) = origin.as_bytes().strip_prefix(scheme) else {
            return false;
        };
        let host = without_port(origin);
        let port = match origin.get(host.len() + 1..) {
            None => Some(default),
            Some(port) => str::from_utf8(port).ok().and_then(|port| port.parse().ok()),
        };
        port.is_some()
            && self.own_port == port
            && self.hosts.trusts(host)
            && called(request).is_some_and(|called| without_port(called).eq_ignore_ascii_case(host))
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

/// Returns true if a browser asks beforehand if its page may call.
pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// A service whose answers the pages of `origins` may read.
pub(crate) struct ForPages<S> {
    pub(crate) service: S,
    pub(crate) origins: Arc<Origins>,
    /// The open calls of its connection: a question that is answered here is no silence.
    pub(crate) open: Arc<Open>,
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
        let let_in = |headers: &HeaderMap| {
            headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS)
                && self.origins.hosts.check(&request).is_ok()
        };
        let answer = match headers.as_deref().is_some_and(let_in) {
            true => {
                self.open.asked();
                None
            }
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
        let plain = Origins {
            own_port: Some(5000),
            ..Origins::default()
        };
        let named = Origins {
            hosts: Hosts::new(&["example.com".to_owned()]),
            ..plain.clone()
        };
        let tls = Origins {
            is_tls: true,
            ..named.clone()
        };
        for (origins, from, host, own) in [
            (&plain, "http://localhost:5000", "localhost:50051", true),
            (&plain, "http://a.localhost:5000", "a.localhost:50051", true),
            (&plain, "http://127.0.0.1:5000", "127.0.0.1:50051", true),
            (&plain, "http://[::1]:5000", "[::1]:50051", true),
            (&named, "http://Example.com:5000", "example.com:50051", true),
            (&tls, "https://Example.com:5000", "example.com:50051", true),
            (
                &plain,
                "http://example.com:5000",
                "example.com:50051",
                false,
            ),
            (
                &named,
                "http://evil.example:5000",
                "evil.example:50051",
                false,
            ),
            (
                &named,
                "https://example.com:5000",
                "example.com:50051",
                false,
            ),
            (&tls, "http://example.com:5000", "example.com:50051", false),
            (&plain, "http://localhost:5001", "localhost:50051", false),
            (&plain, "http://localhost", "localhost:50051", false),
            (&plain, "http://evil.example:5000", "localhost:50051", false),
            (&plain, "null", "localhost:50051", false),
        ] {
            let from = HeaderValue::from_static(from);
            let request = Request::get("/x").header("host", host).body(()).unwrap();
            assert_eq!(origins.is_own(&from, &request), own, "{from:?}, {host}");
            let whole = format!("http://{host}/x");
            let request = Request::get(whole).body(()).unwrap();
            assert_eq!(origins.is_own(&from, &request), own, "{from:?}, {host}");
        }
    }
}
