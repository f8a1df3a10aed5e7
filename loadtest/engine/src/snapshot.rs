//! Snapshots of the machine at the two ends of the window, and what lies between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    measurement::{GeneratorCost, ServerCost, Wire},
    usage::{self, Accounts, Taken, Usage},
    window::Window,
};

/// A moment, and what had been used of the machine until then.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) at: Instant,
    pub(crate) since_1970: Duration,
    /// Replies so far.
    pub(crate) replies: u64,
    /// Bytes sent and received.
    bytes: (u64, u64),
    server: Option<Usage>,
    own_cpu: Duration,
    own: Option<Usage>,
    /// Time that each thread was awake only to wait.
    spun: BTreeMap<i32, Duration>,
    /// Time taken of the cores of server and generator.
    taken: Option<Taken>,
    /// Calls that were due, and whose replies had not come; none in a closed loop.
    pub(crate) unanswered: Option<u64>,
}

impl Snapshot {
    /// Takes one. `mark` is told the moment before anything is read that takes its time.
    pub(crate) fn take(
        window: &Window,
        server: &Accounts,
        cores: &BTreeSet<usize>,
        mark: impl FnOnce(Instant),
    ) -> Self {
        let at = Instant::now();
        mark(at);
        let (replies, _) = window.tally.replies();
        let bytes = window.bytes.now();
        Self {
            at,
            replies,
            bytes,
            server: server.read(),
            own_cpu: usage::own_cpu(),
            spun: window
                .pacer
                .as_ref()
                .map(|pacer| pacer.spun())
                .unwrap_or_default(),
            own: usage::of_processes(&[std::process::id()]),
            taken: usage::taken(cores),
            unanswered: window
                .pacer
                .as_ref()
                .map(|pacer| pacer.due_before(at).saturating_sub(replies)),
            since_1970: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
        }
    }
}

/// Two snapshots.
pub(crate) struct Between<'a> {
    pub(crate) opened: &'a Snapshot,
    pub(crate) closed: &'a Snapshot,
}

impl Between<'_> {
    /// Time between them.
    pub(crate) fn time(&self) -> Duration {
        self.closed.at - self.opened.at
    }

    /// Replies that came.
    pub(crate) fn replies(&self) -> u64 {
        self.closed.replies - self.opened.replies
    }

    /// Whether the server was there at the first, and not at the second.
    pub(crate) fn is_server_lost(&self) -> bool {
        self.opened.server.is_some() && self.closed.server.is_none()
    }

    /// Cost to the server, whose memory before the first call was `at_rest_kib`.
    pub(crate) fn server(&self, at_rest_kib: Option<u64>) -> Option<ServerCost> {
        let (before, after) = (self.opened.server.as_ref()?, self.closed.server.as_ref()?);
        let (cpu, source) = after.cpu_since(before)?;
        Some(ServerCost {
            cpu_us: micros(cpu),
            cpu_source: Some(source),
            memory_at_rest_kib: at_rest_kib?,
            memory_under_load_kib: after.memory_kib,
        })
    }

    /// Cost to the generator.
    pub(crate) fn generator(&self) -> GeneratorCost {
        let all = |snapshot: &Snapshot| snapshot.spun.values().sum::<Duration>();
        let waited = all(self.closed).saturating_sub(all(self.opened));
        let cpu = self.closed.own_cpu.saturating_sub(self.opened.own_cpu);
        GeneratorCost {
            cpu_us: micros(cpu.saturating_sub(waited)),
            busiest_core_share: self.busiest_thread(),
            peak_memory_kib: usage::own_peak_memory_kib(),
        }
    }

    /// Share of the time that the busiest thread was busy, without what it was awake for only to wait.
    fn busiest_thread(&self) -> Option<f64> {
        let threads = self
            .closed
            .own
            .as_ref()?
            .threads_since(self.opened.own.as_ref()?);
        let waited = |id| {
            let of = |snapshot: &Snapshot| snapshot.spun.get(id).copied().unwrap_or_default();
            of(self.closed).saturating_sub(of(self.opened))
        };
        let busiest = threads
            .iter()
            .map(|(id, cpu)| cpu.saturating_sub(waited(id)))
            .max()?;
        Some(busiest.as_secs_f64() / self.time().as_secs_f64())
    }

    /// Bytes for each reply.
    pub(crate) fn wire(&self) -> Option<Wire> {
        let replies = self.replies();
        let each = |before: u64, after: u64| (after - before) as f64 / replies as f64;
        (replies > 0).then(|| Wire {
            sent_bytes_per_request: each(self.opened.bytes.0, self.closed.bytes.0),
            received_bytes_per_request: each(self.opened.bytes.1, self.closed.bytes.1),
        })
    }

    /// Share that the hypervisor took.
    pub(crate) fn steal_share(&self) -> Option<f64> {
        self.share_taken(|taken| taken.stolen)
    }

    /// Share that neither the server nor this process took, of so many cores. To wait for a call counts
    /// as this process's own.
    pub(crate) fn others_share(&self, cores: usize) -> Option<f64> {
        let busy = self.share_taken(|taken| taken.busy)?;
        let (before, after) = (self.opened.server.as_ref()?, self.closed.server.as_ref()?);
        let (server, _) = after.cpu_since(before)?;
        let own = self.closed.own_cpu.saturating_sub(self.opened.own_cpu);
        let known = (server + own).as_secs_f64() / self.time().as_secs_f64() / cores as f64;
        Some((busy - known).max(0.0))
    }

    fn share_taken(&self, part: fn(Taken) -> u64) -> Option<f64> {
        let (before, after) = (self.opened.taken?, self.closed.taken?);
        let all = after.all.checked_sub(before.all).filter(|all| *all > 0)?;
        Some(part(after).checked_sub(part(before))? as f64 / all as f64)
    }
}

/// `time` in microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
