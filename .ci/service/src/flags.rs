//! Which messages of a request came compressed: tonic does not say.
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tower::Service;

#[derive(Clone, Default, Debug)]
pub(crate) struct Flags(Arc<Mutex<State>>);
#[derive(Default, Debug)]
struct State {
    prefix: Vec<u8>,
    left: usize,
    flags: Vec<bool>,
}

impl Flags {
    pub(crate) fn compressed(&self, index: usize) -> Option<bool> {
        self.0.lock().unwrap().flags.get(index).copied()
    }
    fn see(&self, mut data: &[u8]) {
        let mut state = self.0.lock().unwrap();
        while !data.is_empty() {
            if state.left > 0 {
                let step = state.left.min(data.len());
                state.left -= step;
                data = &data[step..];
                continue;
            }
            state.prefix.push(data[0]);
            data = &data[1..];
            if let [flag, a, b, c, d] = state.prefix[..] {
                state.flags.push(flag == 1);
                state.left = u32::from_be_bytes([a, b, c, d]) as usize;
                state.prefix.clear();
            }
        }
    }
}

pub(crate) struct Seen<B> {
    body: B,
    flags: Flags,
}
impl<B: Body<Data = Bytes> + Unpin> Body for Seen<B> {
    type Data = Bytes;
    type Error = B::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.flags.see(data);
        }
        polled
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SeeFlags<S>(pub(crate) S);
impl<S: tonic::server::NamedService> tonic::server::NamedService for SeeFlags<S> {
    const NAME: &'static str = S::NAME;
}
impl<S, B> Service<Request<B>> for SeeFlags<S>
where
    S: Service<Request<Seen<B>>, Error = Infallible>,
    B: Body,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }
    fn call(&mut self, request: Request<B>) -> S::Future {
        let flags = Flags::default();
        let mut request = request.map(|body| Seen {
            body,
            flags: flags.clone(),
        });
        request.extensions_mut().insert(flags);
        self.0.call(request)
    }
}
