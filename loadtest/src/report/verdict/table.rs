//! Tables that scroll by themselves where they are wider than the page.

use maud::{Markup, html};

/// Characters up to which a cell is not broken into lines.
const SHORT: usize = 16;

/// A table of text: the first cell of a row is its header. A column with a longer cell is one of words, and
/// begins at its left.
pub(crate) fn table(name: &str, columns: &[&str], rows: &[Vec<String>]) -> Markup {
    let is_short = |cell: &String| cell.chars().count() <= SHORT;
    let has_words = |index: usize| {
        rows.iter()
            .filter_map(|row| row.get(index))
            .any(|cell| !is_short(cell))
    };
    let words: Vec<bool> = (0..columns.len()).map(has_words).collect();
    html! {
        div.scroll role="region" aria-label=(name) tabindex="0" {
            table.data {
                thead { tr { @for (column, words) in columns.iter().zip(&words) { th.words[*words] scope="col" { (column) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (index, cell) in row.iter().enumerate() {
                                @if index == 0 { th scope="row" { (cell) } } @else { td.short[is_short(cell)].words[words.get(index).copied().unwrap_or_default()] { (cell) } }
                            }
                        }
                    }
                    @if rows.is_empty() { tr { td.unknown colspan=(columns.len()) { "none" } } }
                }
            }
        }
    }
}
