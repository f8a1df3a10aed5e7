// Protobuf and gRPC-Web by hand, as far as a greeting needs them, so that every byte can be shown.
// https://protobuf.dev/programming-guides/encoding/
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md

const utf8 = new TextEncoder();
const TEXT = 2; // the wire type of texts and messages: a length, and as many bytes
const TRAILERS = 0x80; // the flag of the frame that stands where HTTP/2 has trailers

function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value)); // negative numbers take ten bytes
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest);
  return bytes;
}

/** The bytes of a `RequestMessage`. A field that holds its default is not written. */
export function encodeRequest({ dataCommType, messageType, year }) {
  const text = (number, value) => {
    const bytes = utf8.encode(value);
    return bytes.length ? [...varint((number << 3) | TEXT), ...varint(bytes.length), ...bytes] : [];
  };
  const number = year ? [...varint(3 << 3), ...varint(year)] : [];
  return Uint8Array.from([...text(1, dataCommType), ...text(2, messageType), ...number]);
}

/** The fields of a message, each as `[number, value]`: a BigInt, or bytes. */
function fields(bytes) {
  const found = [];
  let at = 0;
  const next = (length) => {
    if (at + length > bytes.length) throw new Error('the message is cut off');
    at += length;
    return bytes.subarray(at - length, at);
  };
  const read = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const [byte] = next(1);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(read());
    const value = [read, () => next(8), () => next(Number(read())), , , () => next(4)][key & 7];
    if (!value) throw new Error(`field ${key >> 3} has the unknown wire type ${key & 7}`);
    found.push([key >> 3, value()]);
  }
  return found;
}

const decodeText = (bytes) => new TextDecoder().decode(bytes);
const last = (message, number) => fields(message).findLast(([found]) => found === number)?.[1];
const all = (message, number) => fields(message).flatMap(([found, value]) => found === number ? [value] : []);
const text = (message, number) => decodeText(last(message, number) ?? new Uint8Array());

/** The `ResponseMessage` in `bytes`. */
export function decodeAnswer(bytes) {
  return { greetings: text(bytes, 1), messageReceived: Boolean(last(bytes, 2)) };
}

/** A message as gRPC sends it: a flag (0: not compressed), its length in four bytes, and itself. */
export function frame(message) {
  const bytes = new Uint8Array(5 + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, 5);
  return bytes;
}

/** The message in the body of a gRPC-Web answer, if there is one, and the trailers in its last frame. */
export function unframe(body) {
  let message;
  let trailers;
  for (let at = 0; at < body.length;) {
    const start = at + 5;
    if (start > body.length) throw new Error('a frame is cut off');
    const flag = body[at];
    at = start + new DataView(body.buffer, body.byteOffset).getUint32(at + 1);
    if (at > body.length) throw new Error('a frame is cut off');
    const content = body.subarray(start, at);
    if (flag & TRAILERS) {
      trailers = new Headers(decodeText(content).split('\r\n').filter(Boolean).map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      }));
    } else {
      message = content;
    }
  }
  return { message, trailers };
}

function unpercent(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** What `grpc-status` and the others say, from trailers, or from headers where nothing else came. */
export function decodeStatus(headers) {
  const status = { code: Number(headers.get('grpc-status') ?? NaN), message: unpercent(headers.get('grpc-message') ?? '') };
  const details = headers.get('grpc-status-details-bin');
  if (!details) return status;
  const bytes = Uint8Array.from(atob(details.replace(/=+$/, '')), (letter) => letter.charCodeAt(0));
  for (const any of all(bytes, 3)) {
    const detail = last(any, 2) ?? new Uint8Array();
    switch (text(any, 1).replace(/.*\./, '')) {
      case 'ErrorInfo':
        Object.assign(status, { reason: text(detail, 1), domain: text(detail, 2) });
        break;
      case 'BadRequest':
        status.violations = all(detail, 1).map((one) => ({ field: text(one, 1), description: text(one, 2) }));
        break;
      case 'RequestInfo':
        status.requestId = text(detail, 1);
        break;
    }
  }
  return status;
}

/** Bytes as people read them: where, in hexadecimal, and as text. */
export function dump(bytes) {
  const WIDTH = 8;
  const MOST = 512;
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, MOST); at += WIDTH) {
    const row = [...bytes.subarray(at, at + WIDTH)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const letters = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '·')).join('');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${hex.padEnd(3 * WIDTH - 1)}  ${letters}`);
  }
  if (bytes.length > MOST) lines.push(`… and ${bytes.length - MOST} bytes more`);
  return lines.join('\n') || '(no bytes)';
}
