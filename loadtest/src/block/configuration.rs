//! Goose's configuration for one block: what the user asked for, with this tool's defaults.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use goose::config::{GooseConfiguration, RUN_FOLDER};

use super::Spec;
use crate::{cli::UsageError, plan::Planned, record::Purpose};

/// How long a call may take where the user does not say: far longer than any call here should,
/// short enough that a run against a stalled server ends.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// How much longer goose would go on where it is ended when its window has closed.
const ENDED_FROM_OUTSIDE_S: u64 = 10;

/// Adapts `options`, as the user gave them, to one block.
pub(super) fn adapt(options: &mut GooseConfiguration, spec: &Spec) {
    options.host = Some(spec.target.url());
    options.no_telnet = true;
    options.users = Some(spec.planned.users());
    // Goose counts whole seconds from when it has started the last user, who has not connected then; the
    // window closes by itself.
    let mut run_time = (spec.warm_up_us + spec.window_us + spec.connecting_us).div_ceil(1_000_000);
    if options.dashboard {
        // Where goose comes to its own end it waits for whoever looks at it, and no other block begins.
        run_time += ENDED_FROM_OUTSIDE_S;
    }
    options.run_time = Some(format!("{run_time}s"));
    if spec.planned.users() == 1 && options.increase_time.take().is_some() {
        // Goose refuses a time for one user, who begins at once.
        options.increase_rate = Some("1".to_owned());
    }
    if options.verbose == 0 && options.running_metrics.is_none() {
        options.quiet = options.quiet.max(1);
        options.no_print_metrics = true;
    }
    if spec.planned.purpose == Purpose::Ceiling {
        // Of the service that does nothing there is no report or log to look for.
        forget_outputs(options);
    }
    let folder = &spec.folder;
    for Output { file, bare, .. } in outputs(options) {
        let asked = match file.as_str() {
            RUN_FOLDER => folder.join(bare),
            path => PathBuf::from(path),
        };
        *file = of_block(&asked, &spec.planned)
            .to_string_lossy()
            .into_owned();
    }
    // Where the dashboard saves a report.
    options.output_dir = options.dashboard.then(|| {
        let saved = folder.join(of_block("dashboard".as_ref(), &spec.planned));
        saved.to_string_lossy().into_owned()
    });
    let report = spec.goose_report.iter();
    let report = report.map(|file| file.to_string_lossy().into_owned());
    options.report_file.extend(report);
}

/// How long a call may take: `--timeout`, or the default.
///
/// # Errors
/// When it is not a number of seconds above zero.
pub(super) fn time_limit(options: &GooseConfiguration) -> Result<Duration, UsageError> {
    let Some(text) = &options.timeout else {
        return Ok(TIME_LIMIT);
    };
    let limit = text
        .parse()
        .ok()
        .and_then(|s| Duration::try_from_secs_f64(s).ok());
    limit.filter(|limit| !limit.is_zero()).ok_or_else(|| {
        UsageError(format!(
            "--timeout {text:?} is not a number of seconds above 0"
        ))
    })
}

/// `file` with the block in its name, `log.json` → `log-7-grpc.json`: each block writes its own.
pub(crate) fn of_block(file: &Path, block: &Planned) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut name = format!("{stem}-{}-{}", block.number, block.arm.slug());
    if let Some(extension) = file.extension() {
        name = format!("{name}.{}", extension.to_string_lossy());
    }
    file.with_file_name(name)
}

/// A file that goose would write.
pub(crate) struct Output<'a> {
    /// The option that asks for it.
    pub(crate) option: &'static str,
    /// Its name in the run's folder, where the option is given without one.
    bare: &'static str,
    /// The name that was given, or [`RUN_FOLDER`].
    pub(crate) file: &'a mut String,
}

/// A file of which goose writes one, with its option and its name in the run's folder.
type Log<'a> = (&'static str, &'static str, &'a mut Option<String>);

/// Where the files that goose would write are named: its reports, and one of each kind.
fn named(options: &mut GooseConfiguration) -> (&mut Vec<String>, [Log<'_>; 7]) {
    let logs = [
        (
            "--pdf-print-html",
            "print.html",
            &mut options.pdf_print_html,
        ),
        ("--goose-log", "goose.log", &mut options.goose_log),
        ("--request-log", "requests.log", &mut options.request_log),
        (
            "--transaction-log",
            "transactions.log",
            &mut options.transaction_log,
        ),
        ("--scenario-log", "scenarios.log", &mut options.scenario_log),
        ("--error-log", "errors.log", &mut options.error_log),
        ("--debug-log", "debug.log", &mut options.debug_log),
    ];
    (&mut options.report_file, logs)
}

fn forget_outputs(options: &mut GooseConfiguration) {
    let (reports, logs) = named(options);
    reports.clear();
    for (.., file) in logs {
        *file = None;
    }
}

/// Every file that goose would write.
pub(crate) fn outputs(options: &mut GooseConfiguration) -> Vec<Output<'_>> {
    let (reports, logs) = named(options);
    let reports = reports.iter_mut().map(|file| Output {
        option: "--report-file",
        bare: "goose.json",
        file,
    });
    let logs = logs.into_iter().filter_map(|(option, bare, file)| {
        Some(Output {
            option,
            bare,
            file: file.as_mut()?,
        })
    });
    reports.chain(logs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_the_service_that_does_nothing_writes_none_of_the_users_files() {
        let mut spec = Spec::example(1);
        let mut files = |purpose| {
            spec.planned.purpose = purpose;
            let mut options = GooseConfiguration::default();
            options.report_file.push("report.json".to_owned());
            options.request_log = Some("log.csv".to_owned());
            adapt(&mut options, &spec);
            outputs(&mut options).len()
        };
        assert_eq!(files(Purpose::Primary), 2);
        assert_eq!(files(Purpose::Ceiling), 0);
    }

    #[test]
    fn each_block_writes_files_of_its_own() {
        let mut block = Spec::example(1).planned;
        block.number = 7;
        for (file, named) in [
            ("report.html", "report-7-json_http1.html"),
            ("logs/a.b.json", "logs/a.b-7-json_http1.json"),
            ("/tmp/log", "/tmp/log-7-json_http1"),
        ] {
            assert_eq!(of_block(Path::new(file), &block), Path::new(named));
        }
    }
}
