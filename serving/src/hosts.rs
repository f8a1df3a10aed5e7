//! The names that a server is called by. A request names its host exactly once (RFC 9112 §3.2). A page may
//! call a server on its reader's own machine by a name of the page's, which resolves to loopback (DNS
//! rebinding), so that a server can answer to the names it knows only.

use std::{net::Ipv4Addr, sync::Arc};

use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode, Version,
    header::{ALLOW, HOST, HeaderValue},
};
use http_body_util::Full;

use crate::{
    gate::{Gate, refused},
    refusal::{Refusal, Refuse},
};

/// The names that a server answers to. By default it answers to all.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// In lower case; empty means all.
    names: Arc<[String]>,
}

impl Hosts {
    /// Those of `names`, each as [`host`] reads it, beside IP addresses and localhost. Empty means all.
    pub fn new(names: &[String]) -> Self {
        Self {
            names: names.into(),
        }
    }

    /// Checks the host of `request`.
    ///
    /// # Errors
    /// [`Refusal::MalformedHost`], when it does not name one host; [`Refusal::UnknownHost`], when the server
    /// does not answer to that.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let mut headers = request.headers().iter();
        let mut named = headers.by_ref().filter(|(name, _)| *name == HOST);
        let (header, more) = (named.next(), named.next());
        let header = header.map(|(_, value)| value.as_bytes());
        let authority = request
            .uri()
            .authority()
            .map(|authority| authority.as_str());
        let is_valid = match (header, authority) {
            (_, Some(authority)) if !is_host(authority.as_bytes()) => false,
            // Over HTTP/2 they are two names of one thing (RFC 9113 §8.3.1).
            (Some(header), Some(authority)) if request.version() == Version::HTTP_2 => {
                header.eq_ignore_ascii_case(authority.as_bytes())
            }
            (Some(header), _) => is_host(header),
            (None, _) => request.version() != Version::HTTP_11,
        };
        if !is_valid || more.is_some() {
            return Err(Refusal::MalformedHost);
        }
        // The host of the target comes before the header's (RFC 9112 §3.2.2).
        match authority.map(str::as_bytes).or(header) {
            Some(host) if !self.names.is_empty() && !self.trusts(without_port(host)) => {
                Err(Refusal::UnknownHost)
            }
            // A request of HTTP/1.0 that names no host comes from no browser.
            _ => Ok(()),
        }
    }

    /// Returns true if no stranger can have `host`, which comes without a port, resolve to this server: if it
    /// is an IP address, localhost, or one of the names.
    pub fn trusts(&self, host: &[u8]) -> bool {
        let host = host.strip_suffix(b".").unwrap_or(host);
        let is_v4 = || {
            let text = str::from_utf8(host);
            text.is_ok_and(|host| host.parse::<Ipv4Addr>().is_ok())
        };
        host.starts_with(b"[") || is_localhost(host) || is_v4() || {
            let mut names = self.names.iter();
            names.any(|name| name.as_bytes().eq_ignore_ascii_case(host))
        }
    }
}

fn is_localhost(host: &[u8]) -> bool {
    const NAME: &[u8] = b"localhost";
    let Some(before) = host.len().checked_sub(NAME.len()) else {
        return false;
    };
    let (before, name) = host.split_at(before);
    name.eq_ignore_ascii_case(NAME) && (before.is_empty() || before.ends_with(b"."))
}

/// Returns true if `text` is a host with or without a port, as RFC 3986 §3.2 writes it.
fn is_host(text: &[u8]) -> bool {
    let host = without_port(text);
    let port = text.get(host.len() + 1..).unwrap_or_default();
    if !port.iter().all(u8::is_ascii_digit) || port.len() > 5 {
        return false;
    }
    if let Some(literal) = host.strip_prefix(b"[") {
        let literal = literal.strip_suffix(b"]").unwrap_or_default();
        return !literal.is_empty()
            && literal
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b":.%-_~".contains(byte));
    }
    // What is left of RFC 3986's names beside letters, digits and hyphens is found in private networks.
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
    !host.is_empty() && host.iter().all(is_of_name)
}

/// `host` without `:port`.
pub(crate) fn without_port(host: &[u8]) -> &[u8] {
    let end = match host.first() {
        Some(b'[') => host.iter().position(|byte| *byte == b']').map(|at| at + 1),
        _ => host.iter().position(|byte| *byte == b':'),
    };
    match end {
        Some(end) if host.get(end).is_none_or(|byte| *byte == b':') => &host[..end],
        _ => host,
    }
}

/// The host that `request` names, with its port: of the target, or of the header.
pub(crate) fn called<B>(request: &Request<B>) -> Option<&[u8]> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str().as_bytes());
    }
    let mut headers = request.headers().iter();
    let header = headers.find(|(name, _)| *name == HOST);
    header.map(|(_, value)| value.as_bytes())
}

/// Reads a host from a command line.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn host(text: &str) -> Result<String, String> {
    let host = text.as_bytes();
    if !is_host(host) || without_port(host).len() < host.len() || host.contains(&b'*') {
        return Err("write the host alone, like shop.example; its port does not matter".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

/// Stops requests whose host is wrong or unknown, as `refuse` words it, and answers `OPTIONS *`, which asks
/// about the server as a whole (RFC 9110 §9.3.7).
#[derive(Clone, Debug)]
pub struct HostGate<R> {
    hosts: Hosts,
    refuse: R,
}

impl<R: Refuse> HostGate<R> {
    /// A gate for those who call the server by one of `hosts`.
    pub fn new(hosts: Hosts, refuse: R) -> Self {
        Self { hosts, refuse }
    }
}

impl<R: Refuse> Gate for HostGate<R> {
    fn answer<B>(&self, request: &mut Request<B>) -> Option<Response<Full<Bytes>>> {
        match self.hosts.check(request) {
            // It tells nothing that a name could protect.
            Ok(()) | Err(Refusal::UnknownHost) if is_about_the_server(request) => {
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = StatusCode::NO_CONTENT;
                let all = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
                answer.headers_mut().insert(ALLOW, all);
                Some(answer)
            }
            Ok(()) => None,
            Err(refusal) => Some(refused(&self.refuse, refusal, request)),
        }
    }
}

fn is_about_the_server<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.uri().path() == "*"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: Version, uri: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn a_request_names_one_host() {
        let one = Version::HTTP_11;
        for (version, uri, hosts, is_right) in [
            (one, "/", &["localhost"][..], true),
            (one, "/", &["127.0.0.1:5000"], true),
            (one, "/", &["[::1]:5000"], true),
            (one, "/", &["a_b.example:"], true),
            (one, "http://x:1/", &["y"], true),
            (one, "/", &[], false),
            (one, "http://x/", &[], false),
            (one, "/", &["a", "b"], false),
            (one, "/", &["a", "a"], false),
            (one, "/", &[""], false),
            (one, "/", &["a b/c@"], false),
            (one, "/", &["me@host"], false),
            (one, "/", &["host:port"], false),
            (one, "/", &["host:1:2"], false),
            (one, "/", &["[::1"], false),
            (one, "/", &["[::1]x"], false),
            (one, "/", &["[]"], false),
            (one, "/", &["a,b c"], false),
            (Version::HTTP_10, "/", &[], true),
            (Version::HTTP_10, "/", &["a b"], false),
            (Version::HTTP_2, "http://x:1/", &[], true),
            (Version::HTTP_2, "http://x:1/", &["X:1"], true),
            (Version::HTTP_2, "http://x:1/", &["y:1"], false),
            (Version::HTTP_2, "http://me@x/", &[], false),
            (Version::HTTP_2, "/", &["y:1"], true),
        ] {
            let checked = Hosts::default().check(&asked(version, uri, hosts));
            let wanted = if is_right {
                Ok(())
            } else {
                Err(Refusal::MalformedHost)
            };
            assert_eq!(checked, wanted, "{version:?} {uri} {hosts:?}");
        }
    }

    #[test]
    fn a_server_that_knows_its_names_answers_to_no_other() {
        let hosts = Hosts::new(&["shop.example".to_owned()]);
        for (host, is_known) in [
            ("shop.example", true),
            ("SHOP.example:5000", true),
            ("shop.example.", true),
            ("localhost:5000", true),
            ("a.LocalHost", true),
            ("127.0.0.1", true),
            ("192.0.2.7:1", true),
            ("[2001:db8::1]:443", true),
            ("evil.example", false),
            ("evilshop.example", false),
            ("shop.example.evil.example", false),
            ("notlocalhost", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.1", false),
        ] {
            let checked = hosts.check(&asked(Version::HTTP_11, "/", &[host]));
            assert_eq!(checked.is_ok(), is_known, "{host}");
            let named = asked(Version::HTTP_11, &format!("http://{host}/"), &["localhost"]);
            assert_eq!(hosts.check(&named).is_ok(), is_known, "{host}");
            let all = asked(Version::HTTP_11, "/", &[host]);
            assert_eq!(Hosts::default().check(&all), Ok(()), "{host}");
        }
        assert_eq!(hosts.check(&asked(Version::HTTP_10, "/", &[])), Ok(()));
    }

    #[test]
    fn a_host_on_a_command_line_has_no_port() {
        assert_eq!(host("Shop.example").unwrap(), "shop.example");
        assert_eq!(host("[::1]").unwrap(), "[::1]");
        for bad in [
            "",
            "shop.example:80",
            "http://shop.example",
            "*.example",
            "a b",
            "a@b",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
