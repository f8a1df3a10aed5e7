//! The record of calls. Its size does not depend on how long a trial runs, nor on how many users
//! there are.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use crate::outcome::Outcome;

/// The longest time that is told apart, in nanoseconds: longer than any call's time limit.
const LONGEST: u64 = 3_600_000_000_000;

/// Significant digits kept of each time: 0.1%.
const DIGITS: u8 = 3;

/// An empty histogram of nanoseconds.
pub(crate) fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are in order")
}

/// Times of a call, to the last byte of its reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// From just before its first byte.
    pub(crate) service: Duration,
    /// From when it was due, in an open loop.
    pub(crate) response: Option<Duration>,
}

impl Times {
    /// Response time where there is one.
    pub(crate) fn latency(&self) -> Duration {
        self.response.unwrap_or(self.service)
    }
}

/// The record of the users of one thread, or of all of them.
#[derive(Clone)]
pub(crate) struct Recorder {
    /// Service times of the good replies among those that count.
    pub(crate) service: Histogram<u64>,
    /// Response times of the same; none in a closed loop.
    pub(crate) response: Option<Histogram<u64>>,
    /// Replies to calls that count.
    pub(crate) counted: u64,
    /// Calls that count, and were open when waiting ended.
    pub(crate) unanswered: u64,
    /// Kinds of bad replies among those that count.
    bad: Kinds,
    /// Kinds of bad replies over the whole attack, ramp and warm-up included.
    bad_in_all: Kinds,
}

/// Kinds of replies, and how many there were of each: few kinds, and mostly none.
type Kinds = Vec<(Outcome, u64)>;

impl Recorder {
    /// An empty one, for an open loop or a closed one.
    pub(crate) fn new(is_open_loop: bool) -> Self {
        Self {
            service: times(),
            response: is_open_loop.then(times),
            counted: 0,
            unanswered: 0,
            bad: Kinds::new(),
            bad_in_all: Kinds::new(),
        }
    }

    /// Records a reply to a call that counts, or to another.
    pub(crate) fn record(&mut self, outcome: Outcome, times: Times, counts: bool) {
        if !outcome.is_ok() {
            count(&mut self.bad_in_all, outcome, 1);
        }
        if !counts {
            return;
        }
        self.counted += 1;
        if !outcome.is_ok() {
            count(&mut self.bad, outcome, 1);
            return;
        }
        self.service.saturating_record(nanos(times.service));
        if let (Some(histogram), Some(time)) = (&mut self.response, times.response) {
            histogram.saturating_record(nanos(time));
        }
    }

    /// Records so many calls that count and were open, or not even begun, when waiting ended.
    pub(crate) fn record_unanswered(&mut self, calls: u64) {
        if calls == 0 {
            return;
        }
        self.counted += calls;
        self.unanswered += calls;
        count(&mut self.bad, Outcome::TOO_LATE, calls);
    }

    /// Takes over what `other` recorded.
    pub(crate) fn add(&mut self, other: &Self) {
        const SAME: &str = "all have the same bounds";
        self.service.add(&other.service).expect(SAME);
        if let (Some(sum), Some(more)) = (&mut self.response, &other.response) {
            sum.add(more).expect(SAME);
        }
        self.counted += other.counted;
        self.unanswered += other.unanswered;
        for (outcome, more) in &other.bad {
            count(&mut self.bad, *outcome, *more);
        }
        for (outcome, more) in &other.bad_in_all {
            count(&mut self.bad_in_all, *outcome, *more);
        }
    }

    /// Bad replies among those that count, by their text.
    pub(crate) fn bad(&self) -> BTreeMap<String, u64> {
        by_text(&self.bad)
    }

    /// Bad replies over the whole attack, by their text.
    pub(crate) fn bad_in_all(&self) -> BTreeMap<String, u64> {
        by_text(&self.bad_in_all)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(LONGEST)
}

fn count(kinds: &mut Kinds, outcome: Outcome, more: u64) {
    match kinds.iter_mut().find(|(known, _)| *known == outcome) {
        Some((_, count)) => *count += more,
        None => kinds.push((outcome, more)),
    }
}

fn by_text(kinds: &Kinds) -> BTreeMap<String, u64> {
    let texts = kinds
        .iter()
        .map(|(outcome, count)| (outcome.to_string(), *count));
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Outcome = Outcome::Http(200);
    const BAD: Outcome = Outcome::Http(503);
    const TIMES: Times = Times {
        service: Duration::from_millis(1),
        response: Some(Duration::from_millis(2)),
    };

    #[test]
    fn a_call_that_does_not_count_is_seen_only_where_its_reply_is_bad() {
        let mut recorder = Recorder::new(false);
        recorder.record(BAD, TIMES, false);
        recorder.record(OK, TIMES, false);
        assert_eq!((recorder.counted, recorder.service.len()), (0, 0));
        assert!(recorder.bad().is_empty());
        assert_eq!(recorder.bad_in_all()["503"], 1);
    }

    #[test]
    fn only_good_replies_are_timed() {
        let mut recorder = Recorder::new(true);
        recorder.record(OK, TIMES, true);
        recorder.record(BAD, TIMES, true);
        let response = recorder.response.as_ref().unwrap();
        assert_eq!((recorder.service.len(), response.len()), (1, 1));
        assert_eq!(response.max() / 1_000_000, 2, "in nanoseconds");
        assert_eq!((recorder.counted, recorder.bad()["503"]), (2, 1));
    }

    #[test]
    fn a_call_without_a_reply_counts_as_a_bad_one() {
        let mut recorder = Recorder::new(true);
        recorder.record(OK, TIMES, true);
        recorder.record_unanswered(0);
        assert!(recorder.bad().is_empty());
        recorder.record_unanswered(2);
        assert_eq!((recorder.counted, recorder.unanswered), (3, 2));
        assert_eq!(recorder.bad()["no answer in time"], 2);
        assert!(recorder.bad_in_all().is_empty(), "there was no reply");
    }

    #[test]
    fn recorders_add_up() {
        let (mut one, mut two) = (Recorder::new(true), Recorder::new(true));
        one.record(OK, TIMES, true);
        two.record(OK, TIMES, true);
        two.record(BAD, TIMES, true);
        two.record(BAD, TIMES, false);
        two.record_unanswered(1);
        one.add(&two);
        assert_eq!((one.counted, one.service.len()), (4, 2));
        assert_eq!(one.response.as_ref().unwrap().len(), 2);
        assert_eq!((one.bad()["503"], one.bad_in_all()["503"]), (1, 2));
        assert_eq!(one.unanswered, 1);
    }
}
