//! Headers of calls: `--header 'name: value'`, with values from the environment.

use http::{HeaderName, HeaderValue};
use tonic::metadata::MetadataMap;

use super::{error::ServiceError, secrets::Secrets, template::from_environment};

/// Headers that a connection sets itself.
const OWN: [&str; 6] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "upgrade",
];

/// A header: its name, and its value, in which `${seq}` and `${uuid}` may stand.
pub type Header = (String, String);

/// Reads the values `given` of `option`, and keeps what they hold in `secrets`.
///
/// # Errors
/// A sentence that names the header, and never its value.
pub fn read(
    option: &str,
    given: &[String],
    secrets: &mut Secrets,
) -> Result<Vec<Header>, ServiceError> {
    given
        .iter()
        .map(|text| one(option, text, secrets))
        .collect()
}

fn one(option: &str, text: &str, secrets: &mut Secrets) -> Result<Header, ServiceError> {
    let Some((name, value)) = text.split_once(':') else {
        return Err(ServiceError::input(format!(
            "{option} has no colon between name and value; write it like {option} 'authorization: Bearer \
             ${{env:TOKEN}}'"
        )));
    };
    let name = name.trim().to_ascii_lowercase();
    let wrong = |what: &str| ServiceError::input(format!("{option} {name:?} {what}"));
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(ServiceError::input(format!(
            "{option} has no name of a header before its colon; write it like 'x-api-key: …'"
        )));
    }
    if OWN.contains(&name.as_str()) {
        return Err(wrong("is set by the connection itself; leave it out"));
    }
    let value = from_environment(value.trim()).map_err(|what| wrong(&what))?;
    if HeaderValue::from_str(&value).is_err() {
        return Err(wrong("has a value with characters that no header may hold"));
    }
    // What differs from call to call is no secret; what stands around it is.
    let constant = value.replace("${seq}", " ").replace("${uuid}", " ");
    secrets.keep(constant.trim());
    Ok((name, value))
}

/// `headers` as gRPC takes them, for the calls besides those that are measured.
pub fn metadata(headers: &[Header]) -> MetadataMap {
    let pairs = headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    });
    MetadataMap::from_headers(pairs.collect())
}
