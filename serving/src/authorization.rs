//! Authorisation: who may call, as a [`tower::Layer`] for both transports.
//!
//! A call is let in if its bearer token is known (RFC 6750 §2.1), or, under mutual TLS, a name in the verified
//! certificate of its caller. It is decided from the head alone, before any of the body is read. Everything is closed
//! but what [`Authorization::open`] names, `/healthz`, `/readyz` and gRPC's health.
//!
//! The question that a browser asks before a call of another origin never carries credentials (Fetch standard,
//! CORS-preflight request). Answer it in a layer outside of this one, as a listener does for its origins; here it is
//! 204 without a permission, and no service sees it.
//!
//! | what came | HTTP | gRPC, gRPC-Web |
//! |---|---|---|
//! | no token, or none that can be read | 401, `WWW-Authenticate: Bearer` | UNAUTHENTICATED |
//! | an unknown token, or two | 401, `WWW-Authenticate: Bearer error="invalid_token"` | UNAUTHENTICATED |
//! | a caller that [may not make this call](Authorization::permit) | 403 | PERMISSION_DENIED |
//! | no certificate with a known name, where [names alone](Authorization::by_names) are known | 403 | PERMISSION_DENIED |
//!
//! The rest of the answer is worded by the [`Refuse`] of the transport. Handlers find out who calls by the
//! extension [`Identity`]: `Extension(caller): Extension<Identity>` in axum, `request.extensions().get::<Identity>()`
//! in tonic. Calls of paths that are open have none. A token is in no answer, no line of the log, and no `Debug`:
//! the header is marked as sensitive.
//!
//! On tonic's own server:
//!
//! ```
//! use serving::{authorization::{Authorization, AuthorizationLayer, Tokens}, refusal::GrpcStatus};
//! use tonic::{service::Routes, transport::{Server, server::TcpIncoming}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = Tokens::new("backend 4ZbQyGm3K1rXwT0v\n")?;
//! let authorization = AuthorizationLayer::new(Authorization::by_tokens(tokens), GrpcStatus);
//! # let (reflection, health) = (
//! #     tonic_reflection::server::Builder::configure().build_v1()?,
//! #     tonic_health::server::health_reporter().1,
//! # );
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(authorization)
//!     .add_service(health)
//!     .add_service(reflection)
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # let mut open = tonic_health::pb::health_client::HealthClient::new(channel.clone());
//! # open.check(tonic_health::pb::HealthCheckRequest::default()).await?;
//! # let mut closed =
//! #     tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(channel);
//! # let status = closed.server_reflection_info(futures_util::stream::empty()).await.unwrap_err();
//! # assert_eq!(status.code(), tonic::Code::Unauthenticated, "{status:?}");
//! # let mut known = tonic::Request::new(futures_util::stream::empty());
//! # known.metadata_mut().insert("authorization", "Bearer 4ZbQyGm3K1rXwT0v".parse()?);
//! # closed.server_reflection_info(known).await?;
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On axum's:
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use serving::{
//!     authorization::{Authorization, AuthorizationLayer, Identity, Tokens},
//!     refusal::Problem,
//! };
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = Tokens::new("backend 4ZbQyGm3K1rXwT0v\n")?;
//! let authorization = Authorization::by_tokens(tokens).open("/about");
//! let app = Router::new()
//!     .route("/me", get(async |Extension(caller): Extension<Identity>| caller.name().to_owned()))
//!     .route("/about", get(async || "a shop"))
//!     .layer(AuthorizationLayer::new(authorization, Problem));
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = socket.local_addr()?;
//! let server = axum::serve(socket, app);
//! # let server = tokio::spawn(async { server.await });
//! # for (path, header, status, body) in [
//! #     ("/me", "authorization: bearer 4ZbQyGm3K1rXwT0v\r\n", "200", "backend"),
//! #     ("/me", "", "401", "Authorization header"),
//! #     ("/about", "", "200", "a shop"),
//! # ] {
//! #     let mut stream = tokio::net::TcpStream::connect(address).await?;
//! #     let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n");
//! #     stream.write_all(request.as_bytes()).await?;
//! #     let mut answer = String::new();
//! #     stream.read_to_string(&mut answer).await?;
//! #     assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(body), "{answer}");
//! # }
//! # server.abort();
//! # Ok(())
//! # }
//! ```

mod args;
mod tokens;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use tower::Layer;

pub use args::AuthorizationArgs;
pub use tokens::{TokenError, Tokens};

use crate::{
    cors::is_preflight,
    gate::{Gate, GateLayer, Gated, refused},
    grpc::{MEDIA_TYPE, begins},
    peer::Peer,
    refusal::{Refusal, Refuse},
    telemetry::codes::Transport,
};

/// Open to everybody: who asks for health has no credentials as a rule, and learns nothing.
const OPEN: [&str; 4] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/healthz",
    "/readyz",
];

/// Identity of a caller: an extension of each request that was let in by its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(Arc<str>);

impl Identity {
    /// The name that stands beside the token, or the one in the certificate.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Rules on who may call. By default anybody may. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Authorization {
    /// None: anybody may call.
    rules: Option<Arc<Rules>>,
}

#[derive(Clone, Debug)]
struct Rules {
    tokens: Option<Tokens>,
    /// Those of callers that certificates vouch for.
    names: Vec<Identity>,
    open: Vec<String>,
    permit: Permit,
}

/// Returns true if a caller may make a call, by its method and its path.
type Rule = dyn Fn(&Identity, &Method, &str) -> bool + Send + Sync;

#[derive(Clone)]
struct Permit(Arc<Rule>);

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit(..)")
    }
}

impl Authorization {
    /// Whoever has one of `tokens` may call.
    pub fn by_tokens(tokens: Tokens) -> Self {
        Self::closed(Some(tokens))
    }

    /// Whoever shows a verified certificate with one of `names` may call, as a DNS name or a URI of the subject's
    /// alternative names. A common name does not count.
    ///
    /// It needs the feature `tls`, and a server that verifies certificates: a listener or tonic's with roots for
    /// clients. axum's own shows no certificates, and every call is refused.
    pub fn by_names<I: IntoIterator<Item: AsRef<str>>>(names: I) -> Self {
        Self::closed(None).names(names)
    }

    /// Whoever shows a verified certificate with one of `names`, and sends no token, may call too.
    #[must_use]
    pub fn names<I: IntoIterator<Item: AsRef<str>>>(self, names: I) -> Self {
        let names = names.into_iter().map(|name| Identity(name.as_ref().into()));
        let closed = match self.rules {
            Some(_) => self,
            // Who may call is said now.
            None => Self::closed(None),
        };
        closed.with(|rules| rules.names.extend(names))
    }

    fn closed(tokens: Option<Tokens>) -> Self {
        let rules = Rules {
            tokens,
            names: Vec::new(),
            open: OPEN.map(str::to_owned).to_vec(),
            permit: Permit(Arc::new(|_, _, _| true)),
        };
        Self {
            rules: Some(Arc::new(rules)),
        }
    }

    /// Lets anybody call `path` too: exactly this one, without a query. If anybody may call, it changes nothing.
    #[must_use]
    pub fn open(self, path: impl Into<String>) -> Self {
        self.with(|rules| rules.open.push(path.into()))
    }

    /// Asks `permit` of each caller that is known whether it may make a call, by method and path: over gRPC,
    /// `POST` and `/package.Service/Method`. If anybody may call, no caller is known, and `permit` is not asked.
    #[must_use]
    pub fn permit(
        self,
        permit: impl Fn(&Identity, &Method, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.with(|rules| rules.permit = Permit(Arc::new(permit)))
    }

    fn with(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        if let Some(rules) = &mut self.rules {
            change(Arc::make_mut(rules));
        }
        self
    }
}

/// Reason for not letting a call in.
enum Denied {
    Missing,
    Unknown,
    NotPermitted,
}

impl Rules {
    /// Returns the caller who makes `request`; none if anybody may make it.
    fn check<B>(&self, request: &Request<B>) -> Result<Option<Identity>, Denied> {
        let path = request.uri().path();
        if self.open.iter().any(|open| open == path) {
            return Ok(None);
        }
        let caller = match &self.tokens {
            Some(tokens) => match by_token(tokens, request.headers()) {
                Err(Denied::Missing) => self.by_name(request).ok_or(Denied::Missing)?,
                known => known?,
            },
            // No token would help.
            None => self.by_name(request).ok_or(Denied::NotPermitted)?,
        };
        match (self.permit.0)(&caller, request.method(), path) {
            true => Ok(Some(caller)),
            false => Err(Denied::NotPermitted),
        }
    }

    /// The caller whom the certificate of its connection vouches for.
    fn by_name<B>(&self, request: &Request<B>) -> Option<Identity> {
        if self.names.is_empty() {
            return None;
        }
        let peer = Peer::of(request.extensions())?;
        let known = |name: &str| self.names.iter().find(|known| is_name(known, name));
        peer.names().find_map(known).cloned()
    }
}

/// Returns true if `shown` is the name of `known`. DNS names are the same in any case (RFC 4343), and have no colon,
/// as every URI has.
fn is_name(known: &Identity, shown: &str) -> bool {
    let known = known.name();
    known == shown || (!shown.contains(':') && known.eq_ignore_ascii_case(shown))
}

/// The bearer of the token among `headers`.
fn by_token(tokens: &Tokens, headers: &HeaderMap) -> Result<Identity, Denied> {
    let mut named = headers.get_all(AUTHORIZATION).iter();
    let header = named.next().ok_or(Denied::Missing)?;
    // Of two, nobody can say which is meant.
    if named.next().is_some() {
        return Err(Denied::Unknown);
    }
    let token = bearer(header.as_bytes()).ok_or(Denied::Missing)?;
    tokens.find(token).ok_or(Denied::Unknown)
}

/// The token in `credentials`, if they are a bearer's. The scheme is the same in any case (RFC 9110 §11.1).
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, token) = credentials.split_at_checked(SCHEME.len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME) && token.starts_with(b" ");
    let token = token.trim_ascii();
    (is_bearer && !token.is_empty()).then_some(token)
}

/// Lets in who may call, and answers all others as `refuse` words it.
#[derive(Clone, Debug)]
pub struct AuthorizationLayer<R> {
    authorization: Authorization,
    refuse: R,
}

impl<R: Refuse> AuthorizationLayer<R> {
    /// For those whom `authorization` lets in.
    pub fn new(authorization: Authorization, refuse: R) -> Self {
        Self {
            authorization,
            refuse,
        }
    }
}

impl<S, R: Clone> Layer<S> for AuthorizationLayer<R> {
    type Service = Gated<S, Self>;

    fn layer(&self, service: S) -> Self::Service {
        GateLayer(self.clone()).layer(service)
    }
}

impl<R: Refuse> Gate for AuthorizationLayer<R> {
    fn answer<B>(&self, request: &mut Request<B>) -> Option<Response<Full<Bytes>>> {
        let rules = self.authorization.rules.as_ref()?;
        match rules.check(request) {
            // No service sees it, whatever it makes of the method.
            Err(_) if is_preflight(request) => return Some(nothing()),
            Err(denied) => return Some(denied.answer(&self.refuse, request)),
            Ok(None) => {}
            Ok(Some(caller)) => {
                request.extensions_mut().insert(caller);
            }
        }
        for (name, value) in request.headers_mut() {
            if name == AUTHORIZATION {
                value.set_sensitive(true);
            }
        }
        None
    }
}

/// The answer to the question of a browser that no layer outside has answered: its page may not call.
fn nothing() -> Response<Full<Bytes>> {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

impl Denied {
    fn answer<R: Refuse, B>(self, refuse: &R, request: &Request<B>) -> Response<Full<Bytes>> {
        let (refusal, challenge) = match self {
            Self::Missing => (Refusal::Unauthenticated, Some("Bearer")),
            // RFC 6750 §3: who tried is told that it was the token.
            Self::Unknown => (
                Refusal::Unauthenticated,
                Some("Bearer error=\"invalid_token\""),
            ),
            Self::NotPermitted => (Refusal::NotAllowed, None),
        };
        let mut answer = refused(refuse, refusal, request);
        if let Some(challenge) = challenge {
            let challenge = HeaderValue::from_static(challenge);
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        // Clients of gRPC read the status and its details only if HTTP went well.
        let kind = request.headers().get(CONTENT_TYPE);
        if R::TRANSPORT == Transport::Grpc
            && request.method() == Method::POST
            && kind.is_some_and(|kind| begins(kind.as_bytes(), MEDIA_TYPE))
        {
            *answer.status_mut() = StatusCode::OK;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering::Relaxed},
        },
    };

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::Full;
    use tower::{Layer, ServiceExt, service_fn};

    use super::{Authorization, AuthorizationLayer, Identity, Tokens, bearer, is_name};
    use crate::refusal::GrpcStatus;

    #[tokio::test]
    async fn no_service_sees_the_question_of_a_browser() {
        let tokens = Tokens::new("backend 4ZbQyGm3K1rXwT0v").unwrap();
        let layer = AuthorizationLayer::new(Authorization::by_tokens(tokens), GrpcStatus);
        let called = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&called);
        let service = layer.layer(service_fn(move |_: Request<()>| {
            seen.store(true, Relaxed);
            async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
        }));
        let question = Request::options("/shop.v1.Orders/CreateOrder")
            .header("origin", "http://page.example")
            .header("access-control-request-method", "POST")
            .body(())
            .unwrap();
        let answer = service.oneshot(question).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
        assert!(!called.load(Relaxed));
    }

    #[tokio::test]
    async fn who_names_callers_lets_in_nobody_else() {
        let layer = AuthorizationLayer::new(Authorization::default().names(["shop"]), GrpcStatus);
        let service = layer.layer(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
        let call = Request::post("/shop.v1.Orders/CreateOrder")
            .body(())
            .unwrap();
        let answer = service.oneshot(call).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn a_dns_name_is_the_same_in_any_case_and_a_uri_is_not() {
        for (known, shown, same) in [
            ("shop.internal", "shop.internal", true),
            ("shop.internal", "Shop.INTERNAL", true),
            ("shop.internal", "cart.internal", false),
            ("spiffe://example/shop", "spiffe://example/shop", true),
            ("spiffe://example/shop", "spiffe://example/Shop", false),
        ] {
            assert_eq!(is_name(&Identity(known.into()), shown), same, "{shown}");
        }
    }

    #[test]
    fn a_bearer_says_so_in_any_case_and_with_any_number_of_spaces() {
        for (credentials, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("BEARER   abc", Some("abc")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Bearerabc", None),
            ("Basic abc", None),
            ("abc", None),
            ("", None),
        ] {
            let found = bearer(credentials.as_bytes());
            assert_eq!(found, token.map(str::as_bytes), "{credentials}");
        }
    }
}
