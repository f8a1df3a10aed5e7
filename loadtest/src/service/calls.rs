//! The calls of a service: a name, a target and a form for each variant.

use engine::Endpoint;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use super::{
    Options, ServiceError,
    address::{GrpcCall, RestCall},
    contract::{self, RuleBody},
    explain, headers, reflection,
    requests::{Call, Form},
    template,
};
use crate::{record::Protocol, target::Target};

/// The method of each gRPC variant.
pub(super) async fn methods(
    options: &Options,
    files: Option<&DescriptorPool>,
    endpoints: &[Endpoint],
) -> Result<Vec<MethodDescriptor>, ServiceError> {
    let mut methods = Vec::new();
    for (call, endpoint) in options.grpc.iter().zip(endpoints) {
        let method = match files {
            Some(pool) => contract::method(pool, &call.method)?,
            None => {
                let pool = by_reflection(call, endpoint, options).await?;
                contract::method(&pool, &call.method)?
            }
        };
        methods.push(method);
    }
    Ok(methods)
}

async fn by_reflection(
    call: &GrpcCall,
    endpoint: &Endpoint,
    options: &Options,
) -> Result<DescriptorPool, ServiceError> {
    let metadata = headers::metadata(&options.grpc_headers);
    let url = call.target.url();
    // `package.Service/Method` or `package.Service.Method`.
    let service = call
        .method
        .rsplit_once(['/', '.'])
        .map(|(service, _)| service);
    let asked = async {
        let mut server = reflection::Server::connect(&url, endpoint, metadata).await?;
        let Some(service) = service else {
            return by_method(&mut server, &call.method).await;
        };
        match server.contract(service).await {
            // Only the end of its name was given.
            Err(reflection::NoContract::NoService(known)) => {
                let ends = |name: &&String| {
                    let before = name.strip_suffix(service);
                    before.is_some_and(|before| before.ends_with('.'))
                };
                match known.iter().find(ends) {
                    Some(full) => server.contract(full).await,
                    None => Err(reflection::NoContract::NoService(known)),
                }
            }
            found => found,
        }
    };
    match asked.await {
        Ok(pool) => Ok(pool),
        Err(why) => {
            let wanted = (call.method.as_str(), call.web);
            Err(explain::no_contract(&url, endpoint, wanted, why, &options.secrets).await)
        }
    }
}

/// The contract of the service that has a method called `method`.
async fn by_method(
    server: &mut reflection::Server,
    method: &str,
) -> Result<DescriptorPool, reflection::NoContract> {
    let known = server.services().await?;
    for service in known.iter().filter(|name| !contract::is_of_grpc(name)) {
        let pool = server.contract(service).await?;
        let found = pool.get_service_by_name(service);
        if found.is_some_and(|found| found.methods().any(|one| one.name() == method)) {
            return Ok(pool);
        }
    }
    Err(reflection::NoContract::NoService(known))
}

/// Name, target and call of each variant: those over HTTP first.
pub(super) fn calls(
    options: &Options,
    methods: &[MethodDescriptor],
    files: Option<&DescriptorPool>,
) -> Result<Vec<(String, Target, Call)>, ServiceError> {
    let contract = methods.first();
    if options.protobuf && contract.is_none() {
        return Err(ServiceError::input(
            "--rest-protobuf needs the contract of a gRPC method to encode by; name one by --grpc",
        ));
    }
    let mut calls = Vec::new();
    for call in &options.rest {
        let form = match &call.call {
            Some((method, path)) => Form::Http {
                method: method.clone(),
                path: path.clone(),
                body: RuleBody::Rest,
                response_body: None,
            },
            None => by_rule(call, contract, files.is_some())?,
        };
        calls.push((
            call.name.clone(),
            call.target.clone(),
            Call {
                protocol: match (options.protobuf, options.http2 || call.http2) {
                    (false, false) => Protocol::JsonHttp1,
                    (false, true) => Protocol::JsonHttp2,
                    (true, false) => Protocol::ProtobufHttp1,
                    (true, true) => Protocol::ProtobufHttp2,
                },
                messages: contract.map(|method| (method.input(), method.output())),
                form,
                headers: options.rest_headers.clone(),
            },
        ));
    }
    for (call, method) in options.grpc.iter().zip(methods) {
        calls.push((
            call.name.clone(),
            call.target.clone(),
            Call {
                protocol: match call.web {
                    true => Protocol::GrpcWeb,
                    false => Protocol::Grpc,
                },
                messages: Some((method.input(), method.output())),
                form: Form::Grpc(method.clone()),
                headers: options.grpc_headers.clone(),
            },
        ));
    }
    named(calls)
}

/// Gives each call its name: that which was given, or that of its protocol, with a number if there are
/// several.
fn named(
    calls: Vec<(Option<String>, Target, Call)>,
) -> Result<Vec<(String, Target, Call)>, ServiceError> {
    let of = |protocol: Protocol| {
        let mut alike = calls
            .iter()
            .filter(|(_, _, call)| call.protocol == protocol);
        alike.nth(1).is_some()
    };
    let mut counts = std::collections::BTreeMap::new();
    let mut names = Vec::new();
    for (name, _, call) in &calls {
        let count = counts.entry(call.protocol).or_insert(0);
        *count += 1;
        let default = || match of(call.protocol) {
            true => format!("{} {count}", call.protocol.name()),
            false => call.protocol.name().to_owned(),
        };
        names.push(name.clone().unwrap_or_else(default));
    }
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    if once.len() < names.len() {
        return Err(ServiceError::input(
            "two variants have one name; give each another, such as --rest 'new=POST http://…'",
        ));
    }
    let calls = calls.into_iter().zip(names);
    Ok(calls
        .map(|((_, target, call), name)| (name, target, call))
        .collect())
}

/// The form in which HTTP makes the call of `method`, by its contract; `call` is the base address.
fn by_rule(
    call: &RestCall,
    method: Option<&MethodDescriptor>,
    has_files: bool,
) -> Result<Form, ServiceError> {
    let address = format!("{}{}", call.target.url(), call.path);
    let Some(method) = method else {
        return Err(ServiceError::input(format!(
            "--rest {address} names no method of HTTP; write it like 'POST {address}'"
        )));
    };
    let Some(rule) = contract::http_rule(method) else {
        let from = if has_files {
            "the files"
        } else {
            "the server's reflection"
        };
        return Err(ServiceError::input(format!(
            "--rest {address} names no method of HTTP, and {} has no google.api.http in {from}; write it like \
             'POST {address}'",
            contract::called(method)
        )));
    };
    let path = format!("{}{}", call.path.trim_end_matches('/'), rule.path);
    let path = template::Template::parse(&path).map_err(|what| {
        ServiceError::input(format!(
            "the google.api.http of {} {what}",
            contract::called(method)
        ))
    })?;
    Ok(Form::Http {
        method: rule.method,
        path,
        body: rule.body,
        response_body: rule.response_body,
    })
}
