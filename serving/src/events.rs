//! Server-sent events: where one ends, so that a word of the server's own comes between two of them
//! (html.spec.whatwg.org, 9.2).

use http::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::Body;

use crate::{grpc::begins, refusal::Refuse, telemetry::codes::Transport};

/// A place in a stream of events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    /// The last two bytes, without carriage returns. A stream begins as if after an event.
    last: [u8; 2],
}

impl Events {
    /// For an answer of REST that is a stream of events, and not compressed.
    pub(crate) fn of<R: Refuse, B: Body>(response: &Response<B>) -> Option<Self> {
        // Most answers are whole, and are asked nothing more.
        if R::TRANSPORT != Transport::Rest || response.body().size_hint().exact().is_some() {
            return None;
        }
        let headers = response.headers();
        let kind = headers.get(CONTENT_TYPE)?.as_bytes();
        let is_stream =
            begins(kind, b"text/event-stream") && !headers.contains_key(CONTENT_ENCODING);
        is_stream.then_some(Self { last: [b'\n'; 2] })
    }

    /// Notes that `data` is passed on.
    pub(crate) fn pass(&mut self, data: &[u8]) {
        let mut bytes = data.iter().rev().filter(|byte| **byte != b'\r');
        let Some(last) = bytes.next() else { return };
        let before = bytes.next().copied().unwrap_or(self.last[1]);
        self.last = [before, *last];
    }

    /// Returns true if no event has begun since the last one ended.
    pub(crate) fn is_between(&self) -> bool {
        self.last == [b'\n'; 2]
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    #[test]
    fn an_event_ends_with_an_empty_line_however_it_is_cut() {
        for (pieces, is_between) in [
            (&[][..], true),
            (&["data: 1\n\n"], true),
            (&["data: 1\r\n\r\n"], true),
            (&["data: 1\n", "\n"], true),
            (&["data: 1\r\n", "\r", "\n"], true),
            (&[": alive\n\n", "data: 1\n"], false),
            (&["data: 1\n\n", "data"], false),
            (&["data: 1\n\n", "d"], false),
        ] {
            let mut events = Events { last: [b'\n'; 2] };
            for piece in pieces {
                events.pass(piece.as_bytes());
            }
            assert_eq!(events.is_between(), is_between, "{pieces:?}");
        }
    }
}
