//! The page that sets two runs side by side.

use maud::{Markup, html};

use super::verdict::{
    page,
    range::Range,
    rows::{Mark, Row, Rows},
    steps::capital,
    table::table,
    written,
};
use crate::{
    commands::compare::{Side, Twice, agreement, both},
    record::{Purpose, Run},
    verdict::{
        claim::Claim,
        metric::Metric,
        sentence::{self, interval, ratio},
    },
};

/// The page on both, complete HTML.
pub fn render(sides: &[Side; 2]) -> String {
    let [first, second] = sides;
    let claims = both(&first.verdict, &second.verdict);
    page(
        &format!("{} and {}", first.name, second.name),
        &html! {
            header {
                p.eyebrow { "Two runs, side by side" }
                h1 { (agreement(sides)) }
                @for side in sides {
                    p.second { strong { (side.name) } ": " (side.verdict.sentence()) }
                }
            }
            main {
                @if !claims.is_empty() {
                    section { h2 { "What both compared" } (ratios(sides, &claims)) }
                    section { h2 { "What the arms themselves took" } (values(sides, &claims)) }
                }
                section { h2 { "What was not the same" } (conditions(sides)) }
            }
        },
    )
}

fn label(claim: &Claim) -> String {
    format!(
        "{}, {}",
        capital(claim.metric.noun()),
        sentence::conditions(&claim.cell)
    )
}

/// With the rates of both, which each run may have found by itself.
fn label_of_both(twice: &Twice) -> String {
    let [first, second] = [twice.first, twice.second].map(|claim| claim.cell.load);
    let label = label(twice.first);
    if first == second {
        label
    } else {
        format!("{label} and {}", sentence::load(second))
    }
}

fn ratios(sides: &[Side; 2], claims: &[Twice]) -> Markup {
    let drawn: Vec<&Twice> = claims
        .iter()
        .filter(|twice| matches!(twice.first.cell.purpose, Purpose::Open | Purpose::Primary))
        .filter(|twice| [twice.first, twice.second].into_iter().all(is_drawable))
        .collect();
    let rows: Vec<Row> = drawn
        .iter()
        .flat_map(|twice| {
            let [first, second] = [twice.first, twice.second].map(|claim| claim.cell.load);
            let name = format!(
                "{}, {}",
                capital(twice.first.metric.noun()),
                sentence::load(first)
            );
            let rate = (first != second).then(|| sentence::load(second));
            [
                drawn_claim(name, "arm-A", twice.first),
                drawn_claim(rate.unwrap_or_default(), "arm-E", twice.second),
            ]
        })
        .flatten()
        .collect();
    let cells: Vec<Vec<String>> = claims.iter().map(row).collect();
    let ends = drawn
        .iter()
        .flat_map(|twice| [twice.first, twice.second])
        .filter_map(|claim| Some(claim.estimate.as_ref()?.interval))
        .flat_map(|interval| [interval.low, interval.high]);
    let (base, candidate) = (
        sentence::name(&claims[0].first.base),
        sentence::name(&claims[0].first.candidate),
    );
    let chart = Rows {
        id: "ratios".into(),
        title: "Ratios of both runs".into(),
        description: cells
            .iter()
            .map(|row| format!("{}: {} and {}; {}.", row[0], row[1], row[2], row[3]))
            .collect::<Vec<_>>()
            .join(" "),
        range: Range::holding(ends.chain([1.0])),
        axis: format!("{candidate} divided by {base}"),
        line: Some(1.0),
        band: None,
        rows,
    };
    let table = table(
        "Ratios of both runs",
        &["", &sides[0].name, &sides[1].name, "Intervals"],
        &cells,
    );
    let caption = html! {
        "Dots: ratios, the upper ones of " (sides[0].name) ", the lower ones of " (sides[1].name) ". Whiskers: 95% intervals. The table has every shape and batch too, and what is too uncertain to be drawn."
    };
    chart.figure(&caption, &table)
}

/// An interval that is wider than this, end divided by end, would press all others together.
const WIDEST: f64 = 10.0;

fn is_drawable(claim: &Claim) -> bool {
    let interval = claim.estimate.as_ref().map(|estimate| estimate.interval);
    interval.is_some_and(|interval| interval.high <= WIDEST * interval.low)
}

fn drawn_claim(name: String, class: &str, claim: &Claim) -> Option<Row> {
    let estimate = claim.estimate.as_ref()?;
    let text = format!("{}×", ratio(estimate.ratio));
    Some(Row {
        name,
        value: text.clone(),
        class: class.into(),
        marks: vec![
            Mark::Whisker {
                low: estimate.interval.low,
                high: estimate.interval.high,
            },
            Mark::Dot {
                at: estimate.ratio,
                text,
            },
        ],
    })
}

fn row(twice: &Twice) -> Vec<String> {
    let figure = |claim: &Claim| {
        claim.estimate.as_ref().map_or("—".to_owned(), |estimate| {
            format!("{}× ({})", ratio(estimate.ratio), interval(estimate))
        })
    };
    let agree = match twice.agree() {
        Some(true) => "overlap",
        Some(false) => "do not overlap",
        None => "can't tell",
    };
    vec![
        label_of_both(twice),
        figure(twice.first),
        figure(twice.second),
        agree.into(),
    ]
}

/// The runs are not paired, so the change of one arm between them has no interval.
fn values(sides: &[Side; 2], claims: &[Twice]) -> Markup {
    let mut rows = Vec::new();
    for twice in claims {
        for index in 0..2 {
            let (first, second) = (twice.first.values[index], twice.second.values[index]);
            let arm = if index == 0 {
                &twice.first.base
            } else {
                &twice.first.candidate
            };
            let text =
                |value: Option<f64>| value.map_or("—".into(), |v| written(v, twice.first.metric));
            // CPU time for a request depends on the rate, which need not be the same.
            let is_cpu = matches!(twice.first.metric, Metric::ServerCpu | Metric::GeneratorCpu);
            let is_comparable = !is_cpu || twice.first.cell.load == twice.second.cell.load;
            let both = first.zip(second).filter(|_| is_comparable);
            let change = both.map_or("—".into(), |(first, second)| {
                format!("{}×", ratio(second / first))
            });
            rows.push(vec![
                format!("{}: {}", sentence::name(arm), label_of_both(twice)),
                text(first),
                text(second),
                change,
            ]);
        }
    }
    html! {
        p.lead { "The two runs were not measured in pairs: between them the machine may have changed as well as the code, so these ratios have no interval. To compare two builds, run them in turn, several times each." }
        (table("What the arms took", &["", &sides[0].name, &sides[1].name, "Second / first"], &rows))
    }
}

fn conditions(sides: &[Side; 2]) -> Markup {
    type Fact = (&'static str, fn(&Run) -> String);
    let facts: [Fact; 8] = [
        ("Started", |run| run.started_at.clone()),
        ("Mode", |run| format!("{:?}", run.mode).to_lowercase()),
        ("Seed", |run| run.seed.to_string()),
        ("Commit", |run| {
            run.tool.commit.clone().unwrap_or("not known".into())
        }),
        ("Build", |run| {
            let build = if run.tool.release { "release" } else { "debug" };
            format!(
                "loadtest {}, goose {}, {build}",
                run.tool.version, run.tool.goose
            )
        }),
        ("Machines", |run| {
            let names = run.machines.iter().map(|machine| {
                format!(
                    "{}, {} cores",
                    machine.cpu.as_deref().unwrap_or("not known"),
                    machine.cores
                )
            });
            names.collect::<Vec<_>>().join("; ")
        }),
        ("Kernel", |run| {
            run.machines
                .iter()
                .map(|m| m.kernel.clone())
                .collect::<Vec<_>>()
                .join("; ")
        }),
        ("Command", |run| run.command.clone()),
    ];
    let rows: Vec<Vec<String>> = facts
        .iter()
        .map(|(name, read)| {
            [*name]
                .map(str::to_owned)
                .into_iter()
                .chain(sides.iter().map(|side| read(&side.recording.run)))
                .collect::<Vec<_>>()
        })
        .filter(|row| row[1] != row[2])
        .collect();
    html! {
        (table("What was not the same", &["", &sides[0].name, &sides[1].name], &rows))
        @if sides[0].recording.run.plan != sides[1].recording.run.plan {
            p.notes { "Their plans differ too; only what both measured stands above." }
        }
    }
}
