//! HTTP/2 written by hand (RFC 9113 §4, §6), and just enough of HPACK (RFC 7541).

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const WITH_PRIORITY: u8 = 32;

pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame as it was read.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(payload.len(), kind, flags, stream);
    frame.extend_from_slice(payload);
    frame
}

/// The nine bytes before a payload of `length`, true or not.
pub(crate) fn head(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut head = (length as u32).to_be_bytes()[1..].to_vec();
    head.extend([kind, flags]);
    head.extend(stream.to_be_bytes());
    head
}

/// SETTINGS with each (identifier, value).
pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (identifier, value) in values {
        payload.extend(identifier.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// A header that is not put into the dynamic table (RFC 7541 §6.2.2).
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0];
    block.extend(text(name));
    block.extend(text(value));
    block
}

/// A string without Huffman's code (RFC 7541 §5.2).
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut string = Vec::new();
    match text.len() {
        short @ ..127 => string.push(short as u8),
        long => {
            string.push(127);
            let mut rest = long - 127;
            while rest >= 128 {
                string.push(rest as u8 | 128);
                rest /= 128;
            }
            string.push(rest as u8);
        }
    }
    string.extend_from_slice(text.as_bytes());
    string
}

/// The header block of a gRPC request to `path`.
pub(crate) fn request(path: &str) -> Vec<u8> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    headers
        .iter()
        .flat_map(|(name, value)| literal(name, value))
        .collect()
}

/// A message as gRPC frames it, declared to be `length` long.
pub(crate) fn message(compressed: u8, length: u32, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![compressed];
    message.extend(length.to_be_bytes());
    message.extend_from_slice(bytes);
    message
}

/// `number` as a header's value in Huffman's code, in which h2 writes (RFC 7541 appendix B).
pub(crate) fn coded(number: u32) -> Vec<u8> {
    let (mut bits, mut length) = (0_u64, 0);
    for digit in number
        .to_string()
        .bytes()
        .map(|digit| u64::from(digit - b'0'))
    {
        let (code, width) = if digit < 3 {
            (digit, 5)
        } else {
            (digit + 22, 6)
        };
        bits = bits << width | code;
        length += width;
    }
    let bytes = usize::div_ceil(length, 8);
    let padding = bytes * 8 - length;
    bits = bits << padding | ((1 << padding) - 1);
    let mut coded = vec![128 | bytes as u8];
    coded.extend_from_slice(&bits.to_be_bytes()[8 - bytes..]);
    coded
}

/// A field of protobuf with a text of `length` bytes.
pub(crate) fn text_field(number: u8, length: usize) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut rest = length;
    while rest >= 128 {
        field.push(rest as u8 | 128);
        rest /= 128;
    }
    field.push(rest as u8);
    field.extend(vec![b'x'; length]);
    field
}
