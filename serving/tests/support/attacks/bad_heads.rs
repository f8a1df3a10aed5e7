//! HTTP/1 that breaks its rules, above all those that two servers could read in two ways (RFC 9112
//! §11.2).

use super::{
    heads::{answer, status},
    siege::{Siege, Target},
};

const BAD: [&[u8]; 23] = [
    b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
    b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\nx",
    b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 2\r\n\r\nx",
    b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x1\r\n\r\nx",
    b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
    b"GET / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\n host: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\n: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\nx\r\n\r\n",
    b"GET / HTTP/1.1\rhost: a\r\r",
    b"GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET / HTTP/3.0\r\nhost: a\r\n\r\n",
    b"GET /\r\n\r\n",
    b"G\x80T / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03",
    // A preface whose last byte is another, and one that goes on with another frame than SETTINGS.
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r\0\0\0\x04\0\0\0\0\0",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x06\0\0\0\0\0",
];

/// If the request line is fine and only the rest is bad, an answer of 200 would mean that the
/// request was taken.
pub(crate) async fn bad_heads_are_never_served(target: &Target) {
    let siege = Siege::begin(target, &["--first-bytes", "1s"]).await;
    let good = target.get.split(' ').nth(1).expect("a path");
    let mut wrong = Vec::new();
    for bad in BAD {
        let text = String::from_utf8_lossy(bad).into_owned();
        let bytes = match bad.strip_prefix(b"GET / ") {
            Some(rest) => [b"GET ", good.as_bytes(), b" ", rest].concat(),
            None => bad.to_vec(),
        };
        let answer = answer(siege.rest(), &bytes).await;
        if !matches!(status(&answer), None | Some(400..=599)) {
            wrong.push((text, answer));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    siege.end().await;
}
