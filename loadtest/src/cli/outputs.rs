//! Files that goose writes, one for each trial.

use std::path::{Path, PathBuf};

use goose::config::GooseConfiguration;

use super::{OutputArgs, UsageError};
use crate::record::Protocol;

/// `goose` for the trial `number` of `protocol`: every file that it writes has the trial in its name.
pub fn of_trial(goose: &GooseConfiguration, number: u32, protocol: Protocol) -> GooseConfiguration {
    let mut goose = goose.clone();
    for file in goose.report_file.iter_mut().chain(&mut goose.request_log) {
        *file = named(Path::new(file), number, protocol)
            .to_string_lossy()
            .into_owned();
    }
    goose
}

/// `log.json` → `log-7-grpc.json`.
fn named(file: &Path, number: u32, protocol: Protocol) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut name = format!("{stem}-{number}-{}", protocol.slug());
    if let Some(extension) = file.extension() {
        name = format!("{name}.{}", extension.to_string_lossy());
    }
    file.with_file_name(name)
}

/// goose truncates the files that it is told to write; what stands there already is not ours to lose.
///
/// # Errors
/// A sentence that names the option and the file.
pub(super) fn refuse_to_overwrite(output: &OutputArgs) -> Result<(), UsageError> {
    let reports = output
        .report_file
        .iter()
        .map(|file| ("--report-file", file));
    let log = output
        .request_log
        .iter()
        .map(|file| ("--request-log", file));
    for (option, file) in reports.chain(log) {
        if let Some(taken) = namesake(Path::new(file)) {
            return Err(UsageError(format!(
                "{option} would overwrite {}; name another file",
                taken.display()
            )));
        }
    }
    Ok(())
}

/// A file that a trial could write if `file` is asked for.
fn namesake(file: &Path) -> Option<PathBuf> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let stem = file.file_stem()?.to_str()?;
    let is_of_trial = |name: &Path| {
        let rest = name
            .file_stem()?
            .to_str()?
            .strip_prefix(stem)?
            .strip_prefix('-')?;
        let (number, slug) = rest.split_once('-')?;
        let is_trial = number.parse::<u32>().is_ok() && Protocol::of_slug(slug).is_some();
        Some(is_trial && name.extension() == file.extension())
    };
    let mut names = std::fs::read_dir(folder).ok()?.flatten();
    let taken = names.find(|entry| is_of_trial(Path::new(&entry.file_name())).unwrap_or(false))?;
    Some(file.with_file_name(taken.file_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trial_writes_files_of_its_own() {
        for (file, expected) in [
            ("report.html", "report-7-json_http1.html"),
            ("logs/a.b.json", "logs/a.b-7-json_http1.json"),
            ("/tmp/log", "/tmp/log-7-json_http1"),
        ] {
            let found = named(Path::new(file), 7, Protocol::JsonHttp1);
            assert_eq!(found, Path::new(expected));
        }
    }
}
