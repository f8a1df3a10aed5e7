//! The page on a run: what it says, and what it must never do. A browser sees to it that the page is
//! drawn: `.ci/browser`.

use std::{path::Path, sync::LazyLock};

use loadtest::{
    metric::Metric,
    numbers::{percent, ratio, with_unit},
    record::{Disturbance, Purpose, Recording},
    report::verdict,
    validity::TABLE,
    verdict::{
        Verdict,
        claim::{Claim, Grade, Reason},
        sentence::{conditions, grade_and_reason, interval},
    },
};

mod made_up;

use made_up::{THOROUGH, Truth};

fn recording() -> Recording {
    static MADE_UP: LazyLock<Recording> = LazyLock::new(|| made_up::recording(THOROUGH));
    MADE_UP.clone()
}

fn render(recording: &Recording) -> String {
    verdict::render(recording, Path::new("nowhere"))
}

/// The text that a reader sees of `html`: no tags, one space between words.
fn text(html: &str) -> String {
    let body = html.split_once("<body").map_or(html, |(_, body)| body);
    let mut text = String::new();
    for part in body.split('<').skip(1) {
        let (_, shown) = part.split_once('>').unwrap_or_default();
        text.push_str(shown);
        text.push(' ');
    }
    let text = text
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    let text = text.replace("&#39;", "'").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The section called `title`, as HTML.
fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let start = page.find(&format!("<h2>{title}</h2>"));
    let (_, section) = page.split_at(start.unwrap_or_else(|| panic!("no section {title}")));
    section.split("</section>").next().unwrap_or_default()
}

/// Disturbs all trials of REST and gRPC under more than one user.
fn generator_bound(mut recording: Recording) -> Recording {
    for trial in recording
        .trials
        .iter_mut()
        .filter(|trial| trial.shape.users() > 1)
    {
        trial.disturbances.push(Disturbance::GeneratorLimit {
            busiest_core_share: 0.97,
        });
    }
    recording
}

#[test]
fn the_sentence_comes_first_and_every_section_follows() {
    let recording = recording();
    let verdict = Verdict::of(&recording);
    let page = text(&render(&recording));
    let mut rest = page.as_str();
    let sentence = verdict.sentence();
    let meaning = verdict.meaning();
    assert!(meaning.len() >= 3, "{meaning:?}");
    let expected = [sentence.as_str()].into_iter();
    let expected = expected.chain(meaning.iter().map(String::as_str)).chain([
        "14 rounds, 756 trials; budget 180 s",
        "By each measure",
        "Where the difference comes from",
        "codec: JSON to protobuf",
        "Where it turns around",
        "Latency",
        "corrected",
        "Every trial",
        "REST twin",
        "What a request costs",
        "Capacity",
        "p99 stays below 5 ms",
        "The original's comparison, taken apart",
        "What the instrument can tell",
        "Validity",
        "A/A: the baseline and its twin",
        "The generator's own ceiling",
        "Disturbed trials None of 756 trials.",
        "How and where it was measured",
        "Made-up Processor 3000",
        "Linux 6.12.0",
        "Steal 0.1% of the time at the median",
        "Other programs 0.2% of the time at the median",
        "0123456789ab",
        "42",
        "--thorough",
    ]);
    for expected in expected {
        rest = rest
            .split_once(expected)
            .unwrap_or_else(|| panic!("{expected} is not there, or not in its place: {rest}"))
            .1;
    }
}

/// Of a claim its ratio, interval, grade and floor stand in a row of a table, and both values.
fn stands(page: &str, claim: &Claim) {
    let rows: Vec<String> = page.split("<tr>").skip(1).map(text_of_row).collect();
    let floor = claim.floor.map(|floor| format!("±{}", percent(floor.part)));
    let values = claim
        .values
        .iter()
        .flatten()
        .map(|value| with_unit(*value, claim.metric));
    let mut parts: Vec<String> = values
        .chain(floor)
        .chain([grade_and_reason(claim)])
        .collect();
    if let Some(estimate) = &claim.estimate {
        parts.extend([format!("{}×", ratio(estimate.ratio)), interval(estimate)]);
    }
    let found = rows
        .iter()
        .any(|row| parts.iter().all(|part| row.contains(part)));
    let place = conditions(&claim.scenario);
    assert!(found, "{} at {place}: {parts:?}", claim.metric.noun());
}

fn text_of_row(row: &str) -> String {
    text(&format!(
        "<body>{}",
        row.split("</tr>").next().unwrap_or_default()
    ))
}

#[test]
fn every_claim_stands_there_with_both_values_its_interval_and_its_grade() {
    let noisy = Truth {
        noise: 0.15,
        rounds: 7,
        ..THOROUGH
    };
    for recording in [
        recording(),
        generator_bound(recording()),
        made_up::recording(noisy),
    ] {
        let verdict = Verdict::of(&recording);
        let page = render(&recording);
        let of_a_table = verdict
            .headline
            .iter()
            .chain(&verdict.others)
            .chain(&verdict.map);
        for claim in of_a_table {
            stands(&page, claim);
        }
        let steps = text(section(&page, "Where the difference comes from"));
        for step in verdict
            .waterfalls
            .iter()
            .flat_map(|waterfall| &waterfall.steps)
        {
            let said = format!("{}×, {}", ratio(step.estimate.ratio), step.grade.word());
            assert!(steps.contains(&said), "{said}: {steps}");
        }
    }
}

#[test]
fn each_claim_of_the_headline_shows_both_sides_and_what_it_stands_on() {
    let recording = recording();
    let page = render(&recording);
    let cards: Vec<String> = page
        .split("<article")
        .skip(1)
        .map(|card| text(&format!("<body{card}")))
        .collect();
    let headline = Verdict::of(&recording).headline;
    assert_eq!(headline.len(), 2);
    for (claim, card) in headline.iter().zip(&cards) {
        let [Some(baseline), Some(candidate)] = claim.values else {
            panic!("{claim:?}");
        };
        for part in [
            format!("REST {}", with_unit(baseline, claim.metric)),
            format!("gRPC {}", with_unit(candidate, claim.metric)),
            "difference".into(),
            "95% CI ".into(),
            "A/A floor ±".into(),
            "14 rounds".into(),
        ] {
            assert!(card.contains(&part), "{part}: {card}");
        }
    }
}

#[test]
fn a_claim_of_a_saturated_generator_is_never_worded_as_a_finding() {
    let recording = generator_bound(recording());
    let verdict = Verdict::of(&recording);
    let page = render(&recording);
    let bound: Vec<&Claim> = verdict
        .claims()
        .filter(|claim| claim.grade == Grade::Inconclusive(Reason::GeneratorLimit))
        .collect();
    assert!(bound.len() > 8, "{}", bound.len());
    assert!(bound.iter().all(|claim| claim.metric != Metric::ServerCpu));
    // One card, row, cell or step each; and no banner that would stand for them.
    assert!(!page.contains("class=\"banner"));
    let map = section(&page, "Where it turns around");
    let of_latency = map.split("<h3>").nth(1).unwrap_or_default();
    // 8 and 32 users of four sizes; one user alone does not keep the generator busy.
    assert_eq!(of_latency.matches("<td class=\"hatched\">").count(), 8);
    for cell in of_latency.split("<td class=\"hatched\">").skip(1) {
        let cell = text(&format!(
            "<body><td>{}",
            cell.split("</td>").next().unwrap_or_default()
        ));
        assert!(cell.starts_with("inconclusive "), "{cell}");
        assert!(cell.contains("×") && cell.contains("requests/s"), "{cell}");
        assert!(cell.ends_with("generator at its limit"), "{cell}");
    }
}

#[test]
fn the_map_has_a_rate_and_an_interval_in_each_cell_and_says_what_it_is_of() {
    let page = render(&recording());
    let map = section(&page, "Where it turns around");
    let cells = |class: &str| map.matches(&format!("<td class=\"{class}\">")).count();
    // Of latency and of server CPU: 1, 10, 100 and 1,000 items at 1, 8 and 32 connections.
    assert_eq!(cells("baseline"), 6 + 3);
    assert_eq!(cells("candidate"), 6 + 6);
    assert_eq!(cells("neither") + cells("hatched"), 3);
    let map = text(map);
    for expected in [
        "Median latency gRPC's median latency",
        "Server CPU per request gRPC's server CPU",
        "at the rate that stands in the cell",
        "Items in a call, down; connections × calls in flight on each, across",
        "1 × 1 8 × 1 32 × 1",
        "4,900 requests/s",
        "REST over HTTP/2",
    ] {
        assert!(map.contains(expected), "{expected}: {map}");
    }
    let page = text(&render(&made_up::headline(Truth {
        rounds: 6,
        ..THOROUGH
    })));
    assert!(page.contains("The map over payload and calls in flight takes --thorough ."));
}

#[test]
fn the_table_of_validity_says_how_many_trials_each_disturbance_touched() {
    let mut recording = recording();
    let found = [
        Disturbance::BadReplies { count: 3 },
        Disturbance::GeneratorLimit {
            busiest_core_share: 0.97,
        },
        Disturbance::LateDispatch {
            p50_us: Some(61.0),
            p99_us: 913.0,
        },
        Disturbance::Steal { share: 0.134 },
        Disturbance::OtherPrograms { share: 0.31 },
        Disturbance::AsksOthers {
            peers: vec!["127.0.0.1:50052".to_owned()],
        },
    ];
    let mut trials = recording.trials.iter_mut();
    for (times, disturbance) in (1..).zip(&found) {
        for trial in trials.by_ref().take(times) {
            trial.disturbances.push(disturbance.clone());
        }
    }
    let page = render(&recording);
    let rows: Vec<String> = section(&page, "What the instrument can tell")
        .split("<tr>")
        .skip(2)
        .take(TABLE.len())
        .map(text_of_row)
        .collect();
    for (row, (times, (name, rules))) in rows.iter().zip((1..).zip(TABLE)) {
        let words: Vec<String> = rules.iter().map(|rule| rule.words()).collect();
        let said = format!("{} {times} {}", &name[1..], words.join(" "));
        assert!(row.ends_with(&said), "{said}: {row}");
    }
    let listed = text(section(&page, "Disturbed trials"));
    assert!(
        listed.starts_with("Disturbed trials 21 of 756 trials."),
        "{listed}"
    );
    for said in [
        "3 bad replies void: all",
        "the hypervisor took 13.4% of the time void: server CPU per request, client CPU per request; inconclusive: p99 latency, requests per second",
        "other programs took 31% of the cores' time inconclusive: p99 latency, requests per second",
        "the process on the port asks 127.0.0.1:50052 for each call, whose CPU time is not in its own; name what counts by --server-pid or --server-cgroup void: server CPU per request",
    ] {
        assert!(listed.contains(said), "{said}: {listed}");
    }
}

#[test]
fn a_void_trial_is_a_cross_with_its_reason_and_one_of_the_twin_is_a_dot() {
    let mut recording = recording();
    let page = render(&recording);
    assert!(!section(&page, "Every trial").contains("class=\"cross\""));
    let is_open = |purpose| purpose == Purpose::Open;
    let mut trials = recording
        .trials
        .iter_mut()
        .filter(|trial| is_open(trial.purpose));
    let disturbed = trials.next().expect("a trial");
    disturbed.disturbances.push(Disturbance::Queue {
        achieved_share: 0.91,
    });
    let page = render(&recording);
    let trials = section(&page, "Every trial");
    assert_eq!(trials.matches("class=\"cross\"").count(), 1);
    let reason = "void: a queue grew: 91.0% of the calls that were due were answered meanwhile";
    assert!(trials.contains(reason), "a title at the cross");
    assert!(text(trials).contains("14 trials, 1 void"));
    let twin = trials
        .split("class=\"json_http1 twin\"")
        .nth(1)
        .unwrap_or_default();
    assert_eq!(
        twin.split("</g>")
            .next()
            .unwrap_or_default()
            .matches("<circle")
            .count(),
        14
    );
}

#[test]
fn a_busy_machine_is_named_at_the_top_and_what_it_took_below() {
    let mut recording = made_up::two(Truth {
        rounds: 7,
        noise: 0.12,
        ..THOROUGH
    });
    for trial in &mut recording.trials {
        trial.measurement.others_share = Some(0.25);
        trial.measurement.steal_share = Some(0.031);
    }
    let page = text(&render(&recording));
    let (top, below) = page.split_once("By each measure").expect("a section");
    assert!(top.contains("holds for a busy machine"), "{top}");
    assert!(below.contains("Steal 3.1% of the time at the median, 3.1% at most"));
    assert!(below.contains("Other programs 25.0% of the time at the median, 25.0% at most"));
}

#[test]
fn every_chart_and_table_is_named_and_every_chart_stands_over_a_table_of_its_figures() {
    let page = render(&recording());
    let charts = page.matches(r#"role="img""#).count();
    assert!(charts >= 15, "{charts}");
    assert_eq!(page.matches("<desc id=").count(), charts);
    assert!(!page.contains("<desc id=\"\">") && !page.contains("></desc>"));
    assert_eq!(
        page.matches("<table").count(),
        page.matches("<caption>").count()
    );
    for figure in page.split("<figure>").skip(1) {
        let figure = figure.split("</figure>").next().unwrap_or_default();
        assert!(figure.contains("<table"), "{figure}");
    }
    let ids = page.split(" id=\"").skip(1);
    let mut ids: Vec<&str> = ids.filter_map(|rest| rest.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "ids are unique");
}

#[test]
fn the_page_fetches_nothing_and_has_no_script() {
    let page = render(&recording());
    for loading in ["<script", "src=", "url(", "@import", "<iframe", "<img"] {
        assert!(!page.contains(loading), "{loading}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn only_files_that_are_there_are_linked() {
    let linked = |directory: &Path| -> Vec<String> {
        let page = verdict::render(&recording(), directory);
        let links = page.split("<a href=\"").skip(1);
        links
            .filter_map(|rest| Some(rest.split('"').next()?.to_owned()))
            .collect()
    };
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(linked(directory.path()), Vec::<String>::new());
    let recording = recording();
    recording.write(directory.path()).expect("raw data");
    assert_eq!(linked(directory.path()), ["run.json", "trials/"]);
    recording.write_logs(directory.path()).expect("logs");
    assert_eq!(linked(directory.path()), ["run.json", "trials/", "hdr/"]);
}

#[test]
fn what_strangers_wrote_is_escaped() {
    let mut recording = recording();
    recording.run.command = "loadtest '<script>alert(1)</script>'".into();
    recording.run.machines[0].cpu = Some("<b>fast</b>".into());
    let plan = recording.run.plan.scenarios.iter_mut();
    let planned = plan.flat_map(|scenario| &mut scenario.variants);
    let measured = recording.trials.iter_mut().map(|trial| &mut trial.variant);
    for variant in planned.chain(measured) {
        variant.name = format!("<i>{}", variant.name);
    }
    let page = render(&recording);
    for tag in ["<script", "<b>", "<i>"] {
        assert!(!page.contains(tag), "{tag}");
    }
}

#[test]
fn a_run_that_measured_nothing_has_a_page_that_says_so() {
    let mut recording = recording();
    recording.trials.clear();
    recording.run.ceiling.clear();
    recording.run.capacity.clear();
    recording.run.cut_short = Some("stopped by a signal".into());
    let page = text(&render(&recording));
    assert!(page.contains("Inconclusive: "), "{page}");
    assert!(page.contains("Cut short: stopped by a signal."));
    assert!(page.contains("0 rounds, 0 trials"));
}
