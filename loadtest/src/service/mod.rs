//! Any service: its calls come from options, its contract from the server or from files, its data from
//! rows, and before anything is measured its variants are seen to do the same work.
//!
//! In the order to read: [`address`] and [`headers`] are the options, read; [`contract`] and
//! [`reflection`] are what a method takes; [`rows`] and [`template`] are data; [`requests`] makes bytes
//! of both, for each of the `calls`; [`answers`] and [`check`] hold the variants against one another;
//! [`explain`] says what a service answers instead; [`secrets`] keeps to itself what nobody may see.

pub mod accept;
pub mod address;
pub mod answers;
mod calls;
pub mod check;
mod consent;
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
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use engine::{Accepted, Endpoint, Expect, PreparedRequest, Tls, Workload, usage};

use crate::{
    cli::Config,
    record::{self, Protocol, Variant},
    system::{System, accounts::Named},
    target::Target,
};
use address::{GrpcCall, RestCall};
use contract::Source;
pub use error::{ServiceError, nearest};
use headers::Header;
use requests::{Call, Rows};
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
    /// True if those over HTTP travel over HTTP/2.
    pub http2: bool,
    /// True if their bodies are protobuf.
    pub protobuf: bool,
    /// The source of the contract.
    pub source: Source,
    /// The source of the rows.
    pub data: Data,
    /// The number of them that is taken, if not all.
    pub sample: Option<usize>,
    /// Headers over HTTP.
    pub rest_headers: Vec<Header>,
    /// Headers over gRPC.
    pub grpc_headers: Vec<Header>,
    /// Places of answers that are not compared.
    pub ignore: BTreeSet<String>,
    /// True if variants are measured although their answers differ.
    pub answers_differ: bool,
    /// Outcomes that are good besides success.
    pub accept: Vec<Accepted>,
    /// True if a service beyond this machine may be called.
    pub yes: bool,
    /// TLS.
    pub tls: tls::Options,
    /// Values that nobody may see.
    pub secrets: Secrets,
}

/// The source of the rows.
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
    /// The server's processes and metrics that were named.
    named: Named,
    /// True if replies are JSON, once one was seen.
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
    /// Its address.
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// The server's processes and metrics that were named.
    pub fn named(&self) -> &Named {
        &self.0.named
    }

    /// The encryption of its connections.
    pub fn tls(&self) -> Option<Tls> {
        self.0.tls.clone()
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.0.call.protocol
    }

    /// Returns true if each call has to be another.
    pub fn is_unique(&self) -> bool {
        self.0.prepared.is_none()
    }

    /// The requests of a trial of about so many calls. If each call has to be another, they are made
    /// anew: as many as there are calls, or as fit in `MOST_BYTES` together.
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
    consent::may_be_called(options, config, &endpoints)?;
    let methods = calls::methods(options, files.as_ref(), &endpoints[options.rest.len()..]).await?;
    let calls = calls::calls(options, &methods, files.as_ref())?;
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
        address: match served.protocol() {
            Protocol::GrpcWeb => format!("web+{}", served.0.target.url()),
            _ => served.0.target.url(),
        },
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
