//! Files for browsers on the REST port: a page that makes the same greeting over REST and over
//! gRPC-Web, the OpenAPI document, and a page that shows it. All of it is in the binary, and no page
//! asks any other place for anything.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    routing::{MethodRouter, get},
};
use bytes::Bytes;

use super::{only, openapi};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The address of gRPC-Web for a browser that has the pages.
#[derive(Clone, Debug)]
pub enum GrpcWeb {
    /// At the origin of the pages.
    Here,
    /// At this port of the same host.
    Port(u16),
    /// At this origin, as [`serving::cors::origin`] reads it.
    At(HeaderValue),
}

impl GrpcWeb {
    /// The values of `data-grpc-port` and `data-grpc-url`.
    fn for_script(&self) -> [String; 2] {
        match self {
            Self::Here => Default::default(),
            Self::Port(port) => [port.to_string(), String::new()],
            Self::At(origin) => [String::new(), text(origin)],
        }
    }

    /// The sources of `connect-src` that a page may call beside its own origin.
    fn for_policy(&self) -> String {
        match self {
            Self::Here => String::new(),
            Self::Port(port) => format!(" *:{port}"),
            Self::At(origin) => format!(" {}", text(origin)),
        }
    }
}

/// An origin is ASCII.
fn text(origin: &HeaderValue) -> String {
    String::from_utf8_lossy(origin.as_bytes()).into_owned()
}

/// The pages, which call gRPC-Web at `grpc`.
pub(super) fn routes(grpc: &GrpcWeb) -> Router {
    let [port, url] = grpc.for_script();
    let index = include_str!("index.html");
    let index = index
        .replace("{grpc-port}", &port)
        .replace("{grpc-url}", &url);
    let document = openapi::document().to_string();
    let files = [
        ("/", HTML, Bytes::from(index)),
        ("/docs", HTML, include_str!("docs.html").into()),
        ("/openapi.json", "application/json", document.into()),
        ("/pages/index.js", SCRIPT, include_str!("index.js").into()),
        ("/pages/docs.js", SCRIPT, include_str!("docs.js").into()),
        ("/pages/wire.js", SCRIPT, include_str!("wire.js").into()),
        ("/pages/page.css", STYLE, include_str!("page.css").into()),
    ];
    let policy = policy(grpc);
    let route = |router: Router, (path, content_type, content)| {
        router.route(path, file(headers(content_type, policy.clone()), content))
    };
    files.into_iter().fold(Router::new(), route)
}

type Headers = [(HeaderName, HeaderValue); 6];

fn file(headers: Headers, content: Bytes) -> MethodRouter {
    let answer = get(async move || (headers.clone(), content.clone()));
    only(answer, "GET, HEAD, OPTIONS")
}

fn headers(content_type: &'static str, policy: HeaderValue) -> Headers {
    let fixed = HeaderValue::from_static;
    [
        (header::CONTENT_TYPE, fixed(content_type)),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::REFERRER_POLICY, fixed("no-referrer")),
        // The pages are a few kilobytes: a new release must not meet the script of the last one.
        (header::CACHE_CONTROL, fixed("no-cache")),
        // Whoever asks for gzip gets it.
        (header::VARY, fixed("accept-encoding")),
    ]
}

/// The content security policy of the pages. They may run their own scripts, and call this server
/// at their own origin and at that of gRPC-Web. A policy cannot say "of the same host"; the script
/// sees to that.
fn policy(grpc: &GrpcWeb) -> HeaderValue {
    let grpc = grpc.for_policy();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
         connect-src 'self'{grpc}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("it is ASCII")
}
