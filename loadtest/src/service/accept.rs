//! Outcomes besides success that are good: `--accept 409,ALREADY_EXISTS`.

use engine::code_name;
use tonic::Code;

/// The codes of gRPC.
const CODES: [Code; 17] = [
    Code::Ok,
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

/// One outcome: a status of HTTP, or a code of gRPC.
///
/// # Errors
/// When it is neither, as the rest of a sentence.
pub fn parse(text: &str) -> Result<engine::Accepted, String> {
    let text = text.trim();
    if let Ok(status) = text.parse::<u16>()
        && (100..600).contains(&status)
    {
        return Ok(engine::Accepted::Http(status));
    }
    let code = CODES
        .into_iter()
        .find(|code| code_name(*code).eq_ignore_ascii_case(text));
    match code {
        Some(code) => Ok(engine::Accepted::Grpc(code as i32)),
        None => {
            let near = super::error::nearest(text, CODES.map(code_name))
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            Err(format!(
                "it is neither a status of HTTP such as 409 nor a code of gRPC such as ALREADY_EXISTS{near}"
            ))
        }
    }
}
