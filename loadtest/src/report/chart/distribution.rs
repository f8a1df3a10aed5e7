//! Latency of one variant by percentile: corrected for coordinated omission, and not.

use engine::Nanoseconds;
use maud::{Markup, html};
use stats::is_known;

use super::{axis::Axis, percent};
use crate::report::figures::plain;

/// Points of a curve in each halving of the distance to 100%, as HdrHistogram's tools draw it.
const POINTS_PER_HALVING: f64 = 8.0;

/// The side of the square that lines are drawn on before they are stretched.
const CANVAS: f64 = 1000.0;

/// Largest share of a panel's width that a label takes.
const ROOM: f64 = 0.3;

/// Rising percentiles and milliseconds, as far as a hundred samples lie beyond.
pub(in crate::report) type Curve = Vec<(f64, f64)>;

/// The curve of `times`.
pub(in crate::report) fn curve(times: &Nanoseconds) -> Curve {
    (0..)
        .map(|point| 100.0 * (1.0 - 0.5_f64.powf(f64::from(point) / POINTS_PER_HALVING)))
        .take_while(|percentile| is_known(times.count(), *percentile))
        .map(|percentile| (percentile, times.percentile_us(percentile) / 1e3))
        .collect()
}

/// Axes that all variants of a scenario share, so that the eye may compare them.
pub(in crate::report) struct Axes {
    x: Axis,
    y: Axis,
}

impl Axes {
    /// Axes that hold all of `curves`; none if these have no point.
    pub(in crate::report) fn holding<'a>(
        curves: &(impl Iterator<Item = &'a Curve> + Clone),
    ) -> Option<Self> {
        let points = || curves.clone().flatten();
        let low = points().map(|point| point.1).reduce(f64::min)?;
        let high = points().map(|point| point.1).reduce(f64::max)?;
        let highest = points().map(|point| point.0).reduce(f64::max)?;
        Some(Self {
            x: Axis::percentiles(highest),
            y: Axis::times(low, high),
        })
    }

    /// Returns the title of the axes: their measures, with units.
    pub(in crate::report) fn title(&self) -> &'static str {
        if self.y.is_log() {
            "Latency in ms, log scale, by percentile of good replies"
        } else {
            "Latency in ms by percentile of good replies"
        }
    }
}

/// One panel.
pub(in crate::report) struct Panel<'a> {
    /// Unique on the page.
    pub(in crate::report) id: String,
    pub(in crate::report) title: String,
    pub(in crate::report) description: String,
    /// Style class, such as `grpc`.
    pub(in crate::report) class: String,
    pub(in crate::report) uncorrected: &'a Curve,
    pub(in crate::report) corrected: Option<&'a Curve>,
}

impl Panel<'_> {
    pub(in crate::report) fn svg(&self, axes: &Axes) -> Markup {
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let x_ticks = spaced(&axes.x);
        let last = x_ticks.len().saturating_sub(1);
        let kind = if self.corrected.is_some() {
            "uncorrected"
        } else {
            ""
        };
        html! {
            svg.panel role="img" aria-labelledby={ (title) " " (desc) } {
                title id=(title) { (self.title) }
                desc id=(desc) { (self.description) }
                @for tick in axes.y.ticks() {
                    @let y = percent(1.0 - axes.y.place(*tick));
                    line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
                    text.y x="0" dx="-6" y=(y) dy="0.35em" { (plain(*tick)) }
                }
                line.axis x1="0" x2="100%" y1="100%" y2="100%" {}
                @for (index, tick) in x_ticks.iter().enumerate() {
                    @let class = if index == last && last > 0 { "last" } else { "tick" };
                    text class=(class) x=(percent(axes.x.place(*tick))) y="100%" dy="18" { (tick) "%" }
                }
                g class=(self.class) {
                    svg.stretch width="100%" height="100%" viewBox={ "0 0 " (CANVAS) " " (CANVAS) } preserveAspectRatio="none" {
                        (line(kind, self.uncorrected, axes))
                        @if let Some(corrected) = self.corrected { (line("corrected", corrected, axes)) }
                    }
                }
            }
        }
    }
}

/// The ticks that have room for a label, the last one first of all.
fn spaced(axis: &Axis) -> Vec<f64> {
    let mut kept: Vec<f64> = Vec::new();
    for tick in axis
        .ticks()
        .iter()
        .copied()
        .rev()
        .filter(|tick| *tick > 0.0)
    {
        let next = kept.last().map_or(2.0, |next| axis.place(*next));
        if next - axis.place(tick) >= ROOM {
            kept.push(tick);
        }
    }
    kept.reverse();
    kept
}

fn line(class: &str, curve: &Curve, axes: &Axes) -> Markup {
    let mut path = String::new();
    for (index, (percentile, millis)) in curve.iter().enumerate() {
        let (x, y) = (axes.x.place(*percentile), axes.y.place(*millis));
        let command = if index == 0 { 'M' } else { 'L' };
        path += &format!("{command}{:.1},{:.1}", x * CANVAS, (1.0 - y) * CANVAS);
    }
    if curve.len() == 1 {
        // A line of one point would be invisible.
        path += "h1";
    }
    html! { path class={ "curve " (class) } d=(path) vector-effect="non-scaling-stroke" {} }
}
