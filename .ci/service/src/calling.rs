//! The calls that the connectconformance runner asks for in client mode, by a client as those here are made:
//! `serving`'s connection, deadline and errors around tonic's.

use std::{
    future::pending,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BufMut};
use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response, uri::PathAndQuery};
use http_body::{Body, Frame, SizeHint};
use prost::Message;
use serving::{
    client::{self, CallError, Watched, WatchedBody},
    retry::Retry,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status,
    client::Grpc,
    codec::{Codec, CompressionEncoding::Gzip, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tower::Service;

use crate::{
    MESSAGE,
    conformance::{RpcStatus, SERVICE_NAME, map, read},
    contracts::connectrpc::conformance::v1 as pb,
    framed,
};
use pb::{
    ClientCompatRequest, ClientCompatResponse, ClientErrorResult, ClientResponseResult,
    Compression, Error, StreamType, UnaryResponse, client_compat_request::cancel::CancelTiming,
    client_compat_response::Result as Outcome,
};

/// The most calls at once: enough to keep two cores busy, few enough that no deadline of a case passes for them.
const CALLS: usize = 8;

/// The deadline of a call for which the runner asks for none.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes each call that standard input asks for, until it ends, and answers on standard output.
pub(crate) async fn run() -> anyhow::Result<()> {
    let (asked, mut calls) = mpsc::channel(CALLS);
    std::thread::spawn(move || -> anyhow::Result<()> {
        while let Some(request) = framed::read::<ClientCompatRequest>()? {
            asked.blocking_send(request)?;
        }
        Ok(())
    });
    let places = Arc::new(Semaphore::new(CALLS));
    while let Some(request) = calls.recv().await {
        let place = Arc::clone(&places).acquire_owned().await?;
        tokio::spawn(async move {
            let test_name = request.test_name.clone();
            let result = match call(request).await {
                Ok(response) => Outcome::Response(response),
                Err(error) => Outcome::Error(ClientErrorResult {
                    message: format!("{error:#}"),
                }),
            };
            // If the runner has gone, nobody is told.
            let _ = framed::write(&ClientCompatResponse {
                test_name,
                result: Some(result),
            });
            drop(place);
        });
    }
    // The last answers.
    let _all = places.acquire_many(CALLS as u32).await?;
    Ok(())
}

/// The answer to a call, as far as it came.
#[derive(Debug, Default)]
struct Came {
    headers: HeaderMap,
    trailers: HeaderMap,
    payloads: Vec<pb::ConformancePayload>,
    /// The call ended with it.
    status: Option<Status>,
}

type Seen = Arc<Mutex<Came>>;

fn seen(came: &Seen) -> MutexGuard<'_, Came> {
    came.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the call that `asked` is for.
async fn call(asked: ClientCompatRequest) -> anyhow::Result<ClientResponseResult> {
    let deadline = asked
        .timeout_ms
        .map_or(PATIENCE, |timeout| Duration::from_millis(timeout.into()));
    let address = format!("{}:{}", asked.host, asked.port);
    let channel = client::connect(&address).await?;
    let (watched, witness) = client::watched(channel);
    let came = Seen::default();
    let recorded = Recorded {
        service: watched,
        came: Arc::clone(&came),
    };
    // As the clients here run every call: once, as a case is about one.
    let made = Retry::times(0).run(deadline, async || {
        let ended = made(&asked, deadline, recorded.clone(), &came).await;
        ended.map_err(|status| {
            let error = witness.error(&status, deadline);
            seen(&came).status = Some(status);
            error
        })
    });
    let made = made.await;
    let came = std::mem::take(&mut *seen(&came));
    let error = made.err().map(|found| {
        let status = came.status.as_ref();
        let code = match (&found, status) {
            (CallError::Deadline { .. }, _) => Code::DeadlineExceeded,
            (CallError::Status { code, .. }, _) => *code,
            (_, Some(status)) => status.code(),
            (_, None) => Code::Unknown,
        };
        let details = status.map(Status::details).unwrap_or_default();
        Error {
            code: code as i32,
            message: status.map(|status| status.message().to_owned()),
            details: RpcStatus::decode(details).unwrap_or_default().details,
        }
    });
    Ok(ClientResponseResult {
        response_headers: read(&came.headers),
        payloads: came.payloads,
        error,
        response_trailers: read(&came.trailers),
        ..Default::default()
    })
}

/// A caller that drops a call is told nothing more of it.
fn cancelled() -> Status {
    Status::cancelled("cancelled")
}

/// Makes the call over `service`; what comes is noted in `came`.
async fn made(
    asked: &ClientCompatRequest,
    deadline: Duration,
    service: Recorded,
    came: &Seen,
) -> Result<(), Status> {
    let mut client = Grpc::new(service);
    if asked.compression() == Compression::Gzip {
        client = client.send_compressed(Gzip).accept_compressed(Gzip);
    }
    let limit = match asked.message_receive_limit {
        0 => MESSAGE,
        limit => limit as usize,
    };
    let mut client = client.max_decoding_message_size(limit);
    let service = asked.service.as_deref().unwrap_or(SERVICE_NAME);
    let path = format!("/{service}/{}", asked.method());
    let path = PathAndQuery::try_from(path).map_err(|_| Status::internal("no path"))?;

    let timing = asked.cancel.map(|cancel| {
        let at_once = CancelTiming::AfterCloseSendMs(0);
        cancel.cancel_timing.unwrap_or(at_once)
    });
    let most = match timing {
        Some(CancelTiming::AfterNumResponses(most)) => Some(most as usize),
        _ => None,
    };
    let delay = Duration::from_millis(asked.request_delay_ms.into());
    let messages = asked.request_messages.iter().map(|any| any.value.clone());
    let messages: Vec<_> = messages.collect();

    let kind = asked.stream_type();
    let is_full = kind == StreamType::FullDuplexBidiStream;
    // Each answer of a full duplex stream lets the next message go.
    let (allow, mut allowed) = mpsc::channel(messages.len().max(1));
    let (sender, receiver) = mpsc::channel(1);
    let sending = async move {
        for (at, message) in messages.into_iter().enumerate() {
            if is_full && at > 0 && allowed.recv().await.is_none() {
                break;
            }
            sleep(delay).await;
            if sender.send(message).await.is_err() {
                break;
            }
        }
        if is_full {
            allowed.recv().await;
        }
        match timing {
            Some(CancelTiming::BeforeCloseSend(_)) => return,
            Some(CancelTiming::AfterCloseSendMs(after)) => {
                drop(sender);
                return sleep(Duration::from_millis(after.into())).await;
            }
            Some(CancelTiming::AfterNumResponses(_)) | None => drop(sender),
        }
        pending().await
    };
    let with_head = |message| {
        let mut request = client::with_deadline(message, deadline);
        if asked.timeout_ms.is_none() {
            request.metadata_mut().remove("grpc-timeout");
        }
        let metadata = request.metadata_mut().as_mut();
        metadata.extend(map(&asked.request_headers).into_headers());
        request
    };
    let calling = async {
        client
            .ready()
            .await
            .map_err(|error| Status::unknown(error.to_string()))?;
        let mut messages = ReceiverStream::new(receiver);
        let mut answers = match kind {
            StreamType::Unary | StreamType::ServerStream => {
                use tokio_stream::StreamExt;
                let message = messages.next().await.unwrap_or_default();
                if kind == StreamType::Unary {
                    let answer = client.unary(with_head(message), path, Raw).await?;
                    seen(came).payloads.push(payload(answer.into_inner()));
                    return Ok(());
                }
                let request = with_head(message);
                client.server_streaming(request, path, Raw).await?
            }
            StreamType::ClientStream => {
                let request = with_head(Vec::new()).map(|_| messages);
                let answer = client.client_streaming(request, path, Raw).await?;
                seen(came).payloads.push(payload(answer.into_inner()));
                return Ok(());
            }
            _ => {
                let request = with_head(Vec::new()).map(|_| messages);
                client.streaming(request, path, Raw).await?
            }
        }
        .into_inner();
        while let Some(answer) = answers.message().await? {
            let mut came = seen(came);
            came.payloads.push(payload(answer));
            if most == Some(came.payloads.len()) {
                return Err(cancelled());
            }
            // Full only if more answers come than were asked for.
            let _ = allow.try_send(());
        }
        Ok(())
    };
    tokio::select! {
        biased;
        ended = calling => ended,
        () = sending => Err(cancelled()),
    }
}

/// An answer without one has an empty one.
fn payload(answer: UnaryResponse) -> pb::ConformancePayload {
    answer.payload.unwrap_or_default()
}

/// Writes messages as they are, and reads answers, whose payload has the same number in all contracts.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = UnaryResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = UnaryResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<UnaryResponse>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        let message = UnaryResponse::decode(message);
        message
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

/// Notes the head and the trailers of an answer, which tonic makes one of.
#[derive(Clone, Debug)]
struct Recorded {
    service: Watched,
    came: Seen,
}

impl Service<Request<tonic::body::Body>> for Recorded {
    type Response = Response<RecordedBody>;
    type Error = tonic::transport::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let came = Arc::clone(&self.came);
        let answer = self.service.call(request).map_ok(move |answer| {
            seen(&came).headers.clone_from(answer.headers());
            answer.map(|body| RecordedBody { body, came })
        });
        answer.boxed()
    }
}

#[derive(Debug)]
struct RecordedBody {
    body: WatchedBody,
    came: Seen,
}

impl Body for RecordedBody {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            seen(&self.came).trailers.clone_from(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
