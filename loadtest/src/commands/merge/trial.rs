//! One trial out of those that several machines measured at once.

use std::collections::BTreeMap;

use engine::{Dispatch, GeneratorCost, Measurement, Nanoseconds, Wire};

use super::{load, shape};
use crate::record::{Disturbance, Trial};

/// Windows must lie in one another by this share: beyond it, the machines measured another load than they
/// say, by more than is left of what counts as no difference. Clocks that are kept by NTP agree to a few
/// milliseconds of windows that last seconds.
const AT_ONCE: f64 = 0.99;

/// Returns true if `one` and `other` are parts of one trial.
pub(super) fn is_of(one: &Trial, other: &Trial) -> bool {
    let place = |trial: &Trial| {
        (
            trial.purpose,
            trial.shape,
            trial.batch,
            trial.round,
            trial.attempt,
        )
    };
    place(one) == place(other) && one.load == other.load && one.variant == other.variant
}

/// The trial that `parts` are of, from so many `machines`; none of none. It has the disturbances of all of
/// them, and measured nothing where a machine lacks it.
pub(super) fn merged(parts: &[&Trial], machines: usize) -> Option<Trial> {
    let first = *parts.first()?;
    let missing = (parts.len() < machines).then(|| Disturbance::Unmeasured {
        reason: format!("{} of {machines} machines have this trial", parts.len()),
    });
    let own = parts.iter().flat_map(|part| part.disturbances.clone());
    let measured: Vec<&Measurement> = parts.iter().map(|part| &part.measurement).collect();
    Some(Trial {
        shape: shape(first.shape, machines as u32),
        load: load(first.load, machines as u32),
        disturbances: own.chain(missing).chain(apart(&measured)).collect(),
        measurement: sum(&measured)?,
        ..first.clone()
    })
}

fn sum(parts: &[&Measurement]) -> Option<Measurement> {
    let all = || parts.iter().copied();
    let response_times = all().map(|part| part.response_time.as_ref());
    let response_times: Option<Vec<&Nanoseconds>> = response_times.collect();
    Some(Measurement {
        opened_unix_us: all().map(|part| part.opened_unix_us).min()?,
        window_us: all().map(|part| part.window_us).max()?,
        parts: all().map(|part| part.parts).max()?,
        warm_up_us: all().map(|part| part.warm_up_us).min()?,
        steady: all()
            .map(|part| part.steady)
            .reduce(|one, other| Some(one? && other?))
            .flatten(),
        completed: all().map(|part| part.completed).sum(),
        counted: all().map(|part| part.counted).sum(),
        unanswered: all().map(|part| part.unanswered).sum(),
        errors: added(all().map(|part| &part.errors)),
        errors_in_all: added(all().map(|part| &part.errors_in_all)),
        service_time: together(all().map(|part| &part.service_time))?,
        response_time: response_times.and_then(|times| together(times.into_iter())),
        // There is one server: whoever is beside it saw all of it.
        server: all().find_map(|part| part.server),
        server_lost: all().any(|part| part.server_lost),
        server_asked: all().find_map(|part| part.server_asked.clone()),
        completed_in_all: all().map(|part| part.completed_in_all).sum(),
        generator: GeneratorCost {
            cpu_us: all().map(|part| part.generator.cpu_us).sum(),
            busiest_core_share: highest(all().map(|part| part.generator.busiest_core_share)),
            peak_memory_kib: all()
                .filter_map(|part| part.generator.peak_memory_kib)
                .max(),
        },
        wire: wire(parts),
        dispatch: dispatch(parts),
        steal_share: highest(all().map(|part| part.steal_share)),
        others_share: highest(all().map(|part| part.others_share)),
        thresholds_missed: all()
            .flat_map(|part| part.thresholds_missed.clone())
            .collect(),
        cut_short: all().find_map(|part| part.cut_short.clone()),
        aborted: all().any(|part| part.aborted),
    })
}

fn apart(parts: &[&Measurement]) -> Option<Disturbance> {
    let opened = parts.iter().map(|part| part.opened_unix_us).max()?;
    let closed = parts
        .iter()
        .map(|part| part.opened_unix_us + part.window_us)
        .min()?;
    let longest = parts.iter().map(|part| part.window_us).max()?.max(1);
    let overlap_share = closed.saturating_sub(opened) as f64 / longest as f64;
    (overlap_share < AT_ONCE).then_some(Disturbance::NotAtOnce { overlap_share })
}

fn added<'a>(parts: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut whole = BTreeMap::new();
    for (text, count) in parts.flatten() {
        *whole.entry(text.clone()).or_default() += count;
    }
    whole
}

/// None of none.
fn together<'a>(mut parts: impl Iterator<Item = &'a Nanoseconds>) -> Option<Nanoseconds> {
    let first = parts.next()?.clone();
    Some(parts.fold(first, Nanoseconds::plus))
}

/// None if nobody told.
fn highest(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(f64::max)
}

/// Over all requests; none if a machine did not count.
fn wire(parts: &[&Measurement]) -> Option<Wire> {
    let requests: u64 = parts.iter().map(|part| part.completed).sum();
    let mean = |get: fn(Wire) -> f64| {
        let sum = parts.iter().try_fold(0.0, |sum, part| {
            Some(sum + get(part.wire?) * part.completed as f64)
        })?;
        (requests > 0).then(|| sum / requests as f64)
    };
    Some(Wire {
        sent_bytes_per_request: mean(|wire| wire.sent_bytes_per_request)?,
        received_bytes_per_request: mean(|wire| wire.received_bytes_per_request)?,
    })
}

/// The longest delay of them all stands for all.
fn dispatch(parts: &[&Measurement]) -> Option<Dispatch> {
    let all: Vec<Dispatch> = parts
        .iter()
        .map(|part| part.dispatch)
        .collect::<Option<_>>()?;
    Some(Dispatch {
        offered: all.iter().map(|one| one.offered).sum(),
        unanswered_at_open: all.iter().map(|one| one.unanswered_at_open).sum(),
        unanswered_at_close: all.iter().map(|one| one.unanswered_at_close).sum(),
        // Where several machines measure at once, no trial takes turns.
        growth: None,
        delay_p50_us: highest(all.iter().map(|one| one.delay_p50_us)),
        delay_p99_us: all.iter().map(|one| one.delay_p99_us).fold(0.0, f64::max),
    })
}
