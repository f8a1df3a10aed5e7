//! The page on a run: the sentence, then what stands behind it, from the most asked to the least.
//! One file that needs nothing beside it and fetches nothing.

mod blocks;
mod cost;
mod distribution;
mod head;
mod latency;
mod limits;
mod map;
mod provenance;
pub(super) mod range;
pub(super) mod rows;
mod scale;
pub(super) mod steps;
pub(super) mod table;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(super) use head::written;

use crate::{
    record::Recording,
    verdict::{Verdict, cells::Cells},
};

pub(crate) const STYLE: &str = concat!(
    include_str!("../../../assets/page.css"),
    include_str!("../../../assets/verdict.css")
);

/// The page on `recording`, complete HTML, to be written as `index.html` beside the raw data.
pub fn render(recording: &Recording) -> String {
    let verdict = Verdict::of(recording);
    let cells = Cells::of(recording);
    let run = &recording.run;
    let title = format!("REST and gRPC, {}", run.started_at);
    let sections: [(&str, Option<Markup>); 11] = [
        ("The same by other measures", head::others(&verdict)),
        ("Where the difference comes from", steps::figures(&verdict)),
        ("Latency", latency::figures(&cells)),
        ("Every block", blocks::figures(&verdict, &cells)),
        (
            "Where which one is quicker",
            map::figures(&verdict, run.mode),
        ),
        ("What a request costs", cost::figures(&cells)),
        ("How far each one goes", limits::capacity(recording)),
        (
            "The original's comparison, taken apart",
            steps::seed(&verdict),
        ),
        (
            "What the instrument can tell",
            limits::instrument(recording, &verdict),
        ),
        ("VOID blocks", Some(blocks::void(recording))),
        (
            "How and where it was measured",
            Some(provenance::section(recording)),
        ),
    ];
    page(
        &title,
        &html! {
            header { (head::header(recording, &verdict)) }
            main {
                @for (title, content) in sections {
                    @if let Some(content) = content { section { h2 { (title) } (content) } }
                }
            }
        },
    )
}

/// The charts of `verdict` that a README may show, SVG files by their names: `waterfall.svg` and
/// `original.svg`, those that there are.
pub fn figures(verdict: &Verdict) -> Vec<(&'static str, String)> {
    steps::files(verdict)
}

/// A page of ours around `body`. The policy makes the browser itself refuse whatever it would fetch.
pub(crate) fn page(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
    .into_string()
}
