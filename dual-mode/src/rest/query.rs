//! A request in a query.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::{
    json::{LONGEST_NAME, UNKNOWN},
    number::Year,
};
use crate::{
    faults::Fault,
    greetings::{self, Request},
};

/// Reads a request whose fields stand in `query`, as forms write them.
///
/// # Errors
/// The field that is wrong.
pub(super) fn request(query: &str) -> Result<Request, Fault> {
    let wrong = |name: &str, rule| {
        let quoted: String = name.chars().take(LONGEST_NAME).collect();
        Err(greetings::Fault::field(quoted, rule).into())
    };
    let (mut comm, mut kind, mut year) = (None, None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = decoded(name) else {
            return Err(Fault::Malformed(
                "the query names a field in bytes that are not UTF-8".to_owned(),
            ));
        };
        let Some(value) = decoded(value) else {
            return wrong(&name, "must be UTF-8");
        };
        let seen = match &*name {
            "dataCommType" => comm.replace(value).is_some(),
            "messageType" => kind.replace(value).is_some(),
            "year" => match Year::from_text(&value) {
                Some(Year(number)) => year.replace(number).is_some(),
                None => return wrong("year", Year::RULE),
            },
            unknown => return wrong(unknown, UNKNOWN),
        };
        if seen {
            return wrong(&name, "must not come twice");
        }
    }
    let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).unwrap_or_default();
    Ok(Request {
        data_comm_type: text(comm),
        message_type: text(kind),
        year: year.unwrap_or_default(),
    })
}

/// `text` without its escapes, if it is UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    // Most have none.
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        let decoded = percent_decode(spaced.as_bytes()).decode_utf8().ok()?;
        return Some(Cow::Owned(decoded.into_owned()));
    }
    percent_decode(text.as_bytes()).decode_utf8().ok()
}
