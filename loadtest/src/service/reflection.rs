//! The contract as the server itself says it: gRPC server reflection, v1 and then v1alpha, whose messages
//! are the same on the wire.

use std::{collections::HashSet, time::Duration};

use engine::tls::Connector;
use hyper_util::rt::TokioIo;
use prost_reflect::DescriptorPool;
use serving::client::{Watched, watched};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::{
    Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, metadata::MetadataMap,
    transport::Endpoint,
};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

/// The versions of the service, in the order in which they are tried.
const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Time that an answer may take: contracts are at hand.
const ANSWER: Duration = Duration::from_secs(5);

/// Files of a contract that are asked for at most: large contracts have some hundreds.
const MOST_FILES: usize = 5000;

/// The longest answer: a contract with comments may be some megabytes.
const LONGEST: usize = 64 * 1024 * 1024;

/// Reason for the lack of a contract.
#[derive(Debug)]
pub enum NoContract {
    /// The server has no reflection.
    NoReflection,
    /// The server refuses.
    Refused(Status),
    /// It is no gRPC server, or is gone.
    NotGrpc(String),
    /// The server knows no such service; it knows these.
    NoService(Vec<String>),
    /// Its answer is no contract.
    Broken(String),
}

/// A server that is asked.
pub struct Server {
    client: Grpc<Watched>,
    metadata: MetadataMap,
    /// The version that it knows.
    path: PathAndQuery,
}

impl Server {
    /// Finds the version that the server at `url`, which is `target`, knows.
    ///
    /// # Errors
    /// When it knows none, or cannot be asked.
    pub async fn connect(
        url: &str,
        target: &engine::Endpoint,
        metadata: MetadataMap,
    ) -> Result<Self, NoContract> {
        let not_grpc = |error: &dyn std::error::Error| NoContract::NotGrpc(innermost(error));
        // tonic refuses a connector of others for https, and looks at nothing else of the scheme.
        let origin = url.parse().map_err(|error| not_grpc(&error))?;
        let plain = url.replacen("https://", "http://", 1);
        let endpoint = Endpoint::from_shared(plain)
            .map_err(|error| not_grpc(&error))?
            .origin(origin);
        let connector =
            Connector::new(engine::Transport::Grpc, target).map_err(|error| not_grpc(&error))?;
        let target = target.clone();
        let connect = tower::service_fn(move |_| {
            let (connector, target) = (connector.clone(), target.clone());
            async move { connector.connect(&target).await.map(TokioIo::new) }
        });
        let channel = timeout(ANSWER, endpoint.connect_with_connector(connect))
            .await
            .map_err(|_| NoContract::NotGrpc("no answer in time".to_owned()))?
            .map_err(|error| not_grpc(&error))?;
        let mut server = Self {
            // What is watched does not panic at details of a status that cannot be read, as tonic does alone.
            client: Grpc::new(watched(channel).0).max_decoding_message_size(LONGEST),
            metadata,
            path: PathAndQuery::from_static(PATHS[0]),
        };
        for path in PATHS {
            server.path = PathAndQuery::from_static(path);
            match server
                .ask(MessageRequest::ListServices(String::new()))
                .await
            {
                Err(NoContract::Refused(status)) if status.code() == Code::Unimplemented => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok(server),
            }
        }
        Err(NoContract::NoReflection)
    }

    /// The names of its services.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn services(&mut self) -> Result<Vec<String>, NoContract> {
        let list = MessageRequest::ListServices(String::new());
        match self.ask(list).await? {
            MessageResponse::ListServicesResponse(list) => {
                Ok(list.service.into_iter().map(|one| one.name).collect())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// The contract of `service`, and of all that it takes.
    ///
    /// # Errors
    /// When the server knows no such service, or its contract is broken.
    pub async fn contract(&mut self, service: &str) -> Result<DescriptorPool, NoContract> {
        let symbol = MessageRequest::FileContainingSymbol(service.to_owned());
        let files = match self.files(symbol).await {
            Ok(files) => files,
            Err(NoContract::Broken(_)) => {
                return Err(NoContract::NoService(self.services().await?));
            }
            Err(error) => return Err(error),
        };
        let mut waiting = files;
        let mut known: HashSet<String> = waiting.iter().map(|file| file.name.clone()).collect();
        let mut pool = DescriptorPool::new();
        loop {
            // A file is added once all that it imports is there.
            let mut is_stuck = true;
            let mut later = Vec::new();
            for file in std::mem::take(&mut waiting) {
                let is_there = |name: &String| pool.get_file_by_name(name).is_some();
                match file.imports.iter().all(is_there) {
                    true => {
                        is_stuck = false;
                        pool.decode_file_descriptor_proto(&file.bytes[..])
                            .map_err(|error| NoContract::Broken(error.to_string()))?;
                    }
                    false => later.push(file),
                }
            }
            waiting = later;
            if waiting.is_empty() {
                return Ok(pool);
            }
            let missing: Vec<String> = waiting
                .iter()
                .flat_map(|file| file.imports.iter())
                .filter(|name| !known.contains(*name))
                .cloned()
                .collect();
            if missing.is_empty() && is_stuck {
                return Err(NoContract::Broken(
                    "its files import one another".to_owned(),
                ));
            }
            for name in missing {
                if known.insert(name.clone()) {
                    waiting.extend(self.file(&name).await?);
                }
                if known.len() > MOST_FILES {
                    return Err(NoContract::Broken(format!(
                        "it has more than {MOST_FILES} files"
                    )));
                }
            }
        }
    }

    /// The file called `name`. Many servers leave out those that come with protobuf.
    async fn file(&mut self, name: &str) -> Result<Vec<File>, NoContract> {
        let found = self
            .files(MessageRequest::FileByFilename(name.to_owned()))
            .await;
        match found {
            Ok(files) => {
                let is_it = |file: &File| file.name == name;
                Ok(files.into_iter().filter(is_it).collect())
            }
            Err(error) => {
                let global = DescriptorPool::global();
                let file = global.get_file_by_name(name).ok_or(error)?;
                File::read(&file.encode_to_vec()).map(|file| vec![file])
            }
        }
    }

    async fn files(&mut self, request: MessageRequest) -> Result<Vec<File>, NoContract> {
        match self.ask(request).await? {
            MessageResponse::FileDescriptorResponse(found) => found
                .file_descriptor_proto
                .iter()
                .map(|bytes| File::read(bytes))
                .collect(),
            MessageResponse::ErrorResponse(error) => Err(NoContract::Broken(error.error_message)),
            other => Err(unexpected(&other)),
        }
    }

    async fn ask(&mut self, request: MessageRequest) -> Result<MessageResponse, NoContract> {
        let asked = timeout(ANSWER, self.exchange(request)).await;
        let response = asked.map_err(|_| NoContract::NotGrpc("no answer in time".to_owned()))?;
        let response = response.map_err(|status| {
            match std::error::Error::source(&status) {
                // The connection failed, and not the call.
                Some(source) => NoContract::NotGrpc(innermost(source)),
                None => NoContract::Refused(status),
            }
        })?;
        response
            .and_then(|response| response.message_response)
            .ok_or_else(|| NoContract::Broken("it answered without an answer".to_owned()))
    }

    async fn exchange(
        &mut self,
        request: MessageRequest,
    ) -> Result<Option<ServerReflectionResponse>, Status> {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(request),
        };
        let mut stream = Request::new(tokio_stream::iter([request]));
        *stream.metadata_mut() = self.metadata.clone();
        self.client
            .ready()
            .await
            .map_err(|error| Status::from_error(Box::new(error)))?;
        let codec: ProstCodec<ServerReflectionRequest, ServerReflectionResponse> =
            ProstCodec::default();
        let answer = self
            .client
            .streaming(stream, self.path.clone(), codec)
            .await?;
        answer.into_inner().next().await.transpose()
    }
}

/// A file of a contract.
struct File {
    name: String,
    imports: Vec<String>,
    /// As they came: decoding would lose the options that others have added.
    bytes: Vec<u8>,
}

impl File {
    fn read(bytes: &[u8]) -> Result<Self, NoContract> {
        use prost::Message;
        use prost_reflect::prost_types::FileDescriptorProto;
        let file = FileDescriptorProto::decode(bytes)
            .map_err(|error| NoContract::Broken(error.to_string()))?;
        Ok(Self {
            name: file.name().to_owned(),
            imports: file.dependency.clone(),
            bytes: bytes.to_owned(),
        })
    }
}

fn unexpected(response: &MessageResponse) -> NoContract {
    match response {
        MessageResponse::ErrorResponse(error) => NoContract::Broken(error.error_message.clone()),
        _ => NoContract::Broken("it answered something else than it was asked".to_owned()),
    }
}

/// The cause of `error` that has no cause itself.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
