//! The meaning of a verdict for a service, and the machine for which it holds.

use engine::Load;

use super::{Verdict, claim::Claim, claim::Grade, sentence};
use crate::{
    metric::Metric,
    numbers::{counted, decimals, ratio, thousands, three_digits},
    record::{Purpose, Recording, Service},
};

/// Handlers that a difference is set against, in milliseconds.
const HANDLERS_MS: [f64; 3] = [1.0, 5.0, 20.0];

/// As clouds bill them: 365 × 24 / 12.
const HOURS_IN_A_MONTH: f64 = 730.0;

/// Medians of other programs' share and of steal beyond which a machine was busy.
const BUSY: [f64; 2] = [0.05, 0.01];

/// Returns the meaning of `verdict`, in sentences.
pub(super) fn of(verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(claim) = verdict.first() {
        lines.extend(cores(claim, verdict.core_price));
        lines.extend(share_of_a_handler(claim));
        lines.extend(turns_around(claim, &verdict.map));
    }
    lines.extend(verdict.busy.clone());
    lines
}

/// Such as "At 5,000 requests/s that is 0.016 cores more: 0.109 against 0.094.", and with the price of a core
/// for an hour what it comes to.
fn cores(claim: &Claim, core_price: Option<f64>) -> Option<String> {
    let Load::Open { per_second } = claim.scenario.load else {
        return None;
    };
    let cores = |us: f64| us * per_second / 1e6;
    let [baseline, candidate] = [cores(claim.values[0]?), cores(claim.values[1]?)];
    let rate = sentence::load(claim.scenario.load);
    let [low, high] = [baseline.min(candidate), baseline.max(candidate)].map(three_digits);
    match (&claim.grade, claim.metric) {
        (Grade::Difference, Metric::ServerCpu) => {
            let by = three_digits((candidate - baseline).abs());
            let more = if candidate > baseline {
                "more"
            } else {
                "fewer"
            };
            let [of_candidate, of_baseline] = [candidate, baseline].map(three_digits);
            let price = core_price.map_or_else(String::new, |price| {
                let [by, of_candidate, of_baseline] =
                    [(candidate - baseline).abs(), candidate, baseline]
                        .map(|cores| three_digits(cores * price * HOURS_IN_A_MONTH));
                let less = more.replace("fewer", "less");
                format!(" In a month they cost {by} {less}: {of_candidate} against {of_baseline}.")
            });
            Some(format!(
                "At {rate} that is {by} cores {more}: {of_candidate} against {of_baseline}.{price}"
            ))
        }
        (Grade::NoDifference, Metric::ServerCpu) => {
            let price = core_price.map_or_else(String::new, |price| {
                let [low, high] = [baseline.min(candidate), baseline.max(candidate)]
                    .map(|cores| three_digits(cores * price * HOURS_IN_A_MONTH));
                format!(" In a month they cost {low} to {high}.")
            });
            Some(format!(
                "At {rate} each takes {low} to {high} cores.{price}"
            ))
        }
        _ => None,
    }
}

/// Such as "Of a handler that takes 1, 5 or 20 ms it is 0.3%, 0.06% or 0.02%."
fn share_of_a_handler(claim: &Claim) -> Option<String> {
    let of_what = match claim.metric {
        Metric::ServerCpu => "Of a handler that takes 1, 5 or 20 ms of CPU",
        Metric::MedianLatency => "Of a handler that takes 1, 5 or 20 ms",
        _ => return None,
    };
    if claim.grade != Grade::Difference {
        return None;
    }
    let by_us = (claim.values[1]? - claim.values[0]?).abs();
    let [one, five, twenty] = HANDLERS_MS.map(|ms| {
        let percent = by_us / (ms * 1e3) * 100.0;
        decimals(
            percent,
            if percent < 0.095 {
                2
            } else {
                usize::from(percent < 9.5)
            },
        )
    });
    Some(format!(
        "{of_what} the difference is {one}%, {five}% or {twenty}%."
    ))
}

/// From which number of items, or sharing of connections, the other one is better off.
fn turns_around(claim: &Claim, map: &[Claim]) -> Option<String> {
    let is_above = |claim: &Claim| claim.estimate.map(|estimate| estimate.ratio > 1.0);
    let here = is_above(claim).filter(|_| claim.grade == Grade::Difference)?;
    let told = map.iter().filter(|place| {
        place.metric == claim.metric
            && place.grade.is_conclusive()
            && place.scenario != claim.scenario
            && (&place.baseline, &place.candidate) == (&claim.baseline, &claim.candidate)
    });
    let told: Vec<&Claim> = told.collect();
    let turned = told
        .iter()
        .filter(|place| place.grade == Grade::Difference && is_above(place) == Some(!here));
    let first = turned.min_by_key(|place| (place.scenario.batch, place.scenario.shape));
    let Some(place) = first else {
        let most = told.iter().map(|place| place.scenario.batch).max()?;
        return Some(format!(
            "It turns around in none of {} of the map that could be told, up to {} per call.",
            counted(told.len() as u64, "place"),
            counted(most.into(), "item")
        ));
    };
    let better = if here {
        &place.candidate
    } else {
        &place.baseline
    };
    let other = if here {
        &place.baseline
    } else {
        &place.candidate
    };
    let times = place.estimate.map_or_else(String::new, |estimate| {
        format!(
            " ({}× at {})",
            ratio(estimate.ratio),
            sentence::conditions(&place.scenario)
        )
    });
    let from = match (place.scenario.batch, place.scenario.shape.in_flight) {
        (1, 1) => format!(
            "with {}",
            counted(place.scenario.shape.connections.into(), "connection")
        ),
        (1, _) => "when calls share a connection".to_owned(),
        (batch, _) => format!("from {} items per call on", thousands(batch.into())),
    };
    Some(format!(
        "It turns around {from}: there {} has less than {}{times}.",
        better.name, other.name
    ))
}

/// Returns a sentence on what took the machine beside the run: other programs and the hypervisor. None if
/// neither took more than [`BUSY`].
pub(super) fn busy(recording: &Recording) -> Option<String> {
    let counts = |purpose| {
        !matches!(
            purpose,
            Purpose::Ceiling | Purpose::Capacity | Purpose::Pilot
        )
    };
    let trials = || {
        recording
            .trials
            .iter()
            .filter(|trial| counts(trial.purpose))
    };
    // Behind a forwarder the service itself would be taken for another program.
    let is_known = recording.run.service == Service::Embedded;
    let others = trials()
        .filter(|_| is_known)
        .filter_map(|trial| trial.measurement.others_share);
    let steal = trials().filter_map(|trial| trial.measurement.steal_share);
    let [others, steal] = [
        (
            stats::median(others.collect()),
            BUSY[0],
            "other programs took",
        ),
        (
            stats::median(steal.collect()),
            BUSY[1],
            "the hypervisor took",
        ),
    ]
    .map(|(share, limit, who)| {
        let share = share.filter(|share| *share > limit)?;
        Some(format!(
            "{who} {}% of the time",
            decimals(share * 100.0, usize::from(share < 0.095))
        ))
    });
    let told: Vec<String> = others.into_iter().chain(steal).collect();
    (!told.is_empty()).then(|| {
        format!(
            "It holds for a busy machine: {} (medians of all trials).",
            told.join(" and ")
        )
    })
}
