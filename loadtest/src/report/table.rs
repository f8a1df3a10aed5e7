//! Tables that scroll by themselves if they are wider than the page.

use maud::{Markup, html};

/// Characters up to which a cell is not broken into lines.
const SHORT: usize = 20;

/// A table of text under `caption`: the first cell of a row is its header. A column with a longer cell, or
/// one that begins with a letter, is one of words, and begins at its left.
pub(super) fn table(caption: &str, columns: &[&str], rows: &[Vec<String>]) -> Markup {
    let is_short = |cell: &String| cell.chars().count() <= SHORT;
    let has_words = |index: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(index));
        cells.any(|cell| !is_short(cell) || cell.starts_with(char::is_alphabetic))
    };
    let words: Vec<bool> = (0..columns.len()).map(has_words).collect();
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table.data {
                caption { span { (caption) } }
                thead { tr { @for (column, words) in columns.iter().zip(&words) { th.words[*words] scope="col" { (column) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for ((index, cell), words) in row.iter().enumerate().zip(&words) {
                                @if index == 0 { th scope="row" { (cell) } } @else { td.short[is_short(cell)].words[*words] { (cell) } }
                            }
                        }
                    }
                    @if rows.is_empty() { tr { td.unknown colspan=(columns.len()) { "none" } } }
                }
            }
        }
    }
}
