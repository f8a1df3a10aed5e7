//! The attack itself: goose's users on one protocol, and what they measured.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::bail;
use goose::{GooseAttack, GooseError, config::GooseConfiguration};
use serving::CancellationToken;

use super::{
    Measured, Spec, configuration,
    user::{self, Attack, Connections},
    window::{Moment, Window},
};
use crate::{
    cli::UsageError,
    record::{
        BlockRecord, FORMAT, GeneratorCost, Latency, Load, Nanoseconds, Pacer, ServerCost, Wire,
    },
    usage::{self, Taken},
};

/// Why an attack ends when the parent says so.
pub(super) const CUT_SHORT: &str = crate::run::INTERRUPTED;

/// Runs one attack and returns what it measured.
pub(super) async fn run(
    spec: &Spec,
    mut options: GooseConfiguration,
    window: Arc<Window>,
    stop: CancellationToken,
) -> anyhow::Result<Measured> {
    let time_limit = configuration::time_limit(&options)?;
    configuration::adapt(&mut options, spec);
    if options.dashboard {
        let window = Arc::clone(&window);
        tokio::spawn(async move {
            window.over().await;
            goose::trigger_killswitch("its window has closed");
        });
    }
    let attack = Arc::new(Attack {
        arm: spec.planned.arm,
        batch: user::batch(spec.planned.arm, spec.planned.batch),
        connections: Connections::of(&spec.planned),
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
        None if window.is_whole() => None,
        None if goose::is_killswitch_triggered() => Some(CUT_SHORT.to_owned()),
        None => Some("its users stopped before the window had closed".to_owned()),
    };
    let (opened, closed) = window.bounds().unzip();
    let lost =
        |opened: &Moment, closed: &Moment| opened.server.is_some() && closed.server.is_none();
    // Its own statement: it holds a lock that the record needs too.
    let bad_answers = window.recorded().bad_in_all();
    Ok(Measured {
        bad_answers,
        server_lost: opened
            .zip(closed)
            .is_some_and(|(opened, closed)| lost(opened, closed)),
        thresholds_missed: missed
            .iter()
            .map(|result| format!("{}, observed {}", result.rule, result.observed))
            .collect(),
        cut_short,
        aborted: aborted.is_some(),
        record: record(spec, &window),
    })
}

/// What the window holds; nothing where it never opened.
fn record(spec: &Spec, window: &Window) -> BlockRecord {
    let recorded = window.recorded();
    let mut record = blank(spec);
    let Some((opened, closed)) = window.bounds() else {
        return record;
    };
    record.opened_unix_us = micros(opened.since_1970);
    record.window_us = micros(closed.at - opened.at);
    record.requests = recorded.answers;
    record.errors = recorded.bad();
    record.latency = Latency {
        uncorrected: Nanoseconds(recorded.uncorrected.clone()),
        corrected: recorded.corrected.clone().map(Nanoseconds),
    };
    record.server = server_cost(window, opened, closed);
    record.generator = GeneratorCost {
        cpu_us: micros(
            closed
                .own_cpu
                .saturating_sub(opened.own_cpu)
                .saturating_sub(waited(opened, closed)),
        ),
        busiest_core_share: busiest_thread(opened, closed),
        peak_memory_kib: usage::own_peak_memory_kib(),
    };
    record.wire = wire(opened, closed, recorded.answers);
    record.pacer = window.pacer.as_ref().map(|pacer| Pacer {
        offered: (pacer.rate() * record.window_us as f64 / 1e6) as u64,
        unanswered_at_open: opened.unanswered,
        lateness_p99_us: closed.lateness_p99.unwrap_or_default() as f64 / 1e3,
    });
    record.steal_share = share_taken(opened, closed, |taken| taken.stolen);
    record.others_share = others_share(window, opened, closed);
    record
}

/// The record of a block before anything was measured.
pub(crate) fn blank(spec: &Spec) -> BlockRecord {
    let planned = &spec.planned;
    let nothing = || Nanoseconds(super::recorder::times());
    BlockRecord {
        format: FORMAT,
        number: planned.number,
        pair: planned.pair,
        attempt: planned.attempt,
        arm: planned.arm,
        label: planned.label.clone(),
        purpose: planned.purpose,
        connections: planned.connections,
        in_flight: planned.in_flight,
        batch: planned.batch,
        load: planned.load,
        opened_unix_us: 0,
        window_us: 0,
        requests: 0,
        errors: BTreeMap::new(),
        latency: Latency {
            uncorrected: nothing(),
            corrected: matches!(planned.load, Load::Open { .. }).then(nothing),
        },
        server: None,
        generator: GeneratorCost {
            cpu_us: 0,
            busiest_core_share: None,
            peak_memory_kib: None,
        },
        wire: None,
        pacer: None,
        steal_share: None,
        others_share: None,
        void: Vec::new(),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn server_cost(window: &Window, opened: &Moment, closed: &Moment) -> Option<ServerCost> {
    let (before, after) = (opened.server.as_ref()?, closed.server.as_ref()?);
    let (cpu, source) = after.cpu_since(before)?;
    Some(ServerCost {
        cpu_us: micros(cpu),
        cpu_source: Some(source),
        memory_at_rest_kib: window.server_at_rest_kib()?,
        memory_under_load_kib: after.memory_kib,
    })
}

/// CPU time that was spent only to wait.
fn waited(opened: &Moment, closed: &Moment) -> Duration {
    let all = |moment: &Moment| moment.spun.values().sum::<Duration>();
    all(closed).saturating_sub(all(opened))
}

/// The share of the window that the busiest thread was busy, without what it was awake for only to
/// wait.
fn busiest_thread(opened: &Moment, closed: &Moment) -> Option<f64> {
    let threads = closed.own.as_ref()?.threads_since(opened.own.as_ref()?);
    let waited = |id| {
        let of = |moment: &Moment| moment.spun.get(id).copied().unwrap_or_default();
        of(closed).saturating_sub(of(opened))
    };
    let busiest = threads
        .iter()
        .map(|(id, cpu)| cpu.saturating_sub(waited(id)))
        .max()?;
    Some(busiest.as_secs_f64() / (closed.at - opened.at).as_secs_f64())
}

fn wire(opened: &Moment, closed: &Moment, answers: u64) -> Option<Wire> {
    let per_request = |before: u64, after: u64| (after - before) as f64 / answers as f64;
    (answers > 0).then(|| Wire {
        sent_bytes_per_request: per_request(opened.bytes.0, closed.bytes.0),
        received_bytes_per_request: per_request(opened.bytes.1, closed.bytes.1),
    })
}

/// A part of what was taken of the cores in the window, as a share of all their time.
fn share_taken(opened: &Moment, closed: &Moment, part: fn(Taken) -> u64) -> Option<f64> {
    let (before, after) = (opened.taken?, closed.taken?);
    let all = after.all.checked_sub(before.all).filter(|all| *all > 0)?;
    Some(part(after).checked_sub(part(before))? as f64 / all as f64)
}

/// What was taken of the cores, and by neither the server nor this process. To wait for a call counts as
/// this process's own.
fn others_share(window: &Window, opened: &Moment, closed: &Moment) -> Option<f64> {
    let busy = share_taken(opened, closed, |taken| taken.busy)?;
    let (server, _) = closed.server.as_ref()?.cpu_since(opened.server.as_ref()?)?;
    let own = closed.own_cpu.saturating_sub(opened.own_cpu);
    let cores = window.cores.len() as f64;
    let known = (server + own).as_secs_f64() / (closed.at - opened.at).as_secs_f64() / cores;
    Some((busy - known).max(0.0))
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
