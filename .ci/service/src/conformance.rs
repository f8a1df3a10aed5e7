//! connectrpc.conformance.v1.ConformanceService: each request says how it wants to be answered, and is told
//! what the service saw of it.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName};
use prost::Message;
use prost_types::Any;
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataMap};

use crate::contracts::connectrpc::conformance::v1 as pb;
use pb::{
    BidiStreamRequest, BidiStreamResponse, ClientStreamRequest, ClientStreamResponse,
    ConformancePayload, Error, Header, IdempotentUnaryRequest, IdempotentUnaryResponse,
    ServerStreamRequest, ServerStreamResponse, UnaryRequest, UnaryResponse,
    UnaryResponseDefinition,
};
pub(crate) use pb::{ServerCompatRequest, ServerCompatResponse};
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/conformance.bin"));
use pb::conformance_payload::RequestInfo;
pub(crate) use pb::conformance_service_server::{ConformanceServiceServer, SERVICE_NAME};
use pb::unary_response_definition::Response as Unary;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conformance;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// `headers` as metadata.
pub(crate) fn map(headers: &[Header]) -> MetadataMap {
    let mut map = HeaderMap::new();
    for header in headers {
        // What is no header is missed by the runner.
        let Ok(name) = HeaderName::from_bytes(header.name.as_bytes()) else {
            continue;
        };
        for value in header.value.iter().flat_map(|value| value.parse()) {
            map.append(name.clone(), value);
        }
    }
    MetadataMap::from_headers(map)
}

/// `headers` as the runner writes them.
pub(crate) fn read(headers: &HeaderMap) -> Vec<Header> {
    let values = |name| {
        let values = headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = headers.keys().map(|name| Header {
        name: name.to_string(),
        value: values(name).collect(),
    });
    headers.collect()
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/connectrpc.conformance.v1.{name}"),
        value: message.encode_to_vec(),
    }
}

fn info(metadata: &MetadataMap, requests: Vec<Any>) -> RequestInfo {
    let headers = metadata.clone().into_headers();
    let timeout_ms = headers
        .get("grpc-timeout")
        .and_then(|value| serving::grpc_timeout::parse(value.as_bytes()).ok())
        .map(|timeout| timeout.as_millis() as i64);
    RequestInfo {
        request_headers: read(&headers),
        timeout_ms,
        requests,
        connect_get_info: None,
    }
}
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

fn status(error: Error, info: Option<RequestInfo>, trailers: &[Header]) -> Status {
    let mut details = error.details;
    if let Some(info) = info {
        details.push(any("ConformancePayload.RequestInfo", &info));
    }
    let message = error.message.unwrap_or_default();
    let encoded = if details.is_empty() {
        Vec::new()
    } else {
        RpcStatus {
            code: error.code,
            message: message.clone(),
            details,
        }
        .encode_to_vec()
    };
    Status::with_details_and_metadata(
        Code::from_i32(error.code),
        message,
        encoded.into(),
        map(trailers),
    )
}
/// The OK that ends the answers, with trailers.
fn ok(trailers: &[Header]) -> Status {
    Status::with_metadata(Code::Ok, "", map(trailers))
}

fn head<T>(headers: &[Header], answers: Answers<T>) -> Response<Answers<T>> {
    let mut response = Response::new(answers);
    *response.metadata_mut() = map(headers);
    response
}

async fn single<T: Send + 'static>(
    metadata: &MetadataMap,
    definition: Option<UnaryResponseDefinition>,
    requests: Vec<Any>,
    wrap: fn(ConformancePayload) -> T,
) -> Result<Response<Answers<T>>, Status> {
    let info = info(metadata, requests);
    let definition = definition.unwrap_or_default();
    let (headers, trailers) = (definition.response_headers, definition.response_trailers);
    let delay = Duration::from_millis(definition.response_delay_ms.into());
    let items = match definition.response {
        Some(Unary::Error(error)) => vec![Err(status(error, Some(info), &trailers))],
        Some(Unary::ResponseData(data)) => vec![
            Ok(wrap(ConformancePayload {
                data,
                request_info: Some(info),
            })),
            Err(ok(&trailers)),
        ],
        None => vec![
            Ok(wrap(ConformancePayload {
                data: vec![],
                request_info: Some(info),
            })),
            Err(ok(&trailers)),
        ],
    };
    let answers = stream::once(async move {
        sleep(delay).await;
        stream::iter(items)
    })
    .flatten();
    Ok(head(&headers, answers.boxed()))
}

#[tonic::async_trait]
impl pb::conformance_service_server::ConformanceService for Conformance {
    type UnaryStream = Answers<UnaryResponse>;
    async fn unary(
        &self,
        request: Request<UnaryRequest>,
    ) -> Result<Response<Self::UnaryStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let requests = vec![any("UnaryRequest", &request)];
        single(
            &metadata,
            request.response_definition,
            requests,
            |payload| UnaryResponse {
                payload: Some(payload),
            },
        )
        .await
    }
    type IdempotentUnaryStream = Answers<IdempotentUnaryResponse>;
    async fn idempotent_unary(
        &self,
        request: Request<IdempotentUnaryRequest>,
    ) -> Result<Response<Self::IdempotentUnaryStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let requests = vec![any("IdempotentUnaryRequest", &request)];
        single(
            &metadata,
            request.response_definition,
            requests,
            |payload| IdempotentUnaryResponse {
                payload: Some(payload),
            },
        )
        .await
    }
    type ClientStreamStream = Answers<ClientStreamResponse>;
    async fn client_stream(
        &self,
        request: Request<Streaming<ClientStreamRequest>>,
    ) -> Result<Response<Self::ClientStreamStream>, Status> {
        let (metadata, _, mut stream) = request.into_parts();
        let (mut definition, mut requests) = (None, Vec::new());
        while let Some(message) = stream.message().await? {
            requests.push(any("ClientStreamRequest", &message));
            if requests.len() == 1 {
                definition = message.response_definition;
            }
        }
        single(&metadata, definition, requests, |payload| {
            ClientStreamResponse {
                payload: Some(payload),
            }
        })
        .await
    }
    type ServerStreamStream = Answers<ServerStreamResponse>;
    async fn server_stream(
        &self,
        request: Request<ServerStreamRequest>,
    ) -> Result<Response<Self::ServerStreamStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let info = info(&metadata, vec![any("ServerStreamRequest", &request)]);
        let definition = request.response_definition.unwrap_or_default();
        let delay = Duration::from_millis(definition.response_delay_ms.into());
        let headers = definition.response_headers;
        let mut first = Some(info.clone());
        let end = match definition.error {
            Some(error) => status(
                error,
                definition.response_data.is_empty().then_some(info),
                &definition.response_trailers,
            ),
            None => ok(&definition.response_trailers),
        };
        let data: Vec<_> = definition
            .response_data
            .into_iter()
            .map(|data| ServerStreamResponse {
                payload: Some(ConformancePayload {
                    data,
                    request_info: first.take(),
                }),
            })
            .collect();
        let answers = stream::iter(data)
            .then(move |answer| async move {
                sleep(delay).await;
                Ok(answer)
            })
            .chain(stream::once(async { Err(end) }));
        Ok(head(&headers, answers.boxed()))
    }
    type BidiStreamStream = Answers<BidiStreamResponse>;
    async fn bidi_stream(
        &self,
        request: Request<Streaming<BidiStreamRequest>>,
    ) -> Result<Response<Self::BidiStreamStream>, Status> {
        let (metadata, _, mut stream) = request.into_parts();
        let Some(first) = stream.message().await? else {
            return Ok(Response::new(stream::empty().boxed()));
        };
        let mut requests = vec![any("BidiStreamRequest", &first)];
        let full = first.full_duplex;
        let definition = first.response_definition.unwrap_or_default();
        let headers = definition.response_headers.clone();
        let delay = Duration::from_millis(definition.response_delay_ms.into());
        if !full {
            while let Some(message) = stream.message().await? {
                requests.push(any("BidiStreamRequest", &message));
            }
        }
        let (answers, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut sent = 0;
            let answer = |data: &Vec<u8>, request_info| {
                Ok(BidiStreamResponse {
                    payload: Some(ConformancePayload {
                        data: data.clone(),
                        request_info,
                    }),
                })
            };
            if full {
                loop {
                    let Some(data) = definition.response_data.get(sent) else {
                        break;
                    };
                    let all = std::mem::take(&mut requests);
                    let about = if sent == 0 {
                        info(&metadata, all)
                    } else {
                        RequestInfo {
                            requests: all,
                            ..Default::default()
                        }
                    };
                    sleep(delay).await;
                    if answers.send(answer(data, Some(about))).await.is_err() {
                        return;
                    }
                    sent += 1;
                    match stream.message().await {
                        Ok(Some(message)) => requests.push(any("BidiStreamRequest", &message)),
                        Ok(None) => break,
                        Err(status) => {
                            let _ = answers.send(Err(status)).await;
                            return;
                        }
                    }
                }
            }
            for data in definition.response_data.get(sent..).unwrap_or_default() {
                let about = (sent == 0).then(|| info(&metadata, std::mem::take(&mut requests)));
                sleep(delay).await;
                if answers.send(answer(data, about)).await.is_err() {
                    return;
                }
                sent += 1;
            }
            let end = match definition.error {
                Some(error) => status(
                    error,
                    (sent == 0).then(|| info(&metadata, requests)),
                    &definition.response_trailers,
                ),
                None => ok(&definition.response_trailers),
            };
            let _ = answers.send(Err(end)).await;
        });
        Ok(head(&headers, ReceiverStream::new(receiver).boxed()))
    }
}
