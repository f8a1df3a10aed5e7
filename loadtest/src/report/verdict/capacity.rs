//! The rates that met the latency objective, and the generator's own limit.

use maud::{Markup, html};

use crate::{
    numbers::decimals,
    record::{Ceiling, Purpose, Recording, Trial},
    report::{
        figures::{plain, share},
        table::table,
    },
    verdict::sentence::shape,
};

/// The highest rate of each variant that met the objective.
pub(super) fn found(recording: &Recording) -> Option<Markup> {
    let run = &recording.run;
    let objective = run.objective.filter(|_| !run.capacity.is_empty())?;
    let rate = |rate: Option<f64>| rate.map_or("—".into(), per_second);
    let rows = run.capacity.iter().map(|found| {
        let limit = match (found.generator_bound, found.met_per_second) {
            _ if found.disturbed => "inconclusive: the machine was disturbed, and the search ended",
            (true, _) => "inconclusive: the generator ended it; the service can do at least this",
            (false, Some(_)) => "the objective",
            (false, None) => "no rate that was tried met it",
        };
        vec![
            format!("{}, {}", found.name(), shape(found.shape)),
            rate(found.met_per_second),
            rate(found.missed_per_second),
            limit.to_owned(),
        ]
    });
    Some(html! {
        p.lead {
            "The highest rate of an open loop at which p" (objective.percentile) " stays below "
            (plain(objective.below_us as f64 / 1e3)) " ms, found by search. One search for each variant: no interval."
        }
        (table("Capacity", &["Variant", "Met at", "Missed at", "Bounded by"], &rows.collect::<Vec<_>>()))
    })
}

/// Renders the rates that the generator itself reaches against a null server.
pub(super) fn ceiling(recording: &Recording) -> Option<Markup> {
    // Of the same shape: a ceiling says nothing about another.
    let highest = |ceiling: &Ceiling| {
        let alike = |trial: &&Trial| {
            trial.purpose != Purpose::Ceiling
                && (trial.variant.protocol, trial.shape, trial.batch)
                    == (ceiling.protocol, ceiling.shape, 1)
        };
        let rates = recording.trials.iter().filter(alike);
        rates
            .map(|trial| trial.measurement.requests_per_second())
            .reduce(f64::max)
    };
    let rows = recording.run.ceiling.iter().map(|ceiling| {
        let limit = ceiling.requests_per_second;
        let reached = highest(ceiling);
        vec![
            format!("{}, {}", ceiling.protocol.name(), shape(ceiling.shape)),
            per_second(limit),
            format!("{} µs", decimals(ceiling.generator_cpu_us_per_request, 1)),
            reached.map_or("—".into(), per_second),
            reached.map_or("—".into(), |rate| share(rate as u64, limit as u64)),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let columns = [
        "Variant",
        "Ceiling",
        "Client CPU per request",
        "Highest rate of this run",
        "Share",
    ];
    (!rows.is_empty()).then(|| {
        html! {
            h3 { "The generator's own ceiling" }
            p.lead { "Rates against a null server, which answers with fixed bytes. A rate near it is the generator's, not the service's. Each was measured in one trial: a share above 100% says that it was no ceiling." }
            (table("The generator's own ceiling", &columns, &rows))
        }
    })
}

fn per_second(rate: f64) -> String {
    format!("{} requests/s", decimals(rate, 0))
}
