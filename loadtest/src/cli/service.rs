//! The options about a service of any contract.

use std::path::PathBuf;

use clap::Args;

use super::UsageError;
use crate::service::{
    Data, Options, ServiceError, accept, address, answers, contract::Source, headers,
    secrets::Secrets, tls,
};

/// A service of any contract.
#[derive(Args, Clone, Default)]
pub struct ServiceArgs {
    /// A unary gRPC method: address, and full name; repeatable
    ///
    /// Its contract comes by server reflection, or from --proto or --protoset. 'NAME=ADDRESS METHOD' gives
    /// the variant another name. web+http:// or web+https:// before the address calls it by gRPC-Web, as
    /// browsers do, over HTTP/1.1.
    ///
    /// Example: --grpc 'localhost:50051 shop.v1.Orders/CreateOrder'
    #[arg(help_heading = "Any service", long, value_name = "'ADDRESS METHOD'", conflicts_with_all = ["host", "variants"])]
    pub grpc: Vec<String>,

    /// An endpoint of REST: method of HTTP, and address; repeatable
    ///
    /// {field} in path or query takes its value from the row and leaves the body. Where the contract has
    /// google.api.http, the base address alone is enough.
    ///
    /// Example: --rest 'POST http://localhost:5000/v1/shops/{shop_id}/orders'
    #[arg(help_heading = "Any service", long, value_name = "'METHOD URL'", conflicts_with_all = ["host", "variants"])]
    pub rest: Vec<String>,

    /// Rows that calls are made of, the same for all variants: JSON lines, or .csv
    ///
    /// A row is a JSON body as it is, and a message by the proto3 JSON mapping. ${seq} and ${uuid} in it
    /// make each call unique.
    #[arg(
        help_heading = "Any service",
        long,
        value_name = "FILE",
        conflicts_with = "body"
    )]
    pub data: Option<PathBuf>,

    /// One row, if there is no --data [default: {}]
    #[arg(help_heading = "Any service", long, value_name = "JSON")]
    pub body: Option<String>,

    /// Take N rows of --data, evenly from the whole file
    #[arg(help_heading = "Any service", long, value_name = "N", requires = "data", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,

    /// The contract.
    #[command(flatten)]
    pub contract: ContractArgs,

    /// Header of the calls of REST alone; repeatable
    #[arg(help_heading = "Any service", long, value_name = "'NAME: VALUE'")]
    pub rest_header: Vec<String>,

    /// Header of the calls of gRPC alone; repeatable
    #[arg(help_heading = "Any service", long, value_name = "'NAME: VALUE'")]
    pub grpc_header: Vec<String>,

    /// Send protobuf as the body of REST, by the contract of the gRPC method
    #[arg(help_heading = "Any service", long, requires = "rest")]
    pub rest_protobuf: bool,

    /// Call REST over HTTP/2, without TLS and with prior knowledge; h2c:// in an address does it for one
    #[arg(help_heading = "Any service", long, requires = "rest")]
    pub rest_http2: bool,

    /// Leave FIELD out when answers are compared, such as items.price; repeatable
    ///
    /// Before anything is measured each variant is called with the first rows, twice. Fields that differ
    /// between two calls of one variant are left out anyway.
    #[arg(help_heading = "Any service", long, value_name = "FIELD")]
    pub ignore: Vec<String>,

    /// Measure variants although their answers differ
    #[arg(help_heading = "Any service", long)]
    pub answers_differ: bool,

    /// Outcomes that are good besides success, such as 409,ALREADY_EXISTS
    #[arg(help_heading = "Any service", long, value_name = "OUTCOMES", value_delimiter = ',', value_parser = accept::parse)]
    pub accept: Vec<engine::Accepted>,

    /// Call a service beyond this machine: a load test makes real calls
    #[arg(help_heading = "Any service", long)]
    pub yes: bool,
}

/// The source of a contract, and the headers that a server is asked with.
#[derive(Args, Clone, Default)]
pub struct ContractArgs {
    /// The contract as a .proto file; repeatable
    #[arg(
        help_heading = "Any service",
        long,
        value_name = "FILE",
        conflicts_with = "protoset"
    )]
    pub proto: Vec<PathBuf>,

    /// Folder that imports of --proto start from; repeatable
    #[arg(
        help_heading = "Any service",
        short = 'I',
        long,
        value_name = "DIR",
        requires = "proto"
    )]
    pub include: Vec<PathBuf>,

    /// The contract as a descriptor set with its imports
    #[arg(help_heading = "Any service", long, value_name = "FILE")]
    pub protoset: Option<PathBuf>,

    /// Header of every call; repeatable. It is shown nowhere
    ///
    /// ${env:NAME} takes a value from the environment, which keeps it out of the history of the shell.
    ///
    /// Example: --header 'authorization: Bearer ${env:TOKEN}'
    #[arg(help_heading = "Any service", long, value_name = "'NAME: VALUE'")]
    pub header: Vec<String>,

    /// PEM file with the roots that the certificate of an https:// address may come from [default: the
    /// system's]
    #[arg(help_heading = "Any service", long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,

    /// PEM file with the client's own certificate
    #[arg(
        help_heading = "Any service",
        long,
        value_name = "FILE",
        requires = "key"
    )]
    pub cert: Option<PathBuf>,

    /// PEM file with its key
    #[arg(
        help_heading = "Any service",
        long,
        value_name = "FILE",
        requires = "cert"
    )]
    pub key: Option<PathBuf>,

    /// Take any certificate for a good one
    #[arg(help_heading = "Any service", long, conflicts_with = "cacert")]
    pub insecure: bool,

    /// Name that the certificate has to be for [default: the host of the address]
    #[arg(help_heading = "Any service", long, value_name = "NAME")]
    pub server_name: Option<String>,
}

impl ContractArgs {
    /// TLS.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn tls(&self) -> Result<tls::Options, ServiceError> {
        tls::Options::read(
            self.cacert.as_deref(),
            self.cert.as_deref().zip(self.key.as_deref()),
            self.insecure,
            self.server_name.clone(),
        )
    }

    /// The source of the contract.
    pub fn source(&self) -> Source {
        match (self.proto.is_empty(), &self.protoset) {
            (false, _) => Source::Proto {
                files: self.proto.clone(),
                include: self.include.clone(),
            },
            (true, Some(path)) => Source::Protoset(path.clone()),
            (true, None) => Source::Reflection,
        }
    }
}

/// The options about a service; none if no service is named.
pub(super) fn read(args: ServiceArgs) -> Result<Option<Options>, UsageError> {
    let read = parse(args);
    read.map_err(|error| UsageError(error.to_string()))
}

fn parse(args: ServiceArgs) -> Result<Option<Options>, ServiceError> {
    match args.grpc.len() + args.rest.len() {
        0 => return without(&args),
        1 => {
            let other = if args.rest.is_empty() {
                "--rest 'POST http://…'"
            } else {
                "--grpc 'HOST:PORT METHOD'"
            };
            return Err(ServiceError::input(format!(
                "one variant has nothing to be compared with; name another, such as by {other}"
            )));
        }
        _ => {}
    }
    let mut secrets = Secrets::default();
    let common = headers::read("--header", &args.contract.header, &mut secrets)?;
    let mut of = |option, given: &[String]| {
        let own = headers::read(option, given, &mut secrets)?;
        // Its own stands for the common one of the same name.
        let common = common
            .iter()
            .filter(|(name, _)| !own.iter().any(|(mine, _)| mine == name));
        let mut all: Vec<_> = common.cloned().collect();
        all.extend(own);
        Ok::<_, ServiceError>(all)
    };
    let rest_headers = of("--rest-header", &args.rest_header)?;
    let grpc_headers = of("--grpc-header", &args.grpc_header)?;
    Ok(Some(Options {
        rest: args
            .rest
            .iter()
            .map(|given| address::rest(given))
            .collect::<Result<_, _>>()?,
        grpc: args
            .grpc
            .iter()
            .map(|given| address::grpc(given))
            .collect::<Result<_, _>>()?,
        http2: args.rest_http2,
        protobuf: args.rest_protobuf,
        source: args.contract.source(),
        data: match args.data {
            Some(path) => Data::File(path),
            None => Data::Body(args.body.unwrap_or_else(|| "{}".to_owned())),
        },
        sample: args.sample.and_then(|rows| usize::try_from(rows).ok()),
        rest_headers,
        grpc_headers,
        ignore: args
            .ignore
            .iter()
            .map(|place| answers::general(place))
            .collect(),
        answers_differ: args.answers_differ,
        accept: args.accept,
        tls: args.contract.tls()?,
        yes: args.yes,
        secrets,
    }))
}

/// No service is named: options about one would do nothing.
fn without(args: &ServiceArgs) -> Result<Option<Options>, ServiceError> {
    let given = [
        ("--data", args.data.is_some()),
        ("--body", args.body.is_some()),
        ("--proto", !args.contract.proto.is_empty()),
        ("--protoset", args.contract.protoset.is_some()),
        ("--header", !args.contract.header.is_empty()),
        ("--rest-header", !args.rest_header.is_empty()),
        ("--grpc-header", !args.grpc_header.is_empty()),
        ("--ignore", !args.ignore.is_empty()),
        ("--answers-differ", args.answers_differ),
        ("--accept", !args.accept.is_empty()),
        ("--yes", args.yes),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(ServiceError::input(format!(
            "{option} is about a service of yours, and none is named; name it by --grpc and --rest"
        ))),
        None => Ok(None),
    }
}
