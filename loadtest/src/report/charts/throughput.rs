//! Whether the rate was steady: answers per second over the window.

use maud::{Markup, html};

use super::{
    plot::{Axis, Line, Mark, Plot},
    scale::Scale,
};
use crate::{
    report::{Sides, figures},
    result::Arm,
};

/// A chart shows no more points than this; a longer run is drawn in means over several seconds.
const MOST_POINTS: usize = 120;

/// Both arms' seconds in one chart, and the same as a table.
pub(in crate::report) fn figure(sides: Sides) -> Markup {
    let seconds = sides
        .present()
        .map(|arm| arm.throughput.len())
        .max()
        .unwrap_or(0);
    if seconds == 0 {
        return html! { p { "No whole second was measured." } };
    }
    let width = seconds.div_ceil(MOST_POINTS);
    let lines: Vec<Line> = sides
        .present()
        .filter(|arm| !arm.throughput.is_empty())
        .map(|arm| line(arm, width))
        .collect();
    let max = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|p| p.1)
        .fold(0.0, f64::max);
    let plot = Plot {
        id: "throughput",
        title: "Answers per second".into(),
        description: description(sides),
        x: Axis {
            scale: Scale::Linear {
                end: seconds as f64,
            },
            title: "Seconds since the window of each arm began".into(),
            label: &|second| figures::decimals(second, usize::from(second.fract() > 0.0)),
        },
        y: Axis {
            scale: Scale::linear(max),
            title: "Answers per second".into(),
            label: &|rate| figures::decimals(rate, usize::from(rate.fract() > 0.0)),
        },
        lines,
    };
    plot.figure(&caption(width), &table(sides, width))
}

fn caption(width: usize) -> String {
    let point = if width == 1 {
        "Answers in each whole second".to_owned()
    } else {
        format!("Answers per second, each point the mean of {width} seconds")
    };
    format!("{point}, good and bad. Where a line is not steady, no single rate describes it.")
}

/// Start, end and mean rate of each stretch of `width` seconds.
fn stretches(arm: &Arm, width: usize) -> impl Iterator<Item = (usize, usize, f64)> {
    arm.throughput
        .chunks(width)
        .enumerate()
        .map(move |(index, chunk)| {
            let start = index * width;
            let mean = chunk.iter().sum::<u64>() as f64 / chunk.len() as f64;
            (start, start + chunk.len(), mean)
        })
}

fn line(arm: &Arm, width: usize) -> Line {
    let mut line = Line {
        protocol: arm.protocol,
        points: Vec::new(),
        marks: Vec::new(),
    };
    for (start, end, rate) in stretches(arm, width) {
        let at = ((start + end) as f64 / 2.0, rate);
        line.points.push(at);
        line.marks.push(Mark {
            at,
            text: format!(
                "{} {start}–{end} s: {}/s",
                arm.protocol.name(),
                figures::decimals(rate, 0)
            ),
            shown: false,
        });
    }
    line
}

fn description(sides: Sides) -> String {
    let parts = sides.present().filter_map(|arm| {
        let (min, max) = (arm.throughput.iter().min()?, arm.throughput.iter().max()?);
        let (min, max) = (figures::thousands(*min), figures::thousands(*max));
        Some(format!(
            "{}: between {min} and {max} answers in a second.",
            arm.protocol.name()
        ))
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn table(sides: Sides, width: usize) -> Markup {
    let columns = [sides.rest, sides.grpc]
        .map(|arm| arm.map_or(Vec::new(), |arm| stretches(arm, width).collect()));
    let rows = columns.iter().map(Vec::len).max().unwrap_or(0);
    html! {
        div.scroll.tall role="region" aria-label="Answers per second" tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { "Seconds" }
                    th scope="col" { "REST, /s" }
                    th scope="col" { "gRPC, /s" }
                } }
                tbody {
                    @for row in 0..rows {
                        tr {
                            th scope="row" { (row * width) "–" ((row + 1) * width) }
                            @for column in &columns {
                                td { @if let Some((_, _, rate)) = column.get(row) { (figures::decimals(*rate, 0)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
