//! Messages in gzip, unpacked before the service reads them. Stock codecs stop at the end of the first member
//! (RFC 1952 §2.2): what follows it would be dropped without a word.

use std::{
    io::Read,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, HeaderName, Request};
use http_body::{Body, Frame};
use thiserror::Error;

use crate::service::BoxError;

/// The flag and the length before each message (gRPC PROTOCOL-HTTP2.md).
const HEAD: usize = 5;

/// Returns true if the messages that come with `headers` may be in gzip.
pub fn is_gzip(headers: &HeaderMap) -> bool {
    static NAME: HeaderName = HeaderName::from_static("grpc-encoding");
    headers
        .iter()
        .any(|(name, value)| *name == NAME && value == "gzip")
}

/// The faults of messages, in the words of stock codecs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WrongMessage {
    /// A message unpacks to more than the limit.
    #[error("Error decompressing: size limit of {limit} bytes exceeded")]
    TooLarge {
        /// The most bytes of a message.
        limit: usize,
    },
    /// A message cannot be unpacked.
    #[error("Error decompressing: {reason}")]
    Malformed {
        /// The fault.
        reason: String,
    },
    /// The body ends within a message.
    #[error("Unexpected EOF decoding stream.")]
    CutOff,
}

pin_project_lite::pin_project! {
    /// A body of gRPC messages, none of which is in gzip any more. It fails where bytes are left that are no
    /// message, and where a message unpacks to more than the limit.
    #[derive(Debug)]
    pub struct Unpacked<B> {
        #[pin]
        body: B,
        limit: usize,
        is_gzip: bool,
        // What has come, and was not passed on.
        come: BytesMut,
        // Bytes that are passed on as they are: the rest of a message.
        rest: usize,
    }
}

impl<B> Unpacked<B> {
    /// `request`, whose messages have at most `limit` bytes. If it names no gzip, they stay as they are.
    pub fn of(request: Request<B>, limit: usize) -> Request<Self> {
        let is_gzip = is_gzip(request.headers());
        request.map(|body| Self {
            is_gzip,
            ..Self::gzip(body, limit)
        })
    }

    /// `body`, whose messages have at most `limit` bytes, and may be in gzip.
    pub fn gzip(body: B, limit: usize) -> Self {
        Self {
            body,
            limit,
            is_gzip: true,
            come: BytesMut::new(),
            rest: 0,
        }
    }
}

/// The next bytes of `come` that can be passed on.
fn next(
    come: &mut BytesMut,
    rest: &mut usize,
    (is_gzip, limit): (bool, usize),
) -> Option<Result<Bytes, WrongMessage>> {
    if *rest == 0 {
        let [flag, length @ ..] = *come.first_chunk::<HEAD>()?;
        let length = u32::from_be_bytes(length) as usize;
        // One that is too long is refused by its head.
        if flag == 1 && is_gzip && length <= limit {
            if come.len() < HEAD + length {
                return None;
            }
            come.advance(HEAD);
            return Some(unpack(&come.split_to(length), limit));
        }
        *rest = HEAD.saturating_add(length);
    }
    let length = come.len().min(*rest);
    *rest -= length;
    (length > 0).then(|| Ok(come.split_to(length).freeze()))
}

/// `message` without gzip, and with its head.
fn unpack(message: &[u8], limit: usize) -> Result<Bytes, WrongMessage> {
    let wrong = |reason: &dyn std::fmt::Display| WrongMessage::Malformed {
        reason: reason.to_string(),
    };
    let mut unpacked = vec![0; HEAD];
    let most = limit as u64 + 1;
    let read = MultiGzDecoder::new(message)
        .take(most)
        .read_to_end(&mut unpacked);
    let length = read.map_err(|error| wrong(&error))?;
    if length > limit {
        return Err(WrongMessage::TooLarge { limit });
    }
    let length = u32::try_from(length).map_err(|error| wrong(&error))?;
    (&mut unpacked[1..]).put_u32(length);
    Ok(unpacked.into())
}

impl<B> Body for Unpacked<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        loop {
            if let Some(bytes) = next(this.come, this.rest, (*this.is_gzip, *this.limit)) {
                return Poll::Ready(Some(bytes.map(Frame::data).map_err(Into::into)));
            }
            match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.come.extend_from_slice(&data),
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None if this.come.is_empty() && *this.rest == 0 => return Poll::Ready(None),
                None => {
                    this.come.clear();
                    *this.rest = 0;
                    return Poll::Ready(Some(Err(WrongMessage::CutOff.into())));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.come.is_empty() && self.rest == 0 && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn message(flag: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[flag][..], &length, bytes].concat()
    }

    /// Reads an unpacked body whose `bytes` come in pieces of `size`. Returns its bytes or its error's text.
    async fn read(bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
        let pieces: Vec<_> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
        let pieces = pieces
            .into_iter()
            .map(|piece| Ok::<_, BoxError>(Frame::data(piece)));
        let body = StreamBody::new(futures_util::stream::iter(pieces));
        let request = Request::post("/").header("grpc-encoding", "gzip");
        let request = Unpacked::of(request.body(body).unwrap(), 100);
        let read = request
            .into_body()
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        Ok(read.to_bytes().to_vec())
    }

    #[tokio::test]
    async fn every_member_of_a_message_is_read_and_nothing_is_left() {
        let plain = message(0, b"plain");
        let both = [gzip(b"one and "), gzip(b"two")].concat();
        for size in [1, 3, 7, 1000] {
            for (sent, read_as) in [
                (plain.clone(), plain.clone()),
                (message(1, &gzip(b"text")), message(0, b"text")),
                (message(1, &both), message(0, b"one and two")),
                (
                    [&plain[..], &message(1, &gzip(b"")), &plain].concat(),
                    [&plain[..], &message(0, b""), &plain].concat(),
                ),
                // Refused by its head, as it is.
                (message(1, &[b'x'; 101]), message(1, &[b'x'; 101])),
            ] {
                assert_eq!(read(&sent, size).await, Ok(read_as));
            }
            for (sent, error) in [
                (
                    message(1, &[&gzip(b"text")[..], b"more"].concat()),
                    "Error decompressing: ",
                ),
                (message(1, &gzip(b"text")[..10]), "Error decompressing: "),
                (message(1, b""), "Error decompressing: "),
                (
                    message(1, &gzip(&[0; 101])),
                    "Error decompressing: size limit",
                ),
                ([&plain[..], b"\0"].concat(), "Unexpected EOF"),
                ([&plain[..], b"\0\0\0\0\x05"].concat(), "Unexpected EOF"),
                (plain[..7].to_vec(), "Unexpected EOF"),
                (message(1, &gzip(b"text"))[..9].to_vec(), "Unexpected EOF"),
            ] {
                let said = read(&sent, size).await.expect_err("it is wrong");
                assert!(said.contains(error), "{said}, and not {error}");
            }
        }
    }
}
