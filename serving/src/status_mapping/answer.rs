//! The answer on its way to the caller: a status in its head, or in its trailers.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tonic::{Code, Status};

use super::{
    Rules, log,
    messages::Progress,
    rejection::{Reject, Rejection, behind},
    stock,
};
use crate::intake::FULL;

pin_project_lite::pin_project! {
    /// The answer to come.
    pub struct Mapping<F, W> {
        #[pin]
        state: State<F, W>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F, W> {
        Running {
            #[pin]
            answer: F,
            progress: Arc<Progress>,
            rules: Arc<Rules<W>>,
        },
        Rejected { answer: Option<Box<Response<Full<Bytes>>>> },
    }
}

impl<F, W> Mapping<F, W> {
    pub(super) fn running(answer: F, progress: Arc<Progress>, rules: Arc<Rules<W>>) -> Self {
        let state = State::Running {
            answer,
            progress,
            rules,
        };
        Self { state }
    }

    pub(super) fn rejected(answer: Response<Full<Bytes>>) -> Self {
        let answer = Some(Box::new(answer));
        Self {
            state: State::Rejected { answer },
        }
    }
}

impl<F, W, B, E> Future for Mapping<F, W>
where
    F: Future<Output = Result<Response<B>, E>>,
    W: Reject,
{
    type Output = Result<Response<Mapped<B, W>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (answer, progress, rules) = match self.project().state.project() {
            StateProjection::Rejected { answer } => {
                let answer = answer.take().expect("it is polled to its end once");
                return Poll::Ready(Ok(answer.map(Mapped::rejected)));
            }
            StateProjection::Running {
                answer,
                progress,
                rules,
            } => (answer, progress, rules),
        };
        let mut answer = ready!(progress.ask(|| answer.poll(cx)))?;
        let said = answer.extensions_mut().remove::<Status>();
        map(answer.headers_mut(), said.as_ref(), progress, rules);
        let (progress, rules) = (Arc::clone(progress), Arc::clone(rules));
        Poll::Ready(Ok(answer.map(|body| Mapped {
            content: Content::Service {
                body,
                progress,
                rules,
            },
        })))
    }
}

pin_project_lite::pin_project! {
    /// An answer whose trailers are mapped.
    pub struct Mapped<B, W> {
        #[pin]
        content: Content<B, W>,
    }
}

pin_project_lite::pin_project! {
    #[project = ContentProjection]
    enum Content<B, W> {
        Service {
            #[pin]
            body: B,
            progress: Arc<Progress>,
            rules: Arc<Rules<W>>,
        },
        Rejected { body: Full<Bytes> },
    }
}

impl<B, W> Mapped<B, W> {
    fn rejected(body: Full<Bytes>) -> Self {
        Self {
            content: Content::Rejected { body },
        }
    }
}

impl<B, W> Body for Mapped<B, W>
where
    B: Body<Data = Bytes>,
    W: Reject,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().content.project() {
            ContentProjection::Rejected { body } => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            ContentProjection::Service {
                body,
                progress,
                rules,
            } => {
                let mut frame = ready!(progress.ask(|| body.poll_frame(cx)));
                if let Some(Ok(frame)) = &mut frame
                    && let Some(trailers) = frame.trailers_mut()
                {
                    map(trailers, None, progress, rules);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Service { body, .. } => body.is_end_stream(),
            Content::Rejected { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Service { body, .. } => body.size_hint(),
            Content::Rejected { body } => body.size_hint(),
        }
    }
}

/// Maps the status among `headers`, if there is one. It is `said` where the service keeps it whole.
fn map<W: Reject>(
    headers: &mut HeaderMap,
    said: Option<&Status>,
    progress: &Progress,
    rules: &Rules<W>,
) {
    static NAME: HeaderName = Status::GRPC_STATUS;
    let status = headers.iter().find(|(name, _)| **name == NAME);
    if status.is_none_or(|(_, status)| status == "0") {
        return;
    }
    let Some(status) = Status::from_header_map(headers) else {
        return;
    };
    let is_of_client = said.is_some_and(comes_of_client);
    let rejection = match progress.found(status.message()) {
        Some(rejection) => rejection.clone(),
        None => match decide(&status, is_of_client, headers, progress, rules) {
            Some(rejection) => rejection,
            None => return,
        },
    };
    if !matches!(rejection, Rejection::Internal | Rejection::Unavailable) {
        progress.call().callers_fault();
    } else if let Some(said) = said {
        // Its metadata is of the inside, too.
        for name in said.metadata().clone().into_headers().keys() {
            if *name != CONTENT_TYPE {
                headers.remove(name);
            }
        }
    } else if !headers.contains_key(CONTENT_TYPE) {
        // They are trailers, which hold nothing but the status and its metadata.
        headers.clear();
    }
    for name in [
        Status::GRPC_STATUS,
        Status::GRPC_MESSAGE,
        Status::GRPC_STATUS_DETAILS,
    ] {
        headers.remove(name);
    }
    // It cannot fail: the message is percent-encoded, and the details are base64.
    let _ = rules
        .words
        .status(&rejection, progress.call())
        .add_header(headers);
}

/// Returns true if the cause of `said` is a connection's, and not one that a handler has added.
fn comes_of_client(said: &Status) -> bool {
    crate::client::causes(said).any(|cause| {
        cause.is::<tonic::transport::Error>()
            || cause.is::<tonic::ConnectError>()
            || cause.is::<tonic::TimeoutExpired>()
            || cause.is::<hyper::Error>()
            || cause.is::<h2::Error>()
    })
}

/// The rejection that the caller sees instead of `status`; none if it passes as it is.
fn decide<W: Reject>(
    status: &Status,
    is_of_client: bool,
    headers: &HeaderMap,
    progress: &Progress,
    rules: &Rules<W>,
) -> Option<Rejection> {
    let (code, text) = (status.code(), status.message());
    let is_typed = !status.details().is_empty();
    match code {
        Code::OutOfRange | Code::ResourceExhausted | Code::Internal | Code::Unknown
            if progress.is_fresh() && !is_typed && !is_of_client =>
        {
            if let Some(rejection) = stock::of_codec(text, rules.limit) {
                return Some(rejection);
            }
        }
        _ => {}
    }
    // Where the request was not being read, it is an answer that a client of the handler was to read.
    let is_clients_size = !is_typed
        && matches!(code, Code::OutOfRange | Code::ResourceExhausted)
        && stock::of_codec(text, rules.limit).is_some();
    // The codes that a client gives to a call that came to no answer.
    let may_be = matches!(
        code,
        Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Internal
            | Code::Unavailable
    );
    let is_of_client = is_of_client || is_clients_size || (may_be && stock::is_of_client(text));
    match code {
        Code::Internal | Code::Unknown | Code::DataLoss
            if rules.passes_failures && !is_of_client =>
        {
            None
        }
        Code::Internal | Code::Unknown | Code::DataLoss => {
            // The server around the service says it in its own words, or has said it in those of the table.
            if text == FULL || (is_typed && text == Rejection::Internal.message()) {
                return None;
            }
            log(code, &text, progress.call());
            Some(Rejection::Internal)
        }
        _ if is_of_client => {
            log(code, &text, progress.call());
            Some(match is_clients_size {
                true => Rejection::Internal,
                false => behind(code),
            })
        }
        // What is not read comes with what is.
        Code::Unimplemented if headers.contains_key("grpc-accept-encoding") && !is_typed => {
            Some(Rejection::UnsupportedEncoding)
        }
        Code::Unimplemented if text.is_empty() => Some(Rejection::UnknownMethod),
        _ => None,
    }
}
