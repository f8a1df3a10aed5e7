//! Variants as the command line names them: `--grpc 'ADDRESS METHOD'`, `--rest 'METHOD URL'`. What an address
//! begins with says how calls travel, where there are two ways.

use super::{error::ServiceError, template::Template};
use crate::target::Target;

/// Methods of HTTP that a call may have.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// `--grpc`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcCall {
    /// The name that was given.
    pub name: Option<String>,
    /// The address.
    pub target: Target,
    /// The method as it was written.
    pub method: String,
    /// True if it is called by gRPC-Web: web+http:// and web+https:// name that.
    pub web: bool,
}

/// `--rest`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestCall {
    /// The name that was given.
    pub name: Option<String>,
    /// The address.
    pub target: Target,
    /// The method and the template; none where the contract says both.
    pub call: Option<(String, Template)>,
    /// The path as it was written, without a slash at its end.
    pub path: String,
    /// True if it travels over HTTP/2: h2c:// names that.
    pub http2: bool,
}

/// Reads the value of `--grpc`.
///
/// # Errors
/// A sentence that says how to write it.
pub fn grpc(given: &str) -> Result<GrpcCall, ServiceError> {
    let (name, text) = named(given);
    let mut words = text.split_whitespace();
    let (Some(address), method, None) = (words.next(), words.next(), words.next()) else {
        return Err(ServiceError::input(format!(
            "--grpc {given:?} is not an address and a method; {GRPC_EXAMPLE}"
        )));
    };
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let lower = scheme.to_ascii_lowercase();
    let plain = lower.strip_prefix("web+");
    let (scheme, web) = (plain.unwrap_or(scheme), plain.is_some());
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let method = match (method, path) {
        (Some(method), "") => method,
        (None, path) if path.contains('/') => path,
        (Some(_), _) => {
            return Err(ServiceError::input(format!(
                "--grpc {given:?} has a path in its address, and gRPC has none; {GRPC_EXAMPLE}"
            )));
        }
        (None, _) => {
            return Err(ServiceError::input(format!(
                "--grpc {given:?} names no method; {GRPC_EXAMPLE}, and loadtest list {authority} shows what \
                 there is"
            )));
        }
    };
    Ok(GrpcCall {
        name,
        target: target("--grpc", scheme, authority)?,
        method: method.trim_start_matches('/').to_owned(),
        web,
    })
}

/// Reads an address of gRPC alone, such as `localhost:50051`.
///
/// # Errors
/// A sentence that says how to write it.
pub fn grpc_address(option: &'static str, given: &str) -> Result<Target, ServiceError> {
    let (scheme, authority) = given.split_once("://").unwrap_or(("http", given));
    target(option, scheme, authority.trim_end_matches('/'))
}

const GRPC_EXAMPLE: &str = "write it like 'localhost:50051 shop.v1.Orders/CreateOrder'";

/// Reads the value of `--rest`.
///
/// # Errors
/// A sentence that says how to write it.
pub fn rest(given: &str) -> Result<RestCall, ServiceError> {
    let (name, text) = named(given);
    let mut words = text.split_whitespace();
    let wrong =
        |what: &str| ServiceError::input(format!("--rest {given:?} {what}; {REST_EXAMPLE}"));
    let (method, url) = match (words.next(), words.next(), words.next()) {
        (Some(url), None, None) => (None, url),
        (Some(method), Some(url), None) => (Some(method.to_ascii_uppercase()), url),
        _ => return Err(wrong("is not a method and an address")),
    };
    if let Some(method) = &method
        && !METHODS.contains(&method.as_str())
    {
        return Err(wrong("begins with no method of HTTP"));
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong("has no scheme"));
    };
    let http2 = scheme.eq_ignore_ascii_case("h2c");
    let scheme = if http2 { "http" } else { scheme };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if path.contains('#') {
        return Err(wrong("has a fragment, which is never sent"));
    }
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    };
    let call = match method {
        None => None,
        Some(method) => {
            let template = Template::parse(&path).map_err(|what| {
                ServiceError::input(format!("--rest {what}; write it like {{id}}"))
            })?;
            Some((method, template))
        }
    };
    Ok(RestCall {
        name,
        target: target("--rest", scheme, authority)?,
        call,
        path: path.trim_end_matches('/').to_owned(),
        http2,
    })
}

const REST_EXAMPLE: &str = "write it like 'POST http://localhost:5000/v1/orders'";

fn target(option: &'static str, scheme: &str, authority: &str) -> Result<Target, ServiceError> {
    Target::parse_any(option, &format!("{scheme}://{authority}"))
        .map_err(|error| ServiceError::input(error.to_string()))
}

/// The name in `new=POST http://…`, and the rest.
fn named(given: &str) -> (Option<String>, &str) {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match given.split_once('=') {
        Some((name, rest)) if !name.is_empty() && name.chars().all(is_of_name) => {
            (Some(name.to_owned()), rest)
        }
        _ => (None, given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_variant_is_an_address_and_a_method() {
        for given in [
            "localhost:50051 shop.v1.Orders/CreateOrder",
            "http://localhost:50051 /shop.v1.Orders/CreateOrder",
            "localhost:50051/shop.v1.Orders/CreateOrder",
        ] {
            let call = grpc(given).unwrap();
            assert_eq!(call.target.authority(), "localhost:50051", "{given}");
            assert_eq!(call.method, "shop.v1.Orders/CreateOrder", "{given}");
        }
        let call = grpc("Web+HTTPS://localhost a.B/C").unwrap();
        assert!(call.web && call.target.tls && call.target.port == 443);
        let call = grpc("new=[::1]:1 a.B/C").unwrap();
        assert!(!call.web);
        assert_eq!(call.name.as_deref(), Some("new"));
        assert_eq!(call.target.authority(), "[::1]:1");
        for (given, what) in [
            ("localhost:1", "names no method"),
            ("", "is not an address"),
            ("a b c", "is not an address"),
            ("ftp://localhost:1 a.B/C", "scheme"),
            ("localhost:99999 a.B/C", "port"),
            ("localhost:1/x a.B/C", "has a path"),
        ] {
            let error = grpc(given).unwrap_err().to_string();
            assert!(error.contains(what), "{given}: {error}");
        }
    }

    #[test]
    fn a_rest_variant_is_a_method_and_an_address() {
        let call = rest("post http://[::1]:5000/api/v1/orders/{id}?x=1").unwrap();
        assert_eq!(call.target.authority(), "[::1]:5000");
        let (method, template) = call.call.unwrap();
        assert!(method == "POST" && template.has_fields());
        let call = rest("old=http://localhost:5000/api/").unwrap();
        assert_eq!(
            (call.name.as_deref(), call.path.as_str()),
            (Some("old"), "/api")
        );
        assert!(call.call.is_none());
        let call = rest("GET https://localhost/a").unwrap();
        assert!(call.target.tls && call.target.port == 443);
        let call = rest("GET h2c://localhost?x={a}").unwrap();
        assert!(call.path == "/?x={a}" && call.http2);
        for (given, what) in [
            ("localhost:5000", "no scheme"),
            ("FETCH http://localhost", "no method of HTTP"),
            ("GET http://localhost/{", "without a }"),
            ("GET ftp://localhost/", "scheme"),
            ("GET http://localhost:0/", "port"),
            ("GET http://localhost/#a", "fragment"),
            ("", "is not a method"),
        ] {
            let error = rest(given).unwrap_err().to_string();
            assert!(error.contains(what), "{given}: {error}");
        }
    }
}
