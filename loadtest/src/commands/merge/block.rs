//! One block out of those that several machines measured at once.

use std::collections::BTreeMap;

use super::load;
use crate::record::{BlockRecord, GeneratorCost, Latency, Nanoseconds, Pacer, Void, Wire};

/// Windows must lie in one another by this share: beyond it, the machines measured loads of others
/// than they say. Planned windows are as long as each other, and clocks that are kept by NTP agree to
/// far better than a tenth of one.
const AT_ONCE: f64 = 0.9;

/// What makes blocks of several machines one.
pub(super) struct Key(BlockRecord);

impl Key {
    pub(super) fn of(block: &BlockRecord) -> Self {
        Self(block.clone())
    }

    pub(super) fn is_of(&self, other: &BlockRecord) -> bool {
        let one = &self.0;
        let shape = |b: &BlockRecord| (b.purpose, b.connections, b.in_flight, b.batch, b.arm);
        shape(one) == shape(other)
            && one.load == other.load
            && (&one.label, one.pair, one.attempt) == (&other.label, other.pair, other.attempt)
    }
}

/// The block that `parts` are of, from so many `machines`; none of none. VOID where any of them is,
/// where a machine lacks it, and where they were not at once.
pub(super) fn merged(parts: &[&BlockRecord], machines: usize) -> Option<BlockRecord> {
    let first = *parts.first()?;
    let all = || parts.iter().copied();
    let mut errors = BTreeMap::new();
    for (text, count) in all().flat_map(|part| &part.errors) {
        *errors.entry(text.clone()).or_default() += count;
    }
    let mut void: Vec<Void> = all().flat_map(|part| part.void.clone()).collect();
    void.extend(missing(parts.len(), machines));
    void.extend(apart(parts));
    let corrected: Option<Vec<&Nanoseconds>> =
        all().map(|part| part.latency.corrected.as_ref()).collect();
    Some(BlockRecord {
        connections: first.connections * machines as u32,
        load: load(first.load, machines as u32),
        opened_unix_us: all().map(|part| part.opened_unix_us).min()?,
        window_us: all().map(|part| part.window_us).max()?,
        requests: all().map(|part| part.requests).sum(),
        errors,
        latency: Latency {
            uncorrected: sum(all().map(|part| &part.latency.uncorrected))?,
            corrected: corrected.and_then(|times| sum(times.into_iter())),
        },
        // There is one server: whoever is beside it saw all of it.
        server: all().find_map(|part| part.server),
        generator: GeneratorCost {
            cpu_us: all().map(|part| part.generator.cpu_us).sum(),
            busiest_core_share: highest(all().map(|part| part.generator.busiest_core_share)),
            peak_memory_kib: all()
                .filter_map(|part| part.generator.peak_memory_kib)
                .max(),
        },
        wire: wire(parts),
        pacer: pacer(parts),
        steal_share: highest(all().map(|part| part.steal_share)),
        others_share: highest(all().map(|part| part.others_share)),
        void,
        ..first.clone()
    })
}

fn missing(found: usize, machines: usize) -> Option<Void> {
    (found < machines).then(|| Void::Unmeasured {
        reason: format!("{found} of {machines} machines have this block"),
    })
}

fn apart(parts: &[&BlockRecord]) -> Option<Void> {
    let opened = parts.iter().map(|part| part.opened_unix_us).max()?;
    let closed = parts
        .iter()
        .map(|part| part.opened_unix_us + part.window_us)
        .min()?;
    let longest = parts.iter().map(|part| part.window_us).max()?.max(1);
    let overlap_share = closed.saturating_sub(opened) as f64 / longest as f64;
    (overlap_share < AT_ONCE).then_some(Void::NotAtOnce {
        overlap_share,
        limit: AT_ONCE,
    })
}

/// None of none.
fn sum<'a>(mut parts: impl Iterator<Item = &'a Nanoseconds>) -> Option<Nanoseconds> {
    let first = parts.next()?.clone();
    Some(parts.fold(first, Nanoseconds::plus))
}

/// None where nobody told.
fn highest(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(f64::max)
}

/// Over all requests; none where a machine did not count.
fn wire(parts: &[&BlockRecord]) -> Option<Wire> {
    let requests: u64 = parts.iter().map(|part| part.requests).sum();
    let mean = |get: fn(Wire) -> f64| {
        let sum = parts.iter().try_fold(0.0, |sum, part| {
            Some(sum + get(part.wire?) * part.requests as f64)
        })?;
        (requests > 0).then(|| sum / requests as f64)
    };
    Some(Wire {
        sent_bytes_per_request: mean(|wire| wire.sent_bytes_per_request)?,
        received_bytes_per_request: mean(|wire| wire.received_bytes_per_request)?,
    })
}

/// The latest of them all stands for all.
fn pacer(parts: &[&BlockRecord]) -> Option<Pacer> {
    let pacers: Option<Vec<Pacer>> = parts.iter().map(|part| part.pacer).collect();
    let pacers = pacers?;
    Some(Pacer {
        offered: pacers.iter().map(|pacer| pacer.offered).sum(),
        unanswered_at_open: pacers.iter().map(|pacer| pacer.unanswered_at_open).sum(),
        lateness_p99_us: pacers
            .iter()
            .map(|pacer| pacer.lateness_p99_us)
            .fold(0.0, f64::max),
    })
}
