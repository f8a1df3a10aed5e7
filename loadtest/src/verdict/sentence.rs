//! A claim in words: never a bare winner, and where nothing can be said, why.

use super::{claim::Claim, metric::Metric};
use crate::{
    record::{Arm, Cell, Load},
    report::figures::{decimals, thousands},
    statistics::{EQUIVALENCE, Estimate, Finding, Floor, Unsaid},
};

/// Such as "gRPC takes 0.62× (95% CI 0.59–0.66; A/A floor ±2%) of REST's server CPU per request at
/// 64 connections × 1 in flight, 5,000 requests/s."
pub fn of(claim: &Claim) -> String {
    let (base, candidate) = (name(&claim.base), name(&claim.candidate));
    let (noun, at) = (claim.metric.noun(), conditions(&claim.cell));
    let (takes, whole) = match claim.metric {
        Metric::Rate => ("gives", format!("the {noun} of {base}")),
        _ => ("takes", format!("{base}'s {noun}")),
    };
    match (&claim.finding, &claim.estimate) {
        (Finding::Difference, Some(estimate)) => format!(
            "{candidate} {takes} {} of {whole} at {at}.",
            figures(estimate, claim.floor)
        ),
        (Finding::NoDifference, Some(estimate)) => format!(
            "No difference: {candidate} {takes} {} of {whole} at {at}, which is within ±{}.",
            figures(estimate, claim.floor),
            percent(EQUIVALENCE)
        ),
        (finding, _) => format!(
            "Can't tell here whether the {noun} of {candidate} is above or below that of {base} at {at}: {}.",
            reason(finding, claim)
        ),
    }
}

/// Such as `0.62× (95% CI 0.59–0.66; A/A floor ±2%)`.
pub fn figures(estimate: &Estimate, floor: Option<Floor>) -> String {
    let floor = floor.map_or(String::new(), |floor| {
        format!("; A/A floor ±{}", percent(floor.part))
    });
    format!(
        "{}× (95% CI {}{floor})",
        ratio(estimate.ratio),
        interval(estimate)
    )
}

/// Such as `0.59–0.66`.
pub fn interval(estimate: &Estimate) -> String {
    let interval = estimate.interval;
    format!("{}–{}", ratio(interval.low), ratio(interval.high))
}

/// Two decimals, and more digits where that would leave one.
pub fn ratio(ratio: f64) -> String {
    match ratio {
        r if r >= 100.0 => decimals(r, 0),
        r if r >= 10.0 => decimals(r, 1),
        r if r >= 0.095 => decimals(r, 2),
        r => decimals(r, 3),
    }
}

/// A part of 1 in percent, rounded up to a digit that does not say less than was found.
pub fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent >= 2.0 {
        format!("{:.0}%", (percent - 1e-9).ceil())
    } else {
        format!("{:.1}%", ((percent - 1e-9).max(0.0) * 10.0).ceil() / 10.0)
    }
}

/// REST and gRPC are what people call arms A and E; the others are named by what they are, and an
/// arm under another name than its letter by both, unless that says it already.
pub fn name((arm, label): &(Arm, String)) -> String {
    let name = match arm {
        Arm::JsonHttp1 => "REST",
        other => other.name(),
    };
    if label == arm.letter() {
        name.to_owned()
    } else if label.starts_with(name) {
        label.clone()
    } else {
        format!("{name} ({label})")
    }
}

/// Such as `64 connections × 1 in flight, 5,000 requests/s`.
pub fn conditions(cell: &Cell) -> String {
    let mut text = shape(cell);
    if cell.batch > 1 {
        text += &format!(", {} greetings per call", thousands(cell.batch.into()));
    }
    text + ", " + &load(cell.load)
}

/// Such as `64 connections × 1 in flight`.
pub fn shape(cell: &Cell) -> String {
    format!(
        "{} × {} in flight",
        counted(cell.connections.into(), "connection"),
        thousands(cell.in_flight.into())
    )
}

/// Such as `5,000 requests/s`.
pub fn load(load: Load) -> String {
    match load {
        Load::Closed => "closed loop".to_owned(),
        Load::Open { per_second } => {
            let places = usize::from(per_second < 100.0 && per_second.fract() != 0.0);
            format!("{} requests/s", decimals(per_second, places))
        }
    }
}

/// Such as `1 connection` or `2,000 connections`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// Why nothing can be said, and what would help.
pub fn reason(finding: &Finding, claim: &Claim) -> String {
    let Finding::CantTell(unsaid) = finding else {
        return String::new();
    };
    let figures = claim
        .estimate
        .as_ref()
        .map_or(String::new(), |estimate| figures(estimate, claim.floor));
    match unsaid {
        Unsaid::TooFewPairs { valid, needed } => {
            let void = match claim.void_blocks {
                0 => String::new(),
                blocks => format!(" ({} VOID)", counted(blocks as u64, "block")),
            };
            format!(
                "{} valid, {needed} needed{void}",
                counted(*valid as u64, "pair")
            )
        }
        Unsaid::GivenUp => "most blocks are VOID, and the run gave up".to_owned(),
        Unsaid::NoFloor => "there is no valid A/A run to compare the difference with".to_owned(),
        Unsaid::TooWide => format!(
            "{figures} is too wide to tell a difference from none; more pairs or a quieter machine \
             narrow it"
        ),
        Unsaid::FloorTooWide => format!(
            "{figures} is within ±{}, but one arm differs from itself by more; a quieter machine helps",
            percent(EQUIVALENCE)
        ),
        Unsaid::WithinFloor => {
            format!("{figures} reaches as near to 1 as one arm comes to itself")
        }
        Unsaid::Chance { adjusted_p } => {
            format!("{figures} may be chance among so many comparisons (Holm's p {adjusted_p:.2})")
        }
        Unsaid::PairsDisagree => format!("the pairs behind {figures} do not agree"),
    }
}

/// A finding in two words.
pub fn finding(finding: &Finding) -> &'static str {
    match finding {
        Finding::Difference => "differs",
        Finding::NoDifference => "no difference",
        Finding::CantTell(_) => "can't tell",
    }
}

/// What was found of `claim`, in two words, and why where nothing can be said.
pub fn finding_and_reason(claim: &Claim) -> String {
    let found = finding(&claim.finding);
    let Finding::CantTell(unsaid) = &claim.finding else {
        return found.to_owned();
    };
    let floor = || {
        claim.floor.map_or_else(
            || "unknown".to_owned(),
            |floor| format!("±{}", percent(floor.part)),
        )
    };
    let reason = match unsaid {
        Unsaid::TooFewPairs { valid, .. } => counted(*valid as u64, "pair"),
        Unsaid::GivenUp => "most blocks VOID".to_owned(),
        Unsaid::NoFloor => "no A/A floor".to_owned(),
        Unsaid::TooWide => "the interval holds 1".to_owned(),
        Unsaid::FloorTooWide | Unsaid::WithinFloor => format!("A/A floor {}", floor()),
        Unsaid::Chance { adjusted_p } => format!("may be chance, p {adjusted_p:.2}"),
        Unsaid::PairsDisagree => "pairs disagree".to_owned(),
    };
    format!("{found}: {reason}")
}
