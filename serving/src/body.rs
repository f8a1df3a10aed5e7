//! Request bodies that must keep coming.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Request;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::{
    context::CallContext,
    intake::{is_malformed, is_own},
    service::BoxError,
    telemetry::metrics::Limit,
};

/// Error text of a body that paused for too long.
const PAUSED: &str = "the request body paused for too long";

/// Error text of a body that broke off for a reason without a text of its own.
const BROKE_OFF: &str = "the request body broke off";

/// Error text of a body whose chunks are not valid HTTP/1.
pub(crate) const MALFORMED: &str = "the request body is not in chunks as HTTP/1.1 has them";

/// Returns true if `message`, the text of an error, says that a body did not come whole.
pub fn is_incomplete(message: &str) -> bool {
    [PAUSED, BROKE_OFF]
        .iter()
        .any(|text| message.contains(text))
}

/// The error of a body that ends with `error`.
fn end(error: BoxError) -> BoxError {
    if is_own(&error) {
        error
    } else if is_malformed(&error) {
        MALFORMED.into()
    } else {
        BROKE_OFF.into()
    }
}

pin_project_lite::pin_project! {
    /// A body that fails when it pauses for too long. It arms no timer as long as data is there.
    pub struct Unpaused<B> {
        #[pin]
        body: B,
        limit: Duration,
        timer: Option<Pin<Box<Sleep>>>,
        call: CallContext,
    }
}

impl<B> Unpaused<B> {
    /// `request`, whose body may pause for at most `limit`.
    pub fn request(request: Request<B>, limit: Duration) -> Request<Self> {
        let call = CallContext::of(request.extensions());
        request.map(|body| Self {
            body,
            limit,
            timer: None,
            call,
        })
    }
}

impl<B> Body for Unpaused<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            *this.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| end(error.into()))));
        }
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(sleep(*this.limit)));
        ready!(timer.as_mut().poll(cx));
        this.call.hit(Limit::BodyPause);
        Poll::Ready(Some(Err(PAUSED.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
