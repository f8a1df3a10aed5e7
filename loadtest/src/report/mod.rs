//! Reports that a run leaves behind for people to read.

mod chart;
pub(crate) mod figures;
pub mod goose;
pub mod side_by_side;
mod table;
pub mod verdict;

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A page of ours around `body`. It needs nothing beside it, and the policy makes the browser itself refuse
/// whatever it would fetch.
fn page(title: &str, body: &Markup) -> String {
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
                style { (PreEscaped(include_str!("../../assets/page.css"))) }
            }
            body { (body) }
        }
    }
    .into_string()
}

/// A drawing under its caption and over a table of the same figures.
fn figure(caption: &Markup, drawing: &Markup, table: &Markup) -> Markup {
    html! {
        figure {
            @if !caption.0.is_empty() { figcaption { (caption) } }
            (drawing)
            details { summary { "The figures" } (table) }
        }
    }
}

/// `text` with its first letter in upper case.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
