//! What tonic refuses by itself, in the words of the fault table. A status that a handler made otherwise than
//! from a fault passes as it is, unless it is a bug of the server's: its text is for the log alone. One whose
//! text begins as tonic's own does cannot be told from it: do not hand on the errors of another decoder or
//! client as they are.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use serving::{body::is_incomplete, intake::FULL};
use tonic::{Code, Status, body::Body};
use tower::Service;

use super::status::status;
use crate::faults::{self, Fault};

/// A gRPC service whose refusals by tonic have the details of the fault table.
#[derive(Clone, Debug)]
pub(super) struct Reworded<S> {
    service: S,
    /// The most bytes that a message may have.
    limit: usize,
}

impl<S> Reworded<S> {
    pub(super) fn new(service: S, limit: usize) -> Self {
        Self { service, limit }
    }
}

impl<S, B> Service<Request<B>> for Reworded<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Rewording<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Rewording {
            limit: self.limit,
            answer: self.service.call(request),
        }
    }
}

pin_project! {
    /// The answer to come.
    pub(super) struct Rewording<F> {
        #[pin]
        answer: F,
        limit: usize,
    }
}

impl<F> Future for Rewording<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut answer) = ready!(this.answer.poll(cx));
        // A status among the headers is an answer without a message: a refusal.
        if answer.headers().contains_key(Status::GRPC_STATUS) {
            reword(answer.headers_mut(), *this.limit);
        }
        Poll::Ready(Ok(answer))
    }
}

fn reword(headers: &mut HeaderMap, limit: usize) {
    let Some(refusal) = Status::from_header_map(headers) else {
        return;
    };
    if !refusal.details().is_empty() {
        return;
    }
    let text = refusal.message();
    let begins = |texts: &[&str]| texts.iter().any(|begin| text.starts_with(begin));
    let fault = match refusal.code() {
        Code::OutOfRange | Code::ResourceExhausted if begins(&TOO_LARGE) => {
            Fault::TooLarge { limit }
        }
        // What is not read comes with what is.
        Code::Unimplemented if headers.contains_key("grpc-accept-encoding") => {
            Fault::UnsupportedMediaType {
                form: "this compression".to_owned(),
                accept: "gzip or identity",
            }
        }
        Code::Unimplemented if text.is_empty() => Fault::UnknownMethod,
        // tonic tells the error of a body as its own text, and tonic-web too.
        Code::Internal | Code::Unknown if is_incomplete(text) => Fault::Incomplete,
        // tonic says so of bytes that are not the message, and the gRPC specification lets it. It is the
        // caller who can mend them.
        Code::Internal | Code::Unknown if begins(&MALFORMED) => Fault::Malformed(text.to_owned()),
        // The server around the service says it in its own words.
        Code::Unknown if text == FULL => return,
        code @ (Code::Internal | Code::Unknown | Code::DataLoss) => {
            let request_id = faults::request_id();
            tracing::error!(?code, text, request_id, "a handler failed");
            Fault::Internal
        }
        // A handler's own, or an operators' service's.
        _ => return,
    };
    // It cannot fail: the message is percent-encoded, and the details are base64.
    let _ = status(&fault).add_header(headers);
}

/// How tonic begins to say that a message has more than the limit, before or after it was unpacked.
const TOO_LARGE: [&str; 2] = [
    "Error, decoded message length too large",
    "Error decompressing: size limit",
];

/// How tonic, tonic-web and prost begin to say that the bytes of a request are not what they should be.
const MALFORMED: [&str; 7] = [
    "protocol error: ",
    "h2 protocol error: ",
    "Error decompressing: ",
    "Unexpected EOF decoding stream",
    "Missing request message",
    "failed to decode Protobuf message: ",
    "tonic-web: ",
];

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;
    use tower::{ServiceExt, service_fn};

    use super::*;

    /// What becomes of `refusal` when a handler answers it.
    async fn reworded(refusal: Status) -> Status {
        let service = service_fn(move |_: Request<()>| {
            let answer = refusal.clone().into_http();
            async { Ok::<_, Infallible>(answer) }
        });
        let answer = Reworded::new(service, 7).oneshot(Request::new(())).await;
        let headers = answer.unwrap().into_parts().0.headers;
        Status::from_header_map(&headers).unwrap()
    }

    #[tokio::test]
    async fn a_handlers_own_status_is_not_taken_for_one_of_tonics() {
        for own in [
            Status::resource_exhausted("the quota is used up"),
            Status::unimplemented("not before spring"),
            Status::out_of_range("there is no such page"),
            Status::unavailable("the database is away"),
        ] {
            let passed = reworded(own.clone()).await;
            assert_eq!(
                (passed.code(), passed.message()),
                (own.code(), own.message())
            );
        }
    }

    #[tokio::test]
    async fn what_a_caller_breaks_off_or_sends_too_much_of_is_no_fault_of_the_servers() {
        let gone = Status::unknown("h2 protocol error: stream closed because of a broken pipe");
        assert_eq!(reworded(gone).await.code(), Code::InvalidArgument);
        let gone = Status::unknown("the request body broke off: its connection was closed");
        assert_eq!(reworded(gone).await.code(), Fault::Incomplete.row().code);
        let full = reworded(Status::unknown(FULL)).await;
        assert_eq!((full.code(), full.message()), (Code::Unknown, FULL));
    }

    #[tokio::test]
    async fn what_fails_inside_of_a_handler_says_nothing_about_the_inside() {
        for own in [
            Status::internal("postgres://user:word@db refused"),
            Status::unknown("postgres://user:word@db refused"),
            Status::data_loss("postgres://user:word@db refused"),
        ] {
            let told = reworded(own).await;
            let fault = Fault::Internal;
            assert_eq!(
                (told.code(), told.message()),
                (Code::Internal, &*fault.to_string())
            );
            let details = told.get_error_details();
            assert_eq!(details.error_info().unwrap().reason, fault.row().reason);
        }
    }
}
