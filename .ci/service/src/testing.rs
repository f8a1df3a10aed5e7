//! grpc.testing.TestService, the interop service of gRPC, and the reports of load that its clients ask for.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataMap};

pub(crate) use crate::contracts::grpc::testing::test_service_server::{
    SERVICE_NAME, TestServiceServer,
};
use crate::contracts::grpc::testing::{
    BoolValue, EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse,
    StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest,
    StreamingOutputCallResponse, TestOrcaReport, test_service_server,
};
use crate::{
    flags::Flags,
    load::{self, OrcaLoadReport, TRAILER},
};

pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/testing.bin"));

/// Metadata of a request that comes back in the head, and in the trailers.
const INITIAL: &str = "x-grpc-test-echo-initial";
const TRAILING: &str = "x-grpc-test-echo-trailing-bin";

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service. Its clients say which load it reports.
#[derive(Clone, Debug)]
pub(crate) struct Testing {
    pub(crate) load: watch::Sender<OrcaLoadReport>,
}

impl From<TestOrcaReport> for OrcaLoadReport {
    fn from(report: TestOrcaReport) -> Self {
        Self {
            cpu_utilization: report.cpu_utilization,
            mem_utilization: report.memory_utilization,
            request_cost: report.request_cost,
            utilization: report.utilization,
            ..Self::default()
        }
    }
}

/// The metadata of an answer.
#[derive(Default)]
struct Echo {
    head: MetadataMap,
    trailers: MetadataMap,
}

impl Echo {
    fn of(request: &MetadataMap) -> Self {
        let mut echo = Self::default();
        if let Some(value) = request.get(INITIAL) {
            echo.head.insert(INITIAL, value.clone());
        }
        if let Some(value) = request.get_bin(TRAILING) {
            echo.trailers.insert_bin(TRAILING, value.clone());
        }
        echo
    }

    fn answer<T: Send + 'static>(self, answers: Answers<T>) -> Response<Answers<T>> {
        let end = Status::with_metadata(Code::Ok, "", self.trailers);
        let mut response = Response::new(answers.chain(stream::iter([Err(end)])).boxed());
        *response.metadata_mut() = self.head;
        response
    }
}

fn one<T: Send + 'static>(answer: T) -> Answers<T> {
    stream::iter([Ok(answer)]).boxed()
}

/// The status that the client asks for, if it is none of success.
fn asked(status: Option<EchoStatus>) -> Result<(), Status> {
    match status {
        Some(EchoStatus { code, message }) if code != 0 => {
            Err(Status::new(Code::from_i32(code), message))
        }
        _ => Ok(()),
    }
}

fn zeros(size: i32) -> Option<Payload> {
    let body = vec![0; usize::try_from(size).unwrap_or(0)];
    Some(Payload { r#type: 0, body })
}

async fn part(parameters: ResponseParameters) -> Result<StreamingOutputCallResponse, Status> {
    let micros = u64::try_from(parameters.interval_us).unwrap_or(0);
    sleep(Duration::from_micros(micros)).await;
    Ok(StreamingOutputCallResponse {
        payload: zeros(parameters.size),
        ..StreamingOutputCallResponse::default()
    })
}

/// Returns true if message `index` came compressed, if the client says that it should.
fn expected(flags: Option<&Flags>, index: usize, expect: Option<BoolValue>) -> Result<(), Status> {
    match (expect, flags) {
        (Some(BoolValue { value }), Some(flags)) if flags.compressed(index) != Some(value) => {
            let text = "the message is not compressed as expected";
            Err(Status::invalid_argument(text))
        }
        _ => Ok(()),
    }
}

fn compress<T>(response: &mut Response<T>, compressed: Option<BoolValue>) {
    if compressed == Some(BoolValue { value: false }) {
        response.disable_compression();
    }
}

#[tonic::async_trait]
impl test_service_server::TestService for Testing {
    type EmptyCallStream = Answers<Empty>;
    type UnaryCallStream = Answers<SimpleResponse>;
    type CacheableUnaryCallStream = Answers<SimpleResponse>;
    type StreamingOutputCallStream = Answers<StreamingOutputCallResponse>;
    type StreamingInputCallStream = Answers<StreamingInputCallResponse>;
    type FullDuplexCallStream = Answers<StreamingOutputCallResponse>;
    type HalfDuplexCallStream = Answers<StreamingOutputCallResponse>;

    async fn empty_call(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::EmptyCallStream>, Status> {
        Ok(Echo::of(request.metadata()).answer(one(Empty {})))
    }

    async fn unary_call(
        &self,
        request: Request<SimpleRequest>,
    ) -> Result<Response<Self::UnaryCallStream>, Status> {
        let mut echo = Echo::of(request.metadata());
        let flags = request.extensions().get::<Flags>().cloned();
        let request = request.into_inner();
        expected(flags.as_ref(), 0, request.expect_compressed)?;
        asked(request.response_status)?;
        if let Some(report) = request.orca_per_query_report {
            let report = OrcaLoadReport::from(report);
            echo.trailers.insert_bin(TRAILER, load::metadata(&report));
        }
        let mut response = echo.answer(one(SimpleResponse {
            payload: zeros(request.response_size),
            server_id: match request.fill_server_id {
                true => std::process::id().to_string(),
                false => String::new(),
            },
            ..SimpleResponse::default()
        }));
        compress(&mut response, request.response_compressed);
        Ok(response)
    }

    async fn cacheable_unary_call(
        &self,
        request: Request<SimpleRequest>,
    ) -> Result<Response<Self::CacheableUnaryCallStream>, Status> {
        self.unary_call(request).await
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<Self::StreamingOutputCallStream>, Status> {
        let echo = Echo::of(request.metadata());
        let request = request.into_inner();
        asked(request.response_status)?;
        let parts = request.response_parameters;
        let compressed = parts.first().and_then(|first| first.compressed);
        let mut response = echo.answer(stream::iter(parts).then(part).boxed());
        compress(&mut response, compressed);
        Ok(response)
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<Self::StreamingInputCallStream>, Status> {
        let echo = Echo::of(request.metadata());
        let flags = request.extensions().get::<Flags>().cloned();
        let mut requests = request.into_inner();
        let (mut size, mut index) = (0, 0);
        while let Some(request) = requests.message().await? {
            expected(flags.as_ref(), index, request.expect_compressed)?;
            index += 1;
            size += request.payload.map_or(0, |payload| payload.body.len());
        }
        Ok(echo.answer(one(StreamingInputCallResponse {
            aggregated_payload_size: i32::try_from(size).unwrap_or(i32::MAX),
        })))
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Self::FullDuplexCallStream>, Status> {
        let echo = Echo::of(request.metadata());
        let mut requests = request.into_inner();
        let load = self.load.clone();
        let (answers, receiver) = mpsc::channel(1);
        let talk = async move |answers: &mpsc::Sender<_>| -> Result<(), Status> {
            while let Some(request) = requests.message().await? {
                asked(request.response_status)?;
                if let Some(report) = request.orca_oob_report {
                    load.send_replace(report.into());
                }
                for parameters in request.response_parameters {
                    if answers.send(part(parameters).await).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        };
        tokio::spawn(async move {
            let mut talk = talk;
            if let Err(status) = talk(&answers).await {
                // Nobody listens any more if it fails.
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(echo.answer(ReceiverStream::new(receiver).boxed()))
    }

    async fn half_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Self::HalfDuplexCallStream>, Status> {
        let echo = Echo::of(request.metadata());
        let mut requests = request.into_inner();
        let mut all = Vec::new();
        while let Some(request) = requests.message().await? {
            all.extend(request.response_parameters);
        }
        Ok(echo.answer(stream::iter(all).then(part).boxed()))
    }
}
