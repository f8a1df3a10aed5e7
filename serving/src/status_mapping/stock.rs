//! Texts of stock codecs and clients, for faults that no type tells: tonic 0.14, prost 0.14.

use super::rejection::Rejection;

/// The meaning of a stock codec's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    TooLarge,
    Malformed,
}

/// The first words of tonic and prost about a message that cannot be read. Faults that the layer finds
/// by itself, such as a message that is cut off, never come to them.
const CODECS: [(&str, Found); 4] = [
    ("Error, decoded message length too large", Found::TooLarge),
    ("Error decompressing: size limit", Found::TooLarge),
    ("Error decompressing: ", Found::Malformed),
    ("failed to decode Protobuf message: ", Found::Malformed),
];

/// The first words of tonic's client about a call of its own that came to no answer.
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

/// The meaning of `text`, if a stock codec says it of a request that is being read. `limit` is the most bytes that
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

/// Returns true if a stock client says `text` of a call of its own.
pub(super) fn is_of_client(text: &str) -> bool {
    CLIENTS.iter().any(|begin| text.starts_with(begin))
}
