//! The unread parts of the requests of an HTTP/1.1 connection.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::telemetry::metrics::locked;

/// The unread parts of the requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// Bytes have come since the last request that was read to its end: its peer may be sending more.
    owed: AtomicBool,
    /// The request that is being answered.
    left: Mutex<Left>,
}

/// The rest of a request.
#[derive(Debug, Default)]
struct Left {
    /// The body that nobody reads any more.
    body: Option<Incoming>,
    /// Its answer has begun: nobody asks for the body any more, and hyper must be told when it is dropped.
    is_answered: bool,
}

impl Unread {
    /// Notes that bytes have come.
    pub(crate) fn came(&self) {
        self.owed.store(true, Relaxed);
    }

    /// Notes that a request was read to its end.
    pub(crate) fn all_read(&self) {
        self.owed.store(false, Relaxed);
    }

    /// Returns true if a request has begun to come and was not read to its end.
    pub(crate) fn is_owed(&self) -> bool {
        self.owed.load(Relaxed)
    }

    /// The body that was left. If none was, the answer begins without it: what is left from now on is dropped.
    pub(crate) fn take(&self) -> Option<Incoming> {
        let mut left = locked(&self.left);
        let body = left.body.take();
        left.is_answered = body.is_none();
        body
    }

    /// Notes that the body of the next request comes.
    fn begins(&self) {
        *locked(&self.left) = Left::default();
    }

    /// Keeps `body`, which nobody reads any more, if its answer has not begun.
    fn leave(&self, body: Option<Incoming>) {
        let mut left = locked(&self.left);
        if !left.is_answered {
            left.body = body;
        }
    }
}

/// The body of a request over HTTP/1.1. When it is dropped, its unread part is left to its connection.
#[derive(Debug)]
pub(crate) struct Http1Body {
    /// There until it is dropped.
    body: Option<Incoming>,
    /// None if it has ended.
    unread: Option<Arc<Unread>>,
}

impl Http1Body {
    pub(crate) fn new(body: Incoming, unread: &Arc<Unread>) -> Self {
        let unread = if body.is_end_stream() {
            unread.all_read();
            None
        } else {
            unread.begins();
            Some(Arc::clone(unread))
        };
        let body = Some(body);
        Self { body, unread }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let is_whole = match &frame {
            None => true,
            Some(Ok(_)) => body.is_end_stream(),
            // The connection ends with it; what comes after cannot be told from another request.
            Some(Err(_)) => {
                self.unread = None;
                false
            }
        };
        if is_whole && let Some(unread) = self.unread.take() {
            unread.all_read();
        }
        Poll::Ready(frame)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Http1Body {
    fn drop(&mut self) {
        if let Some(unread) = self.unread.take() {
            unread.leave(self.body.take());
        }
    }
}
