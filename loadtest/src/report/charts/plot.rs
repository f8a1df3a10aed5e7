//! A chart of lines over two axes.
//!
//! Places are given in percent and text in pixels, so that one drawing fits a phone and a desktop:
//! the lines stretch with the page, the letters do not. Labels stand in the SVG's padding.

use maud::{Markup, html};

use super::scale::Scale;
use crate::result::Protocol;

/// What is drawn.
pub(super) struct Plot<'a> {
    /// Names the parts for a screen reader; unique on the page.
    pub(super) id: &'a str,
    pub(super) title: String,
    /// What a reader who cannot see it should know.
    pub(super) description: String,
    pub(super) x: Axis<'a>,
    pub(super) y: Axis<'a>,
    pub(super) lines: Vec<Line>,
}

/// One axis, with what it measures and how its values are written.
pub(super) struct Axis<'a> {
    pub(super) scale: Scale,
    pub(super) title: String,
    pub(super) label: &'a dyn Fn(f64) -> String,
}

/// The line of one arm.
pub(super) struct Line {
    pub(super) protocol: Protocol,
    /// Rising in x.
    pub(super) points: Vec<(f64, f64)>,
    /// Points that say their values when pointed at.
    pub(super) marks: Vec<Mark>,
}

/// A point worth reading off.
pub(super) struct Mark {
    pub(super) at: (f64, f64),
    pub(super) text: String,
    /// Whether it is drawn, or only found by pointing.
    pub(super) shown: bool,
}

/// The side of the square that lines are drawn on before they are stretched.
const CANVAS: f64 = 1000.0;

/// Labels at the ends of lines are at least this far apart, as a part of the height.
const LABEL_GAP: f64 = 0.07;

impl Plot<'_> {
    /// The chart under `caption` and a legend, and over `table`, which holds the same figures.
    pub(super) fn figure(&self, caption: &str, table: &Markup) -> Markup {
        html! {
            figure {
                figcaption { (caption) (legend(&self.lines)) }
                (self.svg())
                details { summary { "The figures" } (table) }
            }
        }
    }

    fn svg(&self) -> Markup {
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        html! {
            p.axis-title { (self.y.title) }
            svg.plot role="img" aria-labelledby={ (title) " " (desc) } {
                title id=(title) { (self.title) }
                desc id=(desc) { (self.description) }
                (self.y_axis())
                (self.x_axis())
                @for line in &self.lines { (self.line(line)) }
                (self.end_labels())
            }
            p.axis-title.x { (self.x.title) }
        }
    }

    fn y_axis(&self) -> Markup {
        html! {
            @for tick in self.y.scale.ticks() {
                @let y = percent(1.0 - self.y.scale.place(tick));
                line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
                text.tick.y x="0" dx="-8" y=(y) dy="0.35em" { ((self.y.label)(tick)) }
            }
        }
    }

    fn x_axis(&self) -> Markup {
        let ticks = self.x.scale.ticks();
        let places: Vec<f64> = ticks.iter().map(|tick| self.x.scale.place(*tick)).collect();
        html! {
            line.axis x1="0" x2="100%" y1="100%" y2="100%" {}
            @for (index, (tick, place)) in ticks.iter().zip(&places).enumerate() {
                @let x = percent(*place);
                svg.at x=(x) y="100%" { line.axis y2="5" {} }
                // A phone has no room for a label this close to the next one.
                @let crowded = places.get(index + 1).is_some_and(|next| next - place < 0.11);
                text.tick.x.roomy[crowded] x=(x) y="100%" dy="20" { ((self.x.label)(*tick)) }
            }
        }
    }

    fn line(&self, line: &Line) -> Markup {
        html! {
            g class=(line.protocol.slug()) {
                svg.stretch width="100%" height="100%" viewBox={ "0 0 " (CANVAS) " " (CANVAS) } preserveAspectRatio="none" {
                    path.line d=(self.path(line)) vector-effect="non-scaling-stroke" {}
                }
                @for mark in &line.marks {
                    @let (x, y) = self.place(mark.at);
                    circle.mark.hidden[!mark.shown] cx=(percent(x)) cy=(percent(1.0 - y)) r=(if mark.shown { "3.5" } else { "7" }) {
                        title { (mark.text) }
                    }
                }
            }
        }
    }

    fn path(&self, line: &Line) -> String {
        let mut path = String::new();
        for (index, point) in line.points.iter().enumerate() {
            let (x, y) = self.place(*point);
            let command = if index == 0 { 'M' } else { 'L' };
            path += &format!("{command}{:.1},{:.1}", x * CANVAS, (1.0 - y) * CANVAS);
        }
        if line.points.len() == 1 {
            // A line of one point would be invisible.
            path += "h1";
        }
        path
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x.scale.place(x), self.y.scale.place(y))
    }

    /// Names at the ends of the lines, moved apart where they would cover each other.
    fn end_labels(&self) -> Markup {
        let ends = self.lines.iter().filter_map(|line| {
            let (x, y) = self.place(*line.points.last()?);
            Some((line.protocol, x, 1.0 - y))
        });
        let mut ends: Vec<_> = ends.collect();
        ends.sort_by(|a, b| a.2.total_cmp(&b.2));
        if let [upper, lower] = &mut ends[..] {
            let lacking = LABEL_GAP - (lower.2 - upper.2);
            if lacking > 0.0 {
                upper.2 -= lacking / 2.0;
                lower.2 += lacking / 2.0;
            }
        }
        html! {
            @for (protocol, x, y) in ends {
                text class={ "end " (protocol.slug()) } x=(percent(x)) dx="8" y=(percent(y)) dy="0.35em" { (protocol.name()) }
            }
        }
    }
}

/// Which line is whose, without relying on colour.
fn legend(lines: &[Line]) -> Markup {
    html! {
        ul.legend {
            @for line in lines {
                li class=(line.protocol.slug()) {
                    svg width="36" height="8" aria-hidden="true" { path.line d="M2,4H34" {} }
                    (line.protocol.name()) " " span { (line.protocol.wire()) }
                }
            }
        }
    }
}

fn percent(place: f64) -> String {
    format!("{:.2}%", place * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(lines: Vec<Line>) -> String {
        let label = |value: f64| value.to_string();
        let axis = |scale| Axis {
            scale,
            title: String::new(),
            label: &label,
        };
        let plot = Plot {
            id: "test",
            title: "A title".into(),
            description: "A description".into(),
            x: axis(Scale::Nines { end: 4.0 }),
            y: axis(Scale::Linear { end: 2000.0 }),
            lines,
        };
        plot.svg().into_string()
    }

    fn line(protocol: Protocol, points: &[(f64, f64)]) -> Line {
        Line {
            protocol,
            points: points.to_vec(),
            marks: Vec::new(),
        }
    }

    #[test]
    fn a_known_percentile_lands_at_its_place() {
        let svg = plot(vec![line(
            Protocol::Rest,
            &[(0.0, 0.0), (99.0, 500.0), (99.99, 2000.0)],
        )]);
        assert!(
            svg.contains(r#"d="M0.0,1000.0L500.0,750.0L1000.0,0.0""#),
            "{svg}"
        );
    }

    #[test]
    fn a_mark_lies_on_its_line_and_says_its_value() {
        let mut line = line(Protocol::Grpc, &[(0.0, 100.0), (99.99, 100.0)]);
        line.marks.push(Mark {
            at: (99.0, 500.0),
            text: "p99 <x>".into(),
            shown: true,
        });
        let svg = plot(vec![line]);
        assert!(svg.contains(r#"cx="50.00%" cy="75.00%""#), "{svg}");
        assert!(svg.contains("<title>p99 &lt;x&gt;</title>"), "{svg}");
    }

    #[test]
    fn names_at_the_ends_of_touching_lines_are_moved_apart() {
        let points = [(0.0, 100.0), (99.99, 1000.0)];
        let svg = plot(vec![
            line(Protocol::Rest, &points),
            line(Protocol::Grpc, &points),
        ]);
        for y in ["46.50%", "53.50%"] {
            assert!(svg.contains(&format!(r#"dx="8" y="{y}""#)), "{svg}");
        }
    }

    #[test]
    fn a_single_point_is_still_drawn() {
        assert!(plot(vec![line(Protocol::Rest, &[(0.0, 0.0)])]).contains(r#"d="M0.0,1000.0h1""#));
    }
}
