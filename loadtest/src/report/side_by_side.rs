//! The page that sets two runs side by side.

use maud::{Markup, html};

use super::{
    capital,
    chart::rows::{Row, Rows},
    page,
    table::table,
    verdict::measures::{axis, ratio_of, row},
};
use crate::{
    commands::compare::{Side, Twice, agreement, both},
    numbers::{counted, ratio, with_unit},
    record::{Machine, Purpose, Run, Scenario},
    verdict::{
        claim::Claim,
        sentence::{conditions, grade, interval, load},
    },
};

/// The page on both, complete HTML.
pub fn render(sides: &[Side; 2]) -> String {
    let [first, second] = sides;
    let claims = both(&first.verdict, &second.verdict);
    let sections = [
        ("What both compared", ratios(sides, &claims)),
        ("The values of each variant", values(sides, &claims)),
        ("What was not the same", Some(differences(sides))),
    ];
    page(
        &format!("{} and {}", first.name, second.name),
        &html! {
            header {
                p.eyebrow { "Two runs, side by side" }
                h1 { (agreement(sides)) }
                ul.meaning { @for side in sides { li { strong { (side.name) } ": " (side.verdict.sentence()) } } }
            }
            main {
                @for (title, content) in sections {
                    @if let Some(content) = content { section { h2 { (title) } (content) } }
                }
            }
        },
    )
}

/// Such as `32 connections × 1 in flight, 5,000 requests/s and 6,000 requests/s`: each run may have found a
/// rate of its own.
fn place(twice: &Twice) -> String {
    let [first, second] = [twice.first, twice.second].map(|claim| &claim.scenario);
    let place = conditions(first);
    if first.load == second.load {
        place
    } else {
        format!("{place} and {}", load(second.load))
    }
}

fn name(twice: &Twice) -> String {
    format!("{}, {}", capital(twice.first.metric.noun()), place(twice))
}

/// A chart for each scenario, and a table of the map.
fn ratios(sides: &[Side; 2], claims: &[Twice]) -> Option<Markup> {
    let mut scenarios: Vec<&Scenario> = Vec::new();
    for twice in claims {
        if !scenarios.contains(&&twice.first.scenario) {
            scenarios.push(&twice.first.scenario);
        }
    }
    let (map, others): (Vec<&Scenario>, Vec<&Scenario>) = scenarios
        .into_iter()
        .partition(|scenario| scenario.purpose == Purpose::Map);
    let of = |scenarios: &[&Scenario]| -> Vec<&Twice> {
        let found = claims
            .iter()
            .filter(|twice| scenarios.contains(&&twice.first.scenario));
        found.collect()
    };
    (!claims.is_empty()).then(|| {
        html! {
            p.lead { "Upper of two rows: " (sides[0].name) "; lower: " (sides[1].name) ". Dots are ratios, whiskers 95% intervals; a hollow dot is inconclusive." }
            @for (index, scenario) in others.into_iter().enumerate() { (chart(index, sides, &of(&[scenario]))) }
            @if !map.is_empty() {
                h3 { "The map" }
                (ratios_table("The map", sides, &of(&map)))
            }
        }
    })
}

/// The ratios of one scenario.
fn chart(index: usize, sides: &[Side; 2], claims: &[&Twice]) -> Markup {
    let Some(twice) = claims.first() else {
        return html! {};
    };
    let first = twice.first;
    let rows = claims.iter().flat_map(|twice| {
        let noun = capital(twice.first.metric.noun());
        [
            (twice.first, noun, "json_http1"),
            (twice.second, String::new(), "grpc"),
        ]
    });
    let rows = rows.map(|(claim, name, hue)| {
        let row = row(claim, name);
        let class = row.class.replace(claim.candidate.protocol.slug(), hue);
        Row { class, ..row }
    });
    let described = claims.iter().map(|twice| {
        let [name, first, second, agree] = cells(twice);
        format!("{name}: {first} and {second}; {agree}.")
    });
    let place = place(twice);
    let chart = Rows {
        id: format!("ratios-{index}"),
        title: format!("Ratios of both runs, {place}"),
        description: described.collect::<Vec<_>>().join(" "),
        axis: axis(claims.iter().flat_map(|twice| [twice.first, twice.second])),
        measure: format!(
            "{} divided by {}",
            first.candidate.name, first.baseline.name
        ),
        line: Some(1.0),
        band: None,
        rows: rows.collect(),
    };
    html! {
        h3 { (capital(&place)) }
        (chart.figure(&html! {}, &ratios_table(&place, sides, claims)))
    }
}

fn ratios_table(caption: &str, sides: &[Side; 2], claims: &[&Twice]) -> Markup {
    let rows: Vec<Vec<String>> = claims.iter().map(|twice| cells(twice).to_vec()).collect();
    let columns = ["", &sides[0].name, &sides[1].name, "Intervals"];
    table(caption, &columns, &rows)
}

/// Name, both ratios with interval and grade, and whether the intervals overlap.
fn cells(twice: &Twice) -> [String; 4] {
    let figure = |claim: &Claim| {
        let estimate = claim.estimate.as_ref().map_or("—".into(), interval);
        format!("{} ({estimate}), {}", ratio_of(claim), grade(&claim.grade))
    };
    let agree = match twice.agree() {
        Some(true) => "overlap",
        Some(false) => "do not overlap",
        None => "unknown",
    };
    [
        name(twice),
        figure(twice.first),
        figure(twice.second),
        agree.into(),
    ]
}

/// The runs are not paired, so the change of one variant between them has no interval.
fn values(sides: &[Side; 2], claims: &[Twice]) -> Option<Markup> {
    let mut rows = Vec::new();
    for twice in claims {
        let metric = twice.first.metric;
        let variants = [&twice.first.baseline, &twice.first.candidate];
        for (index, variant) in variants.into_iter().enumerate() {
            let values = [twice.first, twice.second].map(|claim| claim.values[index]);
            // CPU per request depends on the rate.
            let is_comparable = !metric.depends_on_rate()
                || twice.first.scenario.load == twice.second.scenario.load;
            let [first, second] = values.map(|v| v.map_or("—".into(), |v| with_unit(v, metric)));
            let change = match values {
                [Some(first), Some(second)] if is_comparable => {
                    format!("{}×", ratio(second / first))
                }
                _ => "—".into(),
            };
            rows.push(vec![
                format!("{}: {}", variant.name, name(twice)),
                first,
                second,
                change,
            ]);
        }
    }
    let columns = ["", &sides[0].name, &sides[1].name, "Second / first"];
    (!rows.is_empty()).then(|| {
        html! {
            p.lead { "The two runs were not measured in pairs: between them the machine may have changed as well as the code, so these ratios have no interval. To compare two builds, run them in turn, several times each." }
            (table("The values of each variant", &columns, &rows))
        }
    })
}

fn differences(sides: &[Side; 2]) -> Markup {
    type Fact = (&'static str, fn(&Run) -> String);
    let facts: [Fact; 9] = [
        ("Started", |run| run.started_at.clone()),
        ("Mode", |run| format!("{:?}", run.mode).to_lowercase()),
        ("Budget", |run| {
            run.budget_s.map_or("none".into(), |s| format!("{s} s"))
        }),
        ("Seed", |run| run.seed.to_string()),
        ("Commit", |run| {
            run.tool.commit.clone().unwrap_or("not known".into())
        }),
        ("Build", |run| {
            let build = if run.tool.release { "release" } else { "debug" };
            let tool = &run.tool;
            format!("loadtest {}, goose {}, {build}", tool.version, tool.goose)
        }),
        ("Machines", |run| {
            let name = |machine: &Machine| {
                let cpu = machine.cpu.as_deref().unwrap_or("not known");
                format!("{cpu}, {}", counted(machine.cores.into(), "core"))
            };
            run.machines.iter().map(name).collect::<Vec<_>>().join("; ")
        }),
        ("Kernel", |run| {
            let kernels: Vec<&str> = run.machines.iter().map(|m| m.kernel.as_str()).collect();
            kernels.join("; ")
        }),
        ("Command", |run| run.command.clone()),
    ];
    let [first, second] = sides.each_ref().map(|side| &side.recording.run);
    let rows = facts
        .iter()
        .map(|(name, read)| vec![(*name).to_owned(), read(first), read(second)]);
    let rows: Vec<Vec<String>> = rows.filter(|row| row[1] != row[2]).collect();
    html! {
        (table("What was not the same", &["", &sides[0].name, &sides[1].name], &rows))
        @if first.plan != second.plan {
            p.notes { "Their plans differ too; only what both measured stands above." }
        }
    }
}
