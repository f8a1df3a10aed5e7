//! The verdict for other programs: JSON by a published schema (`loadtest/verdict.schema.json`), JUnit, which
//! every CI service shows, and OpenMetrics.

mod openmetrics;

use std::fmt::Write;

use engine::Load;
use serde_json::{Value, json};

use crate::{
    record::{Purpose, Recording, Scenario, Trial},
    verdict::{
        Verdict,
        claim::Claim,
        requirement::{Answer, Outcome},
        sentence,
    },
};

pub use openmetrics::text as openmetrics;

/// The version of the JSON. It grows when a field changes its meaning or goes.
const FORMAT: u32 = 1;

/// The verdict as JSON.
pub fn json(recording: &Recording, verdict: &Verdict) -> String {
    let run = &recording.run;
    let text = serde_json::to_string_pretty(&json!({
        "format": FORMAT,
        "started_at": run.started_at,
        "sentence": verdict.sentence(),
        "conclusive": verdict.is_conclusive(),
        "cut_short": run.cut_short,
        "thresholds_missed": run.thresholds_missed,
        "requirements": verdict.requirements.iter().map(requirement).collect::<Vec<_>>(),
        "claims": verdict.claims().map(claim).collect::<Vec<_>>(),
    }));
    // Values of our own have names that are strings.
    text.unwrap_or_default() + "\n"
}

fn requirement(answer: &Answer) -> Value {
    json!({
        "requirement": answer.requirement,
        "outcome": answer.outcome.word(),
        "value": answer.found.map(|[value, ..]| value),
        "low": answer.found.map(|[_, low, _]| low),
        "high": answer.found.map(|[.., high]| high),
        "limit": answer.limit,
        "unit": answer.unit,
        "reason": answer.reason,
        "scenario": answer.scenario.as_ref().map(scenario),
    })
}

fn claim(claim: &Claim) -> Value {
    let [baseline, candidate] = claim.values;
    let estimate = claim.estimate.as_ref();
    json!({
        "measure": claim.metric.noun(),
        "unit": claim.metric.unit(),
        "scenario": scenario(&claim.scenario),
        "baseline": { "name": claim.baseline.name, "value": baseline },
        "candidate": { "name": claim.candidate.name, "value": candidate },
        "ratio": estimate.map(|estimate| estimate.ratio),
        "low": estimate.map(|estimate| estimate.interval.low),
        "high": estimate.map(|estimate| estimate.interval.high),
        "floor": claim.floor.map(|floor| floor.part),
        "rounds": claim.rounds,
        "grade": claim.grade.word(),
        "sentence": sentence::of(claim),
    })
}

fn scenario(scenario: &Scenario) -> Value {
    let per_second = match scenario.load {
        Load::Closed => None,
        Load::Open { per_second } => Some(per_second),
    };
    json!({
        "purpose": purpose(scenario.purpose),
        "connections": scenario.shape.connections,
        "in_flight": scenario.shape.in_flight,
        "batch": scenario.batch,
        "per_second": per_second,
    })
}

fn purpose(purpose: Purpose) -> Value {
    serde_json::to_value(purpose).unwrap_or_default()
}

/// The verdict and each requirement as a test of JUnit: one that is missed failed, and one that cannot be told
/// is an error. A verdict that is inconclusive is skipped, as nothing was required of it.
pub fn junit(recording: &Recording, verdict: &Verdict) -> String {
    let count = |wanted| {
        let all = verdict.requirements.iter();
        all.filter(|answer| answer.outcome == wanted).count()
    };
    let run = &recording.run;
    let missed = run
        .thresholds_missed
        .iter()
        .map(|one| format!("threshold missed: {one}"));
    let cut = run.cut_short.iter().map(|why| format!("cut short: {why}"));
    let mut failed: Vec<String> = missed.chain(cut).collect();
    // A search for capacity goes beyond what the service bears on purpose.
    let trials = recording
        .trials
        .iter()
        .filter(|trial| trial.purpose != Purpose::Capacity);
    let bad: u64 = trials.map(Trial::bad_replies).sum();
    if bad > 0 {
        failed.push(format!("{bad} replies were bad"));
    }
    let broken = usize::from(!failed.is_empty());
    let skipped = usize::from(!verdict.is_conclusive());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"loadtest\" tests=\"{}\" \
         failures=\"{}\" errors=\"{}\" skipped=\"{skipped}\" timestamp=\"{}\">\n",
        verdict.requirements.len() + 1 + broken,
        count(Outcome::Missed) + broken,
        count(Outcome::CannotTell),
        escaped(recording.run.started_at.trim_end_matches('Z')),
    );
    let said = escaped(&verdict.sentence());
    let what = match skipped {
        0 => format!("<system-out>{said}</system-out>"),
        _ => format!("<skipped message=\"{said}\"/>"),
    };
    let _ = writeln!(
        text,
        "    <testcase classname=\"loadtest\" name=\"verdict\">{what}</testcase>"
    );
    if broken > 0 {
        let _ = writeln!(
            text,
            "    <testcase classname=\"loadtest\" name=\"run\"><failure message=\"{}\"/></testcase>",
            escaped(&failed.join("; "))
        );
    }
    for answer in &verdict.requirements {
        let said = escaped(&answer.to_string());
        let what = match answer.outcome {
            Outcome::Met => format!("<system-out>{said}</system-out>"),
            Outcome::Missed => format!("<failure message=\"{said}\"/>"),
            Outcome::CannotTell => format!("<error message=\"{said}\"/>"),
        };
        let _ = writeln!(
            text,
            "    <testcase classname=\"loadtest.require\" name=\"{}\">{what}</testcase>",
            escaped(&answer.requirement)
        );
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// `text` inside of XML. Characters that XML 1.0 cannot hold become a replacement.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\n' | '\t' | '\r' => safe.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_stranger_wrote_is_markup() {
        assert_eq!(
            escaped("a<b>&\"c\"\u{1b}\n"),
            "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd} "
        );
    }
}
