//! The attack itself: goose's users on one protocol, and what they measured.

use std::sync::Arc;

use anyhow::bail;
use goose::{GooseAttack, GooseError, config::GooseConfiguration};
use serving::CancellationToken;

use super::{
    Spec, configuration, latency,
    user::{self, Attack},
    window::{Moment, Window},
};
use crate::{
    cli::UsageError,
    result::{Arm, GeneratorUse, ServerUse},
};

/// Why an attack ends when the parent says so.
pub(super) const CUT_SHORT: &str = crate::run::INTERRUPTED;

/// Runs one attack and returns what it measured.
pub(super) async fn run(
    spec: &Spec,
    mut options: GooseConfiguration,
    window: Arc<Window>,
    stop: CancellationToken,
) -> anyhow::Result<Arm> {
    let time_limit = configuration::time_limit(&options)?;
    configuration::adapt(&mut options, spec);
    let attack = Arc::new(Attack {
        protocol: spec.protocol,
        target: spec.target.clone(),
        time_limit,
        window: Arc::clone(&window),
        stop,
    });
    let goose =
        GooseAttack::initialize_with_config(options)?.register_scenario(user::scenario(&attack)?);
    let missed = match goose.execute().await {
        Ok(_) => Vec::new(),
        Err(GooseError::ThresholdsFailed { failed, .. }) => failed,
        Err(GooseError::InvalidOption {
            option,
            value,
            detail,
        }) => {
            bail!(UsageError(explain(&option, &value, &detail)));
        }
        Err(error) => return Err(error.into()),
    };
    let aborted = missed.iter().find(|result| result.aborted);
    let cut_short = match aborted {
        Some(result) => Some(format!("the threshold {} failed", result.rule)),
        None => goose::is_killswitch_triggered().then(|| CUT_SHORT.to_owned()),
    };
    let mut arm = measured(spec, &window);
    arm.cut_short = cut_short;
    arm.thresholds_missed = missed
        .iter()
        .map(|result| format!("{}, observed {}", result.rule, result.observed))
        .collect();
    Ok(arm)
}

/// What the window holds.
fn measured(spec: &Spec, window: &Window) -> Arm {
    let recorded = window.recorded();
    let bounds = window.bounds();
    let seconds = bounds.map_or(0.0, |(opened, closed)| {
        (closed.at - opened.at).as_secs_f64()
    });
    let per_second = |count: u64| {
        if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        }
    };
    // The last second is not whole, and would look like a drop.
    let whole = recorded.seconds.len().min(seconds as usize);
    Arm {
        protocol: spec.protocol,
        target: spec.target.url(),
        seconds,
        requests: recorded.answers,
        failures: recorded.failures,
        requests_per_second: per_second(recorded.answers),
        latency: latency::figures(&recorded.times),
        throughput: recorded.seconds[..whole].to_vec(),
        statuses: recorded.statuses(),
        connections_opened: window.connections(),
        server: bounds.and_then(|bounds| server_use(window, bounds, recorded.answers)),
        generator: generator_use(bounds, recorded.answers),
        thresholds_missed: Vec::new(),
        cut_short: None,
        goose_report: spec
            .goose_report
            .file_name()
            .filter(|_| spec.goose_report.exists())
            .map(|name| name.to_string_lossy().into_owned()),
    }
}

fn server_use(
    window: &Window,
    (opened, closed): (Moment, Moment),
    answers: u64,
) -> Option<ServerUse> {
    let (pids, memory_at_rest) = window.server_at_rest()?;
    let (before, after) = (opened.server?, closed.server?);
    let cpu = (after.cpu.checked_sub(before.cpu)?).as_secs_f64();
    Some(ServerUse {
        pids,
        cpu_micros_per_request: cpu * 1e6 / answers.max(1) as f64,
        cores_busy: cpu / (closed.at - opened.at).as_secs_f64(),
        memory_at_rest,
        memory_under_load: after.memory,
    })
}

fn generator_use(bounds: Option<(Moment, Moment)>, answers: u64) -> GeneratorUse {
    let (cpu, seconds) = bounds.map_or((0.0, 1.0), |(opened, closed)| {
        let cpu = closed.own_cpu.saturating_sub(opened.own_cpu);
        (cpu.as_secs_f64(), (closed.at - opened.at).as_secs_f64())
    });
    GeneratorUse {
        cpu_micros_per_request: cpu * 1e6 / answers.max(1) as f64,
        cores_busy: cpu / seconds,
    }
}

/// Goose's complaint about an option, in the words of the command line.
fn explain(option: &str, value: &str, detail: &str) -> String {
    let flag = option
        .trim_matches('`')
        .replace("configuration.", "--")
        .replace('_', "-");
    let detail = detail.replace("`configuration.", "`--").replace('_', "-");
    format!("{flag} {value}: {detail}")
}
