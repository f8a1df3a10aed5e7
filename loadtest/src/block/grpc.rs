//! The gRPC client: tonic's generated client on one bare HTTP/2 connection.

use std::{
    error::Error as _,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, Uri};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, RequestMessage, greetings_generator_client::GreetingsGeneratorClient,
};
use serving::client::http_status;
use tonic::{Code, Status, body::Body};

use super::{
    batch::Batch,
    recorder::{CONNECTION_BROKEN, NO_GRPC, Outcome},
    user::{Attack, ConnectError, GREETING, MESSAGE_TYPE, YEAR},
    wire::Counted,
};

/// The path of a call for one greeting.
pub(super) const PATH: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";

/// The path of a call for several.
pub(super) const BATCH_PATH: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetingsBatch";

/// How the caller says it came.
pub(super) const DATA_COMM_TYPE: &str = "gRPC";

/// One connection.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    origin: Uri,
    stub: GreetingsGeneratorClient<Http2>,
    batch: Option<Arc<Batch>>,
    /// The next call's batch: tonic's client takes it as its own, and REST's need not copy theirs.
    next: Option<BatchRequestMessage>,
}

impl Connection {
    /// Connects to the attack's target.
    pub(super) async fn open(attack: &Attack) -> Result<Self, ConnectError> {
        let target = &attack.target;
        let stream = target.connect().await?;
        let stream = Counted::new(stream, Arc::clone(&attack.window.bytes));
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends when the sender is dropped, the server closes, or the attack is stopped.
        tokio::spawn(attack.stop.clone().run_until_cancelled_owned(connection));
        let origin: Uri = target.url().parse().expect("a target is a URL");
        Ok(Self::of(sender, origin, attack.batch.clone()))
    }

    fn of(sender: SendRequest<Body>, origin: Uri, batch: Option<Arc<Batch>>) -> Self {
        Self {
            stub: GreetingsGeneratorClient::with_origin(Http2(sender.clone()), origin.clone()),
            sender,
            origin,
            batch,
            next: None,
        }
    }

    /// The same connection for another user.
    pub(super) fn share(&self) -> Self {
        Self::of(self.sender.clone(), self.origin.clone(), self.batch.clone())
    }

    /// Makes what the next call sends, before it is timed.
    pub(super) fn prepare(&mut self) {
        self.next = self.batch.as_ref().map(|batch| batch.to_message());
    }

    /// Whether another call can be sent.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Makes one call, and decodes its answer.
    pub(super) async fn call(&mut self) -> Outcome {
        let result = match &self.batch {
            Some(batch) => {
                let asked = self.next.take().unwrap_or_else(|| batch.to_message());
                let answer = self.stub.grpc_get_greetings_batch(asked).await;
                answer.map(|answer| batch.is_answered_by(answer.get_ref()))
            }
            None => self.greeting().await,
        };
        match result {
            Ok(true) => Outcome::Grpc(Code::Ok),
            Ok(false) => Outcome::Broken("not the greeting asked for"),
            // A status that the server sent has no cause on this side of the wire.
            Err(status) if status.source().is_some() => CONNECTION_BROKEN,
            Err(status) if http_status(&status).is_some() => NO_GRPC,
            Err(status) => Outcome::Grpc(status.code()),
        }
    }

    /// Asks for one greeting, and says whether it came.
    async fn greeting(&mut self) -> Result<bool, Status> {
        let request = RequestMessage {
            data_comm_type: DATA_COMM_TYPE.to_owned(),
            message_type: MESSAGE_TYPE.to_owned(),
            year: YEAR,
        };
        let answer = self.stub.grpc_get_greetings(request).await?;
        let answer = answer.into_inner();
        Ok(answer.message_received && answer.greetings == GREETING)
    }
}

/// hyper's HTTP/2 connection as the service that tonic's generated client sends through.
struct Http2(SendRequest<Body>);

impl tower::Service<Request<Body>> for Http2 {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
