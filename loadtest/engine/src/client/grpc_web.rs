//! gRPC-Web over HTTP/1.1: gRPC's frames in a body, with the trailers in the last of them
//! (grpc/grpc, doc/PROTOCOL-WEB.md).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, response::Parts};
use tonic::{Response, Status, metadata::MetadataMap};

use super::{
    CallError, Received,
    channel::{NotGrpc, drop_unreadable_details},
    codec::PREFIX,
};

/// The media type, of messages in protobuf.
pub(crate) const MEDIA_TYPE: &str = "application/grpc-web+proto";

/// The flag of a message that is not compressed. Compressed ones were not asked for.
const MESSAGE: u8 = 0;

/// The flag of trailers.
const TRAILERS: u8 = 0x80;

/// The body of a call: `message` in its frame.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(PREFIX + message.len());
    body.put_u8(MESSAGE);
    // A request of 4 GiB does not fit into a trial: its workload is bounded.
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.put_slice(message);
    body.freeze()
}

/// The message or the status in a whole reply over HTTP.
pub(super) fn read(mut head: Parts, body: Bytes) -> Result<Received, CallError> {
    NotGrpc::unless(is_grpc_web, head.status, &head.headers)?;
    if !body.is_empty() {
        // The status is in the trailers then, whatever the head says.
        for name in [
            Status::GRPC_STATUS,
            Status::GRPC_MESSAGE,
            Status::GRPC_STATUS_DETAILS,
        ] {
            head.headers.remove(name);
        }
    }
    let message = frames(body, &mut head.headers).map_err(CallError::BadReply)?;
    let is_ok = |status: &HeaderValue| status == "0";
    if !head.headers.get(Status::GRPC_STATUS).is_some_and(is_ok) {
        drop_unreadable_details(&mut head.headers);
        let status = Status::from_header_map(&head.headers);
        return status
            .map(Received::Status)
            .ok_or(CallError::BadReply("it has no status"));
    }
    let message = message.ok_or(CallError::BadReply("it has no message"))?;
    let mut reply = Response::new(message);
    *reply.metadata_mut() = MetadataMap::from_headers(head.headers);
    Ok(Received::Grpc(reply))
}

/// Returns true if `media` is that of gRPC-Web in binary: what is in base64 was not asked for.
fn is_grpc_web(media: &[u8]) -> bool {
    let rest = media.strip_prefix(b"application/grpc-web");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// The message in `body`, whose trailers are added to `headers`; none where there is none. A reply that is a
/// status alone has no body, and its trailers are among its headers already.
fn frames(mut body: Bytes, headers: &mut HeaderMap) -> Result<Option<Bytes>, &'static str> {
    let mut message = None;
    while body.has_remaining() {
        let cut = "it ends within a frame";
        let flag = body.try_get_u8().map_err(|_| cut)?;
        let length = body.try_get_u32().map_err(|_| cut)? as usize;
        if length > body.len() {
            return Err(cut);
        }
        let frame = body.split_to(length);
        match flag {
            MESSAGE if message.is_none() => message = Some(frame),
            MESSAGE => return Err("it has two messages"),
            TRAILERS if body.is_empty() => trailers(&frame, headers)?,
            TRAILERS => return Err("it goes on behind its trailers"),
            _ => return Err("it has a frame that is compressed, or of an unknown kind"),
        }
    }
    Ok(message)
}

/// Adds trailers, which are written like the head of HTTP/1.1, to `headers`.
fn trailers(frame: &[u8], headers: &mut HeaderMap) -> Result<(), &'static str> {
    for line in frame.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let broken = "its trailers are no lines of names and values";
        let colon = line.iter().position(|byte| *byte == b':').ok_or(broken)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| broken)?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).map_err(|_| broken)?;
        headers.append(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(
        content_type: &str,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Result<Received, CallError> {
        let mut response = http::Response::new(());
        let all = [("content-type", content_type)];
        for (name, value) in all.iter().chain(headers) {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        read(response.into_parts().0, Bytes::copy_from_slice(body))
    }

    #[test]
    fn a_message_and_its_trailers_are_read_from_the_body() {
        assert_eq!(framed(b"hello"), &b"\0\0\0\0\x05hello"[..]);
        let body = b"\0\0\0\0\x05hello\x80\0\0\0\x13grpc-status:0\r\na: b";
        let Ok(Received::Grpc(found)) = reply(MEDIA_TYPE, &[], body) else {
            panic!("no message");
        };
        assert_eq!(found.get_ref(), &b"hello"[..]);
        assert_eq!(found.metadata().get("a").unwrap(), "b");
    }

    #[test]
    fn a_status_is_read_from_trailers_and_from_headers() {
        let refused = [
            ("grpc-status", "5"),
            ("grpc-message", "not%20there"),
            ("grpc-status-details-bin", "no base64"),
        ];
        let in_body = b"\x80\0\0\0\x2bGRPC-Status: 5\r\ngrpc-message: not%20there\r\n";
        let good = [("grpc-status", "0")];
        for (headers, body) in [(&refused[..], &b""[..]), (&[], in_body), (&good, in_body)] {
            let Ok(Received::Status(status)) = reply(MEDIA_TYPE, headers, body) else {
                panic!("no status");
            };
            assert_eq!(status.code(), tonic::Code::NotFound);
            assert_eq!(status.message(), "not there");
        }
    }

    #[test]
    fn what_is_no_reply_of_grpc_web_is_told() {
        for (content_type, body, expected) in [
            ("text/html", &b"<html>"[..], "not gRPC"),
            ("application/grpc-web-text", b"AAAAAAA=", "not gRPC"),
            (MEDIA_TYPE, b"", "no status"),
            (MEDIA_TYPE, b"\0\0\0\0\x05hell", "within a frame"),
            (MEDIA_TYPE, b"\0\0\0", "within a frame"),
            (MEDIA_TYPE, b"\x01\0\0\0\0", "compressed"),
            (MEDIA_TYPE, b"\0\0\0\0\0\0\0\0\0\0", "two messages"),
            (MEDIA_TYPE, b"\x80\0\0\0\x0dgrpc-status:0", "no message"),
            (MEDIA_TYPE, b"\x80\0\0\0\x0dgrpc-status:0\0", "goes on"),
            (MEDIA_TYPE, b"\x80\0\0\0\x03abc", "names and values"),
        ] {
            let error = reply(content_type, &[], body).err().unwrap().to_string();
            assert!(error.contains(expected), "{body:?}: {error}");
        }
    }
}
