//! The timekeeper: a thread of its own, so that nothing it reads from the system keeps the runtime
//! under test from its work. It ends the warm-up, opens and closes the window with a snapshot each, waits for the
//! replies to all calls that count, and breaks off calls that take too long.
//!
//! Of trials that take turns, each part of the window is such a window. In its turn a trial makes calls that count
//! for nothing, as what rested is cold. Then there is a moment at which no call is on its way, the part with calls before
//! and after it, and another such moment: what the server, the wire and the generator used is counted from the one
//! to the other, with exactly the calls that used it, and the next trial may have its turn.
//!
//! After the window has closed the load goes on as before until each call that counts has its reply,
//! or the time limit has passed: nothing may change for the calls that are measured.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    configuration,
    measurement::Asked,
    snapshot::{Part, Snapshot},
    spec::{COLD, Load, TrialSpec},
    steady::{REPLIES, SLICE, Slices},
    usage::{self, Conversations, Talk},
    window::{End, Window},
};

/// Time between two looks at whether a call takes too long, and whether the trial is to end.
const TICK: Duration = Duration::from_millis(20);

/// The same while replies are waited for.
const DRAIN_TICK: Duration = Duration::from_millis(2);

/// Time that calls may go on for when a trial is cut short: most take less than a hundredth of it.
const OPEN_CALLS_MAY_FINISH: Duration = Duration::from_secs(1);

/// Reason for the end of a trial whose parent told it to end.
pub const INTERRUPTED: &str = "stopped by a signal";

/// Of those that a server asks, how many are named.
const PEERS_NAMED: usize = 3;

/// The notes it kept.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) parts: Vec<Part>,
    /// Calls that were due while it was open; none in a closed loop.
    pub(crate) offered: Option<u64>,
    pub(crate) warm_up: Duration,
    pub(crate) steady: Option<bool>,
    /// True if the window was open for its whole length, and each call that counts was waited for.
    pub(crate) is_whole: bool,
    /// True if calls were on their way when others should have had their turn.
    pub(crate) is_late: bool,
    /// Memory of the server in KiB before the first call.
    pub(crate) at_rest_kib: Option<u64>,
    /// Cores of server and generator.
    pub(crate) cores: BTreeSet<usize>,
    /// The server's requests to others while calls were made, warm-up included, if the system tells.
    pub(crate) asked: Option<Heard>,
    /// Dispatch delays in the window, in nanoseconds.
    pub(crate) delays: Option<Histogram<u64>>,
}

/// The server's requests to others, and the replies that it gave meanwhile.
#[derive(Default)]
pub(crate) struct Heard {
    talk: Talk,
    replies: u64,
}

impl Heard {
    /// The same for each reply.
    pub(crate) fn asked(&self) -> Asked {
        let each = |count: u64| count as f64 / self.replies.max(1) as f64;
        let peers = self.talk.peers.iter().take(PEERS_NAMED);
        Asked {
            peers: peers.map(ToString::to_string).collect(),
            received_bytes_per_request: each(self.talk.received),
            connections_per_request: each(self.talk.active_opens),
        }
    }
}

/// Totals of the server and the generator until a moment.
struct Before {
    conversations: Conversations,
    replies: u64,
    connections: u64,
}

/// The thread.
pub(crate) struct Timekeeper {
    window: Arc<Window>,
    spec: TrialSpec,
    time_limit: Duration,
    tick: Duration,
}

impl Timekeeper {
    /// Starts it.
    pub(crate) fn start(
        window: &Arc<Window>,
        spec: &TrialSpec,
    ) -> std::io::Result<thread::JoinHandle<Kept>> {
        let time_limit = Duration::from_micros(spec.timing.time_limit_us);
        let keeper = Self {
            window: Arc::clone(window),
            spec: spec.clone(),
            time_limit,
            tick: TICK.min(time_limit / 10).max(Duration::from_millis(1)),
        };
        let thread = thread::Builder::new()
            .name("timekeeper".to_owned())
            .spawn(move || keeper.run())?;
        window.set_timekeeper(thread.thread().clone());
        Ok(thread)
    }

    fn run(self) -> Kept {
        let members = self.spec.server.members();
        let mut kept = Kept {
            at_rest_kib: self.spec.server.read().map(|usage| usage.memory_kib),
            cores: usage::cores_of(&[members, vec![std::process::id()]].concat()),
            ..Kept::default()
        };
        while !self.window.has_all_users() && !self.window.is_ending() {
            self.rest(self.tick);
        }
        let parts = self.spec.timing.parts.max(1);
        if parts == 1 {
            let before = self.listen_in();
            self.window.begin_turn();
            self.warm_up(&mut kept);
            kept.is_whole = self.measure(&mut kept);
            self.overhear(before, &mut kept);
        } else {
            kept.is_whole = self.has_turn();
            if kept.is_whole {
                let before = self.listen_in();
                self.load(|| self.warm_up(&mut kept));
                self.overhear(before, &mut kept);
            }
            for part in 0..parts {
                kept.is_whole = kept.is_whole
                    && self.is_quiet(&mut kept)
                    && self.has_turn()
                    && self.measure_part(part, &mut kept);
            }
        }
        let end = match kept.is_whole {
            true => End::Waited,
            false => End::CutShort,
        };
        self.window.stop_waiting(end);
        self.send_users_home(match kept.is_whole {
            true => "the window has closed",
            false => INTERRUPTED,
        });
        kept
    }

    /// Breaks off what is open, and tells goose to stop until it has. It forgets that when an attack
    /// starts, which may be after this.
    fn send_users_home(&self, reason: &str) {
        if configuration::leaves_nothing(&self.spec.goose) && self.window.has_all_users() {
            // Nobody waits for goose.
            return;
        }
        while !self.window.is_over() {
            goose::trigger_killswitch(reason);
            for slot in &self.window.slots {
                slot.break_off(u64::MAX);
            }
            thread::park_timeout(self.tick);
        }
    }

    /// Ends between the shortest and the longest time, when the service is steady.
    fn warm_up(&self, kept: &mut Kept) {
        let [shortest, longest] = [
            self.spec.timing.warm_up_us,
            self.spec
                .timing
                .longest_warm_up_us
                .max(self.spec.timing.warm_up_us),
        ]
        .map(Duration::from_micros);
        let begun = Instant::now();
        let mut slices = Slices::default();
        let mut slice = (begun, self.window.tally.replies());
        while begun.elapsed() < longest && !self.window.is_ending() {
            let is_enough = begun.elapsed() >= shortest;
            kept.steady = slices.are_steady();
            if is_enough && kept.steady == Some(true) {
                break;
            }
            self.wait_until(
                (slice.0 + SLICE)
                    .max(Instant::now() + self.tick)
                    .min(begun + longest),
            );
            let (begun, (replies_before, before)) = slice;
            let (replies, latency) = self.window.tally.replies();
            let more = replies - replies_before;
            if begun.elapsed() >= SLICE && more >= REPLIES {
                slices.push((latency - before).as_secs_f64() / more as f64);
                slice = (Instant::now(), (replies, latency));
            }
        }
        kept.steady = slices.are_steady();
        kept.warm_up = begun.elapsed();
    }

    /// The time for which calls are made before part number `part`, so that as many are on their way when it opens as
    /// when it closes. In an open loop parts begin at different times between two calls: else each would cut calls
    /// off that are on their way at the same place (the golden ratio spreads any number of parts evenly).
    fn lead(&self, part: u32) -> Duration {
        let interval = match self.spec.load {
            Load::Open { per_second } => 1.0 / per_second,
            Load::Closed => 0.0,
        };
        self.spec.timing.lead()
            + Duration::from_secs_f64(interval * (f64::from(part) * 0.618_034).fract())
    }

    /// Rests until it is this trial's turn. Returns false if the trial is to end instead.
    fn has_turn(&self) -> bool {
        let window = &self.window;
        if window.is_ending() {
            return false;
        }
        window.say_resting();
        while window.is_between_turns() {
            if window.is_ending() {
                return false;
            }
            self.rest(self.tick);
        }
        true
    }

    /// Lets users make calls while `work` is done, then waits until all is quiet.
    fn load<T>(&self, work: impl FnOnce() -> T) -> T {
        let window = &self.window;
        window.begin_turn();
        let done = work();
        window.end_turn();
        let ended = Instant::now();
        // Looked at twice: a user that has just been given a call is about to say so.
        let mut looks = 0;
        let longest = || match window.is_ending() {
            true => OPEN_CALLS_MAY_FINISH.min(self.time_limit),
            false => self.time_limit,
        };
        while looks < 2 && ended.elapsed() < longest() {
            looks = if window.is_quiet() { looks + 1 } else { 0 };
            self.rest(DRAIN_TICK);
        }
        done
    }

    /// Returns true if no call is on its way, and notes if one is, which would go on in the turns of others.
    fn is_quiet(&self, kept: &mut Kept) -> bool {
        let is_quiet = self.window.is_quiet();
        kept.is_late = !is_quiet && !self.window.is_ending();
        is_quiet
    }

    /// Measures part number `part` in a turn of its own. Returns what [`Self::measure`] does.
    fn measure_part(&self, part: u32, kept: &mut Kept) -> bool {
        let snapshot =
            |kept: &Kept| Snapshot::take(&self.window, &self.spec.server, &kept.cores, |_| ());
        let silent = self.listen_in();
        self.load(|| self.wait_until(Instant::now() + COLD));
        if self.window.is_ending() || !self.is_quiet(kept) {
            return false;
        }
        let before = snapshot(kept);
        let measured = kept.parts.len();
        let is_whole = self.load(|| {
            self.wait_until(Instant::now() + self.lead(part));
            self.measure(kept)
        });
        let after = snapshot(kept);
        if let Some(part) = kept.parts.get_mut(measured) {
            part.around = [before, after];
        }
        self.overhear(silent, kept);
        is_whole
    }

    /// Opens the window, closes it, and waits for the calls that count. Returns whether it was open for its
    /// whole length, and each was waited for.
    fn measure(&self, kept: &mut Kept) -> bool {
        let window = &self.window;
        if window.is_ending() {
            return false;
        }
        let server = &self.spec.server;
        if let Some(pacer) = &window.pacer {
            pacer.forget_delays();
        }
        let opened = Snapshot::take(window, server, &kept.cores, |at| window.open(at));
        let end = opened.at + self.spec.timing.part();
        self.wait_until(end);
        let was_open = Instant::now() >= end;
        let closed = Snapshot::take(window, server, &kept.cores, |at| window.close(at));
        if let Some(pacer) = &window.pacer {
            let delays = pacer.delays();
            match &mut kept.delays {
                // Both have the same bounds.
                Some(all) => all.add(delays).unwrap_or_default(),
                none => *none = Some(delays),
            }
        }
        // The load goes on, and nothing of it is measured any more but the calls that are open.
        if let Some(offered) = window.offered(opened.at, closed.at) {
            *kept.offered.get_or_insert_default() += offered;
        }
        let is_whole = self.drain(kept.offered, closed.at) && was_open;
        let ends = [opened, closed];
        kept.parts.push(Part {
            around: ends.clone(),
            ends,
        });
        is_whole
    }

    /// Returns the totals until now, if the server's requests to others are watched and can be read.
    fn listen_in(&self) -> Option<Before> {
        let members = self
            .spec
            .watch_for_others
            .then(|| self.spec.server.members());
        Some(Before {
            conversations: Conversations::of(&members?)?,
            replies: self.window.tally.replies().0,
            connections: self.window.bytes.connections(),
        })
    }

    /// Adds what the server asked of others since `before`.
    fn overhear(&self, before: Option<Before>, kept: &mut Kept) {
        let (Some(before), Some(now)) = (before, self.listen_in()) else {
            return;
        };
        let Talk {
            received,
            peers,
            active_opens,
        } = now.conversations.since(&before.conversations);
        let heard = kept.asked.get_or_insert_default();
        heard.replies += now.replies - before.replies;
        heard.talk.received += received;
        let own = now.connections - before.connections;
        heard.talk.active_opens += active_opens.saturating_sub(own);
        for peer in peers {
            if !heard.talk.peers.contains(&peer) {
                heard.talk.peers.push(peer);
            }
        }
    }

    /// Waits for the replies to calls that count. Returns whether they were waited for long enough.
    fn drain(&self, offered: Option<u64>, closed: Instant) -> bool {
        while !self.window.is_ending() {
            if self.window.is_answered(offered) || closed.elapsed() >= self.time_limit {
                return true;
            }
            self.rest(DRAIN_TICK);
        }
        let cut = Instant::now();
        while !self.window.is_idle() && cut.elapsed() < OPEN_CALLS_MAY_FINISH {
            self.rest(DRAIN_TICK);
        }
        false
    }

    /// Waits until `end`, or until the trial is to end.
    fn wait_until(&self, end: Instant) {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.window.is_ending() {
                return;
            }
            self.rest(left.min(self.tick));
        }
    }

    /// Sleeps for a moment, and breaks off calls that take too long.
    fn rest(&self, time: Duration) {
        thread::park_timeout(time);
        let now = self.window.stamp(Instant::now());
        let limit = u64::try_from(self.time_limit.as_nanos()).unwrap_or(u64::MAX);
        if let Some(oldest) = now.checked_sub(limit) {
            for slot in &self.window.slots {
                slot.break_off(oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::example;

    #[test]
    fn the_window_opens_and_closes_whatever_keeps_the_runtime_busy() {
        // There is not even one.
        let mut spec = example();
        spec.timing.window_us = 200_000;
        let window = Arc::new(Window::new(&spec, 1));
        let keeper = Timekeeper::start(&window, &spec).unwrap();
        window.user_started();
        while window.end() == End::NotYet {
            thread::sleep(Duration::from_millis(1));
        }
        window.set_over();
        let kept = keeper.join().unwrap();
        let [part] = &kept.parts[..] else {
            panic!("one part");
        };
        let [opened, closed] = &part.ends;
        assert!(closed.at - opened.at >= Duration::from_micros(spec.timing.window_us));
        assert!(kept.is_whole && kept.warm_up >= Duration::from_millis(100));
    }

    #[test]
    fn a_trial_whose_users_never_start_can_be_ended() {
        let spec = example();
        let window = Arc::new(Window::new(&spec, 1));
        let keeper = Timekeeper::start(&window, &spec).unwrap();
        window.set_over();
        let kept = keeper.join().unwrap();
        assert!(kept.parts.is_empty() && !kept.is_whole);
    }
}
