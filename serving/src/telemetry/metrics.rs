//! The counters of a process. Each thread counts in a shard of its own, at places that were found before the
//! call came or are found without a lock, so that counting costs a few additions.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use super::codes::{CODES, Place, Transport};

/// The upper ends of the latency histogram's buckets, in microseconds: a call here takes some tens of
/// them, and at most the longest call, a minute.
pub(crate) const BUCKETS: [u64; 18] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 60_000_000,
];

/// More shards than this would cost memory and gain little.
const MOST_SHARDS: usize = 64;

/// Label of all paths that are not known, so that strangers cannot make labels.
pub(crate) const OTHER: &str = "other";

/// The counters of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) transports: Arc<Mutex<Vec<Arc<Calls>>>>,
    pub(crate) listeners: Arc<Mutex<Vec<Arc<Listener>>>>,
}

impl Metrics {
    pub(crate) fn add(&self, calls: &Arc<Calls>) {
        locked(&self.transports).push(Arc::clone(calls));
    }

    pub(crate) fn add_listener(&self, listener: &Arc<Listener>) {
        locked(&self.listeners).push(Arc::clone(listener));
    }
}

/// The lists are whole even if a thread panicked while it held one.
pub(crate) fn locked<T>(list: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The calls of one transport on one listener.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) transport: Transport,
    paths: Vec<String>,
    /// The places of those that have parameters; none if no path has any.
    templates: Option<matchit::Router<usize>>,
    shards: Box<[Box<[Path]>]>,
}

/// The calls of one path that one shard has seen, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Path {
    pub(crate) begun: AtomicU64,
    pub(crate) ended: [AtomicU64; CODES],
    /// The last is for what took longer than all buckets.
    pub(crate) took: [AtomicU64; BUCKETS.len() + 1],
    pub(crate) nanos: AtomicU64,
}

impl Path {
    fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            ended: [const { AtomicU64::new(0) }; CODES],
            took: [const { AtomicU64::new(0) }; BUCKETS.len() + 1],
            nanos: AtomicU64::new(0),
        }
    }
}

impl Calls {
    pub(crate) fn new(transport: Transport, paths: Vec<String>) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let shard = || (0..=paths.len()).map(|_| Path::new()).collect();
        Self {
            transport,
            templates: templates(&paths),
            shards: (0..cores.min(MOST_SHARDS)).map(|_| shard()).collect(),
            paths,
        }
    }

    /// The place of `path`, which is the last where it is unknown.
    pub(crate) fn place(&self, path: &str) -> usize {
        let known = self.paths.iter().position(|known| known == path);
        let by_template = || Some(*self.templates.as_ref()?.at(path).ok()?.value);
        known.or_else(by_template).unwrap_or(self.paths.len())
    }

    /// The path at `place`, if it is a known one.
    pub(crate) fn path(&self, place: usize) -> Option<&str> {
        self.paths.get(place).map(String::as_str)
    }

    pub(crate) fn begin(&self, shard: usize, path: usize) {
        self.at(shard, path).begun.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self, shard: usize, path: usize, code: Place, took: Duration) {
        let at = self.at(shard, path);
        let micros = took.as_micros() as u64;
        let bucket = BUCKETS.partition_point(|end| *end < micros);
        at.ended[usize::from(code).min(CODES - 1)].fetch_add(1, Relaxed);
        at.took[bucket].fetch_add(1, Relaxed);
        at.nanos.fetch_add(took.as_nanos() as u64, Relaxed);
    }

    fn at(&self, shard: usize, path: usize) -> &Path {
        &self.shards[shard % self.shards.len()][path]
    }

    /// Each path by its label, and what all shards have seen of it.
    pub(crate) fn paths(
        &self,
    ) -> impl Iterator<Item = (&str, impl Iterator<Item = &Path> + Clone)> {
        let labels = self.paths.iter().map(String::as_str).chain([OTHER]);
        let shards = |place: usize| self.shards.iter().map(move |shard| &shard[place]);
        labels.zip((0..).map(shards))
    }
}

/// The places of those of `paths` that have parameters, as axum has them.
fn templates(paths: &[String]) -> Option<matchit::Router<usize>> {
    let mut templates = matchit::Router::new();
    let with_parameters = |(_, path): &(usize, &String)| path.contains('{');
    let mut known = false;
    for (place, path) in paths.iter().enumerate().filter(with_parameters) {
        match templates.insert(path, place) {
            Ok(()) => known = true,
            Err(error) => {
                tracing::warn!(%error, path, "calls of a route are not counted by its name");
            }
        }
    }
    known.then_some(templates)
}

/// The shard of this thread.
pub(crate) fn shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = THREADS.fetch_add(1, Relaxed);
    }
    SHARD.with(|shard| *shard)
}

/// Limit that a peer or a caller ran into.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Connections,
    Descriptors,
    FirstBytes,
    BodyPause,
    StalledWrite,
    Calls,
    Intake,
    Answers,
    Deadline,
    Uri,
    Cancelled,
    Idle,
}

impl Limit {
    pub(crate) const ALL: [(Self, &str); 12] = [
        (Self::Connections, "connections"),
        (Self::Descriptors, "descriptors"),
        (Self::FirstBytes, "first bytes"),
        (Self::BodyPause, "body pause"),
        (Self::StalledWrite, "stalled write"),
        (Self::Calls, "calls"),
        (Self::Intake, "half-sent messages"),
        (Self::Answers, "unread answers"),
        (Self::Deadline, "deadline"),
        (Self::Uri, "path and query"),
        (Self::Cancelled, "calls cancelled"),
        (Self::Idle, "idle connection"),
    ];
}

/// The connections of one listener, and the limits that were hit on it. These are rare enough to be
/// counted in one place.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) name: &'static str,
    /// False for a layer, which sees calls alone.
    pub(crate) has_connections: bool,
    pub(crate) opened: AtomicU64,
    pub(crate) closed: AtomicU64,
    limits: [AtomicU64; Limit::ALL.len()],
}

impl Listener {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            has_connections: true,
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            limits: [const { AtomicU64::new(0) }; Limit::ALL.len()],
        }
    }

    /// For the calls of a server whose connections are another's.
    pub(crate) fn of_layer(name: &'static str) -> Self {
        Self {
            has_connections: false,
            ..Self::new(name)
        }
    }

    /// Counts a connection, until what is returned is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> impl Drop + use<> {
        struct Counted(Arc<Listener>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.closed.fetch_add(1, Relaxed);
            }
        }
        self.opened.fetch_add(1, Relaxed);
        Counted(Arc::clone(self))
    }

    pub(crate) fn hit(&self, limit: Limit) {
        self.limits[limit as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn hits(&self, limit: Limit) -> u64 {
        self.limits[limit as usize].load(Relaxed)
    }
}
