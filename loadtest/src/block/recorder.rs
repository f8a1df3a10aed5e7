//! What one user records, and what all of them together did.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;
use tonic::Code;

/// The longest time that is told apart, in nanoseconds: longer than any call's time limit.
const LONGEST: u64 = 3_600_000_000_000;

/// Significant digits kept of each time: 0.1%.
const DIGITS: u8 = 3;

/// How a call ended. A few kinds, so that they can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// REST: the answer had this status, and its body was whole.
    Http(u16),
    /// gRPC: the call had this status.
    Grpc(Code),
    /// No answer, or none that can be read.
    Broken(&'static str),
}

/// How a connection ended on which a call was open.
pub(super) const CONNECTION_BROKEN: Outcome = Outcome::Broken("connection broken");

/// What came back over HTTP/2 instead of gRPC.
pub(super) const NO_GRPC: Outcome = Outcome::Broken("no gRPC");

impl Outcome {
    /// Whether it says that something else is served there than what was asked for; not that the
    /// service has trouble, or gives another answer.
    pub(super) fn is_of_another(self) -> bool {
        match self {
            Self::Http(401 | 403 | 408 | 425 | 429 | 499) => false,
            Self::Http(status) => (300..500).contains(&status),
            Self::Grpc(code) => code == Code::Unimplemented,
            Self::Broken(_) => self == CONNECTION_BROKEN || self == NO_GRPC,
        }
    }

    /// Whether it is a good answer.
    pub(super) fn is_ok(self) -> bool {
        matches!(self, Self::Http(200..=299) | Self::Grpc(Code::Ok))
    }

    /// The HTTP status, for goose. gRPC's own status is in the trailers, and is not one.
    pub(super) fn http_status(self) -> Option<u16> {
        match self {
            Self::Http(status) => Some(status),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "{status}"),
            Self::Grpc(code) => f.write_str(serving::client::code_name(*code)),
            Self::Broken(reason) => f.write_str(reason),
        }
    }
}

/// How long a call took, to its last decoded byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From just before the call.
    pub(super) uncorrected: Duration,
    /// From when it was due, in an open loop.
    pub(super) corrected: Option<Duration>,
}

/// An empty histogram of nanoseconds.
pub(crate) fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are in order")
}

/// What one user, or all of them, recorded. Its size does not depend on how long the attack runs.
#[derive(Clone)]
pub(super) struct Recorder {
    /// Times of the good answers in the window, from just before the call.
    pub(super) uncorrected: Histogram<u64>,
    /// The same from when the calls were due; none in a closed loop.
    pub(super) corrected: Option<Histogram<u64>>,
    /// Answers in the window.
    pub(super) answers: u64,
    /// Kinds of bad answers in the window.
    bad: Kinds,
    /// Kinds of bad answers over the whole attack, ramp included.
    bad_in_all: Kinds,
}

/// Kinds of answers, and how many there were of each: few kinds, and mostly none.
type Kinds = Vec<(Outcome, u64)>;

impl Recorder {
    /// An empty one, for an open loop or a closed one.
    pub(super) fn new(is_open_loop: bool) -> Self {
        Self {
            uncorrected: times(),
            corrected: is_open_loop.then(times),
            answers: 0,
            bad: Kinds::new(),
            bad_in_all: Kinds::new(),
        }
    }

    /// Records an answer that came in the window, or outside it.
    pub(super) fn record(&mut self, outcome: Outcome, times: Times, in_window: bool) {
        if !outcome.is_ok() {
            count(&mut self.bad_in_all, outcome, 1);
        }
        if !in_window {
            return;
        }
        self.answers += 1;
        if !outcome.is_ok() {
            count(&mut self.bad, outcome, 1);
            return;
        }
        self.uncorrected.saturating_record(nanos(times.uncorrected));
        if let (Some(histogram), Some(time)) = (&mut self.corrected, times.corrected) {
            histogram.saturating_record(nanos(time));
        }
    }

    /// Takes over what `other` recorded.
    pub(super) fn add(&mut self, other: &Self) {
        const SAME: &str = "all have the same bounds";
        self.uncorrected.add(&other.uncorrected).expect(SAME);
        if let (Some(sum), Some(more)) = (&mut self.corrected, &other.corrected) {
            sum.add(more).expect(SAME);
        }
        self.answers += other.answers;
        for (outcome, more) in &other.bad {
            count(&mut self.bad, *outcome, *more);
        }
        for (outcome, more) in &other.bad_in_all {
            count(&mut self.bad_in_all, *outcome, *more);
        }
    }

    /// Bad answers in the window by their text.
    pub(super) fn bad(&self) -> BTreeMap<String, u64> {
        by_text(&self.bad)
    }

    /// Bad answers over the whole attack by their text.
    pub(super) fn bad_in_all(&self) -> BTreeMap<String, u64> {
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
    const BAD: Outcome = Outcome::Broken("no answer in time");
    const TIMES: Times = Times {
        uncorrected: Duration::from_millis(1),
        corrected: Some(Duration::from_millis(2)),
    };

    #[test]
    fn what_comes_outside_the_window_counts_only_where_it_is_bad() {
        let mut recorder = Recorder::new(false);
        recorder.record(BAD, TIMES, false);
        recorder.record(OK, TIMES, false);
        assert_eq!((recorder.answers, recorder.uncorrected.len()), (0, 0));
        assert!(recorder.bad().is_empty());
        assert_eq!(recorder.bad_in_all()["no answer in time"], 1);
    }

    #[test]
    fn only_good_answers_are_timed() {
        let mut recorder = Recorder::new(true);
        recorder.record(OK, TIMES, true);
        recorder.record(BAD, TIMES, true);
        let corrected = recorder.corrected.as_ref().unwrap();
        assert_eq!((recorder.uncorrected.len(), corrected.len()), (1, 1));
        assert_eq!(corrected.max() / 1_000_000, 2, "in nanoseconds");
        assert_eq!(
            (recorder.answers, recorder.bad()["no answer in time"]),
            (2, 1)
        );
    }

    #[test]
    fn recorders_add_up() {
        let (mut one, mut two) = (Recorder::new(true), Recorder::new(true));
        one.record(OK, TIMES, true);
        two.record(OK, TIMES, true);
        two.record(BAD, TIMES, true);
        two.record(BAD, TIMES, false);
        one.add(&two);
        assert_eq!((one.answers, one.uncorrected.len()), (3, 2));
        assert_eq!(one.corrected.as_ref().unwrap().len(), 2);
        assert_eq!(one.bad()["no answer in time"], 1);
        assert_eq!(one.bad_in_all()["no answer in time"], 2);
    }
}
