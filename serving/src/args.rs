//! Command-line options that the servers share, each with an environment variable beside it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use clap::{Args, value_parser};

use crate::telemetry::LogFormat;

/// Options of every server here.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Address to listen on; 0.0.0.0 or :: opens the server to the network
    #[arg(long, env = "BIND_ADDRESS", value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind: IpAddr,

    /// Port of the gRPC listener; 0 takes a free one, which is printed
    #[arg(long, env = "GRPC_PORT", value_name = "PORT", default_value_t = 50051)]
    pub grpc_port: u16,

    /// Threads that serve calls [default: one per core]
    #[arg(long, env = "GRPC_MAX_WORKERS", value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub grpc_max_workers: Option<u16>,

    /// What is logged: a level, or a filter such as "info,tonic=debug"
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How the log on standard error is written
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

impl ServerArgs {
    /// Where the gRPC listener binds.
    pub fn grpc_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.grpc_port)
    }
}

/// Reads a time such as `500ms`, `5s` or `2m` from a command line; it must be longer than zero.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it must be longer than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it like 500ms, 5s or 2m")),
    }
}
