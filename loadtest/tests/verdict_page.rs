//! What the page on a verdict says, and what it must never do. That it is drawn is for a browser to
//! see: `.ci/browser`.

use loadtest::{
    record::{BlockRecord, Load, Purpose, Recording, Void},
    report::verdict::render,
    verdict::Verdict,
};

mod made_up;

use made_up::{THOROUGH, Truth};

/// What tests of the page take: three pairs of all cells.
fn recording() -> Recording {
    made_up::recording(Truth {
        pairs: 3,
        ..THOROUGH
    })
}

#[test]
fn the_sentence_comes_first_and_every_section_follows() {
    let recording = recording();
    let page = render(&recording);
    let sentence = Verdict::of(&recording).sentence();
    let mut rest = page.split_once("<h1").unwrap().1;
    for expected in [
        sentence.as_str(),
        "Where the difference comes from",
        "codec: JSON to protobuf",
        "Latency",
        "corrected",
        "Every block",
        "Where which one is quicker",
        "1,000 greetings",
        "What a request costs",
        "How far each one goes",
        "p99 stays below 5 ms",
        "taken apart",
        "The generator&#39;s own ceiling",
        "A/A: one arm under two names",
        "VOID blocks",
        "None: all",
        "Made-up Processor 3000",
        "Linux 6.12.0",
        "0123456789ab",
        "42",
        "--thorough",
    ] {
        let plain = expected.replace("&#39;", "'");
        let found = [expected, plain.as_str()]
            .into_iter()
            .find_map(|text| rest.split_once(text));
        rest = found
            .unwrap_or_else(|| panic!("{expected} is not there, or not in its place"))
            .1;
    }
}

#[test]
fn every_chart_is_named_and_described_and_stands_over_a_table_of_its_figures() {
    let page = render(&recording());
    let charts = page.matches(r#"role="img""#).count();
    assert!(charts >= 15, "{charts}");
    assert_eq!(page.matches("<desc id=").count(), charts);
    assert!(!page.contains("<desc id=\"\">") && !page.contains("></desc>"));
    for figure in page.split("<figure>").skip(1) {
        let figure = figure.split("</figure>").next().unwrap();
        assert!(figure.contains("<table"), "{figure}");
    }
    let mut ids: Vec<&str> = page
        .split(" id=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "ids are unique");
}

#[test]
fn the_page_fetches_nothing() {
    let page = render(&recording());
    for loading in ["<script", "src=", "url(", "@import", "<iframe", "<img"] {
        assert!(!page.contains(loading), "{loading}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_void_block_is_shown_with_its_reason() {
    let mut recording = recording();
    let block = recording
        .blocks
        .iter_mut()
        .find(|b| b.purpose == Purpose::Open)
        .unwrap();
    block.void.push(Void::Behind {
        achieved_share: 0.91,
        limit: 0.99,
    });
    let page = render(&recording);
    assert!(page.contains("achieved 0.910 of the offered rate, below 0.99"));
    assert!(page.contains("is VOID and counts for nothing"));
    assert!(page.contains(">×<"), "a cross among the dots");
}

#[test]
fn what_strangers_wrote_is_escaped() {
    let mut recording = recording();
    recording.run.command = "loadtest '<script>alert(1)</script>'".into();
    recording.run.machines[0].cpu = Some("<b>fast</b>".into());
    for cell in &mut recording.run.plan.cells {
        for arm in &mut cell.arms {
            arm.1 = format!("<i>{}", arm.1);
        }
    }
    for block in &mut recording.blocks {
        block.label = format!("<i>{}", block.label);
    }
    let page = render(&recording);
    for tag in ["<script", "<b>", "<i>"] {
        assert!(!page.contains(tag), "{tag}");
    }
}

#[test]
fn a_run_that_measured_nothing_has_a_page_that_says_so() {
    let mut recording = recording();
    recording.blocks.clear();
    recording.run.ceiling.clear();
    recording.run.capacity.clear();
    recording.run.cut_short = Some("stopped by a signal".into());
    let page = render(&recording);
    assert!(page.contains("Can't tell here") || page.contains("Can&#39;t tell here"));
    assert!(page.contains("Cut short: stopped by a signal."));
}

#[test]
fn quick_mode_says_that_its_intervals_are_wide() {
    let page = render(&made_up::headline(Truth {
        pairs: 3,
        ..THOROUGH
    }));
    assert!(
        page.contains("Quick mode: 3 pairs of blocks at most, where a verdict to publish takes 10")
    );
    assert!(
        page.contains(
            "The map over greetings in a call and calls in flight takes <code>--thorough"
        )
    );
    let page = render(&made_up::headline(THOROUGH));
    assert!(page.contains("Thorough mode: up to 10 pairs of blocks."));
}

#[test]
fn the_map_has_a_cell_for_each_size_and_number_in_flight_and_says_what_it_is_of() {
    let mut recording = made_up::recording(THOROUGH);
    let is_large = |block: &&mut BlockRecord| (block.batch, block.connections) == (1000, 32);
    for block in recording.blocks.iter_mut().filter(is_large) {
        block.void.push(Void::ServerRestarted);
    }
    let page = render(&recording);
    let map = page.split("Where which one is quicker").nth(1).unwrap();
    let map = map.split("</section>").next().unwrap();
    let cells = |class: &str| map.matches(&format!("<td class=\"{class}\">")).count();
    // Of latency and of server CPU: 1, 10, 100 and 1,000 greetings at 1, 8 and 32 in flight.
    assert_eq!(cells("base"), 6 + 3);
    assert_eq!(cells("neither"), 3);
    assert_eq!(cells("candidate"), 5 + 5);
    assert_eq!(cells("unknown"), 2);
    for expected in [
        "<h3>Median latency</h3>",
        "<h3>Server CPU per request</h3>",
        "<caption>Greetings in a call, down",
        "<th scope=\"col\">32 × 1</th>",
        "<th scope=\"row\">1,000 greetings</th>",
        "32 × 1, 1,000 greetings: 0 pairs valid, 5 needed (20 blocks VOID)",
        "On one connection HTTP/1.1 has one call at a time, HTTP/2 many.",
        "JSON over HTTP/2's server CPU per request at 1 connection × 32 in flight",
        "Of 12 cells that only the map needs, blocks are shorter: 3 s after 0.5 s that are dropped.",
    ] {
        assert!(map.contains(expected), "{expected}: {map}");
    }
}

#[test]
fn where_only_the_open_loop_has_a_floor_the_page_says_what_stands_on_it() {
    let mut recording = recording();
    let borrowed = "The closed loop has no A/A run of its own here";
    assert!(!render(&recording).contains(borrowed));
    let open = Load::Open { per_second: 5000.0 };
    for cell in recording
        .run
        .plan
        .cells
        .iter_mut()
        .filter(|cell| cell.purpose == Purpose::Aa)
    {
        cell.load = open;
    }
    for block in recording
        .blocks
        .iter_mut()
        .filter(|block| block.purpose == Purpose::Aa)
    {
        block.load = open;
    }
    assert!(render(&recording).contains(borrowed));
}

#[test]
fn a_page_whose_closed_loop_is_the_generators_limit_says_so() {
    const SAID: &str = "the generator was at its limit";
    let mut recording = recording();
    assert!(!render(&recording).contains(SAID));
    let mut blocks = recording.blocks.iter_mut();
    let closed = blocks.find(|block| block.purpose == Purpose::Shape && block.load == Load::Closed);
    closed.unwrap().generator.busiest_core_share = Some(0.97);
    assert!(render(&recording).contains(SAID));
}
