//! The sentence at the top, and the warnings that must be read before any figure.

use maud::{Markup, html};

use super::{Sides, figures};
use crate::result::{Arm, Load, Protocol, Run};

/// What the run says, as one sentence with its conditions.
pub(super) fn sentence(run: &Run) -> String {
    let sides = Sides::of(run);
    let shape = shape(&run.load);
    match sides.map(|arm| (arm.requests > 0).then_some(arm)) {
        [Some(Some(rest)), Some(Some(grpc))] => both(run, rest, grpc, &shape),
        [Some(Some(one)), other] | [other, Some(Some(one))] => format!(
            "{} answered {} requests/s{} in this one run, at {shape}. {}",
            one.protocol.name(),
            figures::rounded(one.requests_per_second),
            if one.failures > 0 {
                ", failures included,"
            } else {
                ""
            },
            missing(one, other.is_some()),
        ),
        _ => format!("No answer was measured in this run, at {shape}."),
    }
}

fn both(run: &Run, rest: &Arm, grpc: &Arm, shape: &str) -> String {
    let rates = format!(
        "gRPC answered {} requests/s, REST {}",
        figures::rounded(grpc.requests_per_second),
        figures::rounded(rest.requests_per_second),
    );
    if !run.is_comparable() {
        let failures = if rest.failures + grpc.failures > 0 {
            ", failures included,"
        } else {
            ""
        };
        return format!("{rates}{failures} in this one run, at {shape}.");
    }
    let ratio = figures::ratio(rest.requests_per_second, grpc.requests_per_second);
    let ratio = ratio.map_or(String::new(), |ratio| format!(": {ratio}"));
    format!("{rates}{ratio} in this one run, at {shape}.")
}

fn missing(measured: &Arm, other_ran: bool) -> String {
    let other = match measured.protocol {
        Protocol::Rest => "gRPC",
        Protocol::Grpc => "REST",
    };
    if other_ran {
        format!("{other} gave no answer, so there is nothing to compare with.")
    } else {
        format!("{other} was not measured, so there is nothing to compare with.")
    }
}

/// Such as `32 connections × 1 call in flight`.
pub(super) fn shape(load: &Load) -> String {
    format!(
        "{} × {} in flight",
        counted(load.connections as u64, "connection"),
        counted(load.in_flight_per_connection as u64, "call"),
    )
}

/// Such as `1 connection` or `2,000 connections`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", figures::thousands(number))
}

/// What qualifies every figure below, the gravest first.
pub(super) fn banners(run: &Run) -> Markup {
    let failures = each_arm(run, |arm| {
        let text = format!(
            "{} of {} answers were bad ({}).",
            figures::thousands(arm.failures),
            figures::thousands(arm.requests),
            figures::share(arm.failures, arm.requests),
        );
        match (arm.failures > 0, arm.has_bad_answers()) {
            (true, _) => vec![text],
            (false, true) => vec!["answers were bad during the warm-up; see Answers.".to_owned()],
            (false, false) => vec![],
        }
    });
    let missed = each_arm(run, |arm| arm.thresholds_missed.clone());
    html! {
        @if !run.tool.release {
            (banner("bad", "Debug build: its figures say nothing.", &["Build with --release and run again.".into()]))
        }
        @for reason in cut_short(run) {
            (banner("warn", &format!("Cut short: {reason}."), &["The figures cover what was measured until then.".into()]))
        }
        @if !failures.is_empty() {
            (banner("bad", "Failures: rates count them, latencies do not.", &failures))
        }
        @if !missed.is_empty() { (banner("warn", "Thresholds missed:", &missed)) }
    }
}

/// What `say` says of each arm, with the arm's name before it.
fn each_arm(run: &Run, say: impl Fn(&Arm) -> Vec<String>) -> Vec<String> {
    let named = |arm| {
        let texts = say(arm).into_iter();
        texts.map(|text| format!("{}: {text}", arm.protocol.name()))
    };
    Sides::of(run).present().flat_map(named).collect()
}

fn banner(kind: &str, title: &str, lines: &[String]) -> Markup {
    html! {
        div class={ "banner " (kind) } role="note" {
            strong { (title) }
            @for line in lines { p { (line) } }
        }
    }
}

/// Each reason once: an arm that was cut short usually cut the run short too.
fn cut_short(run: &Run) -> Vec<String> {
    let trimmed = |reason: &str| reason.trim_end_matches('.').to_owned();
    let mut reasons: Vec<String> = run.cut_short.iter().map(|r| trimmed(r)).collect();
    for arm in &run.arms {
        let Some(reason) = arm.cut_short.as_deref().map(trimmed) else {
            continue;
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}
