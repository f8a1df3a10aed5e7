//! Our own page on a run: one file that needs nothing beside it and fetches nothing.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Sides, charts, comparison, figures, headline, method};
use crate::result::{Arm, Run};

const STYLE: &str = include_str!("../../assets/page.css");

/// The page on `run`, complete HTML, to be written as `index.html` beside `run.json` and goose's
/// reports.
pub fn render(run: &Run) -> String {
    let sides = Sides::of(run);
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(run))
            body {
                header {
                    p.eyebrow { "REST and gRPC, side by side" }
                    h1 { (headline::sentence(run)) }
                    p.caveat { "One run, one block per protocol, no interval: a small difference means nothing." }
                    (headline::banners(run))
                }
                main {
                    section { h2 { "Side by side" } (comparison::table(run)) }
                    section { h2 { "Latency" } (charts::latency::figure(sides)) }
                    section { h2 { "Throughput" } (charts::throughput::figure(sides)) }
                    section { h2 { "Answers" } (answers(sides)) }
                    section { h2 { "How it was measured" } (method::method(run)) }
                    section { h2 { "Where and with what" } (method::provenance(run)) }
                    section { h2 { "More" } (method::links(run)) }
                }
            }
        }
    }
    .into_string()
}

/// The policy makes the browser itself refuse whatever the page would fetch.
fn head(run: &Run) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            link rel="icon" href="data:,";
            title { "REST and gRPC, " (run.started) }
            style { (PreEscaped(STYLE)) }
        }
    }
}

fn answers(sides: Sides) -> Markup {
    html! {
        p.lead { "Each kind of answer over the whole arm, ramp included, so the counts exceed those of the measured window." }
        div.pair { @for arm in sides.present() { (statuses(arm)) } }
        @if sides.present().next().is_none() { p { "No arm ran." } }
    }
}

fn statuses(arm: &Arm) -> Markup {
    let total = arm.statuses.iter().map(|status| status.count).sum();
    html! {
        div.scroll role="region" aria-label={ "Answers over " (arm.protocol.name()) } tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { span class={ "name " (arm.protocol.slug()) } { (arm.protocol.name()) } }
                    th scope="col" { "Count" }
                    th scope="col" { "Share" }
                } }
                tbody {
                    @for status in &arm.statuses {
                        tr.bad[!status.ok] {
                            th scope="row" { (status.status) @if !status.ok { " " small { "bad" } } }
                            td { (figures::thousands(status.count)) }
                            td { (figures::share(status.count, total)) }
                        }
                    }
                    @if arm.statuses.is_empty() { tr { td.unknown colspan="3" { "no answer" } } }
                }
            }
        }
    }
}
