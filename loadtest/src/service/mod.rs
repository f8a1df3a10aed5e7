//! Any service: its calls come from options, its contract from the server or from files, its data from
//! rows, and before anything is measured its variants are seen to do the same work.
//!
//! In the order to read: [`address`] and [`headers`] are the options, read; [`contract`] and
//! [`reflection`] are what a method takes; [`rows`] and [`template`] are data; [`requests`] makes bytes
//! of both; [`answers`] and [`check`] hold the variants against one another; [`explain`] says what a
//! service answers instead; [`secrets`] keeps to itself what nobody may see.

pub mod accept;
pub mod address;
pub mod answers;
pub mod check;
pub mod contract;
pub mod describe;
mod error;
pub mod example;
pub mod explain;
pub mod headers;
pub mod reflection;
pub mod requests;
pub mod rows;
pub mod secrets;
pub mod template;
pub mod tls;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use engine::{Accepted, Endpoint, Expect, PreparedRequest, Tls, Workload, usage};
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::{
    cli::Config,
    record::{self, Protocol, Variant},
    system::{System, accounts::Named},
    target::Target,
};
use address::{GrpcCall, RestCall};
use contract::{RuleBody, Source};
pub use error::{ServiceError, nearest};
use headers::Header;
use requests::{Call, Form, Rows};
use secrets::Secrets;

/// The most that the requests of one variant may take: they are sent to the worker process whole, and
/// stay in its memory, twice.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Options about a service, read.
#[derive(Clone, Debug)]
pub struct Options {
    /// The calls over HTTP.
    pub rest: Vec<RestCall>,
    /// The calls over gRPC.
    pub grpc: Vec<GrpcCall>,
    /// Whether those over HTTP travel over HTTP/2.
    pub http2: bool,
    /// Whether their bodies are protobuf.
    pub protobuf: bool,
    /// Where the contract comes from.
    pub source: Source,
    /// Where the rows come from.
    pub data: Data,
    /// How many of them are taken, if not all.
    pub sample: Option<usize>,
    /// Headers over HTTP.
    pub rest_headers: Vec<Header>,
    /// Headers over gRPC.
    pub grpc_headers: Vec<Header>,
    /// Places of answers that are not compared.
    pub ignore: BTreeSet<String>,
    /// Whether variants are measured although their answers differ.
    pub answers_differ: bool,
    /// Outcomes that are good besides success.
    pub accept: Vec<Accepted>,
    /// Whether a service beyond this machine may be called.
    pub yes: bool,
    /// TLS.
    pub tls: tls::Options,
    /// Values that nobody may see.
    pub secrets: Secrets,
}

/// Where the rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A file.
    File(PathBuf),
    /// The command line: one row.
    Body(String),
}

/// A service that is ready to be measured.
pub struct Subject {
    /// The variants, the baseline first.
    pub variants: Vec<(Variant, Served)>,
    /// The record of it in a report.
    pub record: record::Service,
    /// The processes that listen for the first variant and for the last.
    pub listening: [Vec<String>; 2],
}

impl Subject {
    /// Its variants, the baseline first.
    pub fn variants(&self) -> Vec<Variant> {
        self.variants
            .iter()
            .map(|(variant, _)| variant.clone())
            .collect()
    }

    /// The system of the baseline.
    pub fn baseline(&self) -> System {
        System::Foreign(self.variants[0].1.clone())
    }

    /// The requests by protocol, for a null server.
    pub fn served(&self) -> Vec<Served> {
        self.variants
            .iter()
            .map(|(_, served)| served.clone())
            .collect()
    }

    /// The system of each variant, by its name.
    pub fn systems(&self) -> Vec<(String, System)> {
        let variants = self.variants.iter();
        variants
            .map(|(variant, served)| (variant.name.clone(), System::Foreign(served.clone())))
            .collect()
    }
}

/// One variant of a service: where it is, and its requests.
#[derive(Clone)]
pub struct Served(Arc<Inner>);

struct Inner {
    name: String,
    target: Target,
    call: Call,
    rows: Arc<Rows>,
    accept: Vec<Accepted>,
    tls: Option<Tls>,
    /// The requests; none where each call has to be another.
    prepared: Option<Vec<PreparedRequest>>,
    /// What was named of its server.
    named: Named,
    /// Whether replies are JSON, once one was seen.
    is_json: OnceLock<bool>,
}

/// It prints as its name: its headers are secret.
impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Served").field(&self.0.name).finish()
    }
}

impl PartialEq for Served {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Served {
    /// Where it is.
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// What was named of its server.
    pub fn named(&self) -> &Named {
        &self.0.named
    }

    /// How its connections are encrypted.
    pub fn tls(&self) -> Option<Tls> {
        self.0.tls.clone()
    }

    /// How it travels.
    pub fn protocol(&self) -> Protocol {
        self.0.call.protocol
    }

    /// Whether each call has to be another.
    pub fn is_unique(&self) -> bool {
        self.0.prepared.is_none()
    }

    /// The requests of a trial of about so many calls. Where each call has to be another they are made
    /// anew, as many as there are calls, if they are not too large together.
    pub fn workload(&self, calls: u64) -> Workload {
        let mut requests = match &self.0.prepared {
            Some(prepared) => prepared.clone(),
            None => self.fresh(calls),
        };
        if self.0.is_json.get() == Some(&false) {
            for request in &mut requests {
                request.expect = Expect::Status;
            }
        }
        Workload {
            requests,
            accept: self.0.accept.clone(),
        }
    }

    fn fresh(&self, calls: u64) -> Vec<PreparedRequest> {
        let rows = &self.0.rows;
        let wanted = usize::try_from(calls)
            .unwrap_or(usize::MAX)
            .max(rows.rows.len());
        let mut requests = Vec::new();
        let mut bytes = 0;
        for index in 0..wanted {
            // Every row could be encoded before.
            let Ok(request) = rows.request(&self.0.call, index) else {
                continue;
            };
            bytes += size(&request);
            if bytes > MOST_BYTES {
                break;
            }
            requests.push(request);
        }
        requests
    }
}

/// Bytes that `request` takes, about.
fn size(request: &PreparedRequest) -> usize {
    let headers = request.headers.iter();
    let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
    request.path.len() + request.body.len() + headers
}

/// Reads the contract and the data, encodes every row for every variant, and sees that all do the same
/// work.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn prepare(options: &Options, config: &Config) -> Result<Subject, ServiceError> {
    let files = options.source.read()?;
    let rows = Arc::new(Rows::new(rows(options)?));
    let targets = options
        .rest
        .iter()
        .map(|call| &call.target)
        .chain(options.grpc.iter().map(|call| &call.target));
    let mut endpoints = Vec::new();
    for (index, target) in targets.enumerate() {
        let option = if index < options.rest.len() {
            "--rest"
        } else {
            "--grpc"
        };
        let mut endpoint = target.find().await.map_err(|reason| {
            ServiceError::service(format!(
                "{} {reason}; {option} names another address",
                target.url()
            ))
        })?;
        endpoint.tls = options.tls.of(target);
        endpoints.push(endpoint);
    }
    may_be_called(options, config, &endpoints)?;
    let methods = methods(options, files.as_ref(), &endpoints[options.rest.len()..]).await?;
    let calls = calls(options, &methods, files.as_ref())?;
    let names = calls
        .iter()
        .map(|(name, _, call)| (name.as_str(), call.protocol));
    let named = config.server.of(&names.collect::<Vec<_>>());
    let named = named.map_err(|error| ServiceError::input(error.to_string()))?;
    let mut variants = Vec::new();
    for ((name, target, call), named) in calls.into_iter().zip(named) {
        let told = named.are_told().await;
        told.map_err(|error| ServiceError::service(error.to_string()))?;
        let prepared = prepared(&name, &call, &rows, options)?;
        let is_unique = rows.is_unique || call.is_unique();
        let tls = options.tls.of(&target);
        variants.push(Served(Arc::new(Inner {
            name,
            target,
            call,
            rows: Arc::clone(&rows),
            accept: options.accept.clone(),
            tls,
            prepared: (!is_unique).then_some(prepared),
            named,
            is_json: OnceLock::new(),
        })));
    }
    let sameness = check::same_work(&variants, &endpoints, options, config.time_limit).await?;
    Ok(subject(variants, &endpoints, rows.rows.len(), sameness))
}

fn subject(
    variants: Vec<Served>,
    endpoints: &[Endpoint],
    rows: usize,
    sameness: check::Sameness,
) -> Subject {
    let counted = |index: usize| -> Vec<String> {
        let side = variants.get(index).zip(endpoints.get(index));
        side.map_or_else(Vec::new, |(served, endpoint)| {
            let listening = usage::listening_processes(endpoint.address);
            served.named().names(&listening)
        })
    };
    let listening = [0, variants.len().saturating_sub(1)].map(counted);
    let recorded = variants.iter().map(|served| record::Measured {
        name: served.0.name.clone(),
        address: served.0.target.url(),
        call: check::called(&served.0.call),
    });
    Subject {
        record: record::Service::Foreign {
            variants: recorded.collect(),
            rows: rows as u64,
            left_out: sameness.left_out,
            differences: sameness.differences,
        },
        listening,
        variants: variants
            .into_iter()
            .map(|served| {
                let variant = Variant {
                    protocol: served.protocol(),
                    name: served.0.name.clone(),
                    is_twin: false,
                };
                (variant, served)
            })
            .collect(),
    }
}

fn rows(options: &Options) -> Result<Vec<rows::Row>, ServiceError> {
    let rows = match &options.data {
        Data::File(path) => rows::read(path)?,
        Data::Body(text) => vec![rows::of_body(text)?],
    };
    Ok(match options.sample {
        Some(wanted) if wanted < rows.len() => {
            // Evenly over the file, which may be sorted.
            let all = rows.len();
            let picked: BTreeSet<usize> = (0..wanted).map(|index| index * all / wanted).collect();
            let numbered = rows.into_iter().enumerate();
            numbered
                .filter(|(index, _)| picked.contains(index))
                .map(|(_, row)| row)
                .collect()
        }
        _ => rows,
    })
}

/// A load test makes real orders: a service beyond this machine is called only if the user said so.
fn may_be_called(
    options: &Options,
    config: &Config,
    endpoints: &[Endpoint],
) -> Result<(), ServiceError> {
    let is_here = |address: IpAddr| address.to_canonical().is_loopback();
    let Some(beyond) = endpoints.iter().find(|one| !is_here(one.address.ip())) else {
        return Ok(());
    };
    let load = load(config);
    if options.yes {
        eprintln!("{} is beyond this machine: {load}", beyond.authority);
        return Ok(());
    }
    Err(ServiceError::input(format!(
        "{} ({}) is beyond this machine, and a load test makes real calls: {load}; --yes says that it may be \
         called so",
        beyond.authority,
        beyond.address.ip()
    )))
}

/// The calls of a run and their rate, in words.
fn load(config: &Config) -> String {
    let design = &config.design;
    let window_s = design.window_us as f64 / 1e6;
    let extent = match (design.budget, design.rounds) {
        (Some(budget), _) => format!("for up to {} s", budget.as_secs()),
        (None, rounds) => format!(
            "for {} rounds of trials of {window_s} s or more",
            rounds.unwrap_or_default()
        ),
    };
    let mut more = String::new();
    if config.rate.is_some() && design.mode == record::Mode::Thorough {
        more += "; for the map of --thorough it is called as fast as it answers, too";
    }
    if config.objective.is_some() {
        more += "; --slo then looks for the highest rate that it bears, beyond these calls and that time";
    }
    let said = match config.rate {
        Some(rate) => {
            let calls = design.budget.map_or_else(String::new, |budget| {
                format!(", up to {:.0} calls", rate * budget.as_secs_f64())
            });
            format!(
                "{rate} calls/s {extent}{calls}, and in turn with that one call after the other on one \
                 connection"
            )
        }
        None => format!(
            "{} connections call as fast as it answers to find a rate, and then at 40% of that rate, {extent}; \
             --rate names a lower one",
            config.users
        ),
    };
    said + &more
}

/// The method of each gRPC variant.
async fn methods(
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
            Err(explain::no_contract(&url, endpoint, &call.method, why, &options.secrets).await)
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
fn calls(
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
                protocol: Protocol::Grpc,
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

/// How HTTP makes the call of `method`, by its contract; `call` is the base address.
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

/// The request of every row by `call`.
fn prepared(
    name: &str,
    call: &Call,
    rows: &Rows,
    options: &Options,
) -> Result<Vec<PreparedRequest>, ServiceError> {
    let file = match &options.data {
        Data::File(path) => format!("--data {}, ", path.display()),
        Data::Body(_) => String::new(),
    };
    let mut requests = Vec::new();
    let mut bytes = 0;
    for index in 0..rows.rows.len() {
        let request = rows
            .request(call, index)
            .map_err(|what| ServiceError::input(format!("{file}{what} ({name})")))?;
        bytes += size(&request);
        if bytes > MOST_BYTES {
            let fit = requests.len().max(1);
            return Err(ServiceError::input(format!(
                "{file}{} rows take more than {} MiB as requests of {name}; --sample {} takes so many, evenly \
                 from the whole file",
                rows.rows.len(),
                MOST_BYTES / 1024 / 1024,
                // Rows differ in size.
                (fit / 2).max(1)
            )));
        }
        requests.push(request);
    }
    Ok(requests)
}
