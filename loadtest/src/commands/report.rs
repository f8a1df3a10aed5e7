//! `loadtest report DIR`: the page again, from the raw data alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::{record::Recording, report::verdict::render, verdict::Verdict};

/// File name of the page.
pub const PAGE: &str = "index.html";

/// Makes the page of the run in `directory` again. Returns its verdict and where the page is.
///
/// # Errors
/// When the raw data cannot be read, or the page not be written; the old page then stands.
pub fn report(directory: &Path) -> anyhow::Result<(Verdict, PathBuf)> {
    let recording = Recording::read(directory)?;
    let page = write_page(directory, &recording)?;
    Ok((Verdict::of(&recording), page))
}

/// Writes the page on `recording` into `directory`, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_page(directory: &Path, recording: &Recording) -> anyhow::Result<PathBuf> {
    let page = directory.join(PAGE);
    let partial = directory.join(format!(".{PAGE}.{}", std::process::id()));
    let written = fs::write(&partial, render(recording)).and_then(|()| fs::rename(&partial, &page));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written.with_context(|| format!("{} cannot be written", page.display()))?;
    Ok(page)
}
