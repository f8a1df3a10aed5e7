//! Goose's configuration for one trial: what the caller gives, and what the trial sets.

use std::time::Duration;

use goose::config::GooseConfiguration;
use thiserror::Error;

use crate::spec::TrialSpec;

/// An option that goose cannot carry out, in the words of a command line.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

impl Refused {
    /// Goose's complaint about an option.
    pub(crate) fn new(option: &str, value: &str, detail: &str) -> Self {
        let flag = option
            .trim_matches('`')
            .replace("configuration.", "--")
            .replace('_', "-");
        let detail = detail.replace("`configuration.", "`--").replace('_', "-");
        Self(format!("{flag} {value}: {detail}"))
    }
}

/// Seconds that goose would go on for: the timekeeper ends the trial before.
const ENDED_FROM_OUTSIDE_S: u64 = 10;

/// The configuration of `spec`, with users, host and run time of the trial, and nobody to talk to but
/// the parent.
pub(crate) fn adapt(spec: &TrialSpec) -> GooseConfiguration {
    let mut options = spec.goose.clone();
    let timing = &spec.timing;
    options.host = Some(format!("http://{}", spec.endpoint.authority));
    options.users = Some(spec.shape.users());
    options.no_telnet = true;
    // Goose counts whole seconds from when it has started the last user, who has not connected then.
    // The window closes by itself, and ends the trial.
    let longest = timing.longest() + Duration::from_micros(timing.others_us);
    options.run_time = Some(format!("{}s", longest.as_secs() + 1 + ENDED_FROM_OUTSIDE_S));
    if spec.shape.users() == 1 && options.increase_time.take().is_some() {
        // Goose refuses a time for one user, who begins at once.
        options.increase_rate = Some("1".to_owned());
    }
    if options.verbose == 0 && options.running_metrics.is_none() {
        options.quiet = options.quiet.max(1);
        options.no_print_metrics = true;
    }
    if !wants_transactions(&options) {
        options.no_transaction_metrics = true;
        options.no_scenario_metrics = true;
    }
    options
}

/// Returns true if goose writes nothing at the end and judges nothing: its figures are not asked for.
pub(crate) fn leaves_nothing(options: &GooseConfiguration) -> bool {
    let logs = [
        &options.goose_log,
        &options.request_log,
        &options.transaction_log,
        &options.scenario_log,
        &options.error_log,
        &options.debug_log,
        &options.pdf_print_html,
    ];
    options.report_file.is_empty()
        && options.threshold.is_empty()
        && !options.dashboard
        && logs.into_iter().all(Option::is_none)
}

/// Returns true if the user asks for a line for each transaction, so that each call must be one. The figures
/// of transactions are those of the requests.
pub(crate) fn wants_transactions(options: &GooseConfiguration) -> bool {
    options.transaction_log.is_some() || options.scenario_log.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::example;

    #[test]
    fn the_trial_sets_what_is_its_own_and_leaves_the_rest() {
        let mut spec = example();
        spec.goose.report_file.push("mine.html".to_owned());
        spec.goose.increase_time = Some("5".to_owned());
        let options = adapt(&spec);
        assert_eq!(options.users, Some(1));
        assert_eq!(options.host.as_deref(), Some("http://localhost:1"));
        assert_eq!((options.quiet, options.no_telnet), (1, true));
        assert_eq!(options.report_file, ["mine.html"]);
        assert_eq!(options.increase_time, None, "goose refuses it for one user");
    }

    #[test]
    fn a_refusal_is_in_the_words_of_the_command_line() {
        let refused = Refused::new(
            "`configuration.hatch_rate`",
            "x",
            "`configuration.hatch_rate` is bad",
        );
        assert_eq!(refused.to_string(), "--hatch-rate x: `--hatch-rate` is bad");
    }
}
