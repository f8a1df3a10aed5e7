//! The REST client: one HTTP connection, JSON or protobuf both ways, and nothing that a call does
//! not need.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use proto::rest_grpc_dual_mode::{BatchResponseMessage, RequestMessage, ResponseMessage};
use serde::{Deserialize, Serialize};

use super::{
    batch::Batch,
    recorder::{CONNECTION_BROKEN, Outcome},
    user::{Attack, ConnectError, GREETING, MESSAGE_TYPE, YEAR},
    wire::Counted,
};
use crate::record::Arm;

/// The path of a call for one greeting.
pub(super) const PATH: &str = "/v1/get_greetings";

/// The path of a call for several.
pub(super) const BATCH_PATH: &str = "/v1/get_greetings:batch";

/// The longest answer that is read, in bytes: what tonic's client reads of a message by default.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// How the caller says it came.
pub(super) const DATA_COMM_TYPE: &str = "REST";

/// One connection.
pub(super) struct Connection {
    sender: Sender,
    codec: Codec,
    batch: Option<Arc<Batch>>,
    uri: Uri,
    /// HTTP/2 has it in the URI.
    host: Option<HeaderValue>,
    /// Whether the server has said that it closes, which may take it a moment.
    is_closing: bool,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

#[derive(Clone, Copy)]
enum Codec {
    Json,
    Protobuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Question {
    pub(super) data_comm_type: &'static str,
    pub(super) message_type: &'static str,
    pub(super) year: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    pub(super) greetings: String,
    pub(super) message_received: bool,
}

impl Connection {
    /// Connects to the attack's target. gRPC has a client of its own.
    pub(super) async fn open(attack: &Attack) -> Result<Self, ConnectError> {
        let stream = attack.target.connect().await?;
        let stream = Counted::new(stream, Arc::clone(&attack.window.bytes));
        let stream = TokioIo::new(stream);
        let batch = attack.batch.clone();
        let path = match batch {
            None => PATH,
            Some(_) => BATCH_PATH,
        };
        let codec = match attack.arm {
            Arm::JsonHttp1 | Arm::JsonHttp2 => Codec::Json,
            Arm::ProtobufHttp1 | Arm::ProtobufHttp2 | Arm::Grpc => Codec::Protobuf,
        };
        // A connection ends when its sender is dropped, the server closes, or the attack is stopped.
        let stop = attack.stop.clone();
        Ok(match attack.arm {
            Arm::JsonHttp1 | Arm::ProtobufHttp1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(stop.run_until_cancelled_owned(connection));
                let host = HeaderValue::try_from(attack.target.authority());
                Self {
                    sender: Sender::Http1(sender),
                    codec,
                    batch,
                    uri: Uri::from_static(path),
                    host: host.ok(),
                    is_closing: false,
                }
            }
            Arm::JsonHttp2 | Arm::ProtobufHttp2 | Arm::Grpc => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(stop.run_until_cancelled_owned(connection));
                let uri = format!("{}{path}", attack.target.url());
                Self {
                    sender: Sender::Http2(sender),
                    codec,
                    batch,
                    uri: uri.parse().expect("a target is a URL"),
                    host: None,
                    is_closing: false,
                }
            }
        })
    }

    /// The same connection for another user; none over HTTP/1.1, which has one call at a time.
    pub(super) fn share(&self) -> Option<Self> {
        let Sender::Http2(sender) = &self.sender else {
            return None;
        };
        Some(Self {
            sender: Sender::Http2(sender.clone()),
            codec: self.codec,
            batch: self.batch.clone(),
            uri: self.uri.clone(),
            host: None,
            is_closing: false,
        })
    }

    /// Whether another call can be sent.
    pub(super) fn is_open(&self) -> bool {
        let is_closed = match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        };
        !is_closed && !self.is_closing
    }

    /// Makes one call, and reads and decodes the whole of its answer.
    pub(super) async fn call(&mut self) -> Outcome {
        self.exchange().await.unwrap_or(CONNECTION_BROKEN)
    }

    async fn exchange(&mut self) -> hyper::Result<Outcome> {
        let request = self.request();
        let response = self.sender.send(request).await?;
        let status = response.status().as_u16();
        let connection = response.headers().get(header::CONNECTION);
        self.is_closing = connection.is_some_and(|value| value == "close");
        let Ok(body) = Limited::new(response.into_body(), LONGEST_ANSWER)
            .collect()
            .await
        else {
            return Ok(Outcome::Broken("answer broken or too long"));
        };
        let body = body.to_bytes();
        if !Outcome::Http(status).is_ok() {
            return Ok(Outcome::Http(status));
        }
        let is_the_answer = match &self.batch {
            None => self.codec.is_the_greeting(body),
            Some(batch) => self.codec.is_the_batch(body, batch),
        };
        Ok(if is_the_answer {
            Outcome::Http(status)
        } else {
            Outcome::Broken("not the greeting asked for")
        })
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let question = match &self.batch {
            None => self.codec.question(),
            Some(batch) => self.codec.question_of(batch),
        };
        let mut request = Request::new(Full::from(question));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        if let Some(host) = &self.host {
            headers.insert(header::HOST, host.clone());
        }
        headers.insert(header::CONTENT_TYPE, self.codec.content_type());
        request
    }
}

impl Sender {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

impl Codec {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/protobuf",
        })
    }

    fn question(self) -> Vec<u8> {
        match self {
            Self::Json => serde_json::to_vec(&Question {
                data_comm_type: DATA_COMM_TYPE,
                message_type: MESSAGE_TYPE,
                year: YEAR,
            })
            .expect("two texts and a number are always JSON"),
            Self::Protobuf => RequestMessage {
                data_comm_type: DATA_COMM_TYPE.to_owned(),
                message_type: MESSAGE_TYPE.to_owned(),
                year: YEAR,
            }
            .encode_to_vec(),
        }
    }

    fn question_of(self, batch: &Batch) -> Vec<u8> {
        match self {
            Self::Json => batch.to_json(),
            Self::Protobuf => batch.to_protobuf(),
        }
    }

    fn is_the_batch(self, body: Bytes, batch: &Batch) -> bool {
        match self {
            Self::Json => batch.is_answered_by_json(&body),
            Self::Protobuf => {
                BatchResponseMessage::decode(body).is_ok_and(|answer| batch.is_answered_by(&answer))
            }
        }
    }

    fn is_the_greeting(self, body: Bytes) -> bool {
        match self {
            Self::Json => serde_json::from_slice(&body).is_ok_and(
                |Answer {
                     greetings,
                     message_received,
                 }| { message_received && greetings == GREETING },
            ),
            Self::Protobuf => ResponseMessage::decode(body)
                .is_ok_and(|answer| answer.message_received && answer.greetings == GREETING),
        }
    }
}
