//! The page on a run: the sentence, then what stands behind it, from the most asked to the least.

mod capacity;
mod cost;
mod head;
mod instrument;
mod latency;
mod map;
pub(super) mod measures;
mod original;
mod provenance;
mod trials;
mod waterfall;

use std::path::Path;

use maud::{Markup, html};

use super::page;
use crate::{
    record::Recording,
    verdict::{Verdict, scenarios::Scenarios},
};

/// The page on `recording`, complete HTML, to be written as `index.html` into `directory`. It links only
/// what is there.
pub fn render(recording: &Recording, directory: &Path) -> String {
    let verdict = Verdict::of(recording);
    let scenarios = Scenarios::of(recording);
    let run = &recording.run;
    let sections: [(&str, Option<Markup>); 11] = [
        ("By each measure", measures::section(&verdict)),
        (
            "Where the difference comes from",
            waterfall::section(&verdict),
        ),
        ("Where it turns around", map::section(&verdict, run)),
        ("Latency", latency::section(&scenarios)),
        ("Every trial", trials::section(&verdict, &scenarios)),
        ("What a request costs", cost::section(&scenarios)),
        ("Capacity", capacity::found(recording)),
        (
            "The original's comparison, taken apart",
            original::section(&verdict),
        ),
        (
            "What the instrument can tell",
            Some(instrument::section(recording, &verdict)),
        ),
        ("Disturbed trials", Some(trials::disturbed(recording))),
        (
            "How and where it was measured",
            Some(provenance::section(recording, directory)),
        ),
    ];
    page(
        &format!("{}, {}", run.service.names().join(" and "), run.started_at),
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
    let files = [
        ("waterfall.svg", waterfall::file(verdict)),
        ("original.svg", original::file(verdict)),
    ];
    let drawn = files.into_iter();
    drawn
        .filter_map(|(name, file)| Some((name, file?)))
        .collect()
}
