//! A run's figures at its end as OpenMetrics, for a Pushgateway, or a folder that a node exporter reads.

use std::sync::atomic::AtomicU64;

use chrono::DateTime;
use engine::Load;
use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::purpose;
use crate::{
    metric::Metric,
    record::{Recording, Scenario},
    verdict::{Verdict, requirement::Outcome},
};

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

/// The figures of each claim and each requirement, in base units.
pub fn text(recording: &Recording, verdict: &Verdict) -> String {
    let mut registry = Registry::with_prefix("loadtest");
    values(&mut registry, verdict);
    ratios(&mut registry, verdict);
    let conclusive = gauges(
        &mut registry,
        "conclusive",
        "1 if a verdict was given",
        None,
    );
    set(&conclusive, &Vec::new(), f64::from(verdict.is_conclusive()));
    let help = "When the run began";
    let started = gauges(&mut registry, "started", help, Some(Unit::Seconds));
    if let Ok(at) = DateTime::parse_from_rfc3339(&recording.run.started_at) {
        set(&started, &Vec::new(), at.timestamp() as f64);
    }
    let help = "1 if a requirement is met, 0 if it is missed; one that cannot be told is left out";
    let met = gauges(&mut registry, "requirement_met", help, None);
    for answer in &verdict.requirements {
        let value = match answer.outcome {
            Outcome::Met => 1.0,
            Outcome::Missed => 0.0,
            Outcome::CannotTell => continue,
        };
        let labels = vec![("requirement", answer.requirement.clone())];
        set(&met, &labels, value);
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes whatever is written to it");
    in_order(&text)
}

/// The samples of each family in the order of their labels: the registry has them in that of a hash.
fn in_order(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let is_comment = |line: &&str| line.starts_with('#');
    for family in lines.chunk_by_mut(|one, next| is_comment(one) == is_comment(next)) {
        if !is_comment(&family[0]) {
            family.sort_unstable();
        }
    }
    lines.join("\n") + "\n"
}

/// The values of both variants of each claim.
fn values(registry: &mut Registry, verdict: &Verdict) {
    for (metrics, name, help, unit, per_unit) in FAMILIES {
        let family = gauges(registry, name, help, unit());
        let claims = verdict.claims();
        for claim in claims.filter(|claim| metrics.contains(&claim.metric)) {
            let sides = [&claim.baseline, &claim.candidate];
            for (variant, value) in sides.into_iter().zip(claim.values) {
                let Some(value) = value else { continue };
                let mut labels = vec![("variant", variant.name.clone())];
                let percentile = claim.metric.percentile();
                labels.extend(percentile.map(|p| ("quantile", (p / 100.0).to_string())));
                labels.extend(of(&claim.scenario));
                set(&family, &labels, value / per_unit);
            }
        }
    }
}

type Base = fn() -> Option<Unit>;

/// Measures, name, help, base unit, and how many of the measure's own units that is.
const FAMILIES: [(&[Metric], &str, &str, Base, f64); 5] = [
    (
        &[Metric::ServerCpu],
        "server_cpu",
        "CPU time of the server for a request",
        || Some(Unit::Seconds),
        1e6,
    ),
    (
        &[Metric::MedianLatency, Metric::TailLatency],
        "latency",
        "Time of a good reply",
        || Some(Unit::Seconds),
        1e6,
    ),
    (
        &[Metric::GeneratorCpu],
        "client_cpu",
        "CPU time of the client for a request",
        || Some(Unit::Seconds),
        1e6,
    ),
    (
        &[Metric::Bytes],
        "request",
        "Bytes on the wire for a request, both ways",
        || Some(Unit::Bytes),
        1.0,
    ),
    (
        &[Metric::Rate],
        "requests_per_second",
        "Good replies in a second",
        || None,
        1.0,
    ),
];

/// The ratio of each claim with its interval.
fn ratios(registry: &mut Registry, verdict: &Verdict) {
    let families = [
        ("ratio", "The candidate divided by the baseline"),
        ("ratio_low", "The lower end of its 95% interval"),
        ("ratio_high", "The upper end of its 95% interval"),
    ];
    let families = families.map(|(name, help)| gauges(registry, name, help, None));
    for claim in verdict.claims() {
        let Some(estimate) = claim.estimate else {
            continue;
        };
        let mut labels = vec![
            ("measure", claim.metric.noun().to_owned()),
            ("baseline", claim.baseline.name.clone()),
            ("candidate", claim.candidate.name.clone()),
            ("grade", claim.grade.word().to_owned()),
        ];
        labels.extend(of(&claim.scenario));
        let interval = estimate.interval;
        let values = [estimate.ratio, interval.low, interval.high];
        for (family, value) in families.iter().zip(values) {
            set(family, &labels, value);
        }
    }
}

fn of(scenario: &Scenario) -> Labels {
    let offered = match scenario.load {
        Load::Closed => String::new(),
        Load::Open { per_second } => per_second.to_string(),
    };
    let purpose = purpose(scenario.purpose);
    vec![
        ("purpose", purpose.as_str().unwrap_or_default().to_owned()),
        ("connections", scenario.shape.connections.to_string()),
        ("in_flight", scenario.shape.in_flight.to_string()),
        ("batch", scenario.batch.to_string()),
        ("offered_per_second", offered),
    ]
}

fn gauges(registry: &mut Registry, name: &str, help: &str, unit: Option<Unit>) -> Gauges {
    let family = Gauges::default();
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, family.clone()),
        None => registry.register(name, help, family.clone()),
    }
    family
}

fn set(family: &Gauges, labels: &Labels, value: f64) {
    family.get_or_create(labels).set(value);
}
