//! The sentence at the top, and the warnings that must be read before any figure.

use maud::{Markup, html};

use super::{Sides, figures};
use crate::result::{Arm, Load, Run};

/// What the run says, as one sentence with its conditions.
pub(super) fn sentence(run: &Run) -> String {
    let sides = Sides::of(run);
    let shape = shape(&run.load);
    match sides.map(|arm| (arm.requests > 0).then_some(arm)) {
        [Some(Some(rest)), Some(Some(grpc))] => both(rest, grpc, &shape),
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

fn both(rest: &Arm, grpc: &Arm, shape: &str) -> String {
    let rates = format!(
        "gRPC answered {} requests/s, REST {}",
        figures::rounded(grpc.requests_per_second),
        figures::rounded(rest.requests_per_second),
    );
    if rest.failures + grpc.failures > 0 {
        // The quicker refusal is not the better service, so there is nothing to divide.
        return format!("{rates}, failures included, in this one run, at {shape}.");
    }
    let ratio = figures::ratio(rest.requests_per_second, grpc.requests_per_second);
    let ratio = ratio.map_or(String::new(), |ratio| format!(": {ratio}"));
    format!("{rates}{ratio} in this one run, at {shape}.")
}

fn missing(measured: &Arm, other_ran: bool) -> String {
    let other = match measured.protocol {
        crate::result::Protocol::Rest => "gRPC",
        crate::result::Protocol::Grpc => "REST",
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
    let sides = Sides::of(run);
    html! {
        @if !run.tool.release {
            (banner("bad", "Debug build", "The figures of a debug build say nothing. Build with --release and run again."))
        }
        @for reason in cut_short(run) {
            (banner("warn", "Cut short", &format!("{reason}. The figures cover what was measured until then.")))
        }
        @for arm in sides.present().filter(|arm| arm.failures > 0) {
            (banner("bad", "Failures", &format!(
                "{} of {} answers over {} were bad ({}). Rates count them, latencies do not.",
                figures::thousands(arm.failures), figures::thousands(arm.requests),
                arm.protocol.name(), figures::share(arm.failures, arm.requests),
            )))
        }
        @if sides.present().any(|arm| !arm.thresholds_missed.is_empty()) {
            div.banner.warn role="note" {
                strong { "Thresholds missed" }
                ul {
                    @for arm in sides.present() {
                        @for missed in &arm.thresholds_missed { li { (arm.protocol.name()) ": " (missed) } }
                    }
                }
            }
        }
    }
}

fn banner(kind: &str, title: &str, text: &str) -> Markup {
    html! { div class={ "banner " (kind) } role="note" { p { strong { (title) ". " } (text) } } }
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
