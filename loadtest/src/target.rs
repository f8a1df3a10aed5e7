//! The targets that the load is sent to.

use std::time::Duration;

use engine::Endpoint;
use http::Uri;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::record::Protocol;

/// Longest time for the lookup of a target's name, and again for it to accept a first connection:
/// long enough for a name server and a round trip across the world, short enough to wait for at a
/// prompt.
const REACH: Duration = Duration::from_secs(3);

/// The port of gRPC where only the REST host is given: that of dual-mode and of the original.
pub const GRPC_PORT: u16 = 50051;

/// A host and a port, written `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The host as it was given; an IPv6 address stands in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// True if it speaks TLS.
    #[serde(default)]
    pub tls: bool,
}

/// Reason for rejecting a target. Each is printed as one line that names the option.
#[derive(Debug, Error)]
pub enum TargetError {
    /// It cannot be read.
    #[error("{option} {given:?} {reason}; write it like http://localhost:5000")]
    Unreadable {
        /// The option that gave it.
        option: &'static str,
        /// The value that was given, with any credentials masked.
        given: String,
        /// The fault, as the rest of the sentence.
        reason: &'static str,
    },
    /// Nothing answers there.
    #[error("{name} cannot be tested: {url} {reason}; {option} names another")]
    Unreachable {
        /// The protocol.
        name: &'static str,
        /// URL of the target.
        url: String,
        /// The failure, as the rest of the sentence.
        reason: String,
        /// The option to change.
        option: &'static str,
    },
    /// The server does not tell of itself where it was said to.
    #[error("{0}")]
    NoMetrics(String),
}

impl Target {
    /// Reads `given`, the value of `option`.
    ///
    /// # Errors
    /// [`TargetError::Unreadable`], when it has no scheme, another scheme than http, no host, a port
    /// out of range, or a path.
    pub fn parse(option: &'static str, given: &str) -> Result<Self, TargetError> {
        Self::read(option, given, false)
    }

    /// The same, of a service that may speak TLS: `https` is a scheme too.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_any(option: &'static str, given: &str) -> Result<Self, TargetError> {
        Self::read(option, given, true)
    }

    fn read(option: &'static str, given: &str, may_be_tls: bool) -> Result<Self, TargetError> {
        let wrong = |reason| TargetError::Unreadable {
            option,
            // A password may stand before it.
            given: match given.rsplit_once('@') {
                Some((_, host)) => format!("***@{host}"),
                None => given.to_owned(),
            },
            reason,
        };
        let Some((scheme, rest)) = given.split_once("://") else {
            return Err(wrong("has no scheme"));
        };
        let tls = may_be_tls && scheme.eq_ignore_ascii_case("https");
        if !tls && !scheme.eq_ignore_ascii_case("http") {
            return Err(wrong("has another scheme than http"));
        }
        let rest = rest.trim_end_matches('/');
        if rest.contains(['/', '?', '#', '@']) {
            return Err(wrong("has more than a host and a port"));
        }
        // The last colon parts host and port, unless it stands inside the brackets of IPv6.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let port = match port.map(str::parse::<u16>) {
            None if tls => 443,
            None => 80,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return Err(wrong("has a port that is not between 1 and 65535")),
        };
        if host.is_empty() || format!("http://{host}:{port}/").parse::<Uri>().is_err() {
            return Err(wrong("has no host that can be read"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            tls,
        })
    }

    /// The same host at another port.
    pub fn at_port(&self, port: u16) -> Self {
        Self {
            host: self.host.clone(),
            port,
            tls: self.tls,
        }
    }

    /// `http://host:port`, or `https://host:port`.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// That it cannot be used for `protocol`, as `reason` ends the sentence.
    pub fn unreachable(&self, protocol: Protocol, reason: String) -> TargetError {
        let (name, option) = match protocol.is_grpc() {
            true => ("gRPC", "--grpc-host"),
            false => ("REST", "--host"),
        };
        TargetError::Unreachable {
            name,
            url: self.url(),
            reason,
            option,
        }
    }

    /// The first address of the host that accepts a connection: names are resolved here and nowhere
    /// else.
    ///
    /// # Errors
    /// [`TargetError::Unreachable`], within a few seconds.
    pub async fn reach(&self, protocol: Protocol) -> Result<Endpoint, TargetError> {
        let found = self.find().await;
        found.map_err(|reason| self.unreachable(protocol, reason))
    }

    /// The same, with the reason as the rest of a sentence.
    ///
    /// # Errors
    /// When nothing accepts a connection, within a few seconds.
    pub async fn find(&self) -> Result<Endpoint, String> {
        let seconds = REACH.as_secs();
        let host = self.host.trim_matches(['[', ']']);
        match timeout(REACH, lookup_host((host, self.port))).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err("is at a host that is unknown".to_owned()),
            Err(_) => {
                return Err(format!(
                    "has a host that no name server knew within {seconds} s"
                ));
            }
        }
        match timeout(REACH, TcpStream::connect((host, self.port))).await {
            Ok(connected) => match connected.and_then(|connection| connection.peer_addr()) {
                Ok(address) => Ok(Endpoint {
                    address,
                    authority: self.authority(),
                    tls: None,
                }),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    Err("refused the connection".to_owned())
                }
                Err(error) => Err(format!("cannot be reached: {error}")),
            },
            Err(_) => Err(format!("did not answer within {seconds} s")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_scheme_a_host_and_a_port() {
        for (given, host, port) in [
            ("http://localhost:5000", "localhost", 5000),
            ("http://localhost:5000/", "localhost", 5000),
            ("http://localhost", "localhost", 80),
            ("HTTP://127.0.0.1:1", "127.0.0.1", 1),
            ("http://[::1]:65535", "[::1]", 65535),
            ("http://[::1]", "[::1]", 80),
        ] {
            let target = Target::parse("--host", given).unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port), "{given}");
        }
    }

    #[test]
    fn what_is_not_names_the_option_and_the_fault() {
        for (given, reason) in [
            ("localhost:5000", "has no scheme"),
            ("", "has no scheme"),
            ("https://localhost:5000", "another scheme"),
            ("http://", "has no host"),
            ("http://:5000", "has no host"),
            ("http://localhost:0", "port"),
            ("http://localhost:65536", "port"),
            ("http://localhost:-1", "port"),
            ("http://localhost:", "port"),
            ("http://localhost:x", "port"),
            ("http://local host:1", "has no host"),
            ("http://localhost:5000/v1", "more than a host and a port"),
            ("http://user@localhost:5000", "more than a host and a port"),
        ] {
            let error = Target::parse("--host", given).unwrap_err().to_string();
            assert!(
                error.starts_with("--host ") && error.contains(reason),
                "{given}: {error}"
            );
        }
    }
}
