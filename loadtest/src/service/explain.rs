//! Explains, in one line that says what to do, why a service did not give a good reply.

use std::{net::SocketAddr, time::Duration};

use engine::{Endpoint, Failure, Reply, Status, code_name};
use http::{StatusCode, header};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::Code;
use tonic_types::StatusExt;

use super::{ServiceError, contract, error::nearest, reflection::NoContract, secrets::Secrets};
use crate::record::Protocol;

/// Time that a peer may take to show what it speaks.
const SHOWS: Duration = Duration::from_secs(1);

/// A call that failed.
pub struct Place<'a> {
    /// Its variant.
    pub name: &'a str,
    /// The call.
    pub call: &'a str,
    /// The address.
    pub url: &'a str,
    /// The address.
    pub endpoint: &'a Endpoint,
    /// The protocol.
    pub protocol: Protocol,
    /// The values that may not be shown.
    pub secrets: &'a Secrets,
}

impl Place<'_> {
    fn header_option(&self) -> &'static str {
        if self.protocol.is_grpc() {
            "--grpc-header"
        } else {
            "--rest-header"
        }
    }
}

/// `failure` in words.
pub async fn failure(place: &Place<'_>, failure: &Failure) -> String {
    let what = match failure {
        Failure::BadStatus(reply) => status(place, reply),
        Failure::Timeout(limit) => {
            format!("gave no answer within {limit:?}; --timeout sets how long it may take")
        }
        Failure::Tls(why) => tls(place.endpoint, &place.secrets.shown(why)).await,
        Failure::NoGrpc(why) if place.protocol == Protocol::GrpcWeb => {
            let why = place.secrets.shown(why);
            format!("answers without gRPC-Web ({why}); is it switched on there?")
        }
        Failure::Broken(why) | Failure::NoGrpc(why) => {
            let why = place.secrets.shown(why);
            match (speaks(place.endpoint.address).await, place.protocol) {
                _ if shows_no_certificate(place.endpoint) => closed_tls(&why),
                (Speaks::Tls, _) if place.endpoint.tls.is_none() => {
                    "speaks TLS, and was spoken to without: write https:// before the address"
                        .to_owned()
                }
                (Speaks::Http1, Protocol::Grpc) => {
                    "speaks HTTP/1.1 there, and no gRPC; is it the port of REST?".to_owned()
                }
                (Speaks::Http2, Protocol::GrpcWeb) => {
                    "speaks HTTP/2 alone there, and gRPC-Web is called over HTTP/1.1; without web+ before the \
                     address it is gRPC"
                        .to_owned()
                }
                (Speaks::Http2, protocol) if protocol != Protocol::Grpc => {
                    "speaks HTTP/2 alone there; is it the port of gRPC? --rest-http2 calls REST over HTTP/2"
                        .to_owned()
                }
                _ => format!("broke the connection: {why}"),
            }
        }
        other => place.secrets.shown(&other.to_string()),
    };
    format!("{}: {} {} {what}", place.name, place.url, place.call)
}

/// Explains in words why TLS failed.
async fn tls(endpoint: &Endpoint, why: &str) -> String {
    match speaks(endpoint.address).await {
        Speaks::Http1 | Speaks::Http2 => {
            "speaks no TLS there: write http:// before the address".to_owned()
        }
        _ if why.contains("UnknownIssuer") => format!(
            "has a certificate of an unknown issuer; --cacert FILE names its root, --insecure takes any \
             ({why})"
        ),
        _ if why.contains("not valid for name") || why.contains("NotValidForName") => {
            format!("has a certificate for another name; --server-name names it ({why})")
        }
        _ if why.contains("CertificateRequired") || why.contains("certificate required") => {
            format!("asks for the client's certificate; --cert and --key give it ({why})")
        }
        _ if shows_no_certificate(endpoint) && !why.contains("certificate") => closed_tls(why),
        _ => format!("could not be reached by TLS: {why}"),
    }
}

/// Returns true if the connection has TLS, and no certificate of the client's.
fn shows_no_certificate(endpoint: &Endpoint) -> bool {
    let mut tls = endpoint.tls.iter();
    tls.any(|tls| tls.identity.is_none())
}

/// By TLS 1.3 a client learns only after its handshake that its certificate is missed, and the alert that says
/// so is lost if what it sent was not read.
fn closed_tls(why: &str) -> String {
    format!(
        "broke the TLS connection, as one does that asks for the client's certificate; --cert and --key give \
         it ({why})"
    )
}

fn status(place: &Place<'_>, reply: &Reply) -> String {
    match &reply.status {
        Status::Http(status) => http_status(place, *status, reply),
        Status::Grpc(code, message) => grpc_status(place, *code, message, reply),
    }
}

fn http_status(place: &Place<'_>, status: StatusCode, reply: &Reply) -> String {
    let header = |name| {
        let value = reply.headers.get(name)?;
        Some(
            place
                .secrets
                .shown(&String::from_utf8_lossy(value.as_bytes())),
        )
    };
    let said = said(place.secrets, reply);
    let is_grpc = || reply.headers.contains_key(tonic::Status::GRPC_STATUS);
    let mend = match status.as_u16() {
        400.. if !place.protocol.is_grpc() && is_grpc() => "; is it the port of gRPC?".to_owned(),
        300..=399 => match header(header::LOCATION) {
            Some(to) => {
                format!("; redirects are not followed, as that would be measured too: name {to}")
            }
            None => "; redirects are not followed: name the address that it points to".to_owned(),
        },
        401 | 403 => format!(
            "; is the token right? {} 'authorization: Bearer ${{env:TOKEN}}' sends one",
            place.header_option()
        ),
        400 | 422 => "; is the row right?".to_owned(),
        404 => "; is the path right?".to_owned(),
        405 => {
            header(header::ALLOW).map_or_else(String::new, |allow| format!("; it takes {allow}"))
        }
        406 => "; --rest-header 'accept: application/json' may help".to_owned(),
        415 => "; --rest-header 'content-type: …' names another kind of body".to_owned(),
        429 => {
            "; it limits how often it may be called: ask for no limit for this address".to_owned()
        }
        _ => "; --accept takes this outcome for a good one".to_owned(),
    };
    format!("answers {status}{said}{mend}")
}

fn grpc_status(place: &Place<'_>, code: Code, message: &str, reply: &Reply) -> String {
    let message = match place.secrets.shown(message) {
        empty if empty.is_empty() => String::new(),
        message => format!(": {message}"),
    };
    let status = tonic::Status::with_details(code, "", reply.body.clone());
    let details = place.secrets.shown(&details(&status));
    let mend = match code {
        Code::Unauthenticated | Code::PermissionDenied => format!(
            "; is the token right? {} 'authorization: Bearer ${{env:TOKEN}}' sends one",
            place.header_option()
        ),
        Code::InvalidArgument => "; is the row right?".to_owned(),
        Code::Unimplemented => {
            "; the server knows no such method: is it another version?".to_owned()
        }
        _ => "; --accept takes this outcome for a good one".to_owned(),
    };
    format!("answers {}{message}{details}{mend}", code_name(code))
}

/// The details of a status that say more than its message.
fn details(status: &tonic::Status) -> String {
    let details = status.get_error_details();
    let mut told = Vec::new();
    if let Some(bad) = details.bad_request() {
        let fields = bad.field_violations.iter();
        told.extend(fields.map(|one| format!("{}: {}", one.field, one.description)));
    }
    if let Some(info) = details.error_info() {
        told.push(info.reason.clone());
    }
    match told.is_empty() {
        true => String::new(),
        false => format!(" ({})", told.join("; ")),
    }
}

/// The text of an error's body, with a colon before it.
fn said(secrets: &Secrets, reply: &Reply) -> String {
    let media = reply
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|media| media.to_str().ok())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&reply.body);
    if is_page(media, &text) {
        return " (a page of HTML)".to_owned();
    }
    let message = serde_json::from_str::<Value>(&text).ok().and_then(|body| {
        let names = ["detail", "message", "error_description", "error", "title"];
        let mut found = names.iter().filter_map(|name| body.get(name)?.as_str());
        found.next().map(str::to_owned)
    });
    match secrets.shown(&message.unwrap_or_else(|| text.into_owned())) {
        empty if empty.is_empty() => String::new(),
        text => format!(": {text}"),
    }
}

/// Returns true if a body is a page for people.
pub(super) fn is_page(media: &str, text: &str) -> bool {
    let begins = text.trim_start().to_ascii_lowercase();
    media.starts_with("text/html")
        || begins.starts_with("<!doctype html")
        || begins.starts_with("<html")
}

/// Explains in words why there is no contract of the method `wanted`, which is called by gRPC-Web if
/// `is_web`.
pub(super) async fn no_contract(
    url: &str,
    endpoint: &Endpoint,
    (wanted, is_web): (&str, bool),
    why: NoContract,
    secrets: &Secrets,
) -> ServiceError {
    const FILES: &str = "give its contract by --proto FILE -I DIR, or --protoset FILE";
    match why {
        NoContract::NotGrpc(why) if is_web => ServiceError::service(format!(
            "gRPC-Web: {url} has no server reflection, which takes gRPC over HTTP/2 ({}); {FILES}",
            secrets.shown(&why)
        )),
        NoContract::NoReflection => {
            // A server of REST that speaks HTTP/2 too knows no such path either.
            let perhaps = match speaks(endpoint.address).await {
                Speaks::Http1 => "; is it the port of REST? If not,",
                _ => ";",
            };
            ServiceError::service(format!(
                "gRPC: {url} has no server reflection, v1 or v1alpha{perhaps} switch it on, or {FILES}"
            ))
        }
        // What another protocol answers is no status of gRPC.
        NoContract::Refused(status)
            if status.code() != Code::Unauthenticated
                && speaks(endpoint.address).await == Speaks::Http1 =>
        {
            ServiceError::service(format!(
                "gRPC: {url} speaks HTTP/1.1 too, and answers reflection with {}; is it the port of REST?",
                code_name(status.code())
            ))
        }
        NoContract::Refused(status) => {
            let message = secrets.shown(status.message());
            let code = code_name(status.code());
            let mend = match status.code() {
                Code::Unauthenticated | Code::PermissionDenied => {
                    "is the token right? --grpc-header 'authorization: Bearer ${env:TOKEN}' sends one; or "
                }
                _ => "",
            };
            ServiceError::service(format!(
                "gRPC: {url} refuses server reflection, {code}: {message}; {mend}{FILES}"
            ))
        }
        NoContract::NotGrpc(why) => {
            let what = match speaks(endpoint.address).await {
                _ if endpoint.tls.is_some() => tls(endpoint, &secrets.shown(&why)).await,
                Speaks::Tls => {
                    "speaks TLS, and was spoken to without: write https:// before the address"
                        .to_owned()
                }
                Speaks::Http1 => "speaks HTTP/1.1, and no gRPC; is it the port of REST?".to_owned(),
                _ => format!("speaks no gRPC: {}", secrets.shown(&why)),
            };
            ServiceError::service(format!("gRPC: {url} {what}"))
        }
        NoContract::NoService(known) => {
            let service = wanted
                .rsplit_once(['/', '.'])
                .map_or(wanted, |(service, _)| service);
            let known: Vec<String> = known
                .iter()
                .filter(|name| !contract::is_of_grpc(name))
                .map(|name| secrets.shown(name))
                .collect();
            let mend = match nearest(service, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("it serves {}", known.join(", ")),
            };
            ServiceError::input(format!("--grpc: {url} serves no {service}; {mend}"))
        }
        NoContract::Broken(why) => ServiceError::service(format!(
            "gRPC: the contract that {url} gives by reflection is broken: {}; {FILES}",
            secrets.shown(&why)
        )),
    }
}

/// The protocol of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Tls,
    Http1,
    Http2,
    SomethingElse,
}

/// Looks at how the peer at `address` answers a request of HTTP/1.1.
async fn speaks(address: SocketAddr) -> Speaks {
    /// The first byte of an alert of TLS (RFC 8446 §5.1).
    const ALERT: u8 = 0x15;
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.ok()?;
        let mut answer = Vec::new();
        let mut part = [0; 512];
        while answer.len() < part.len() {
            match stream.read(&mut part).await {
                Ok(read) if read > 0 => answer.extend_from_slice(&part[..read]),
                _ => break,
            }
        }
        Some(answer)
    };
    let answer = timeout(SHOWS, asked)
        .await
        .ok()
        .flatten()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&answer);
    match answer.first() {
        Some(&ALERT) => Speaks::Tls,
        _ if text.starts_with("HTTP/1") => match text.to_ascii_lowercase().contains("https") {
            // As Go and nginx answer on a port of TLS.
            true if text.contains(" 400 ") => Speaks::Tls,
            _ => Speaks::Http1,
        },
        // A frame of SETTINGS on stream 0 (RFC 9113 §6.5).
        Some(0) if answer.get(3) == Some(&4) => Speaks::Http2,
        _ => Speaks::SomethingElse,
    }
}
