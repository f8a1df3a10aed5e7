//! How long the slower answers take: latency over percentiles.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    plot::{Axis, Line, Mark, Plot},
    scale::{Scale, nines},
};
use crate::{
    report::{Sides, figures},
    result::{Arm, Percentile},
};

const CAPTION: &str = "Latency of good answers. At 99%, one answer in a hundred took longer. \
    Each further nine is as wide as the one before.";

/// Both arms' distributions in one chart, and the same as a table.
pub(in crate::report) fn figure(sides: Sides) -> Markup {
    let curves: Vec<&Arm> = sides
        .present()
        .filter(|arm| !points(arm).is_empty())
        .collect();
    let values = || curves.iter().flat_map(|arm| points(arm));
    let (Some(min), Some(max), Some(reach)) = (
        values().map(|p| p.1).reduce(f64::min),
        values().map(|p| p.1).reduce(f64::max),
        values().map(|p| nines(p.0)).reduce(f64::max),
    ) else {
        return html! { p { "Too few good answers for a distribution." } };
    };
    let unit = Unit::fitting(max);
    let lines: Vec<Line> = curves.iter().map(|arm| line(arm, unit)).collect();
    let y = Scale::fitting(min, max);
    let log = if matches!(y, Scale::Log { .. }) {
        ", log scale"
    } else {
        ""
    };
    let plot = Plot {
        id: "latency",
        title: "Latency by percentile".into(),
        description: description(&curves, unit),
        x: Axis {
            scale: Scale::Nines {
                end: reach.max(1.0),
            },
            title: "Percentile of good answers".into(),
            label: &|percentile| format!("{percentile}%"),
        },
        y: Axis {
            scale: y,
            title: format!("Latency in {}{log}", unit.name),
            label: &|micros| unit.label(micros),
        },
        lines,
    };
    plot.figure(CAPTION, &table(sides, unit))
}

/// One unit for the whole chart.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    micros: f64,
}

impl Unit {
    fn fitting(max: f64) -> Self {
        if max >= 5000.0 {
            Self {
                name: "ms",
                micros: 1000.0,
            }
        } else {
            Self {
                name: "µs",
                micros: 1.0,
            }
        }
    }

    /// For an axis: no more decimals than it takes.
    fn label(self, micros: f64) -> String {
        let value = micros / self.micros;
        let places = (0..3).find(|places| {
            let shift = 10f64.powi(*places);
            ((value * shift).round() - value * shift).abs() < 1e-6
        });
        figures::decimals(value, places.unwrap_or(3) as usize)
    }

    /// For reading off: three digits.
    fn exact(self, micros: f64) -> String {
        let value = micros / self.micros;
        figures::decimals(
            value,
            if value < 10.0 {
                2
            } else {
                usize::from(value < 100.0)
            },
        )
    }
}

/// The curve, without what no axis of nines can hold: its end, 100%.
fn points(arm: &Arm) -> Vec<(f64, f64)> {
    let finite = |p: &&(f64, f64)| p.0 >= 0.0 && p.0 < 100.0 && p.1.is_finite() && p.1 > 0.0;
    arm.latency.curve.iter().filter(finite).copied().collect()
}

fn known(arm: &Arm) -> impl Iterator<Item = (f64, f64)> {
    let known = |p: &Percentile| Some((p.percentile, p.micros?));
    arm.latency.percentiles.iter().filter_map(known)
}

fn line(arm: &Arm, unit: Unit) -> Line {
    let points = points(arm);
    let reach = points.last().map_or(0.0, |p| p.0);
    let marks = known(arm)
        .filter(|p| p.0 <= reach)
        .map(|(percentile, micros)| Mark {
            at: (percentile, micros),
            text: format!(
                "{} p{percentile}: {} {}",
                arm.protocol.name(),
                unit.exact(micros),
                unit.name
            ),
            shown: true,
        });
    Line {
        protocol: arm.protocol,
        marks: marks.collect(),
        points,
    }
}

fn description(arms: &[&Arm], unit: Unit) -> String {
    let parts = arms.iter().map(|arm| {
        let values: Vec<String> = known(arm)
            .map(|(percentile, micros)| format!("p{percentile} {}", unit.exact(micros)))
            .collect();
        format!(
            "{} in {}: {}.",
            arm.protocol.name(),
            unit.name,
            values.join(", ")
        )
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn table(sides: Sides, unit: Unit) -> Markup {
    // Non-negative floats sort as their bits do.
    let mut rows: BTreeMap<u64, [Option<f64>; 2]> = BTreeMap::new();
    for (column, arm) in [sides.rest, sides.grpc].into_iter().enumerate() {
        for (percentile, micros) in arm.map(points).unwrap_or_default() {
            rows.entry(percentile.abs().to_bits()).or_default()[column] = Some(micros);
        }
    }
    html! {
        div.scroll.tall role="region" aria-label="Latency by percentile" tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { "Percentile" }
                    th scope="col" { "REST, " (unit.name) }
                    th scope="col" { "gRPC, " (unit.name) }
                } }
                tbody {
                    @for (percentile, values) in rows {
                        tr {
                            th scope="row" { (written(f64::from_bits(percentile))) }
                            @for value in values { td { @if let Some(micros) = value { (unit.exact(micros)) } } }
                        }
                    }
                }
            }
        }
    }
}

/// A percentile with as many decimals as tell it from its neighbours.
fn written(percentile: f64) -> String {
    let text = format!("{percentile:.4}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_keeps_the_digits_that_matter() {
        for (percentile, text) in [
            (0.0, "0%"),
            (50.0, "50%"),
            (99.9, "99.9%"),
            (98.437_5, "98.4375%"),
            (10.0, "10%"),
        ] {
            assert_eq!(written(percentile), text);
        }
    }

    #[test]
    fn an_axis_label_has_no_needless_decimals() {
        let ms = Unit::fitting(10_000.0);
        for (micros, text) in [
            (0.0, "0"),
            (500.0, "0.5"),
            (2000.0, "2"),
            (20_000.0, "20"),
            (50.0, "0.05"),
        ] {
            assert_eq!(ms.label(micros), text);
        }
    }
}
