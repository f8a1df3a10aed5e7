//! A log that panics where a greeting says so: no request alone makes this server fail.

use std::fmt::Debug;

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

/// The occasion that is not survived.
pub(crate) const FATAL: &str = "Ragnarok";

/// From now on, and until the guard is dropped, the servers of this thread panic at [`FATAL`].
pub(crate) fn panics() -> DefaultGuard {
    tracing::subscriber::set_default(Panics)
}

struct Panics;

impl Subscriber for Panics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("dual_mode")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Reader);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Reader;

impl Visit for Reader {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        assert!(!text.contains(FATAL), "it was bound to happen: {text}");
    }
}
