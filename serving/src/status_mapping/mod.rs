//! Status mapping: the right gRPC status for everything that is wrong with a call before, in and behind its
//! handler, as a [`tower::Layer`] for any gRPC server.
//!
//! [`StatusMappingLayer`] reads the five bytes before each message itself (gRPC PROTOCOL-HTTP2.md), so that
//! sizes, counts and flags need no words of a codec:
//!
//! | what came | status |
//! |---|---|
//! | another HTTP method than POST | HTTP 405 and UNIMPLEMENTED |
//! | another media type than `application/grpc` or `application/grpc+proto`, in any case | HTTP 415 and UNIMPLEMENTED |
//! | a message above the limit, unpacked or not | RESOURCE_EXHAUSTED |
//! | bytes that are no message | INVALID_ARGUMENT |
//! | none or two messages where the contract has one | UNIMPLEMENTED |
//! | the compressed flag without an encoding | INTERNAL (compression.md), which is not logged as an error |
//! | a request that broke off | CANCELLED |
//! | a handler's INTERNAL, UNKNOWN or DATA_LOSS | INTERNAL; its text is for the log alone, unless [failures pass](StatusMappingLayer::pass_failures) |
//! | a failed call of a client in the handler, returned as it is | UNAVAILABLE or INTERNAL; the same |
//!
//! A stock codec says in words alone what it finds, such as protobuf that cannot be decoded: they stand in one
//! table, and count only if the request was being read when they were said. A handler's own status passes as
//! it is. It cannot be told from one that a server behind the handler sent in trailers: give that to
//! [`downstream`].
//!
//! On tonic's own server:
//!
//! ```
//! use serving::status_mapping::StatusMappingLayer;
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (_, health) = tonic_health::server::health_reporter();
//! let limit = 4 * 1024 * 1024;
//! let mapping = StatusMappingLayer::new(limit).contract(tonic_health::pb::FILE_DESCRIPTOR_SET);
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(mapping)
//!     .add_service(health.max_decoding_message_size(limit))
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
//! # let service = "x".repeat(limit + 1);
//! # let request = tonic_health::pb::HealthCheckRequest { service };
//! # let status = client.check(request).await.unwrap_err();
//! # assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On axum's server, tonic's `Routes` become a router, and the layer stands around it:
//! `Routes::new(health).into_axum_router().layer(mapping)`.
//!
//! gRPC-Web is another framing: translate it outside of this layer.

mod answer;
mod messages;
mod rejection;
mod stock;

use std::{
    fmt::Display,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, Method, Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use prost::Message;
use prost_types::FileDescriptorSet;
use tower::{Layer, Service};

pub use answer::{Mapped, Mapping};
pub use messages::Messages;
pub use rejection::{Reject, Rejection, downstream};

use crate::{
    context::CallContext,
    grpc::{MEDIA_TYPE, begins},
    operations::path,
    refusal::GrpcStatus,
    service::BoxError,
};
use messages::{Bounds, Progress};

/// The rules that the layers of one service share.
#[derive(Debug)]
struct Rules<W> {
    /// The most bytes that a message may have.
    limit: usize,
    /// The paths of methods that take one message, in order: a search among them costs a call less than a hash
    /// of its path does.
    takes_one: Vec<String>,
    /// A handler's own INTERNAL, UNKNOWN and DATA_LOSS are for its callers.
    passes_failures: bool,
    words: W,
}

/// Maps what is wrong with a call to a status, as the module says.
#[derive(Clone, Debug)]
pub struct StatusMappingLayer<W = GrpcStatus> {
    rules: Arc<Rules<W>>,
}

impl StatusMappingLayer {
    /// For a service whose messages have at most `limit` bytes. Let its codecs take as many: what they refuse
    /// themselves is mapped, but only where the words are those of a stock codec.
    pub fn new(limit: usize) -> Self {
        Self::with_words(limit, GrpcStatus)
    }
}

impl<W> StatusMappingLayer<W> {
    /// The same, with statuses in `words`.
    pub fn with_words(limit: usize, words: W) -> Self {
        let layer = Self {
            rules: Arc::new(Rules {
                limit,
                takes_one: Vec::new(),
                passes_failures: false,
                words,
            }),
        };
        layer.contract(tonic_health::pb::FILE_DESCRIPTOR_SET)
    }

    /// Counts the messages of the methods in the encoded `FileDescriptorSet` `descriptors`, too, if they take
    /// one. Without it, none or two messages are what the codec makes of them. Health is known already.
    ///
    /// # Panics
    /// When `descriptors` is not a descriptor set, which only a broken build can cause.
    #[must_use]
    pub fn contract(self, descriptors: &[u8]) -> Self {
        let set = FileDescriptorSet::decode(descriptors);
        let set = set.expect("the descriptor set was made by this build");
        self.with(|rules| rules.count(&set))
    }

    /// Lets a handler's own INTERNAL, UNKNOWN and DATA_LOSS pass as they are, for services that write their
    /// texts and details for callers. Without it callers are told INTERNAL alone. Failed calls of a client are
    /// kept from callers all the same.
    #[must_use]
    pub fn pass_failures(self) -> Self {
        self.with(|rules| rules.passes_failures = true)
    }

    fn with(self, change: impl FnOnce(&mut Rules<W>)) -> Self {
        let Ok(mut rules) = Arc::try_unwrap(self.rules) else {
            unreachable!("a layer that is being built has no clones yet");
        };
        change(&mut rules);
        Self {
            rules: Arc::new(rules),
        }
    }
}

impl<W> Rules<W> {
    /// Returns true if the method at `path` takes one message.
    fn takes_one(&self, path: &str) -> bool {
        let found = self
            .takes_one
            .binary_search_by(|one| one.as_str().cmp(path));
        found.is_ok()
    }

    /// Adds the methods in `set` that take one message.
    fn count(&mut self, set: &FileDescriptorSet) {
        for file in &set.file {
            for service in &file.service {
                let one = service.method.iter().filter(|m| !m.client_streaming());
                let paths = one.map(|method| path(file.package(), service, method));
                self.takes_one.extend(paths);
            }
        }
        self.takes_one.sort_unstable();
    }
}

impl<S, W> Layer<S> for StatusMappingLayer<W> {
    type Service = StatusMapping<S, W>;

    fn layer(&self, service: S) -> Self::Service {
        let rules = Arc::clone(&self.rules);
        StatusMapping { service, rules }
    }
}

/// A gRPC service whose statuses are mapped.
#[derive(Debug)]
pub struct StatusMapping<S, W = GrpcStatus> {
    service: S,
    rules: Arc<Rules<W>>,
}

impl<S: Clone, W> Clone for StatusMapping<S, W> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            rules: Arc::clone(&self.rules),
        }
    }
}

impl<S: tonic::server::NamedService, W> tonic::server::NamedService for StatusMapping<S, W> {
    const NAME: &'static str = S::NAME;
}

impl<S, W, B, C> Service<Request<B>> for StatusMapping<S, W>
where
    S: Service<Request<Messages<B, W>>, Response = Response<C>>,
    W: Reject,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    C: Body<Data = Bytes>,
{
    type Response = Response<Mapped<C, W>>;
    type Error = S::Error;
    type Future = Mapping<S::Future, W>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let rules = &self.rules;
        let call = CallContext::of(request.extensions());
        let head = match Head::of(&request) {
            Ok(head) => head,
            Err(rejection) => return Mapping::rejected(rules.words.answer(&rejection, &call)),
        };
        let progress = Arc::new(Progress::new(call));
        let bounds = Bounds {
            takes_one: rules.takes_one(request.uri().path()),
            limit: rules.limit,
            is_encoded: head.is_encoded,
            is_gzip: head.is_gzip,
        };
        let request = request
            .map(|body| Messages::new(body, bounds, Arc::clone(&progress), Arc::clone(rules)));
        Mapping::running(self.service.call(request), progress, Arc::clone(rules))
    }
}

/// The headers of a call, as far as they are about its messages.
pub(crate) struct Head {
    /// A message may be compressed.
    is_encoded: bool,
    /// By gzip.
    is_gzip: bool,
}

impl Head {
    /// Few headers are compared faster than two names are hashed.
    pub(crate) fn of<B>(request: &Request<B>) -> Result<Self, Rejection> {
        static ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
        let (mut kind, mut encoding) = (None, None);
        for (name, value) in request.headers() {
            if *name == CONTENT_TYPE {
                kind = kind.or(Some(value));
            } else if *name == ENCODING {
                encoding = encoding.or(Some(value));
            }
        }
        match kind {
            Some(kind) if is_grpc(kind.as_bytes()) => {}
            // gRPC of another form, whose method is the first thing that is wrong with it.
            Some(kind)
                if request.method() != Method::POST && begins(kind.as_bytes(), MEDIA_TYPE) => {}
            Some(kind) => {
                let sent = String::from_utf8_lossy(kind.as_bytes());
                let sent = sent.chars().take(LONGEST_QUOTE).collect();
                return Err(Rejection::UnsupportedMediaType { sent });
            }
            None => {
                let sent = "a request without a content type".to_owned();
                return Err(Rejection::UnsupportedMediaType { sent });
            }
        }
        // Whoever opens the address in a browser, or probes it, speaks another protocol.
        if request.method() != Method::POST {
            return Err(Rejection::MethodNotAllowed);
        }
        let encoding = encoding.filter(|encoding| *encoding != "identity");
        Ok(Self {
            is_encoded: encoding.is_some(),
            is_gzip: encoding.is_some_and(|encoding| encoding == "gzip"),
        })
    }
}

/// Characters of what a stranger sent that are quoted: a media type fits.
const LONGEST_QUOTE: usize = 80;

/// Returns true if the media type `kind` is gRPC with protobuf messages: `application/grpc`, or the same with
/// `+proto`, whatever its parameters. Media types are the same in any case (RFC 9110 §8.3.1).
pub fn is_grpc(kind: &[u8]) -> bool {
    if kind == MEDIA_TYPE {
        return true;
    }
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii();
    essence.eq_ignore_ascii_case(MEDIA_TYPE)
        || essence.eq_ignore_ascii_case(b"application/grpc+proto")
}

/// Writes down what a caller is not told.
fn log(code: tonic::Code, text: &dyn Display, call: &CallContext) {
    let request_id = call.request_id();
    let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
    tracing::error!(?code, %text, request_id, "a handler failed");
}
