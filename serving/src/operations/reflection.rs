//! Reflection (`grpc.reflection.v1`, and `v1alpha`, which is the same messages under another name). What
//! is not known is one answer, and the conversation goes on: a tool asks for what may not be there.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{StreamExt, stream::BoxStream};
use http::{
    Uri,
    uri::{Parts, PathAndQuery},
};
use prost::{DecodeError, Message};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};
use tonic::{Code, Request, Response, Status, Streaming, async_trait, server::NamedService};
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    server_reflection_server::ServerReflection,
};
use tower::Service;

/// A `FileDescriptorSet` whose files stay as they were written: options that nobody here knows are passed on.
#[derive(Clone, PartialEq, Message)]
struct WrittenSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

type File = Arc<[u8]>;

/// The contents of descriptor sets, by everything that can be asked for.
#[derive(Debug, Default)]
pub(super) struct Index {
    services: Vec<String>,
    files: HashMap<String, File>,
    symbols: HashMap<String, File>,
    /// By the type that they extend, and their numbers.
    extensions: HashMap<String, BTreeMap<i32, File>>,
}

impl Index {
    /// Of the encoded descriptor `sets`. Of two files of one name the first counts.
    pub(super) fn new(sets: &[&[u8]]) -> Result<Self, DecodeError> {
        let mut index = Self::default();
        for set in sets {
            for written in WrittenSet::decode(*set)?.file {
                let file = FileDescriptorProto::decode(written.as_slice())?;
                if !index.files.contains_key(file.name()) {
                    index.add(&file, &written.into());
                }
            }
        }
        Ok(index)
    }

    fn add(&mut self, file: &FileDescriptorProto, written: &File) {
        let package = file.package();
        self.files
            .insert(file.name().to_owned(), Arc::clone(written));
        for message in &file.message_type {
            self.add_message(package, message, written);
        }
        for item in &file.enum_type {
            self.add_enum(package, item, written);
        }
        self.add_extensions(package, &file.extension, written);
        for service in &file.service {
            let name = self.add_symbol(package, service.name(), written);
            for method in &service.method {
                self.add_symbol(&name, method.name(), written);
            }
            self.services.push(name);
        }
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto, file: &File) {
        let name = self.add_symbol(scope, message.name(), file);
        for field in &message.field {
            self.add_symbol(&name, field.name(), file);
        }
        for oneof in &message.oneof_decl {
            self.add_symbol(&name, oneof.name(), file);
        }
        for nested in &message.nested_type {
            self.add_message(&name, nested, file);
        }
        for item in &message.enum_type {
            self.add_enum(&name, item, file);
        }
        self.add_extensions(&name, &message.extension, file);
    }

    fn add_enum(&mut self, scope: &str, item: &EnumDescriptorProto, file: &File) {
        let name = self.add_symbol(scope, item.name(), file);
        for value in &item.value {
            self.add_symbol(&name, value.name(), file);
        }
    }

    fn add_extensions(&mut self, scope: &str, fields: &[FieldDescriptorProto], file: &File) {
        for field in fields {
            self.add_symbol(scope, field.name(), file);
            let of = field.extendee().trim_start_matches('.').to_owned();
            let numbers = self.extensions.entry(of).or_default();
            numbers.insert(field.number(), Arc::clone(file));
        }
    }

    fn add_symbol(&mut self, scope: &str, name: &str, file: &File) -> String {
        let name = match scope {
            "" => name.to_owned(),
            scope => format!("{scope}.{name}"),
        };
        self.symbols.insert(name.clone(), Arc::clone(file));
        name
    }

    fn answer(&self, request: &MessageRequest) -> MessageResponse {
        let file = |file: Option<&File>| match file {
            Some(file) => MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
                file_descriptor_proto: vec![file.to_vec()],
            }),
            None => unknown("this server has no such symbol, file or extension"),
        };
        match request {
            MessageRequest::FileByFilename(name) => file(self.files.get(name)),
            MessageRequest::FileContainingSymbol(name) => file(self.symbols.get(name)),
            MessageRequest::FileContainingExtension(extension) => {
                let numbers = self.extensions.get(&extension.containing_type);
                file(numbers.and_then(|numbers| numbers.get(&extension.extension_number)))
            }
            MessageRequest::AllExtensionNumbersOfType(name) => {
                let numbers = self.extensions.get(name);
                if numbers.is_none() && !self.symbols.contains_key(name) {
                    return unknown("this server has no such type");
                }
                let numbers = numbers.map(|numbers| numbers.keys().copied().collect());
                MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                    base_type_name: name.clone(),
                    extension_number: numbers.unwrap_or_default(),
                })
            }
            MessageRequest::ListServices(_) => {
                let services = self.services.iter().cloned();
                MessageResponse::ListServicesResponse(ListServiceResponse {
                    service: services.map(|name| ServiceResponse { name }).collect(),
                })
            }
        }
    }
}

/// The answer to a question after something that is not there.
fn unknown(message: &str) -> MessageResponse {
    error(Code::NotFound, message)
}

fn error(code: Code, message: &str) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse {
        error_code: code.into(),
        error_message: message.to_owned(),
    })
}

/// Answers from an index.
#[derive(Debug)]
pub(super) struct Reflection(pub(super) Arc<Index>);

#[async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream = BoxStream<'static, Result<ServerReflectionResponse, Status>>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let index = Arc::clone(&self.0);
        let answers = request.into_inner().map(move |request| {
            let request = request?;
            let answer = match &request.message_request {
                Some(asked) => index.answer(asked),
                None => error(Code::InvalidArgument, "the request asks for nothing"),
            };
            Ok(ServerReflectionResponse {
                valid_host: request.host.clone(),
                original_request: Some(request),
                message_response: Some(answer),
            })
        });
        Ok(Response::new(answers.boxed()))
    }
}

/// The same service under the name that it had before it was stable.
#[derive(Clone, Debug)]
pub(super) struct Alpha<S>(pub(super) S);

impl<S> NamedService for Alpha<S> {
    const NAME: &'static str = "grpc.reflection.v1alpha.ServerReflection";
}

impl<S, B> Service<http::Request<B>> for Alpha<S>
where
    S: Service<http::Request<B>> + NamedService,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        if let Some(uri) = stable::<S>(request.uri()) {
            *request.uri_mut() = uri;
        }
        self.0.call(request)
    }
}

/// `uri`, which names a method of the service as it was, under the name of `S`.
fn stable<S: NamedService>(uri: &Uri) -> Option<Uri> {
    let method = uri.path().rsplit('/').next()?;
    let mut parts: Parts = uri.clone().into_parts();
    let path = format!("/{}/{method}", S::NAME);
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}
