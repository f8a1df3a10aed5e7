//! A chart of rows over one axis: a name above, marks below it.
//!
//! Places across are given in percent and those down in pixels, so that one drawing fits a phone and
//! a desktop without a letter changing its size.

use maud::{Markup, PreEscaped, html};

use super::{axis::Axis, percent};
use crate::report::{figure, figures::plain};

/// Height of a row, its name and its marks.
const ROW: usize = 52;

/// Distance from the top of a row to the middle of its marks.
const MARKS: usize = 33;

/// Height of the axis under the rows.
const AXIS: usize = 30;

/// Width of a chart that is a file of its own, as wide as a README shows.
const WIDTH: usize = 840;

/// Height of its title.
const TITLE: usize = 44;

/// Of a chart that is a file of its own.
const STYLE: &str = include_str!("../../../assets/figure.css");

/// A chart of rows.
pub(in crate::report) struct Rows {
    /// Names the parts for a screen reader; unique on the page.
    pub(in crate::report) id: String,
    pub(in crate::report) title: String,
    /// Description of the chart for a reader who cannot see it.
    pub(in crate::report) description: String,
    pub(in crate::report) axis: Axis,
    /// Measure of the axis, with its unit.
    pub(in crate::report) measure: String,
    /// A line through all rows.
    pub(in crate::report) line: Option<f64>,
    /// A band through all rows.
    pub(in crate::report) band: Option<(f64, f64)>,
    pub(in crate::report) rows: Vec<Row>,
}

/// One row.
pub(in crate::report) struct Row {
    pub(in crate::report) name: String,
    /// Its figure in words, at the end of the name's line.
    pub(in crate::report) value: String,
    /// Style classes, such as `grpc`, and `unsure` if nothing is claimed of it.
    pub(in crate::report) class: String,
    pub(in crate::report) marks: Vec<Mark>,
}

/// One mark.
pub(in crate::report) enum Mark {
    Bar { from: f64, to: f64 },
    Whisker { low: f64, high: f64 },
    Dot { at: f64, text: String },
    Ring { at: f64, text: String },
    Cross { at: f64, text: String },
}

impl Row {
    /// The values at which its marks begin and end.
    pub(in crate::report) fn ends(&self) -> impl Iterator<Item = f64> {
        self.marks.iter().flat_map(|mark| match mark {
            Mark::Bar {
                from: one,
                to: other,
            }
            | Mark::Whisker {
                low: one,
                high: other,
            } => [*one, *other],
            Mark::Dot { at, .. } | Mark::Ring { at, .. } | Mark::Cross { at, .. } => [*at; 2],
        })
    }
}

impl Rows {
    /// The chart under `caption` and over `table`, which holds the same figures.
    pub(in crate::report) fn figure(&self, caption: &Markup, table: &Markup) -> Markup {
        figure(caption, &self.svg(), table)
    }

    /// The chart as a file of its own, for a page that is not ours.
    pub(in crate::report) fn file(&self) -> String {
        let height = self.rows.len() * ROW + AXIS + TITLE;
        html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(WIDTH) height=(height) viewBox={ "-16 -" (TITLE) " " (WIDTH + 32) " " (height + 16) } role="img" aria-labelledby="title desc" {
                title id="title" { (self.title) }
                desc id="desc" { (self.description) }
                style { (PreEscaped(STYLE)) }
                rect.paper x="-16" y={ "-" (TITLE) } width=(WIDTH + 32) height=(height + 16) {}
                text.title x="0" y="-12" { (self.title) }
                svg.rows width=(WIDTH) height=(height - TITLE) { (self.drawing()) }
                text.last x=(WIDTH) y=(height - TITLE + 6) { (self.measure) }
            }
        }
        .into_string()
    }

    fn svg(&self) -> Markup {
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        html! {
            svg.rows role="img" aria-labelledby={ (title) " " (desc) } height=(self.rows.len() * ROW + AXIS) {
                title id=(title) { (self.title) }
                desc id=(desc) { (self.description) }
                (self.drawing())
            }
            p.axis-title.x { (self.measure) }
        }
    }

    fn drawing(&self) -> Markup {
        let bottom = self.rows.len() * ROW;
        html! {
            @if let Some((low, high)) = self.band {
                @let (from, to) = (self.axis.place(low), self.axis.place(high));
                rect.band x=(percent(from)) y="0" width=(percent(to - from)) height=(bottom) {}
            }
            (self.grid(bottom))
            @if let Some(line) = self.line {
                @let x = percent(self.axis.place(line));
                line.one x1=(x) x2=(x) y1="0" y2=(bottom) {}
            }
            @for (index, row) in self.rows.iter().enumerate() { (self.row(row, index * ROW)) }
        }
    }

    fn grid(&self, bottom: usize) -> Markup {
        let ticks = self.axis.ticks();
        let last = ticks.len().saturating_sub(1);
        html! {
            @for (index, tick) in ticks.iter().enumerate() {
                @let x = percent(self.axis.place(*tick));
                line.grid x1=(x) x2=(x) y1="0" y2=(bottom) {}
                @let side = if index == 0 { "first" } else if index == last { "last" } else { "tick" };
                text class=(side) x=(x) y=(bottom + 18) { (plain(*tick)) }
            }
            line.axis x1="0" x2="100%" y1=(bottom) y2=(bottom) {}
        }
    }

    fn row(&self, row: &Row, top: usize) -> Markup {
        html! {
            g class=(row.class) {
                text.name x="0" y=(top + 16) { (row.name) }
                text.value x="100%" y=(top + 16) { (row.value) }
                @for mark in &row.marks { (self.mark(mark, top + MARKS)) }
            }
        }
    }

    fn mark(&self, mark: &Mark, y: usize) -> Markup {
        let place = |value| self.axis.place(value);
        html! {
            @match mark {
                Mark::Bar { from, to } => {
                    @let (left, right) = (place(from.min(*to)), place(from.max(*to)));
                    rect.mark x=(percent(left)) y=(y - 7) width=(percent((right - left).max(0.003))) height="14" {}
                }
                Mark::Whisker { low, high } => {
                    @let (left, right) = (percent(place(*low)), percent(place(*high)));
                    line.whisker x1=(left) x2=(right) y1=(y) y2=(y) {}
                    @for end in [left, right] {
                        line.whisker x1=(end) x2=(end) y1=(y - 5) y2=(y + 5) {}
                    }
                }
                Mark::Dot { at, text } => {
                    circle.mark.dot cx=(percent(place(*at))) cy=(y) r="4.5" { title { (text) } }
                }
                Mark::Ring { at, text } => {
                    circle.mark.ring cx=(percent(place(*at))) cy=(y) r="4.5" { title { (text) } }
                }
                Mark::Cross { at, text } => {
                    text.cross x=(percent(place(*at))) y=(y + 5) { "×" title { (text) } }
                }
            }
        }
    }
}
