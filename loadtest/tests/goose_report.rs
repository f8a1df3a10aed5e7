//! Goose's own report after [`offline`], on what goose 0.19.0 wrote for a run of five seconds.

use loadtest::report::goose::{ECHARTS, ECHARTS_FILE, offline};

const REPORT: &str = include_str!("fixtures/goose-report.html");
const CDN_TAG: &str =
    r#"<script src="https://cdn.jsdelivr.net/npm/echarts@5.2.2/dist/echarts.min.js"></script>"#;

#[test]
fn the_chart_script_comes_from_beside_the_report() {
    let page = offline(REPORT).unwrap();
    assert!(page.contains(&format!(r#"<script src="{ECHARTS_FILE}"></script>"#)));
    assert!(!page.contains("cdn.jsdelivr.net"));
}

#[test]
fn what_goose_wrote_is_kept_word_for_word() {
    let page = offline(REPORT).unwrap();
    let (before, after) = REPORT.split_once(CDN_TAG).unwrap();
    assert!(page.starts_with(before));
    assert!(page.ends_with(after));
}

#[test]
fn our_script_stands_between_the_library_and_the_first_chart() {
    let page = offline(REPORT).unwrap();
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    let library = at(ECHARTS_FILE);
    let ours = at("echarts.init = function");
    let first_chart = at("echarts.init(chartDom)");
    assert!(library < ours && ours < first_chart);
}

#[test]
fn the_page_fits_the_width_of_its_reader_and_asks_for_no_icon() {
    let page = offline(REPORT).unwrap();
    assert!(
        page.contains(r#"<meta name="viewport" content="width=device-width, initial-scale=1">"#)
    );
    assert!(page.contains(r#"<link rel="icon" href="data:,">"#));
}

#[test]
fn a_report_without_the_known_script_is_refused_by_naming_it() {
    for html in ["", "<html></html>", &REPORT.replace("5.2.2", "6.0.0")] {
        let error = offline(html).unwrap_err().to_string();
        assert!(error.contains("echarts@5.2.2"), "{error}");
    }
}

#[test]
fn another_resource_from_a_network_is_refused_by_naming_it() {
    for tag in [
        r#"<script src="https://example.org/more.js">"#,
        r#"<link rel="stylesheet" href="http://example.org/a.css">"#,
        "<img src='//example.org/a.png'>",
        "<IMG SRC=https://example.org/a.png>",
        r#"<script async src = "https://example.org/more.js">"#,
        CDN_TAG.trim_end_matches("</script>"),
    ] {
        let error = offline(&REPORT.replace("</body>", &format!("{tag}</body>")))
            .expect_err(tag)
            .to_string();
        assert!(error.contains(tag), "{error}");
    }
}

#[test]
fn addresses_that_are_only_read_or_followed_are_let_through() {
    for text in [
        r#"<a href="https://example.org/">more</a>"#,
        "<td>error sending request for url (http://127.0.0.1:5000/)</td>",
    ] {
        let html = REPORT.replace("</body>", &format!("{text}</body>"));
        assert!(offline(&html).unwrap().contains(text));
    }
}

#[test]
fn the_bundled_script_carries_its_licence() {
    let head = String::from_utf8_lossy(&ECHARTS[..1000]);
    assert!(
        head.contains("Licensed to the Apache Software Foundation"),
        "{head}"
    );
    assert!(
        head.contains("http://www.apache.org/licenses/LICENSE-2.0"),
        "{head}"
    );
}
