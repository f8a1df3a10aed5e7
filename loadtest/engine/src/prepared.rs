//! Requests as the transports take them, made once per trial. For a call one is cloned, before the
//! clock starts.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header, uri::PathAndQuery,
};
use http_body_util::Full;
use thiserror::Error;
use tonic::metadata::MetadataMap;

use crate::{
    client::grpc_web,
    spec::{Endpoint, Expect, PreparedRequest, Transport},
};

/// A request that cannot be sent.
#[derive(Debug, Error)]
#[error("the request {method} {path} cannot be sent: {reason}")]
pub struct InvalidRequest {
    method: String,
    path: String,
    reason: String,
}

/// Header by which clients of gRPC-Web name themselves, and by which some proxies know them.
const X_GRPC_WEB: HeaderName = HeaderName::from_static("x-grpc-web");

/// A request and what its reply must be.
pub(crate) struct Prepared {
    request: Template,
    pub(crate) expect: Expect,
}

enum Template {
    Http1(Request<Bytes>),
    GrpcWeb(Request<Bytes>),
    Http2(Request<()>, Bytes),
    Grpc(PathAndQuery, MetadataMap, Bytes),
}

/// A request that is used up by its call.
pub(crate) enum Ready {
    Http1(Request<Full<Bytes>>),
    GrpcWeb(Request<Full<Bytes>>),
    Http2(Request<()>, Bytes),
    Grpc(tonic::Request<Bytes>, PathAndQuery),
}

impl Prepared {
    /// Prepares `request` for `transport`.
    pub(crate) fn new(
        transport: Transport,
        endpoint: &Endpoint,
        request: &PreparedRequest,
    ) -> Result<Self, InvalidRequest> {
        Ok(Self {
            request: template(transport, endpoint, request).map_err(|error| InvalidRequest {
                method: request.method.clone(),
                path: request.path.clone(),
                reason: error.to_string(),
            })?,
            expect: request.expect.clone(),
        })
    }

    /// One for a call.
    pub(crate) fn ready(&self) -> Ready {
        match &self.request {
            Template::Http1(request) => Ready::Http1(request.clone().map(Full::new)),
            Template::GrpcWeb(request) => Ready::GrpcWeb(request.clone().map(Full::new)),
            Template::Http2(head, body) => Ready::Http2(head.clone(), body.clone()),
            Template::Grpc(path, metadata, message) => {
                let mut request = tonic::Request::new(message.clone());
                if !metadata.is_empty() {
                    *request.metadata_mut() = metadata.clone();
                }
                Ready::Grpc(request, path.clone())
            }
        }
    }
}

fn template(
    transport: Transport,
    endpoint: &Endpoint,
    request: &PreparedRequest,
) -> Result<Template, http::Error> {
    let path = PathAndQuery::try_from(request.path.as_str())?;
    let mut headers = headers(&request.headers)?;
    let body = request.body.clone();
    if transport == Transport::Grpc {
        return Ok(Template::Grpc(
            path,
            MetadataMap::from_headers(headers),
            body,
        ));
    }
    let method = Method::from_bytes(request.method.as_bytes())?;
    let mut uri = Uri::builder().path_and_query(path);
    if transport == Transport::GrpcWeb {
        let media_type = HeaderValue::from_static(grpc_web::MEDIA_TYPE);
        headers.insert(header::CONTENT_TYPE, media_type.clone());
        headers.insert(header::ACCEPT, media_type);
        headers.insert(X_GRPC_WEB, HeaderValue::from_static("1"));
    }
    if let Transport::Http1 | Transport::GrpcWeb = transport {
        headers.insert(header::HOST, HeaderValue::from_str(&endpoint.authority)?);
        let request = head(method, uri.build()?, headers, Version::HTTP_11);
        return Ok(match transport {
            Transport::GrpcWeb => Template::GrpcWeb(request.map(|()| grpc_web::framed(&body))),
            _ => Template::Http1(request.map(|()| body)),
        });
    }
    let takes_body = [Method::POST, Method::PUT, Method::PATCH].contains(&method);
    if takes_body || !body.is_empty() {
        // As hyper does by itself over HTTP/1.1 (RFC 9110 §8.6).
        headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    uri = uri
        .scheme(endpoint.scheme())
        .authority(endpoint.authority.as_str());
    Ok(Template::Http2(
        head(method, uri.build()?, headers, Version::HTTP_2),
        body,
    ))
}

fn head(method: Method, uri: Uri, headers: HeaderMap, version: Version) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    *request.version_mut() = version;
    request
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::with_capacity(pairs.len() + 2);
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        headers.append(name, HeaderValue::from_str(value)?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, header: &str) -> PreparedRequest {
        PreparedRequest {
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: vec![(header.to_owned(), "1".to_owned())],
            body: Bytes::from_static(b"abc"),
            expect: Expect::Status,
        }
    }

    #[test]
    fn each_transport_gets_the_head_that_it_needs() {
        let endpoint = Endpoint {
            address: ([127, 0, 0, 1], 1).into(),
            authority: "example:80".to_owned(),
            tls: None,
        };
        let of = |transport| Prepared::new(transport, &endpoint, &request("/a?b", "x-c"));
        let Ready::Http1(http1) = of(Transport::Http1).unwrap().ready() else {
            panic!("another transport");
        };
        assert_eq!(http1.uri(), "/a?b");
        assert_eq!(http1.headers()[header::HOST], "example:80");
        let Ready::Http2(http2, body) = of(Transport::Http2).unwrap().ready() else {
            panic!("another transport");
        };
        assert_eq!(http2.uri(), "http://example:80/a?b");
        assert_eq!(http2.headers()[header::CONTENT_LENGTH], "3");
        assert!(!http2.headers().contains_key(header::HOST) && body == "abc");
        let Ready::GrpcWeb(web) = of(Transport::GrpcWeb).unwrap().ready() else {
            panic!("another transport");
        };
        assert_eq!(web.headers()[header::CONTENT_TYPE], grpc_web::MEDIA_TYPE);
        assert!(web.method() == Method::POST && web.uri() == "/a?b");
        assert_eq!(web.headers()["x-c"], "1");
        let Ready::Grpc(grpc, path) = of(Transport::Grpc).unwrap().ready() else {
            panic!("another transport");
        };
        assert_eq!(
            (path.as_str(), grpc.get_ref().as_ref()),
            ("/a?b", &b"abc"[..])
        );
        assert_eq!(grpc.metadata().get("x-c").unwrap(), "1");
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        let endpoint = Endpoint {
            address: ([127, 0, 0, 1], 1).into(),
            authority: "example".to_owned(),
            tls: None,
        };
        for bad in [request("/a b", "x"), request("/", "no header")] {
            let error = Prepared::new(Transport::Http1, &endpoint, &bad)
                .err()
                .unwrap();
            assert!(error.to_string().contains("POST /"), "{error}");
        }
    }
}
