//! The sentence, what qualifies it, and the same arms by other metrics.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::table::table;
use crate::{
    record::{Load, Mode, Purpose, Recording, Run},
    report::figures::decimals,
    validity,
    verdict::{
        Verdict,
        claim::Claim,
        metric::Metric,
        sentence::{self, counted},
    },
};

/// Pairs that a published verdict takes.
const PUBLISHED_PAIRS: u32 = 10;

/// The top of the page.
pub(super) fn header(recording: &Recording, verdict: &Verdict) -> Markup {
    let run = &recording.run;
    html! {
        p.eyebrow { "REST and gRPC, compared" }
        h1.cannot[!verdict.is_told()] { (verdict.sentence()) }
        @for claim in verdict.headline.iter().skip(1) { p.second { (sentence::of(claim)) } }
        p.caveat {
            (caveat(run))
            " CI: confidence interval over pairs of blocks. A/A floor: by how much one arm differs from itself."
        }
        (banners(recording))
    }
}

fn caveat(run: &Run) -> String {
    let pairs = run
        .plan
        .cells
        .iter()
        .map(|cell| cell.pairs)
        .max()
        .unwrap_or(0);
    let planned = counted(pairs.into(), "pair");
    match run.mode {
        Mode::Quick if pairs < PUBLISHED_PAIRS => format!(
            "Quick mode: {planned} of blocks at most, where a verdict to publish takes \
             {PUBLISHED_PAIRS}; its intervals are wide."
        ),
        Mode::Quick => format!("Quick mode: up to {planned} of short blocks."),
        Mode::Thorough => format!("Thorough mode: up to {planned} of blocks."),
    }
}

/// What qualifies every figure below, the gravest first.
fn banners(recording: &Recording) -> Markup {
    let run = &recording.run;
    let void = recording
        .blocks
        .iter()
        .filter(|block| !block.is_valid())
        .count();
    html! {
        @if !run.tool.release {
            (banner("bad", "Debug build: its figures say nothing.", "Build with --release and run again."))
        }
        @if let Some(reason) = &run.cut_short {
            (banner("warn", &format!("Cut short: {}.", reason.trim_end_matches('.')), "The figures cover what was measured until then."))
        }
        @if !run.thresholds_missed.is_empty() {
            (banner("warn", "Thresholds missed:", &run.thresholds_missed.join("; ")))
        }
        @if let Some(shapes) = generator_at_its_limit(recording) {
            (banner(
                "warn",
                &format!("In the closed loop the generator was at its limit, at {shapes}."),
                "Latency and requests per second there are the generator's as much as the service's. \
                 Server CPU per request is the service's own, at the rate that the generator could \
                 reach, and falls as a rate grows. The open loop is not touched by it."
            ))
        }
        @if void > 0 {
            @let (are, count, their) = if void == 1 { ("is", "counts", "Its reason stands") } else { ("are", "count", "Their reasons stand") };
            @let text = format!("{void} of {} {are} VOID and {count} for nothing.", counted(recording.blocks.len() as u64, "block"));
            @let then = if validity::too_many_void(&recording.blocks) { "The run gave up, and no more were measured. " } else { "" };
            (banner("warn", &text, &format!("{then}{their} at the foot of this page.")))
        }
    }
}

/// The shapes of the closed loop, connections × calls in flight, and the greetings in each call, in which it
/// kept a core busy.
fn generator_at_its_limit(recording: &Recording) -> Option<String> {
    let shapes: BTreeSet<_> = recording
        .blocks
        .iter()
        .filter(|block| block.purpose != Purpose::Ceiling && block.load == Load::Closed)
        .filter(|block| block.is_valid() && validity::generator_busy(block).is_some())
        .map(|block| (block.connections, block.in_flight, block.batch))
        .collect();
    let shapes = shapes.iter().map(|(connections, in_flight, batch)| {
        let greetings = match batch {
            1 => String::new(),
            batch => format!(" of {}", counted((*batch).into(), "greeting")),
        };
        format!("{connections}\u{a0}×\u{a0}{in_flight}{greetings}")
    });
    let shapes: Vec<String> = shapes.collect();
    (!shapes.is_empty()).then(|| shapes.join(", "))
}

fn banner(kind: &str, title: &str, text: &str) -> Markup {
    html! { div class={ "banner " (kind) } role="note" { strong { (title) } p { (text) } } }
}

/// The same arms by other metrics.
pub(super) fn others(verdict: &Verdict) -> Option<Markup> {
    let claims: Vec<&Claim> = verdict.headline.iter().chain(&verdict.others).collect();
    let first = claims.first()?;
    let (base, candidate) = (
        sentence::name(&first.base),
        sentence::name(&first.candidate),
    );
    let rows: Vec<Vec<String>> = claims.iter().map(|claim| row(claim)).collect();
    let ratio = format!("{candidate} / {base}");
    Some(html! {
        (table("The same arms by other metrics", &["", &ratio, "95% CI", "Finding", &base, &candidate], &rows))
        p.notes { "Below 1, " (candidate) " takes less; by requests per second, gives less. Findings are corrected for their number (Holm), those of the sentences above among themselves and the others among themselves." }
    })
}

fn row(claim: &Claim) -> Vec<String> {
    let value =
        |index: usize| claim.values[index].map_or("—".into(), |v| written(v, claim.metric));
    let estimate = claim.estimate.as_ref();
    vec![
        format!(
            "{}, {}",
            claim.metric.noun(),
            sentence::load(claim.cell.load)
        ),
        // First what a narrow screen shows without scrolling.
        estimate.map_or("—".into(), |e| format!("{}×", sentence::ratio(e.ratio))),
        estimate.map_or("—".into(), sentence::interval),
        sentence::finding_and_reason(claim),
        value(0),
        value(1),
    ]
}

/// A value with its unit, to three digits or whole.
pub(in crate::report) fn written(value: f64, metric: Metric) -> String {
    let places = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    let space = if metric == Metric::Rate { "" } else { " " };
    format!("{}{space}{}", decimals(value, places), metric.unit())
}
