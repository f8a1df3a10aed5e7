//! Bytes that break the rules of HTTP/2, or look as if they did, and what is to come of them.

use super::{
    siege::Target,
    wire::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE,
        PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WITH_PRIORITY, frame, head, literal, request,
        settings, text, window_update,
    },
};

/// The reaction that RFC 9113 asks of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To go on as if nothing had come.
    Ignored,
    /// To refuse the request or to reset the stream.
    StreamError,
    /// To end the connection.
    ConnectionError,
    /// To end the connection, which h2 does not: what matters is that it does no harm.
    Tolerated,
}
use Verdict::{ConnectionError, Ignored, StreamError, Tolerated};

pub(super) type Case = (&'static str, Vec<u8>, Verdict);

/// Frames that belong to no request.
pub(super) fn of_connections() -> Vec<Case> {
    let ping = b"01234567";
    let most = i32::MAX as u32;
    vec![
        ("an unknown type", frame(0xfa, 0xff, 0, b"?"), Ignored),
        (
            "an unknown type on a stream",
            frame(0xfa, 0, 9, b"?"),
            Ignored,
        ),
        ("an unknown setting", settings(&[(0xfafa, 1)]), Ignored),
        ("the reserved bit", frame(PING, 0, 1 << 31, ping), Ignored),
        ("unknown flags", frame(PING, 0xfe, 0, ping), Ignored),
        (
            "PRIORITY before its stream",
            frame(PRIORITY, 0, 7, &[0; 5]),
            Ignored,
        ),
        ("PING on a stream", frame(PING, 0, 1, ping), ConnectionError),
        (
            "a short PING",
            frame(PING, 0, 0, b"0123456"),
            ConnectionError,
        ),
        (
            "a long PING",
            frame(PING, 0, 0, b"012345678"),
            ConnectionError,
        ),
        (
            "SETTINGS of 5 bytes",
            frame(SETTINGS, 0, 0, &[0; 5]),
            ConnectionError,
        ),
        (
            "SETTINGS on a stream",
            frame(SETTINGS, 0, 1, &[]),
            ConnectionError,
        ),
        (
            "ACK with settings",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            ConnectionError,
        ),
        (
            "a window of 2^31",
            settings(&[(4, 1 << 31)]),
            ConnectionError,
        ),
        ("frames of 1 byte", settings(&[(5, 1)]), ConnectionError),
        ("half a push", settings(&[(2, 2)]), ConnectionError),
        ("WINDOW_UPDATE of 0", window_update(0, 0), ConnectionError),
        (
            "too large a window",
            window_update(0, most).repeat(2),
            ConnectionError,
        ),
        (
            "WINDOW_UPDATE of 3 bytes",
            frame(8, 0, 0, &[0; 3]),
            ConnectionError,
        ),
        (
            "GOAWAY on a stream",
            frame(GOAWAY, 0, 1, &[0; 8]),
            Tolerated,
        ),
        (
            "a short GOAWAY",
            frame(GOAWAY, 0, 0, &[0; 7]),
            ConnectionError,
        ),
        (
            "a length above the limit",
            head(16_385, PING, 0, 0),
            ConnectionError,
        ),
        (
            "the greatest length",
            head(0xff_ffff, DATA, 0, 1),
            ConnectionError,
        ),
        ("a second preface", PREFACE.to_vec(), ConnectionError),
    ]
}

/// Frames of streams, in the wrong place or of the wrong size.
pub(super) fn of_streams() -> Vec<Case> {
    vec![
        ("DATA on stream 0", frame(DATA, 0, 0, b"x"), ConnectionError),
        (
            "DATA before HEADERS",
            frame(DATA, 0, 1, b"x"),
            ConnectionError,
        ),
        (
            "HEADERS on stream 0",
            frame(HEADERS, END_HEADERS, 0, &[]),
            ConnectionError,
        ),
        (
            "empty padding",
            frame(DATA, PADDED, 0, &[]),
            ConnectionError,
        ),
        (
            "CONTINUATION of nothing",
            frame(CONTINUATION, 4, 1, &[]),
            ConnectionError,
        ),
        (
            "PUSH_PROMISE",
            frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2]),
            ConnectionError,
        ),
        (
            "RST_STREAM of no stream",
            frame(RST_STREAM, 0, 0, &[0; 4]),
            ConnectionError,
        ),
        (
            "RST_STREAM of an idle stream",
            frame(RST_STREAM, 0, 7, &[0; 4]),
            ConnectionError,
        ),
        (
            "RST_STREAM of 3 bytes",
            frame(RST_STREAM, 0, 1, &[0; 3]),
            ConnectionError,
        ),
        (
            "PRIORITY of 4 bytes",
            frame(PRIORITY, 0, 1, &[0; 4]),
            ConnectionError,
        ),
        (
            "WINDOW_UPDATE of an idle stream",
            window_update(7, 1),
            ConnectionError,
        ),
    ]
}

/// Requests that are none.
pub(super) fn of_requests(target: &Target) -> Vec<Case> {
    let request = request(target.path);
    let open = |id, flags, block: &[u8]| frame(HEADERS, END_HEADERS | flags, id, block);
    let with = |name, value| [&request[..], &literal(name, value)].concat();
    let whole = |block: &[u8]| open(1, END_STREAM, block);
    let never_indexed = |name| [vec![0x10], text(name), text("x")].concat();
    let two = |first: Vec<u8>, second: Vec<u8>| [first, second].concat();
    let data = frame(DATA, END_STREAM, 1, &[]);
    vec![
        (
            "an even stream",
            open(2, END_STREAM, &request),
            ConnectionError,
        ),
        (
            "a stream that goes back",
            two(open(5, END_STREAM, &request), open(3, END_STREAM, &request)),
            ConnectionError,
        ),
        (
            "padding longer than its frame",
            open(1, PADDED, &[200, 0]),
            ConnectionError,
        ),
        (
            "an index of nothing",
            whole(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
            ConnectionError,
        ),
        ("an endless index", whole(&[0xff; 40]), ConnectionError),
        ("index 0", whole(&[0x80]), ConnectionError),
        (
            "a string beyond its frame",
            whole(&[0, 0x7f, 0xff, 0xff, 0x7f]),
            ConnectionError,
        ),
        (
            "a table beyond the limit",
            whole(&[0x3f, 0xff, 0xff, 0x7f]),
            ConnectionError,
        ),
        (
            "a wrong Huffman code",
            whole(&[0, 0x81, 0x00, 0x84, 0xff, 0xff, 0xff, 0xff]),
            ConnectionError,
        ),
        (
            "a stream that waits for itself",
            open(1, WITH_PRIORITY, &[&[0, 0, 0, 1, 0], &request[..]].concat()),
            StreamError,
        ),
        (
            "a frame between HEADERS and CONTINUATION",
            two(
                frame(HEADERS, 0, 1, &request),
                frame(PING, 0, 0, b"01234567"),
            ),
            ConnectionError,
        ),
        (
            "CONTINUATION of another stream",
            two(
                frame(HEADERS, 0, 1, &request),
                frame(CONTINUATION, 4, 3, &[]),
            ),
            ConnectionError,
        ),
        (
            "DATA after the end",
            two(whole(&request), data.clone()),
            StreamError,
        ),
        (
            "a header in upper case",
            whole(&with("X-Upper", "x")),
            StreamError,
        ),
        (
            "a header of HTTP/1",
            whole(&with("connection", "close")),
            StreamError,
        ),
        (
            "a pseudo-header of answers",
            whole(&with(":status", "200")),
            StreamError,
        ),
        (
            "an unknown pseudo-header",
            whole(&with(":fa", "x")),
            StreamError,
        ),
        (
            "a line end in a value",
            whole(&with("x", "a\r\nb: c")),
            StreamError,
        ),
        (
            "a name without letters",
            whole(&[&request[..], &never_indexed("")].concat()),
            StreamError,
        ),
        (
            "nothing but a method",
            whole(&literal(":method", "POST")),
            StreamError,
        ),
        (
            "less than its length",
            two(open(1, 0, &with("content-length", "9")), data),
            StreamError,
        ),
    ]
}
