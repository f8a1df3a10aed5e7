//! A limit on the memory of answers that are made and not yet written. A peer that asks for large answers, and reads
//! none of them, would otherwise take what there is: above the limit a new answer is refused with RESOURCE_EXHAUSTED or
//! 503, one that has begun ends, and memory goes no further. Neither tonic nor axum has one.
//!
//! A piece of an answer counts until the server has dropped its last byte, if it is longer than 4 KiB: with a [limit
//! on calls](super::ConcurrencyLimitLayer) the short ones bound themselves, and are never refused. An answer that says
//! how long it is counts from its head on. The last one that is let in may go beyond the limit.
//!
//! On a stock server:
//! - hyper takes a piece of an answer whole as soon as its peer has room for a byte, and holds it until the kernel has
//!   it all, or HTTP/2's windows let it: that is what counts here, and why a limit on calls does not see it.
//! - Nothing ends a peer that leaves its answers unread, so that it keeps what it holds of the limit until its
//!   connection ends. The [listener](crate::server) has a timer for that, and takes pieces of 64 KiB alone.
//! - A layer outside of this one that copies, such as compression, gives back what it has read: put it inside.
//! - A piece that counts is one allocation more, of some dozen bytes.
//!
//! All services of one layer, and of its clones, share the limit: those of an axum router's routes, too.
//!
//! On tonic's server:
//!
//! ```
//! use serving::{layers::ResponseMemoryLayer, refusal::GrpcStatus};
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let reflection = tonic_reflection::server::Builder::configure().build_v1()?;
//! // Some MiB, in a server.
//! let most = 0;
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(ResponseMemoryLayer::new(GrpcStatus, most))
//!     .add_service(reflection)
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # use tonic_reflection::pb::v1::{
//! #     ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
//! #     server_reflection_request::MessageRequest,
//! # };
//! # let mut client = ServerReflectionClient::new(channel);
//! # // The question comes back with the answer.
//! # let mut ask = async |question: String| {
//! #     let message_request = Some(MessageRequest::ListServices(question));
//! #     let request = ServerReflectionRequest { host: String::new(), message_request };
//! #     let asked = futures_util::stream::iter([request]);
//! #     client.server_reflection_info(asked).await?.into_inner().message().await
//! # };
//! # ask("short".to_owned()).await?;
//! # let status = ask("long".repeat(4096)).await.unwrap_err();
//! # assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On axum's:
//!
//! ```
//! use axum::{Router, routing::get};
//! use serving::{layers::ResponseMemoryLayer, refusal::PlainText};
//!
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const LARGE: usize = 32 * 1024 * 1024;
//! // As much as one large answer.
//! let most = LARGE;
//! let router = Router::new()
//!     .route("/", get(async || "hello"))
//! #   .route("/large", get(async || "x".repeat(LARGE)))
//!     .layer(ResponseMemoryLayer::new(PlainText, most));
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = socket.local_addr()?;
//! let server = axum::serve(socket, router);
//! # let server = tokio::spawn(async { server.await });
//! # let ask = async |path: &str| -> Result<_, std::io::Error> {
//! #     let mut peer = tokio::net::TcpStream::connect(address).await?;
//! #     let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
//! #     peer.write_all(request.as_bytes()).await?;
//! #     let mut head = [0; 13];
//! #     peer.read_exact(&mut head).await?;
//! #     Ok((peer, String::from_utf8_lossy(&head).into_owned()))
//! # };
//! # let (unread, head) = ask("/large").await?;
//! # assert_eq!(head, "HTTP/1.1 200 ");
//! # assert_eq!(ask("/large").await?.1, "HTTP/1.1 503 ");
//! # assert_eq!(ask("/").await?.1, "HTTP/1.1 200 ");
//! # drop(unread);
//! # // Until the server knows.
//! # while ask("/large").await?.1 != "HTTP/1.1 200 " {}
//! # server.abort();
//! # Ok(())
//! # }
//! ```

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::{
    budget::{Budget, Held, counted},
    context::CallContext,
    ending::{Ending, EndingBody, Ends},
    refusal::{Refusal, Refuse, Wording},
    service::BoxError,
    telemetry::metrics::Limit,
};

/// Refuses and ends answers beyond a limit of memory, in the words of one protocol.
#[derive(Clone, Debug)]
pub struct ResponseMemoryLayer<R> {
    words: R,
    budget: Arc<Budget>,
}

impl<R: Refuse> ResponseMemoryLayer<R> {
    /// For answers that hold `most_bytes` together. [`Limits::answers`](crate::limits::Limits::answers) says how many
    /// a listener here has.
    pub fn new(words: R, most_bytes: usize) -> Self {
        let budget = Arc::new(Budget::new(most_bytes));
        Self { words, budget }
    }
}

impl<S, R: Clone> Layer<S> for ResponseMemoryLayer<R> {
    type Service = ResponseMemory<S, R>;

    fn layer(&self, service: S) -> Self::Service {
        ResponseMemory {
            service,
            words: self.words.clone(),
            budget: Arc::clone(&self.budget),
        }
    }
}

/// A service whose answers hold so much memory at most.
#[derive(Clone, Debug)]
pub struct ResponseMemory<S, R> {
    service: S,
    words: R,
    budget: Arc<Budget>,
}

impl<S: NamedService, R> NamedService for ResponseMemory<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S, R, A, B> Service<Request<A>> for ResponseMemory<S, R>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    R: Refuse,
{
    type Response = Response<EndingBody<B, R, Room>>;
    type Error = S::Error;
    type Future = Ending<S::Future, R, Room>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let wording = Wording::of(self.words.clone(), &request);
        let room = Room(Held::none(&self.budget));
        Ending::new(self.service.call(request), wording, room)
    }
}

/// The room that an answer holds for what it says will come.
pub struct Room(Held);

impl Ends for Room {
    fn answered(&mut self, call: &CallContext, length: usize) -> Result<(), Refusal> {
        hold(&mut self.0, call, counted(length))
    }

    fn passed(&mut self, call: &CallContext, frame: &mut Frame<Bytes>) -> Result<(), Refusal> {
        let Some(data) = frame.data_mut() else {
            return Ok(());
        };
        let mut held = self.0.split(data.len());
        if counted(data.len()) > 0 {
            let more = data.len() - held.bytes();
            hold(&mut held, call, more)?;
            let bytes = std::mem::take(data);
            *data = Bytes::from_owner(Counted { bytes, held });
        }
        Ok(())
    }
}

/// Holds `more` bytes of the answer to `call`, which is refused where the limit is reached already.
fn hold(held: &mut Held, call: &CallContext, more: usize) -> Result<(), Refusal> {
    if held.add(more) {
        return Ok(());
    }
    call.hit(Limit::Answers);
    Err(Refusal::Overloaded)
}

/// Bytes that count until they are dropped.
struct Counted {
    bytes: Bytes,
    #[allow(dead_code, reason = "it is there to be dropped")]
    held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full, StreamBody};
    use tower::ServiceExt;

    use super::*;
    use crate::refusal::PlainText;

    const LARGE: usize = 64 * 1024;

    #[tokio::test]
    async fn an_answer_is_held_from_when_it_is_known_until_its_last_byte_is_dropped() {
        // It may say how long it is, or not, and come in one piece or in several.
        for (is_told, pieces) in [(true, 1), (false, 1), (false, 3)] {
            let layer = ResponseMemoryLayer::new(PlainText, LARGE * pieces);
            let held = || layer.budget.held();
            let service = tower::service_fn(async |_: Request<()>| {
                let body = match is_told {
                    true => Full::new(Bytes::from(vec![7; LARGE])).boxed_unsync(),
                    false => {
                        let frames = (0..pieces).map(|_| Ok(Frame::data(vec![7; LARGE].into())));
                        StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
                    }
                };
                Ok::<_, std::convert::Infallible>(Response::new(body))
            });
            let answer = layer.layer(service).oneshot(Request::new(())).await;
            let mut body = answer.unwrap().into_body();
            assert_eq!(held(), if is_told { LARGE } else { 0 });
            let mut taken = Vec::new();
            while let Some(frame) = body.frame().await {
                taken.push(frame.unwrap().into_data().unwrap());
                assert_eq!(held(), LARGE * taken.len());
            }
            drop(body);
            assert!(taken.iter().all(|bytes| bytes[..] == [7; LARGE]));
            while let Some(bytes) = taken.pop() {
                // Its last byte is as good as all.
                let last = bytes.slice(LARGE - 1..);
                drop(bytes);
                assert_eq!(held(), LARGE * (taken.len() + 1));
                drop(last);
                assert_eq!(held(), LARGE * taken.len());
            }
        }
    }

    #[tokio::test]
    async fn the_one_that_is_refused_holds_nothing_and_a_short_one_is_never_refused() {
        let layer = ResponseMemoryLayer::new(PlainText, 0);
        for (length, status) in [(LARGE, 503), (LARGE, 503), (4 * 1024, 200)] {
            let service = tower::service_fn(async |_: Request<()>| {
                Ok::<_, std::convert::Infallible>(Response::new(Full::from(vec![7; length])))
            });
            let answer = layer.layer(service).oneshot(Request::new(())).await;
            let answer = answer.unwrap();
            assert_eq!(answer.status(), status);
            answer.into_body().collect().await.unwrap();
            assert_eq!(layer.budget.held(), 0);
        }
    }
}
