//! `loadtest report DIR`: the page again, from the raw data alone.

use std::path::{Path, PathBuf};

use crate::{
    folder,
    record::Recording,
    report::verdict::{figures, render},
    verdict::Verdict,
};

/// File name of the page.
pub const PAGE: &str = "index.html";

/// Makes the page of the run in `directory` again, and the charts of it that are files. Returns its
/// verdict and where the page is.
///
/// # Errors
/// When the raw data cannot be read, or a file not be written; the old one then stands.
pub fn report(directory: &Path) -> anyhow::Result<(Verdict, PathBuf)> {
    let recording = Recording::read(directory)?;
    let page = write_page(directory, &recording)?;
    Ok((Verdict::of(&recording), page))
}

/// Writes the page on `recording` into `directory`, and the charts that are files. Returns the page.
///
/// # Errors
/// When a file cannot be written; an old one then stands.
pub fn write_page(directory: &Path, recording: &Recording) -> anyhow::Result<PathBuf> {
    for (name, chart) in figures(&Verdict::of(recording)) {
        folder::write(&directory.join(name), chart)?;
    }
    let page = directory.join(PAGE);
    folder::write(&page, render(recording))?;
    Ok(page)
}
