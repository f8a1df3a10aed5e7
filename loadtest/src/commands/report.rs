//! `loadtest report DIR`: the page again, from the raw data alone.

use std::path::{Path, PathBuf};

use crate::{
    export, folder,
    record::Recording,
    report::verdict::{figures, render},
    summary,
    verdict::Verdict,
};

/// File name of the page.
pub const PAGE: &str = "index.html";

/// File name of the summary in Markdown.
pub const SUMMARY: &str = "summary.md";

/// File name of the verdict for other programs, by the schema beside this crate's README.
pub const VERDICT: &str = "verdict.json";

/// File name of the verdict and the requirements as tests.
pub const JUNIT: &str = "junit.xml";

/// File name of the figures as OpenMetrics.
pub const METRICS: &str = "openmetrics.txt";

/// Makes all that is computed of the run in `directory` again. Returns its verdict and where the page is.
///
/// # Errors
/// When the raw data cannot be read, or a file not be written; the old one then stands.
pub fn report(directory: &Path) -> anyhow::Result<(Verdict, PathBuf)> {
    let recording = Recording::read(directory)?;
    let page = write_page(directory, &recording)?;
    Ok((Verdict::of(&recording), page))
}

/// Writes what is computed of `recording` into `directory`: the page, the summary, the charts that are files,
/// and the logs. Returns the page.
///
/// # Errors
/// When a file cannot be written; an old one then stands.
pub fn write_page(directory: &Path, recording: &Recording) -> anyhow::Result<PathBuf> {
    let verdict = Verdict::of(recording);
    for (name, chart) in figures(&verdict) {
        folder::write(&directory.join(name), chart)?;
    }
    recording.write_logs(directory)?;
    folder::write(
        &directory.join(SUMMARY),
        summary::markdown(recording, &verdict),
    )?;
    folder::write(&directory.join(VERDICT), export::json(recording, &verdict))?;
    folder::write(&directory.join(JUNIT), export::junit(recording, &verdict))?;
    let metrics = export::openmetrics(recording, &verdict);
    folder::write(&directory.join(METRICS), metrics)?;
    let page = directory.join(PAGE);
    folder::write(&page, render(recording, directory))?;
    Ok(page)
}
