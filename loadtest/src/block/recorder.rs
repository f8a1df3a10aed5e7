//! What one user records, and what all of them together did.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use tonic::Code;

use crate::result::StatusCount;

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

impl Outcome {
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

/// Its size does not depend on how long the attack runs, but for 8 bytes a second.
#[derive(Clone)]
pub(super) struct Recorder {
    /// Times of the good answers in the window, in nanoseconds.
    pub(super) times: Histogram<u64>,
    /// Answers in each second of the window.
    pub(super) seconds: Vec<u64>,
    /// Answers in the window.
    pub(super) answers: u64,
    /// Bad ones among them.
    pub(super) failures: u64,
    /// Each kind of answer, ramp included.
    outcomes: Vec<(Outcome, u64)>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            times: Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are in order"),
            seconds: Vec::new(),
            answers: 0,
            failures: 0,
            outcomes: Vec::new(),
        }
    }

    /// Records an answer that took `time` and came at `position` in the window, or outside it.
    pub(super) fn record(&mut self, outcome: Outcome, time: Duration, position: Option<Duration>) {
        self.count(outcome, 1);
        let Some(position) = position else { return };
        let second = usize::try_from(position.as_secs()).unwrap_or(usize::MAX);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        self.seconds[second] += 1;
        self.answers += 1;
        if outcome.is_ok() {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
            self.times.saturating_record(nanos);
        } else {
            self.failures += 1;
        }
    }

    /// Takes over what `other` recorded.
    pub(super) fn add(&mut self, other: &Self) {
        self.times
            .add(&other.times)
            .expect("both have the same bounds");
        if self.seconds.len() < other.seconds.len() {
            self.seconds.resize(other.seconds.len(), 0);
        }
        for (sum, more) in self.seconds.iter_mut().zip(&other.seconds) {
            *sum += more;
        }
        self.answers += other.answers;
        self.failures += other.failures;
        for (outcome, count) in &other.outcomes {
            self.count(*outcome, *count);
        }
    }

    /// Each kind of answer and its count, the most frequent first.
    pub(super) fn statuses(&self) -> Vec<StatusCount> {
        let mut statuses: Vec<_> = self
            .outcomes
            .iter()
            .map(|(outcome, count)| StatusCount {
                status: outcome.to_string(),
                ok: outcome.is_ok(),
                count: *count,
            })
            .collect();
        statuses.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.status.cmp(&b.status)));
        statuses
    }

    fn count(&mut self, outcome: Outcome, more: u64) {
        match self
            .outcomes
            .iter_mut()
            .find(|(known, _)| *known == outcome)
        {
            Some((_, count)) => *count += more,
            None => self.outcomes.push((outcome, more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Outcome = Outcome::Http(200);
    const BAD: Outcome = Outcome::Broken("no answer in time");

    #[test]
    fn what_comes_outside_the_window_counts_only_as_a_kind_of_answer() {
        let mut recorder = Recorder::new();
        recorder.record(BAD, Duration::from_millis(1), None);
        assert_eq!(
            (recorder.answers, recorder.failures, recorder.times.len()),
            (0, 0, 0)
        );
        assert_eq!(recorder.statuses()[0].count, 1);
        assert!(recorder.seconds.is_empty());
    }

    #[test]
    fn only_good_answers_are_timed_and_each_lands_in_its_second() {
        let mut recorder = Recorder::new();
        let at = |millis| Some(Duration::from_millis(millis));
        recorder.record(OK, Duration::from_millis(1), at(999));
        recorder.record(OK, Duration::from_millis(1), at(1000));
        recorder.record(BAD, Duration::from_millis(1), at(2500));
        assert_eq!(recorder.seconds, [1, 1, 1]);
        assert_eq!(
            (recorder.answers, recorder.failures, recorder.times.len()),
            (3, 1, 2)
        );
    }

    #[test]
    fn recorders_add_up() {
        let (mut one, mut two) = (Recorder::new(), Recorder::new());
        one.record(OK, Duration::from_millis(1), Some(Duration::ZERO));
        two.record(OK, Duration::from_millis(3), Some(Duration::from_secs(1)));
        two.record(BAD, Duration::from_millis(3), Some(Duration::from_secs(1)));
        one.add(&two);
        assert_eq!(one.seconds, [1, 2]);
        assert_eq!((one.answers, one.failures, one.times.len()), (3, 1, 2));
        let statuses = one.statuses();
        assert_eq!((statuses[0].status.as_str(), statuses[0].count), ("200", 2));
        assert_eq!(
            (statuses[1].status.as_str(), statuses[1].ok),
            ("no answer in time", false)
        );
    }
}
