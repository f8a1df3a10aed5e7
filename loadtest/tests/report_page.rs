//! What the page on a run says, and what it must never do.

use loadtest::{
    report::page,
    result::{Arm, Protocol, Run, StatusCount},
};

mod sample;

/// The sample run after `change`, rendered.
fn page_of(change: impl FnOnce(&mut Run)) -> String {
    let mut run = sample::run();
    change(&mut run);
    page::render(&run)
}

fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let after = page.split_once(start).map(|(_, after)| after);
    let inner = after.and_then(|after| after.split_once(end));
    inner.map_or_else(
        || panic!("no {start} … {end} in {page}"),
        |(inner, _)| inner,
    )
}

fn headline(page: &str) -> &str {
    between(page, "<h1>", "</h1>")
}

/// The cells of the first row of the side-by-side table with this label, without their markup.
fn cells(page: &str, label: &str) -> Vec<String> {
    let row = between(
        page,
        &format!(r#"<tr><th scope="row">{label}</th>"#),
        "</tr>",
    );
    row.split("</td>").map(text).take(3).collect()
}

fn text(markup: &str) -> String {
    let pieces = markup
        .split('<')
        .map(|piece| piece.rsplit('>').next().unwrap_or(piece));
    pieces.collect()
}

fn without_answers(arm: &mut Arm) {
    arm.requests = 0;
    arm.requests_per_second = 0.0;
    arm.latency.count = 0;
    arm.latency.curve.clear();
    arm.latency
        .percentiles
        .iter_mut()
        .for_each(|p| p.micros = None);
    arm.throughput.clear();
    arm.statuses.clear();
}

#[test]
fn the_headline_gives_both_rates_their_ratio_and_its_conditions() {
    type Change = fn(&mut Run);
    let cases: [(Change, &str); 7] = [
        (
            |_| {},
            "gRPC answered 21,400 requests/s, REST 19,800: 1.08× in this one run, \
             at 32 connections × 1 call in flight.",
        ),
        (
            |run| run.arms.reverse(),
            "gRPC answered 21,400 requests/s, REST 19,800: 1.08× in this one run, \
             at 32 connections × 1 call in flight.",
        ),
        (
            |run| {
                run.load.connections = 1;
                run.load.in_flight_per_connection = 64;
                run.arms[1].requests_per_second = 9_906.2;
            },
            "gRPC answered 9,910 requests/s, REST 19,800: 0.50× in this one run, \
             at 1 connection × 64 calls in flight.",
        ),
        (
            |run| run.arms[0].failures = 1,
            "gRPC answered 21,400 requests/s, REST 19,800, failures included, in this one run, \
             at 32 connections × 1 call in flight.",
        ),
        (
            |run| run.arms.truncate(1),
            "REST answered 19,800 requests/s in this one run, at 32 connections × 1 call in flight. \
             gRPC was not measured, so there is nothing to compare with.",
        ),
        (
            |run| without_answers(&mut run.arms[0]),
            "gRPC answered 21,400 requests/s in this one run, at 32 connections × 1 call in flight. \
             REST gave no answer, so there is nothing to compare with.",
        ),
        (
            |run| run.arms.clear(),
            "No answer was measured in this run, at 32 connections × 1 call in flight.",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(headline(&page_of(change)), expected);
    }
}

#[test]
fn every_page_says_that_one_run_has_no_interval() {
    let page = page_of(|_| {});
    assert!(page.contains(
        "One run, one block per protocol, no interval: a small difference means nothing."
    ));
}

#[test]
fn a_line_of_the_table_holds_rest_then_grpc_then_their_ratio() {
    let page = page_of(|run| {
        run.arms.reverse();
        for (arm, micros) in run.arms.iter_mut().zip([800.0, 1600.0]) {
            arm.latency.percentiles[0].micros = Some(micros);
        }
    });
    assert_eq!(cells(&page, "p50"), ["1,600 µs", "800 µs", "0.50×"]);
    assert_eq!(
        cells(&page, "Requests per second"),
        ["19,812 /s", "21,437 /s", "1.08×"]
    );
    assert_eq!(
        cells(&page, "Memory under load"),
        ["14.0 MiB", "17.0 MiB", "1.21×"]
    );
    assert_eq!(
        cells(&page, "Connections × calls in flight"),
        ["32 × 1", "32 × 1", ""]
    );
}

#[test]
fn a_rate_with_failures_in_it_gets_no_ratio() {
    let page = page_of(|run| run.arms[0].failures = 1);
    assert_eq!(
        cells(&page, "Requests per second"),
        ["19,812 /s", "21,437 /s", ""]
    );
}

#[test]
fn a_percentile_that_is_not_known_is_a_dash_with_its_reason() {
    const REASON: &str = "fewer than 100 samples beyond it";
    let page = page_of(|run| run.arms[1].latency.percentiles[5].micros = None);
    assert_eq!(cells(&page, "p99.9")[1..], ["—", ""]);
    assert!(page.contains(REASON));
    assert!(!page_of(|_| {}).contains(REASON));
}

#[test]
fn a_server_elsewhere_is_said_to_be_not_measured() {
    const REASON: &str = "the server is not a process on this machine";
    let page = page_of(|run| run.arms[0].server = None);
    assert_eq!(
        cells(&page, "CPU per request"),
        ["not measured", "37.9 µs", ""]
    );
    assert!(page.contains(REASON));
    assert!(!page_of(|_| {}).contains(REASON));
}

#[test]
fn a_missing_arm_leaves_its_column_empty_and_the_page_whole() {
    for change in [
        |run: &mut Run| run.arms.truncate(1),
        |run: &mut Run| without_answers(&mut run.arms[1]),
    ] {
        let page = page_of(change);
        assert_eq!(cells(&page, "p99")[1..], ["—", ""]);
        assert!(page.contains(r#"<path class="line""#));
        assert!(page.ends_with("</html>"));
    }
    for change in [
        |run: &mut Run| run.arms.clear(),
        |run: &mut Run| run.arms.iter_mut().for_each(without_answers),
    ] {
        let page = page_of(change);
        assert!(page.contains("Too few good answers for a distribution."));
        assert!(page.contains("No whole second was measured."));
        assert!(!page.contains("NaN") && !page.contains("inf "), "{page}");
    }
}

#[test]
fn a_run_without_trouble_carries_no_banner() {
    assert!(!page_of(|_| {}).contains(r#"<div class="banner"#));
}

#[test]
fn trouble_is_said_before_any_figure() {
    type Change = fn(&mut Run);
    let cases: [(Change, &str); 5] = [
        (
            |run| run.cut_short = Some("the server died.".into()),
            "Cut short: the server died.The figures cover what was measured until then.",
        ),
        (
            |run| run.arms[0].cut_short = Some("the disk was full".into()),
            "Cut short: the disk was full.The figures cover what was measured until then.",
        ),
        (
            |run| run.tool.release = false,
            "Debug build: its figures say nothing.",
        ),
        (
            |run| run.arms[1].failures = 1234,
            "gRPC: 1,234 of 321,558 answers were bad (0.38%).",
        ),
        (
            |run| run.arms[0].thresholds_missed = vec!["p99 < 5ms: observed 6ms".into()],
            "REST: p99 &lt; 5ms: observed 6ms",
        ),
    ];
    for (change, expected) in cases {
        let page = page_of(change);
        let banners = text(between(&page, "</h1>", "</header>"));
        assert!(banners.contains(expected), "no {expected} in {banners}");
    }
}

#[test]
fn a_reason_given_by_run_and_arm_is_said_once() {
    let page = page_of(|run| {
        run.cut_short = Some("interrupted".into());
        run.arms
            .iter_mut()
            .for_each(|arm| arm.cut_short = Some("interrupted".into()));
    });
    assert_eq!(page.matches("Cut short").count(), 1);
}

#[test]
fn a_machine_that_both_sides_fought_for_is_pointed_out() {
    const REASON: &str = "of 2 cores busy between them";
    assert!(page_of(|run| run.machine.cores = 2).contains(REASON));
    assert!(!page_of(|_| {}).contains(REASON));
}

#[test]
fn connections_that_broke_are_pointed_out() {
    const REASON: &str = "gRPC opened 57 connections for 32 users: some broke on the way.";
    assert!(page_of(|run| run.arms[1].connections_opened = 57).contains(REASON));
    assert!(!page_of(|_| {}).contains("some broke on the way"));
}

#[test]
fn a_curve_that_reaches_100_percent_is_drawn_up_to_there() {
    let whole = page_of(|_| {});
    let ended = page_of(|run| {
        for arm in &mut run.arms {
            arm.latency.curve.push((100.0, 90_000.0));
        }
    });
    assert_eq!(ended, whole);
}

#[test]
fn text_from_the_data_is_text_on_the_page() {
    let evil = "<script>alert('&\"')</script>";
    let page = page_of(|run| {
        for field in [
            &mut run.started,
            &mut run.command,
            &mut run.machine.kernel,
            &mut run.load.ramp,
        ] {
            *field = evil.into();
        }
        run.cut_short = Some(evil.into());
        run.tool.commit = Some(evil.into());
        run.machine.cpu = Some(evil.into());
        for arm in &mut run.arms {
            arm.target = evil.into();
            arm.goose_report = Some(evil.into());
            arm.thresholds_missed = vec![evil.into()];
            arm.statuses.push(StatusCount {
                status: evil.into(),
                ok: false,
                count: 1,
            });
        }
    });
    assert!(!page.contains("<script"));
    assert!(page.matches("&lt;script&gt;").count() >= 11);
}

#[test]
fn the_page_fetches_nothing() {
    let page = page_of(|_| {});
    for fetching in [
        "src=",
        "@import",
        "url(",
        "<script",
        "<iframe",
        "href=\"http",
        "href=\"//",
        "srcset",
    ] {
        assert!(!page.contains(fetching), "{fetching}");
    }
    assert!(page.contains(r#"<link rel="icon" href="data:,">"#));
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn links_lead_to_the_files_beside_the_page_only() {
    let page = page_of(|run| run.arms[1].goose_report = Some("javascript:alert(1)".into()));
    let links: Vec<&str> = page
        .split("<a href=\"")
        .skip(1)
        .filter_map(|a| a.split('"').next())
        .collect();
    assert_eq!(
        links,
        [
            "./goose-rest.html",
            "./javascript%3Aalert%281%29",
            "run.json"
        ]
    );
    assert!(!page_of(|run| run.arms[0].goose_report = None).contains("report on REST"));
}

#[test]
fn the_method_names_the_order_in_which_the_arms_ran() {
    type Change = fn(&mut Run);
    let cases: [(Change, &str); 3] = [
        (
            |_| {},
            "one after the other, REST first, one block each, against dual-mode",
        ),
        (
            |run| run.arms.reverse(),
            "one after the other, gRPC first, one block each",
        ),
        (
            |run| run.arms.truncate(1),
            "Only REST ran, one block against",
        ),
    ];
    for (change, expected) in cases {
        assert!(page_of(change).contains(expected), "{expected}");
    }
}

#[test]
fn a_long_run_is_drawn_in_means_of_its_seconds() {
    let page = page_of(|run| {
        run.arms.truncate(1);
        run.arms[0].throughput = [100, 200, 300].repeat(120);
    });
    assert!(page.contains("each point the mean of 3 seconds"));
    assert_eq!(page.matches("s: 200/s</title>").count(), 120);
}

#[test]
fn both_arms_share_each_chart_and_its_table() {
    let page = page_of(|_| {});
    assert_eq!(page.matches(r#"<svg class="plot" role="img""#).count(), 2);
    assert_eq!(page.matches("<summary>The figures</summary>").count(), 2);
    for protocol in [Protocol::Rest, Protocol::Grpc] {
        let line = format!(r#"<g class="{}"><svg class="stretch""#, protocol.slug());
        assert_eq!(page.matches(&line).count(), 2);
    }
}
