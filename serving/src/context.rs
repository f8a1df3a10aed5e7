//! The state of one call that its layers and its handler share: an extension of its request.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use axum::extract::FromRequestParts;
use http::{Extensions, HeaderValue, Request, request::Parts};

use crate::{
    peer::Peer,
    telemetry::{call::Watcher, metrics::Limit, request_id::Id, trace_context::TraceContext},
};

/// State shared by the layers around one call and its handler, an extension of its request. Clones share it. It is
/// empty where neither a listener nor a [`TelemetryLayer`](crate::layers::TelemetryLayer) stands around the call.
///
/// A handler of axum takes it as an argument; one of gRPC asks for it by [`CallContext::of`].
///
/// ```
/// use serving::CallContext;
///
/// async fn handler(call: CallContext) -> String {
///     match call.request_id() {
///         Some(id) => format!("look for {id:?} in the log"),
///         None => "nobody named this call".to_owned(),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
#[derive(Clone, Debug, Default)]
pub struct CallContext(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    /// None where calls are not named.
    names: Option<Names>,
    peer: Option<Peer>,
    /// None where nobody counts.
    watcher: Option<Arc<Watcher>>,
    findings: Findings,
}

/// The names of a call.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) id: Id,
    /// The trace that it belongs to.
    pub(crate) trace: Option<TraceContext>,
}

/// Findings about a call while it goes on.
#[derive(Debug, Default)]
struct Findings {
    /// The caller went before the request was whole.
    gone: AtomicBool,
    /// The code, whatever it is, says what the caller did wrong.
    callers_fault: AtomicBool,
    /// The request found no room.
    no_room: AtomicBool,
}

impl CallContext {
    /// The context of a call that begins now.
    pub(crate) fn begin(
        watcher: Option<&Arc<Watcher>>,
        names: Option<Names>,
        peer: Option<Peer>,
    ) -> Self {
        Self(Some(Arc::new(Inner {
            begun: Instant::now(),
            names,
            peer,
            watcher: watcher.cloned(),
            findings: Findings::default(),
        })))
    }

    /// The context of `request`, which gets one if it has none.
    pub(crate) fn of_or_begun<B>(request: &mut Request<B>) -> Self {
        match request.extensions().get::<Self>() {
            Some(known) => known.clone(),
            None => {
                let begun = Self::begin(None, None, None);
                request.extensions_mut().insert(begun.clone());
                begun
            }
        }
    }

    /// The context of the request with `extensions`.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The name of the call in logs and answers: the caller's own `x-request-id`, or one made here.
    pub fn request_id(&self) -> Option<HeaderValue> {
        Some(self.names()?.id.value())
    }

    /// Returns true if the caller gave the call its id.
    pub(crate) fn is_named_by_caller(&self) -> bool {
        self.names()
            .is_some_and(|names| matches!(names.id, Id::Sent(_)))
    }

    /// The trace that it belongs to.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        self.names()?.trace
    }

    fn names(&self) -> Option<&Names> {
        self.0.as_ref()?.names.as_ref()
    }

    /// The other end of its connection, where a listener stands around it.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.0.as_ref()?.peer.as_ref()
    }

    /// The beginning of the call.
    pub(crate) fn begun(&self) -> Instant {
        self.0.as_ref().map_or_else(Instant::now, |call| call.begun)
    }

    /// Notes that the call ran into `limit`.
    pub(crate) fn hit(&self, limit: Limit) {
        let call = self.0.as_ref();
        if let Some(watcher) = call.and_then(|call| call.watcher.as_ref()) {
            watcher.listener.hit(limit);
        }
    }

    /// Notes that the caller has gone in the middle of its request. Over HTTP/1 one who has only ended its half
    /// of the connection looks the same, and counts as gone.
    pub(crate) fn gone(&self) {
        self.note(|found| &found.gone);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.found(|found| &found.gone)
    }

    /// Notes that the call fails for what its caller did wrong, whatever the code: gRPC has INTERNAL for some of
    /// it.
    pub(crate) fn callers_fault(&self) {
        self.note(|found| &found.callers_fault);
    }

    pub(crate) fn is_callers_fault(&self) -> bool {
        self.found(|found| &found.callers_fault)
    }

    /// Notes that the requests on their way in hold too much memory for this one. The call is refused as one too
    /// many, whatever its handler makes of the error.
    pub(crate) fn no_room(&self) {
        self.note(|found| &found.no_room);
    }

    pub(crate) fn has_no_room(&self) -> bool {
        self.found(|found| &found.no_room)
    }

    fn note(&self, finding: fn(&Findings) -> &AtomicBool) {
        if let Some(call) = &self.0 {
            finding(&call.findings).store(true, Relaxed);
        }
    }

    fn found(&self, finding: fn(&Findings) -> &AtomicBool) -> bool {
        let call = self.0.as_ref();
        call.is_some_and(|call| finding(&call.findings).load(Relaxed))
    }
}

impl<S: Sync> FromRequestParts<S> for CallContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}
