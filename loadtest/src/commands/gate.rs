//! `loadtest compare BASE NEW --allow 1.05`: whether anything takes more in the second run than in the first,
//! beyond what is allowed. The runs were not interleaved, and the text says what that means.

use std::fmt::Write;

use stats::{Look, REST_LEVEL, Trimmed};

use super::compare::Side;
use crate::{
    metric::Metric,
    record::{Scenario, Variant},
    verdict::{
        requirement::{Outcome, SCENARIOS},
        scenarios::{COMMON_RATE, Scenarios},
        typical,
    },
};

/// The measures that are held against the gate: more of each is worse.
const MEASURES: [Metric; 4] = [
    Metric::ServerCpu,
    Metric::MedianLatency,
    Metric::TailLatency,
    Metric::Bytes,
];

/// Said below every gate.
const APART: &str = "The two runs were not interleaved: whatever the machine did to only one of them counts here as a \
                     change of the service, and the intervals do not know of it. Measured as two variants of one run, \
                     the old build and the new one have a baseline's twin beside them: two --rest, or two --grpc.";

/// A measure of one variant in both runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The variant.
    pub variant: String,
    /// The measure.
    pub metric: Metric,
    /// The second run divided by the first, and the ends of the interval.
    pub ratio: Option<[f64; 3]>,
    /// True if it is within what is allowed.
    pub outcome: Outcome,
    /// Reason for `CannotTell`, if that is the outcome.
    pub reason: Option<&'static str>,
}

/// Every measure that both runs have of one variant, held against `allow`, the largest ratio.
pub fn changes(sides: &[Side; 2], allow: f64) -> Vec<Change> {
    let [first, second] = sides.each_ref().map(|side| Scenarios::of(&side.recording));
    let mut pairs = SCENARIOS
        .into_iter()
        .filter_map(|purpose| Some((first.first(purpose)?, second.first(purpose)?)));
    let Some((one, other)) = pairs.next() else {
        return Vec::new();
    };
    let variants = one.scenario.variants.iter().filter(|one| !one.is_twin);
    let both: Vec<&Variant> = variants
        .filter(|variant| other.scenario.variants.contains(variant))
        .collect();
    let count = both.len() * MEASURES.len();
    let each = both.into_iter().flat_map(|variant| {
        MEASURES.map(|metric| {
            let values = [
                typical(&first, one, variant, metric),
                typical(&second, other, variant, metric),
            ];
            change(
                variant,
                metric,
                values,
                [one.scenario, other.scenario],
                (allow, count),
            )
        })
    });
    each.filter(|change| change.reason != Some(NOT_MEASURED))
        .collect()
}

const NOT_MEASURED: &str = "not measured in both";

fn change(
    variant: &Variant,
    metric: Metric,
    [first, second]: [Option<(Trimmed, usize)>; 2],
    scenarios: [&Scenario; 2],
    (allow, count): (f64, usize),
) -> Change {
    let change = |ratio, outcome, reason| Change {
        variant: variant.name.clone(),
        metric,
        ratio,
        outcome,
        reason,
    };
    let cannot = |reason| change(None, Outcome::CannotTell, Some(reason));
    let ((first, rounds), (second, more)) = match (first, second) {
        (Some(first), Some(second)) => (first, second),
        (None, None) => return cannot(NOT_MEASURED),
        // What is worse may be what could not be measured.
        _ => return cannot("it is known well enough in one of the runs alone"),
    };
    if !is_alike(scenarios) {
        return cannot("the runs differ in shape or rate; give both the same --users and --rate");
    }
    // Welch's t: the variances need not be equal.
    let (one, other) = (first.error.powi(2), second.error.powi(2));
    let freedom =
        (one + other).powi(2) / (one.powi(2) / first.freedom + other.powi(2) / second.freedom);
    let difference = Trimmed {
        mean: second.mean - first.mean,
        error: (one + other).sqrt(),
        freedom: if freedom.is_finite() {
            freedom
        } else {
            first.freedom.min(second.freedom)
        },
    };
    // Both runs may have looked before they ended.
    let share = Look::at(rounds).share().min(Look::at(more).share());
    let logs = difference.interval(REST_LEVEL / count.max(1) as f64 * share);
    let ratio = [difference.mean, logs.low, logs.high].map(f64::exp);
    let [_, low, high] = ratio;
    if high <= allow {
        change(Some(ratio), Outcome::Met, None)
    } else if low > allow {
        change(Some(ratio), Outcome::Missed, None)
    } else {
        let reason = Some("what is allowed lies within the interval");
        change(Some(ratio), Outcome::CannotTell, reason)
    }
}

fn is_alike([one, other]: [&Scenario; 2]) -> bool {
    let rate = |scenario: &Scenario| match scenario.load {
        engine::Load::Closed => 0.0,
        engine::Load::Open { per_second } => per_second,
    };
    let (low, high) = (rate(one).min(rate(other)), rate(one).max(rate(other)));
    (one.shape, one.batch) == (other.shape, other.batch) && high <= low * (1.0 + COMMON_RATE)
}

/// The gate as text.
pub fn text(changes: &[Change], allow: f64) -> String {
    let mut text = format!("At most {allow}× of the first run is allowed:\n");
    if changes.is_empty() {
        text += "  cannot tell: the runs have no variant and no measure in common\n";
    }
    for change in changes {
        let _ = write!(
            text,
            "  {}: {} of {}",
            change.outcome.word(),
            change.metric.noun(),
            change.variant
        );
        if let Some([ratio, low, high]) = change.ratio {
            let _ = write!(text, " {ratio:.3}× ({low:.3} to {high:.3})");
        }
        if let Some(reason) = change.reason {
            let _ = write!(text, ": {reason}");
        }
        text.push('\n');
    }
    text + APART + "\n"
}

/// The outcome of all: the worst.
pub fn outcome(changes: &[Change]) -> Outcome {
    let worst = Outcome::worst(changes.iter().map(|change| change.outcome));
    worst.unwrap_or(Outcome::CannotTell)
}
