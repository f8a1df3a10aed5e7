//! Requests that a page of another site makes its reader's browser send (CSRF). A browser sends a POST of
//! several content types, or of none, without asking first; it only keeps the answer from the page. So what
//! may change something is refused if a browser says that it comes from elsewhere.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header::ORIGIN};
use http_body_util::Full;

use crate::{
    cors::Origins,
    gate::{Gate, refused},
    hosts::called,
    refusal::{Refusal, Refuse},
};

/// Stops requests of foreign pages, as `refuse` words it.
#[derive(Clone, Debug)]
pub struct CrossSiteGate<R> {
    origins: Arc<Origins>,
    refuse: R,
}

impl<R: Refuse> CrossSiteGate<R> {
    /// A gate for pages of `origins`, of the server itself, and for all that is no page.
    pub fn new(origins: Arc<Origins>, refuse: R) -> Self {
        Self { origins, refuse }
    }
}

impl<R: Refuse> Gate for CrossSiteGate<R> {
    fn answer<B>(&self, request: &mut Request<B>) -> Option<Response<Full<Bytes>>> {
        is_foreign(&self.origins, request)
            .then(|| refused(&self.refuse, Refusal::ForeignOrigin, request))
    }
}

/// Returns true if `request` may change something and comes from a page that may not ask for it.
fn is_foreign<B>(origins: &Origins, request: &Request<B>) -> bool {
    static SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    if request.method().is_safe() {
        return false;
    }
    let (mut from, mut site) = (None, None);
    for (name, value) in request.headers() {
        if *name == ORIGIN {
            // A browser sends one.
            if from.replace(value).is_some() {
                return true;
            }
        } else if *name == SITE {
            site = Some(value.as_bytes());
        }
    }
    match (from, site) {
        (None, site) => site == Some(b"cross-site"),
        // No page can have a browser send this, whatever a proxy makes of hosts and schemes.
        (Some(_), Some(b"same-origin")) => false,
        (Some(from), _) => !is_same(from, request, origins.is_tls) && !origins.admit(from, request),
    }
}

/// Returns true if `origin` is the one that `request` was sent to.
fn is_same<B>(origin: &HeaderValue, request: &Request<B>, is_tls: bool) -> bool {
    let (scheme, default) = match is_tls {
        true => (&b"https://"[..], &b":443"[..]),
        false => (&b"http://"[..], &b":80"[..]),
    };
    let bare = |host: &'_ [u8]| host.strip_suffix(default).map_or(host.len(), <[u8]>::len);
    let Some(origin) = origin.as_bytes().strip_prefix(scheme) else {
        return false;
    };
    called(request).is_some_and(|host| {
        let (origin, host) = (&origin[..bare(origin)], &host[..bare(host)]);
        origin.eq_ignore_ascii_case(host)
    })
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_post_of_a_page_is_let_in_from_the_same_origin_and_from_those_that_are_named() {
        let plain = Origins {
            named: vec![HeaderValue::from_static("https://shop.example")],
            ..Origins::default()
        };
        let tls = Origins {
            is_tls: true,
            public: Some(HeaderValue::from_static("https://public.example")),
            ..plain.clone()
        };
        let none = "";
        for (origins, method, from, site, is_foreign) in [
            (&plain, Method::POST, none, none, false),
            (&plain, Method::POST, "http://api.example:5000", none, false),
            (
                &plain,
                Method::POST,
                "http://API.example:5000",
                "same-origin",
                false,
            ),
            (
                &plain,
                Method::POST,
                "https://shop.example",
                "cross-site",
                false,
            ),
            (&plain, Method::POST, none, "none", false),
            (&plain, Method::POST, "https://api.example:5000", none, true),
            (
                &plain,
                Method::POST,
                "https://api.example",
                "same-origin",
                false,
            ),
            (&plain, Method::POST, "http://api.example", none, true),
            (&plain, Method::POST, "http://evil.example", none, true),
            (
                &plain,
                Method::POST,
                "http://evil.example:5000",
                "same-site",
                true,
            ),
            (&plain, Method::POST, "null", none, true),
            (&plain, Method::POST, none, "cross-site", true),
            (&plain, Method::DELETE, "http://evil.example", none, true),
            (
                &plain,
                Method::GET,
                "http://evil.example",
                "cross-site",
                false,
            ),
            (
                &plain,
                Method::OPTIONS,
                "http://evil.example",
                "cross-site",
                false,
            ),
            (&tls, Method::POST, "https://api.example:5000", none, false),
            (&tls, Method::POST, "http://api.example:5000", none, true),
            (&tls, Method::POST, "https://public.example", none, false),
        ] {
            let mut request = Request::builder().method(&method).uri("/x");
            request = request.header("host", "api.example:5000");
            for (name, value) in [("origin", from), ("sec-fetch-site", site)] {
                if !value.is_empty() {
                    request = request.header(name, value);
                }
            }
            let request = request.body(()).unwrap();
            let said = super::is_foreign(origins, &request);
            assert_eq!(said, is_foreign, "{method} {from} {site}");
        }
    }

    #[test]
    fn a_default_port_is_the_same_as_none() {
        for (origin, host, is_tls) in [
            ("http://a.example", "a.example:80", false),
            ("https://a.example", "a.example:443", true),
            ("http://[::1]:5000", "[::1]:5000", false),
        ] {
            let request = Request::post("/").header("host", host).body(()).unwrap();
            assert!(is_same(&HeaderValue::from_static(origin), &request, is_tls));
        }
    }
}
