//! The calls of one HTTP/1.1 connection. An answer to a request that was not read to its end says that the
//! connection closes (RFC 9112 §9.6), unless the rest of the request is short and there.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{CONNECTION, EXPECT},
};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use tokio::time::{Sleep, sleep};

use crate::{
    limits::Limits,
    received::Received,
    unread::{Http1Body, Unread},
};

/// A rest of a request that is read so that its connection can go on. More costs less by a new connection.
const SHORT: u64 = 64 * 1024;

/// Longest wait of an answer for such a rest.
const SOON: Duration = Duration::from_millis(100);

/// hyper, with `limits` set. It has no timer for heads, which it would set anew for each request: idle connections
/// and slow heads are ended by [`connection`](crate::connection), by timers that no request sets.
pub(crate) fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_buf_size(limits.head)
        .max_header_size(limits.head)
        .max_headers(limits.headers)
        // A peer that has sent all may close its side, and still gets the answer.
        .half_close(true);
    builder
}

/// The service of one connection.
pub(crate) struct Http1<S> {
    pub(crate) service: S,
    pub(crate) unread: Arc<Unread>,
}

impl<S, B> Service<Request<Incoming>> for Http1<S>
where
    S: Service<Request<Received>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Exchange<S::Future, B>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let has_body = !request.body().is_end_stream();
        let is_patient = has_body && expects_continue(request.headers());
        let request = request.map(|body| Received::http1(Http1Body::new(body, &self.unread)));
        Exchange {
            call: Some(self.service.call(request)),
            answer: None,
            unread: has_body.then(|| Arc::clone(&self.unread)),
            is_patient,
            rest: None,
        }
    }
}

/// Returns true if the peer holds the body back until it is asked for it (RFC 9110 §10.1.1).
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.iter().any(|(name, _)| name == EXPECT)
}

pin_project_lite::pin_project! {
    /// A call until its answer begins, and until it is known whether the connection can go on.
    pub(crate) struct Exchange<F, B> {
        #[pin]
        call: Option<F>,
        answer: Option<Response<B>>,
        // Where the body is left, if there is one.
        unread: Option<Arc<Unread>>,
        is_patient: bool,
        rest: Option<Rest>,
    }
}

impl<F, B> Future for Exchange<F, B>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(call) = this.call.as_mut().as_pin_mut() {
            let answer = ready!(call.poll(cx))?;
            let Some(unread) = this.unread else {
                return Poll::Ready(Ok(answer));
            };
            // Whatever of the request the call still holds is left now.
            this.call.set(None);
            *this.rest = match unread.take() {
                None => return Poll::Ready(Ok(answer)),
                // To read it would ask for it.
                Some(_) if *this.is_patient => return Poll::Ready(Ok(last(answer))),
                Some(body) if body.size_hint().lower() > SHORT => {
                    return Poll::Ready(Ok(last(answer)));
                }
                Some(body) => Some(Rest {
                    body,
                    left: SHORT,
                    timer: Box::pin(sleep(SOON)),
                }),
            };
            *this.answer = Some(answer);
        }
        let is_read = match this.rest {
            Some(rest) => ready!(rest.poll(cx)),
            None => false,
        };
        let answer = this.answer.take().expect("it is polled to its end once");
        if !is_read {
            return Poll::Ready(Ok(last(answer)));
        }
        if let Some(unread) = this.unread {
            unread.all_read();
        }
        Poll::Ready(Ok(answer))
    }
}

/// `answer` as the last one of its connection.
fn last<B>(mut answer: Response<B>) -> Response<B> {
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// The rest of a request that nobody wants.
struct Rest {
    body: Incoming,
    left: u64,
    timer: Pin<Box<Sleep>>,
}

impl Rest {
    /// Reads it. Ready with true if it was read to its end, with false if reading failed, or it is too
    /// long or too slow.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let length = match frame {
                None => return Poll::Ready(true),
                Some(Err(_)) => return Poll::Ready(false),
                Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.len() as u64),
            };
            if length > self.left {
                return Poll::Ready(false);
            }
            self.left -= length;
            if self.body.is_end_stream() {
                return Poll::Ready(true);
            }
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(false)
    }
}
