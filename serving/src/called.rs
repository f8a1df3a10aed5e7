//! A call of a service that may not be ready yet.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tower::Service;

pin_project_lite::pin_project! {
    /// The answer of a service that is called when it is ready. Most always are: their future is all there is.
    /// The others wait in a box, with their request.
    #[project = CalledProjection]
    pub enum Called<S, Q>
    where
        S: Service<Q>,
    {
        Waiting { waiting: Option<Box<(S, Q)>> },
        Running { #[pin] future: S::Future },
        Failed { error: Option<S::Error> },
    }
}

/// Calls `service`, or waits until it is ready. It is asked at once, and again by the first who polls the answer:
/// nobody has to be woken before.
pub(crate) fn call<S, Q>(mut service: S, request: Q) -> Called<S, Q>
where
    S: Service<Q>,
{
    match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => Called::Running {
            future: service.call(request),
        },
        Poll::Ready(Err(error)) => Called::Failed { error: Some(error) },
        Poll::Pending => Called::Waiting {
            waiting: Some(Box::new((service, request))),
        },
    }
}

impl<S, Q> Future for Called<S, Q>
where
    S: Service<Q>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "it is polled to its end once";
        if let CalledProjection::Waiting { waiting } = self.as_mut().project() {
            let (service, _) = waiting.as_deref_mut().expect(ONCE);
            ready!(service.poll_ready(cx))?;
            let (mut service, request) = *waiting.take().expect(ONCE);
            let future = service.call(request);
            self.set(Self::Running { future });
        }
        match self.project() {
            CalledProjection::Running { future } => future.poll(cx),
            CalledProjection::Failed { error } => Poll::Ready(Err(error.take().expect(ONCE))),
            CalledProjection::Waiting { .. } => unreachable!("it was called"),
        }
    }
}
