//! Goose's own report, made to open anywhere: without a network, on a phone, in the dark.
//!
//! Goose 0.19 draws its charts with a script from a CDN. Here that script is a file beside the
//! report.

use anyhow::{Context, bail};

/// The script that draws goose's charts, to be written beside its report as [`ECHARTS_FILE`].
/// Version, source and checksum are in `assets/README.md`.
pub const ECHARTS: &[u8] = include_bytes!("../../assets/echarts.min.js");

/// File name of [`ECHARTS`], as [`offline`] makes a report refer to it.
pub const ECHARTS_FILE: &str = "echarts.min.js";

/// Script tag that goose 0.19.0 writes (`build_report` in its `src/report.rs`).
const CDN_TAG: &str =
    r#"<script src="https://cdn.jsdelivr.net/npm/echarts@5.2.2/dist/echarts.min.js"></script>"#;

const STYLE: &str = include_str!("../../assets/goose.css");
const SCRIPT: &str = include_str!("../../assets/goose.js");

/// Goose's report `html` with nothing left to fetch from a network, readable at any width, in
/// light and in dark.
///
/// # Errors
/// When the script tag that goose 0.19 writes is missing, or when another resource would still
/// come from a network. Either means that goose writes its report differently now.
pub fn offline(html: &str) -> anyhow::Result<String> {
    let (before, after) = html.split_once(CDN_TAG).with_context(|| {
        format!("goose's report does not hold {CDN_TAG}; was it written by goose 0.19?")
    })?;
    let page = format!("{before}{}{after}", head());
    if let Some(tag) = remote_resource(&page) {
        bail!("goose's report would still fetch from a network: {tag}");
    }
    Ok(page)
}

/// Takes the place of the tag, which stands after goose's own style and so lets ours prevail.
fn head() -> String {
    format!(
        r#"<meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" href="data:,">
    <style>
{STYLE}    </style>
    <script src="{ECHARTS_FILE}"></script>
    <script>
{SCRIPT}    </script>"#
    )
}

/// The first tag that loads something from a network. A link to follow (`<a>`) loads nothing.
fn remote_resource(html: &str) -> Option<&str> {
    const LOADING: [&str; 11] = [
        "script", "link", "img", "iframe", "embed", "object", "source", "audio", "video", "track",
        "image",
    ];
    html.match_indices('<').find_map(|(start, _)| {
        let rest = &html[start..];
        let tag = &rest[..=rest.find('>')?];
        let name = tag[1..]
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()?
            .to_ascii_lowercase();
        (LOADING.contains(&name.as_str()) && points_elsewhere(tag)).then_some(tag)
    })
}

fn points_elsewhere(tag: &str) -> bool {
    tag.to_ascii_lowercase()
        .split(['=', '"', '\'', ' ', ','])
        .any(|part| {
            ["http://", "https://", "//"]
                .iter()
                .any(|start| part.starts_with(start))
        })
}
