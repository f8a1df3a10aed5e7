//! Code that the clients here share: a connection with an end to every wait, and errors a person can
//! act on.

mod witness;

use std::{
    error::Error,
    fmt::Display,
    future::Future,
    io::{self, ErrorKind, Write},
    iter,
    process::ExitCode,
    time::Duration,
};

use thiserror::Error;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint, Uri},
};
use tonic_types::StatusExt;

pub use witness::{Watched, WatchedBody, Witness, watched};

#[cfg(doc)]
use crate::retry::Retry;
use crate::telemetry::codes;

/// Reason for a call without an answer. Each prints as one line that says what to do.
#[derive(Debug, Error)]
pub enum CallError {
    /// The address cannot be read.
    #[error("{address:?} is not an address: {reason}; write it like http://localhost:50051")]
    Address {
        /// Address that was given.
        address: String,
        /// Fault of the address.
        reason: String,
    },
    /// The name has no address.
    #[error("the host {host:?} is unknown; check its spelling in --address")]
    UnknownHost {
        /// The name.
        host: String,
    },
    /// Nothing listens there.
    #[error(
        "{address} refused the connection; is the server running there? (--address names another)"
    )]
    Refused {
        /// Authority of the server's URL, such as `localhost:50051`.
        address: String,
    },
    /// No connection for any other reason.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// Authority of the server's URL, such as `localhost:50051`.
        address: String,
        /// Text of the underlying error.
        reason: String,
    },
    /// The deadline passed first.
    #[error("DEADLINE_EXCEEDED: no answer within {}; --deadline sets how long to wait", humantime::format_duration(*deadline))]
    Deadline {
        /// Time that the caller waited.
        deadline: Duration,
    },
    /// The server ended a stream as if all were said, before every message was answered.
    #[error(
        "the server ended the stream after {answered} answers, before every message was answered"
    )]
    EndedEarly {
        /// Number of messages that were answered.
        answered: usize,
    },
    /// The connection broke off before the call was answered to its end.
    #[error("the connection broke off before the call was answered to its end: {reason}")]
    Broken {
        /// Text of the underlying error.
        reason: String,
    },
    /// The server there speaks something other than gRPC in cleartext.
    #[error(
        "what came back is no gRPC ({reason}); is it the port of another service, or one with TLS? \
         (--address names another)"
    )]
    NotGrpc {
        /// Fault of its answer.
        reason: String,
    },
    /// The server answered with an error.
    #[error("the server answered {}: {message}", code_name(*.code))]
    Status {
        /// The gRPC status code.
        code: Code,
        /// The server's message on one line, or that it gave none.
        message: String,
        /// The time that the server wants the caller to wait before it tries again, if it wants it to
        /// (`google.rpc.RetryInfo`).
        retry_after: Option<Duration>,
    },
    /// The server answered, and the client cannot read or take the answer.
    #[error("the client cannot use what the server answered: {reason}")]
    Unusable {
        /// The fault.
        reason: String,
    },
}

impl CallError {
    /// Returns true if this is what gRPC calls UNAVAILABLE: the server was not there, said so itself, or the
    /// connection broke. In the last case the work may have been done, so that only a call that may be done
    /// twice should be tried again.
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Unreachable { .. }
                | Self::Broken { .. }
                | Self::Status {
                    code: Code::Unavailable,
                    ..
                }
        )
    }

    /// Returns true if a server that ends a call at its deadline may look like this. Its timer may be the
    /// first to be seen.
    pub(crate) fn may_be_a_cut(&self) -> bool {
        let is_cancelled = matches!(
            self,
            Self::Status {
                code: Code::Cancelled,
                ..
            }
        );
        is_cancelled || matches!(self, Self::Broken { .. })
    }

    /// The time that the server wants the caller to wait before it tries again, if it wants it to try again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The name of `code` as the gRPC specification writes it, such as `INVALID_ARGUMENT`.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Runs a client to its end on a runtime of its own, and does not wait for a name server that nobody
/// waits for any more: looking a name up cannot be cancelled.
///
/// # Panics
/// When the system gives no runtime.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs one file descriptor and no thread");
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// Writes `text` to standard output. Control characters are escaped, but for the ends of lines that a message
/// may have: they are a peer's, and a terminal would obey them. When its reader has gone, as `head` does, there
/// is nobody left to work for: the process ends well. When it cannot be written for another reason, the process
/// ends with an error.
pub fn say(text: impl Display) {
    let text = text.to_string();
    let lines: Vec<String> = text.split('\n').map(escaped).collect();
    match writeln!(io::stdout(), "{}", lines.join("\n")) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => unwritable(&error),
    }
}

/// Ends the process with 1, as standard output cannot be written.
pub(crate) fn unwritable(error: &io::Error) -> ! {
    let _ = writeln!(
        io::stderr(),
        "error: standard output cannot be written: {error}"
    );
    std::process::exit(1)
}

/// Writes `line` to standard error, as [`say`] does, and as one line. If it cannot be written, the process ends
/// with 1.
pub fn note(line: impl Display) {
    if writeln!(io::stderr(), "{}", escaped(&line.to_string())).is_err() {
        std::process::exit(1);
    }
}

/// Writes `error` to standard error, if anybody takes it, and is how the process is to end.
pub fn fail(error: &CallError) -> ExitCode {
    let error = escaped(&error.to_string());
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::FAILURE
}

/// Returns true if a terminal may take `letter` for more than a letter: controls, and what turns the direction of the
/// text around (UAX #9).
fn is_active(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with escapes for what a terminal would obey.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match is_active(letter) {
            true => escaped.extend(letter.escape_default()),
            false => escaped.push(letter),
        }
    }
    escaped
}

/// `text` of a peer, on one line.
fn on_one_line(text: &str) -> String {
    text.replace(is_active, " ")
}

/// Time between two pings on an open connection with a call on it: below the idle time of common NATs, as for
/// the servers here.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// Longest time that the answer to a ping may take: a round trip across the world takes less than a second.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects to `address` (`http://host:port`, or `host:port` as the original wrote it). Run it and
/// the call it is for as [`Retry::run`] does: connecting has no end of its own.
///
/// # Errors
/// [`CallError`]: the address, the name or the connection.
pub async fn connect(address: &str) -> Result<Channel, CallError> {
    let uri = parse_address(address)?;
    resolve(&uri).await?;
    Endpoint::from(uri.clone())
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .connect()
        .await
        .map_err(|error| connect_error(&uri, &error))
}

/// The longest time that `grpc-timeout` can say: eight digits of hours (gRPC PROTOCOL-HTTP2.md).
/// tonic panics beyond it.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_secs(99_999_999 * 60 * 60);

/// A request that carries `deadline` to the server as `grpc-timeout`.
pub fn with_deadline<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline.min(LONGEST_TIMEOUT));
    request
}

/// Returns the meaning of `status` to the caller who set `deadline`.
///
/// tonic's own timer answers CANCELLED with `TimeoutExpired` among its causes where the
/// specification says DEADLINE_EXCEEDED; both mean the same here.
pub fn call_error(status: &Status, deadline: Duration) -> CallError {
    let timer = causes(status).any(|cause| cause.is::<tonic::TimeoutExpired>());
    if timer || status.code() == Code::DeadlineExceeded {
        return CallError::Deadline { deadline };
    }
    let mut of_http2 = causes(status).filter_map(|cause| cause.downcast_ref::<h2::Error>());
    // What else writes is read as a frame of some millions of bytes.
    let is_else = |error: &&h2::Error| {
        error.is_library() && error.reason() == Some(h2::Reason::FRAME_SIZE_ERROR)
    };
    if let Some(error) = of_http2.find(is_else) {
        return CallError::NotGrpc {
            reason: error.to_string(),
        };
    }
    // A status that the server sent has no cause on this side of the wire; what tonic makes of a broken
    // connection or of a reset has one.
    let ended = causes(status).find_map(|cause| cause.downcast_ref().and_then(ended_for_good));
    if let Some(reason) = ended {
        return CallError::Status {
            code: status.code(),
            message: format!("it ended the call with {reason:?}"),
            retry_after: None,
        };
    }
    if let Some(cause) = causes(status).last() {
        return CallError::Broken {
            reason: on_one_line(&cause.to_string()),
        };
    }
    if let Some(http) = http_status(status).filter(|http| *http != "200 OK") {
        let reason = on_one_line(&format!("HTTP {http}"));
        let number = http.get(..3).and_then(|number| number.parse().ok());
        return no_grpc(number, reason.clone(), reason);
    }
    let message = match (status.message(), status.code()) {
        // Servers answer so to a call that is meant for another one.
        ("", Code::Unimplemented) => "it has no such service or method; is it another server?",
        ("", _) => "it gave no reason",
        (message, _) => message,
    };
    let details = status.get_error_details();
    CallError::Status {
        code: status.code(),
        message: on_one_line(message),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
    }
}

/// The error of an answer that is no gRPC: `reason`, or UNAVAILABLE with `message` if its `status` of HTTP is
/// that of a gateway that cannot reach the server.
fn no_grpc(status: Option<u16>, message: String, reason: String) -> CallError {
    match status.map(codes::of_http) {
        Some(Code::Unavailable) => CallError::Status {
            code: Code::Unavailable,
            message,
            retry_after: None,
        },
        _ => CallError::NotGrpc { reason },
    }
}

/// The status of HTTP, such as `404 Not Found`, of an answer whose body is no gRPC: tonic reads whatever
/// has a body as messages, and tells the status behind what is wrong with them.
pub fn http_status(status: &Status) -> Option<&str> {
    let said = status.message();
    said.rsplit_once("while receiving response with status: ")
        .map(|(_, http)| http)
}

/// Returns the reason for which the peer ended a call on purpose, if it did: such a call is not to be tried
/// again. The peer did so if it reset the call, unless it says that the call had not begun (REFUSED_STREAM,
/// RFC 9113 §8.7), or if it wants less of everything (ENHANCE_YOUR_CALM).
fn ended_for_good(error: &h2::Error) -> Option<h2::Reason> {
    let reason = error.reason().filter(|_| error.is_remote())?;
    let on_purpose = match reason {
        h2::Reason::REFUSED_STREAM => false,
        h2::Reason::ENHANCE_YOUR_CALM => true,
        _ => error.is_reset(),
    };
    on_purpose.then_some(reason)
}

fn parse_address(address: &str) -> Result<Uri, CallError> {
    let wrong = |reason: &str| CallError::Address {
        address: address.to_owned(),
        reason: reason.to_owned(),
    };
    let with_scheme = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let uri: Uri = with_scheme.parse().map_err(|_| wrong("it is not a URL"))?;
    let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
    let host = authority.host();
    // Behind the host stands nothing, or a colon and the port.
    let host_and_port = authority.as_str().rsplit('@').next().unwrap_or_default();
    let behind = host_and_port.strip_prefix(host).unwrap_or_default();
    if uri.scheme_str() != Some("http") {
        Err(wrong("its scheme is not http"))
    } else if host.is_empty() {
        Err(wrong("it has no host"))
    } else if !behind.is_empty() && uri.port_u16().is_none_or(|port| port == 0) {
        Err(wrong("its port is not between 1 and 65535"))
    } else {
        Ok(uri)
    }
}

/// Looks the name up before the connection does, which would hide an unknown one in its error.
async fn resolve(uri: &Uri) -> Result<(), CallError> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    match tokio::net::lookup_host((host, uri.port_u16().unwrap_or(80))).await {
        Ok(_) => Ok(()),
        Err(_) => Err(CallError::UnknownHost {
            host: host.to_owned(),
        }),
    }
}

fn connect_error(uri: &Uri, error: &tonic::transport::Error) -> CallError {
    let address = uri
        .authority()
        .map_or_else(String::new, ToString::to_string);
    let refused = |e: &io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
    if causes(error).any(|cause| cause.downcast_ref().is_some_and(refused)) {
        return CallError::Refused { address };
    }
    let reason = causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    CallError::Unreachable { address, reason }
}

/// Returns the cause of `error`, the cause of that, and so on.
pub(crate) fn causes<'a>(error: &'a dyn Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}
