//! Snapshots of the machine at the two ends of the window, and what lies between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Sum,
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

/// What lies between snapshots: at least two.
pub(crate) struct Between<'a> {
    /// The two ends of each part of a window: rate and time are of these.
    parts: &'a [[Snapshot; 2]],
    /// Two moments around each: CPU time and bytes are of the replies between these.
    used: &'a [[Snapshot; 2]],
}

impl<'a> Between<'a> {
    /// Between the two ends of `parts`; what was used, between the moments of `quiet`, if there are any.
    pub(crate) fn new(parts: &'a [[Snapshot; 2]], quiet: &'a [[Snapshot; 2]]) -> Self {
        let used = match quiet {
            [] => parts,
            _ => quiet,
        };
        Self { parts, used }
    }
}

impl Between<'_> {
    /// `of` each part, summed; none if it is not known of one.
    fn sum<T: Sum>(&self, of: impl Fn(&Snapshot, &Snapshot) -> Option<T>) -> Option<T> {
        sum(self.parts, of)
    }

    /// The share of `used`, which all replies between the moments around the parts cost together, that is due to
    /// those within the parts.
    fn share(&self, used: Duration) -> Duration {
        let around = sum(self.used, replies).unwrap_or_default().max(1);
        used.mul_f64(self.replies() as f64 / around as f64)
    }

    /// The opening of the first part.
    pub(crate) fn opened(&self) -> Option<&Snapshot> {
        self.parts.first().map(|[opened, _]| opened)
    }

    /// The close of the last part.
    pub(crate) fn closed(&self) -> Option<&Snapshot> {
        self.parts.last().map(|[_, closed]| closed)
    }

    /// Time that it was open.
    pub(crate) fn time(&self) -> Duration {
        self.sum(|opened, closed| Some(closed.at - opened.at))
            .unwrap_or_default()
    }

    /// Replies that came.
    pub(crate) fn replies(&self) -> u64 {
        self.sum(replies).unwrap_or_default()
    }

    /// Calls on their way when parts opened, and when they closed; none in a closed loop.
    pub(crate) fn unanswered(&self) -> [Option<u64>; 2] {
        [
            self.sum(|opened, _| opened.unanswered),
            self.sum(|_, closed| closed.unanswered),
        ]
    }

    /// Calls on their way when a part closed beyond those when it opened, as a share of those that were due in it:
    /// the middle one of the parts; none in a closed loop. `offered` were due in all of them.
    pub(crate) fn growth(&self, offered: u64) -> Option<f64> {
        let each = self
            .parts
            .iter()
            .map(|[opened, closed]| Some(closed.unanswered? as f64 - opened.unanswered? as f64));
        let mut each: Vec<f64> = each.collect::<Option<_>>()?;
        each.sort_by(f64::total_cmp);
        Some(each[each.len() / 2] * each.len() as f64 / offered.max(1) as f64)
    }

    /// Returns true if the server was there at the first, and not at the last.
    pub(crate) fn is_server_lost(&self) -> bool {
        let at = |snapshot: Option<&Snapshot>| snapshot.is_some_and(|one| one.server.is_some());
        at(self.opened()) && !at(self.closed())
    }

    /// Cost to the server, whose memory before the first call was `at_rest_kib`.
    pub(crate) fn server(&self, at_rest_kib: Option<u64>) -> Option<ServerCost> {
        let since = |opened: &Snapshot, closed: &Snapshot| {
            let (before, after) = (opened.server.as_ref()?, closed.server.as_ref()?);
            after.cpu_since(before)
        };
        // The least exact of the parts.
        let sources = self.used.iter();
        let sources = sources.filter_map(|[opened, closed]| since(opened, closed));
        let source = sources.map(|(_, source)| source).max()?;
        let cpu = sum(self.used, |opened, closed| {
            since(opened, closed).map(|(cpu, _)| cpu)
        })?;
        Some(ServerCost {
            cpu_us: micros(self.share(cpu)),
            cpu_source: Some(source),
            memory_at_rest_kib: at_rest_kib?,
            memory_under_load_kib: self.closed()?.server.as_ref()?.memory_kib,
        })
    }

    /// Cost to the generator.
    pub(crate) fn generator(&self) -> GeneratorCost {
        let all = |snapshot: &Snapshot| snapshot.spun.values().sum::<Duration>();
        let cpu = sum(self.used, |opened, closed| {
            let waited = all(closed).saturating_sub(all(opened));
            let cpu = closed.own_cpu.saturating_sub(opened.own_cpu);
            Some(cpu.saturating_sub(waited))
        });
        GeneratorCost {
            cpu_us: micros(self.share(cpu.unwrap_or_default())),
            busiest_core_share: self.busiest_thread(),
            peak_memory_kib: usage::own_peak_memory_kib(),
        }
    }

    /// Share of the time that the busiest thread was busy, without what it was awake for only to wait.
    fn busiest_thread(&self) -> Option<f64> {
        let mut busy: BTreeMap<i32, Duration> = BTreeMap::new();
        for [opened, closed] in self.parts {
            let waited = |id: &i32| {
                let of = |snapshot: &Snapshot| snapshot.spun.get(id).copied().unwrap_or_default();
                of(closed).saturating_sub(of(opened))
            };
            for (id, cpu) in closed.own.as_ref()?.threads_since(opened.own.as_ref()?) {
                *busy.entry(id).or_default() += cpu.saturating_sub(waited(&id));
            }
        }
        let busiest = busy.into_values().max()?;
        Some(busiest.as_secs_f64() / self.time().as_secs_f64())
    }

    /// Bytes for each reply.
    pub(crate) fn wire(&self) -> Option<Wire> {
        let replies = sum(self.used, replies).unwrap_or_default();
        let each = |of: fn(&Snapshot) -> u64| {
            let bytes = sum(self.used, |opened, closed| Some(of(closed) - of(opened)));
            bytes.unwrap_or_default() as f64 / replies as f64
        };
        (replies > 0).then(|| Wire {
            sent_bytes_per_request: each(|snapshot| snapshot.bytes.0),
            received_bytes_per_request: each(|snapshot| snapshot.bytes.1),
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
        let known = self.sum(|opened, closed| {
            let (before, after) = (opened.server.as_ref()?, closed.server.as_ref()?);
            let (server, _) = after.cpu_since(before)?;
            Some(server + closed.own_cpu.saturating_sub(opened.own_cpu))
        })?;
        let known = known.as_secs_f64() / self.time().as_secs_f64() / cores as f64;
        Some((busy - known).max(0.0))
    }

    fn share_taken(&self, part: fn(Taken) -> u64) -> Option<f64> {
        let of = |of: &dyn Fn(Taken) -> u64| {
            self.sum(|opened, closed| of(closed.taken?).checked_sub(of(opened.taken?)))
        };
        let all = of(&|taken| taken.all).filter(|all| *all > 0)?;
        Some(of(&part)? as f64 / all as f64)
    }
}

/// `of` each pair, summed; none if it is not known of one.
fn sum<T: Sum>(
    pairs: &[[Snapshot; 2]],
    of: impl Fn(&Snapshot, &Snapshot) -> Option<T>,
) -> Option<T> {
    pairs.iter().map(|[before, after]| of(before, after)).sum()
}

/// Replies that came between two snapshots.
fn replies(before: &Snapshot, after: &Snapshot) -> Option<u64> {
    Some(after.replies - before.replies)
}

/// `time` in microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
