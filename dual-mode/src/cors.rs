//! Which pages of other origins may read what this server answers: by default none but its own, whose
//! form calls the gRPC port from the REST port.

use std::time::Duration;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{HOST, RETRY_AFTER},
    request::Parts,
};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// How long a browser may remember that it was let in; none remembers for longer.
const REMEMBERED: Duration = Duration::from_secs(2 * 60 * 60);

/// The origins whose pages may read answers.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Named by who runs the server, each as [`origin`] reads it.
    pub named: Vec<HeaderValue>,
    /// The port of the server's own page, on whatever host the server is called by.
    pub own_port: Option<u16>,
}

impl Origins {
    /// Whether a request that comes from a page may be answered differently from others.
    pub(crate) fn are_none(&self) -> bool {
        self.named.is_empty() && self.own_port.is_none()
    }

    /// What lets them in.
    pub(crate) fn layer(self) -> CorsLayer {
        let admitted = move |origin: &HeaderValue, request: &Parts| {
            self.named.contains(origin) || self.is_own(origin, &request.headers, &request.uri)
        };
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(admitted))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([
                HeaderName::from_static("grpc-status"),
                HeaderName::from_static("grpc-message"),
                HeaderName::from_static("grpc-status-details-bin"),
                HeaderName::from_static("x-request-id"),
                RETRY_AFTER,
            ])
            .max_age(REMEMBERED)
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
