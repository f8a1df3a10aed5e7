//! Tables that scroll by themselves where they are wider than the page.

use maud::{Markup, html};

/// Characters up to which a cell is not broken into lines.
const SHORT: usize = 16;

/// A table of text: the first cell of a row is its header.
pub(crate) fn table(name: &str, columns: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        div.scroll role="region" aria-label=(name) tabindex="0" {
            table.data {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (index, cell) in row.iter().enumerate() {
                                @if index == 0 { th scope="row" { (cell) } } @else { td.short[cell.chars().count() <= SHORT] { (cell) } }
                            }
                        }
                    }
                    @if rows.is_empty() { tr { td.unknown colspan=(columns.len()) { "none" } } }
                }
            }
        }
    }
}
