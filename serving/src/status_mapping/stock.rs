//! What stock codecs and clients say in words, and no type tells: tonic 0.14, prost 0.14.

use super::rejection::Rejection;

/// What the words of a stock codec mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    TooLarge,
    Malformed,
}

/// How tonic and prost begin to say what is wrong with a message that is being read. What the layer finds by
/// itself, such as a message that is cut off, never comes to them.
const CODECS: [(&str, Found); 4] = [
    ("Error, decoded message length too large", Found::TooLarge),
    ("Error decompressing: size limit", Found::TooLarge),
    ("Error decompressing: ", Found::Malformed),
    ("failed to decode Protobuf message: ", Found::Malformed),
];

/// How tonic's client begins to say that its own call did not come to an answer.
const CLIENTS: [&str; 8] = [
    "transport error",
    "tcp connect error",
    "dns error",
    "error trying to connect",
    "client error",
    "h2 protocol error: ",
    "Timeout expired",
    "Service was not ready: ",
];

/// What `text` says, if a stock codec says it of a request that is being read. `limit` is the most bytes that
/// a message may have.
pub(super) fn of_codec(text: &str, limit: usize) -> Option<Rejection> {
    let (_, found) = CODECS.iter().find(|(begin, _)| text.starts_with(begin))?;
    Some(match found {
        Found::TooLarge => Rejection::TooLarge { limit },
        Found::Malformed => Rejection::Malformed {
            reason: text.to_owned(),
        },
    })
}

/// Whether a stock client says `text` of a call of its own.
pub(super) fn is_of_client(text: &str) -> bool {
    CLIENTS.iter().any(|begin| text.starts_with(begin))
}
