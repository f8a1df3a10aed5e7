//! The commands `list` and `describe`: what a gRPC server has, and what a method takes.

use std::fmt::Write;

use prost_reflect::{DescriptorPool, MethodDescriptor};

use super::{
    ServiceError, address, contract,
    contract::{RuleBody, Source},
    example, explain, headers,
    reflection::{NoContract, Server},
    secrets::Secrets,
    tls,
};

/// A server that is asked for its contract.
pub struct Asked {
    /// The address, such as `localhost:50051`.
    pub address: String,
    /// The source of the contract.
    pub source: Source,
    /// TLS.
    pub tls: tls::Options,
    /// Headers, as they were given.
    pub headers: Vec<String>,
}

/// All methods, a line each.
///
/// # Errors
/// When the server cannot be asked.
pub async fn list(asked: &Asked) -> Result<String, ServiceError> {
    let mut text = String::new();
    for pool in contracts(asked, "").await? {
        for service in contract::services(&pool) {
            for method in service.methods() {
                let _ = writeln!(text, "{:<48} {}", contract::called(&method), kind(&method));
            }
        }
    }
    if text.is_empty() {
        return Err(ServiceError::service(format!(
            "{} has no services but gRPC's own",
            asked.address
        )));
    }
    Ok(text)
}

/// One method: its messages, an example of each, and how to measure it.
///
/// # Errors
/// When there is no such method, or the server cannot be asked.
pub async fn describe(asked: &Asked, wanted: &str) -> Result<String, ServiceError> {
    let mut found = Err(ServiceError::input(format!("there is no method {wanted}")));
    for pool in contracts(asked, wanted).await? {
        found = contract::any_method(&pool, wanted);
        if found.is_ok() {
            break;
        }
    }
    let method = found?;
    let mut text = format!("{}  {}\n", contract::called(&method), kind(&method));
    for (what, message) in [("takes", method.input()), ("answers", method.output())] {
        let example = example::of(&message);
        let _ = write!(
            text,
            "\n{what} {}, such as\n{}\n",
            message.full_name(),
            serde_json::to_string_pretty(&example).unwrap_or_default()
        );
    }
    if !method.is_client_streaming() && !method.is_server_streaming() {
        let rest = match contract::http_rule(&method) {
            Some(_) => "http://HOST:PORT".to_owned(),
            None => "'POST http://HOST:PORT/PATH'".to_owned(),
        };
        let _ = write!(
            text,
            "\nloadtest --grpc '{} {}' --rest {rest} \\\n  --body '{}'\n",
            asked.address,
            contract::called(&method),
            example::of(&method.input())
        );
    }
    Ok(text)
}

/// Such as `unary, POST /v1/orders (body *)`.
fn kind(method: &MethodDescriptor) -> String {
    let streams = match (method.is_client_streaming(), method.is_server_streaming()) {
        (false, false) => "unary",
        (true, false) => "streams requests",
        (false, true) => "streams replies",
        (true, true) => "streams both ways",
    };
    let Some(rule) = contract::http_rule(method) else {
        return streams.to_owned();
    };
    let body = match &rule.body {
        RuleBody::Nothing => String::new(),
        RuleBody::Rest => " (body *)".to_owned(),
        RuleBody::Field(field) => format!(" (body {field})"),
    };
    format!("{streams}, {} {}{body}", rule.method, rule.path)
}

/// The contracts of the services that `wanted` may be a method of; all if it is empty.
async fn contracts(asked: &Asked, wanted: &str) -> Result<Vec<DescriptorPool>, ServiceError> {
    if let Some(pool) = asked.source.read()? {
        return Ok(vec![pool]);
    }
    let target = address::grpc_address("ADDRESS", &asked.address)?;
    let mut secrets = Secrets::default();
    let headers = headers::read("--header", &asked.headers, &mut secrets)?;
    let mut endpoint = target
        .find()
        .await
        .map_err(|reason| ServiceError::service(format!("{} {reason}", target.url())))?;
    endpoint.tls = asked.tls.of(&target);
    let url = target.url();
    let all = async {
        let mut server = Server::connect(&url, &endpoint, headers::metadata(&headers)).await?;
        let mut pools = Vec::new();
        for service in server.services().await? {
            if !contract::is_of_grpc(&service) {
                pools.push(server.contract(&service).await?);
            }
        }
        Ok::<_, NoContract>(merged(pools))
    };
    match all.await {
        Ok(pools) => Ok(pools),
        Err(why) => {
            Err(explain::no_contract(&url, &endpoint, (wanted, false), why, &secrets).await)
        }
    }
}

/// Services of one file come once.
fn merged(pools: Vec<DescriptorPool>) -> Vec<DescriptorPool> {
    let mut known = std::collections::HashSet::new();
    let mut is_new = |pool: &DescriptorPool| {
        let services = contract::services(pool);
        // Each is asked, so that all are known then.
        let fresh: Vec<bool> = services
            .iter()
            .map(|service| known.insert(service.full_name().to_owned()))
            .collect();
        fresh.contains(&true)
    };
    pools.into_iter().filter(|pool| is_new(pool)).collect()
}
