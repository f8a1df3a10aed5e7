//! Snapshots of the machine at the two ends of each part of the window and around it, and what lies between them.

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
    /// CPU time of the timekeeper, which is no generator's: what snapshots cost.
    timekeeper_cpu: Duration,
    own: Option<Usage>,
    /// Time that each thread was awake only to wait.
    spun: BTreeMap<i32, Duration>,
    /// Time taken of the cores of server and generator.
    taken: Option<Taken>,
    /// Calls that were due, and whose replies had not come; none in a closed loop.
    pub(crate) unanswered: Option<u64>,
}

impl Snapshot {
    /// Takes one, on the timekeeper's thread. `mark` is told the moment before anything is read that takes its time.
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
            timekeeper_cpu: usage::own_cpu_of_this_thread(),
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

/// A part of a window.
#[derive(Clone)]
pub(crate) struct Part {
    /// Its opening and its close: time and rate are of what lies between.
    pub(crate) ends: [Snapshot; 2],
    /// Two moments around it at which no call was on its way, if trials take turns; else the same as `ends`.
    /// CPU time and bytes are of what lies between.
    pub(crate) around: [Snapshot; 2],
}

/// Differences between the snapshots of the parts of a window, of which there is at least one.
pub(crate) struct Between<'a>(pub(crate) &'a [Part]);

impl Between<'_> {
    /// `of` the two ends of each part, summed; none if it is not known of one.
    fn sum<T: Sum>(&self, of: impl Fn(&Snapshot, &Snapshot) -> Option<T>) -> Option<T> {
        let ends = self.0.iter().map(|part| &part.ends);
        ends.map(|[opened, closed]| of(opened, closed)).sum()
    }

    /// The same of the two moments around each.
    fn sum_around<T: Sum>(&self, of: impl Fn(&Snapshot, &Snapshot) -> Option<T>) -> Option<T> {
        let around = self.0.iter().map(|part| &part.around);
        around.map(|[before, after]| of(before, after)).sum()
    }

    /// The part of `used`, which all replies around the parts cost together, that `replies` cost.
    fn due_to(&self, replies: u64, used: Duration) -> Duration {
        let all = self.sum_around(replies_between).unwrap_or_default().max(1);
        used.mul_f64(replies as f64 / all as f64)
    }

    /// The opening of the first part.
    pub(crate) fn opened(&self) -> Option<&Snapshot> {
        self.0.first().map(|part| &part.ends[0])
    }

    /// The close of the last part.
    pub(crate) fn closed(&self) -> Option<&Snapshot> {
        self.0.last().map(|part| &part.ends[1])
    }

    /// Time that it was open.
    pub(crate) fn time(&self) -> Duration {
        self.sum(|opened, closed| Some(closed.at - opened.at))
            .unwrap_or_default()
    }

    /// Replies that came.
    pub(crate) fn replies(&self) -> u64 {
        self.sum(replies_between).unwrap_or_default()
    }

    /// Calls on their way when parts opened, and when they closed; none in a closed loop.
    pub(crate) fn unanswered(&self) -> [Option<u64>; 2] {
        [
            self.sum(|opened, _| opened.unanswered),
            self.sum(|_, closed| closed.unanswered),
        ]
    }

    /// Calls on their way when a part closed beyond those when it opened, as a share of those that were due in it:
    /// the median of the parts; none in a closed loop. `offered` were due in all of them.
    pub(crate) fn growth(&self, offered: u64) -> Option<f64> {
        let each = self.0.iter().map(|part| {
            let [opened, closed] = &part.ends;
            Some(closed.unanswered? as f64 - opened.unanswered? as f64)
        });
        let mut each: Vec<f64> = each.collect::<Option<_>>()?;
        each.sort_by(f64::total_cmp);
        let (low, high) = (each[(each.len() - 1) / 2], each[each.len() / 2]);
        let offered_in_one = offered as f64 / each.len() as f64;
        Some((low + high) / 2.0 / offered_in_one.max(1.0))
    }

    /// Returns true if the server was there at the first, and not at the last.
    pub(crate) fn is_server_lost(&self) -> bool {
        let at = |snapshot: Option<&Snapshot>| snapshot.is_some_and(|one| one.server.is_some());
        at(self.opened()) && !at(self.closed())
    }

    /// Cost of so many replies to the server, whose memory before the first call was `at_rest_kib`.
    pub(crate) fn server(&self, replies: u64, at_rest_kib: Option<u64>) -> Option<ServerCost> {
        let since = |opened: &Snapshot, closed: &Snapshot| {
            let (before, after) = (opened.server.as_ref()?, closed.server.as_ref()?);
            after.cpu_since(before)
        };
        // The least exact of the parts.
        let around = self.0.iter().map(|part| &part.around);
        let sources = around.filter_map(|[before, after]| since(before, after));
        let source = sources.map(|(_, source)| source).max()?;
        let cpu = self.sum_around(|before, after| since(before, after).map(|(cpu, _)| cpu))?;
        Some(ServerCost {
            cpu_us: micros(self.due_to(replies, cpu)),
            cpu_source: Some(source),
            memory_at_rest_kib: at_rest_kib?,
            memory_under_load_kib: self.closed()?.server.as_ref()?.memory_kib,
        })
    }

    /// Cost of so many replies to the generator.
    pub(crate) fn generator(&self, replies: u64) -> GeneratorCost {
        let waited = |snapshot: &Snapshot| snapshot.spun.values().sum::<Duration>();
        let cpu = self.sum_around(|before, after| {
            let of = |of: &dyn Fn(&Snapshot) -> Duration| of(after).saturating_sub(of(before));
            let cpu = of(&|snapshot| snapshot.own_cpu);
            Some(cpu.saturating_sub(of(&waited) + of(&|snapshot| snapshot.timekeeper_cpu)))
        });
        GeneratorCost {
            cpu_us: micros(self.due_to(replies, cpu.unwrap_or_default())),
            busiest_core_share: self.busiest_thread(),
            peak_memory_kib: usage::own_peak_memory_kib(),
        }
    }

    /// Share of the time that the busiest thread was busy, without what it was awake for only to wait.
    fn busiest_thread(&self) -> Option<f64> {
        let mut busy: BTreeMap<i32, Duration> = BTreeMap::new();
        for [opened, closed] in self.0.iter().map(|part| &part.ends) {
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
        let replies = self.sum_around(replies_between)?;
        let each = |of: fn(&Snapshot) -> u64| {
            let bytes = self.sum_around(|before, after| Some(of(after) - of(before)));
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

/// Replies that came between two snapshots.
fn replies_between(before: &Snapshot, after: &Snapshot) -> Option<u64> {
    Some(after.replies - before.replies)
}

/// `time` in microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many replies, calls on their way, and milliseconds of CPU time of the generator until then.
    fn snapshot(replies: u64, unanswered: u64, own_ms: u64) -> Snapshot {
        Snapshot {
            at: Instant::now(),
            since_1970: Duration::ZERO,
            replies,
            bytes: (10 * replies, 20 * replies),
            server: None,
            own_cpu: Duration::from_millis(own_ms),
            timekeeper_cpu: Duration::from_millis(own_ms / 10),
            own: None,
            spun: BTreeMap::new(),
            taken: None,
            unanswered: Some(unanswered),
        }
    }

    /// A part in which 80 of 100 replies came that one around it had, for 100 ms, and which closed with so many calls
    /// more on their way than it opened with.
    fn part(growth: i64) -> Part {
        Part {
            ends: [
                snapshot(10, 5, 20),
                snapshot(90, 5_u64.saturating_add_signed(growth), 120),
            ],
            around: [snapshot(0, 0, 10), snapshot(100, 0, 110)],
        }
    }

    #[test]
    fn what_was_used_around_the_parts_is_shared_out_among_the_replies() {
        let parts = [part(0), part(0)];
        let between = Between(&parts);
        assert_eq!(between.replies(), 160);
        // 200 ms less 20 ms of the timekeeper's, for 200 replies.
        assert_eq!(between.generator(160).cpu_us, 144_000);
        let wire = between.wire().unwrap();
        assert_eq!(
            (wire.sent_bytes_per_request, wire.received_bytes_per_request),
            (10.0, 20.0)
        );
    }

    #[test]
    fn growth_is_that_of_the_middle_part_whichever_way_it_goes() {
        let growth = |each: &[i64]| {
            let parts: Vec<_> = each.iter().map(|growth| part(*growth)).collect();
            Between(&parts).growth(100 * each.len() as u64)
        };
        assert_eq!(growth(&[3]), Some(0.03));
        assert_eq!(growth(&[0, 80, -1]), Some(0.0));
        assert_eq!(growth(&[0, 4]), Some(0.02));
        assert_eq!(growth(&[-4, 0]), Some(-0.02));
        assert_eq!(growth(&[5, 6, 7, 60]), Some(0.065));
    }
}
