//! The disturbances of a trial, by its own figures. Facts only: [`validity`](crate::validity) says
//! which measures they void.

use engine::Measurement;

use super::Disturbance;

/// If the replies differ from the offered calls by more than this share, a queue grew or shrank, and times tell of
/// the window's length and not of the service.
const OUT_OF_BALANCE: f64 = 0.01;

/// Largest difference due to chance between the calls on their way at the two ends of a window, in standard
/// deviations: one trial in four hundred goes beyond it.
const DEVIATIONS: f64 = 3.0;

/// Deviation of a median, as a multiple of that of the mean (of the normal distribution, the root of pi/2).
const MEDIAN: f64 = 1.2533;

/// Above this share of its time, calls wait for the generator's busiest thread itself.
const GENERATOR_LIMIT: f64 = 0.85;

/// Above this share of a percentile, the same percentile of the dispatch delay is comparable to it.
const COMPARABLE: f64 = 0.1;

/// Above this share of the time, steal is told from the noise of counting it.
const STEAL: f64 = 0.01;

/// Above this share of the cores' time, other programs are told from noise: on a quiet machine up to half of
/// it is seen, as what all take and what is known are read a moment apart.
const OTHERS: f64 = 0.05;

/// Ticks by which the two readings may differ without anybody else: the kernel rounds each kind of time of
/// each core.
const OTHERS_TICKS: f64 = 6.0;

/// The tick in which the kernel counts steal, in microseconds. A share below one tick of the window cannot be
/// told from none.
const TICK_US: f64 = 10_000.0;

/// Bytes received for each reply from which on a server is held to ask another for each call: the head and the
/// message of a reply take more, in any protocol, and what senders of logs and spans get back far less.
const ASKS_FOR_EACH: f64 = 8.0;

/// Connections for each reply from which on they are opened for calls: a proxy that keeps none open, as nginx
/// does unless it is told to, opens one for each.
const OPENS_FOR_EACH: f64 = 0.5;

/// Facts about a trial that its measurement does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// True if other processes listened at the end than at the beginning.
    pub server_restarted: bool,
    /// True if all processes that reply are known. Behind a forwarder they are not, and the service itself
    /// would be taken for another program.
    pub server_is_known: bool,
}

/// Returns the disturbances of the trial that `measurement` is of.
pub fn disturbances(measurement: &Measurement, evidence: Evidence) -> Vec<Disturbance> {
    let queue = queue(measurement);
    // In an open loop a call that was never answered may never have been sent: it stood in the queue.
    let queued = queue.as_ref().map_or(0, |_| measurement.unanswered);
    let bad = measurement.errors_in_all.values().sum::<u64>();
    let counted = measurement.error_count().max(measurement.unanswered);
    let bad = bad.max(counted.saturating_sub(queued));
    let restarted = evidence.server_restarted || measurement.server_lost;
    let window_us = measurement.window_us.max(1) as f64;
    let told = |share: Option<f64>, noise: f64, ticks: f64| {
        share.filter(|share| *share > noise.max(ticks * TICK_US / window_us))
    };
    let others = told(measurement.others_share, OTHERS, OTHERS_TICKS);
    let busiest = measurement.generator.busiest_core_share;
    [
        unmeasured(measurement).map(|reason| Disturbance::Unmeasured { reason }),
        (bad > 0).then_some(Disturbance::BadReplies { count: bad }),
        restarted.then_some(Disturbance::ServerRestarted),
        queue,
        busiest
            .filter(|share| *share > GENERATOR_LIMIT)
            .map(|busiest_core_share| Disturbance::GeneratorLimit { busiest_core_share }),
        late_dispatch(measurement),
        told(measurement.steal_share, STEAL, 1.0).map(|share| Disturbance::Steal { share }),
        others
            .filter(|_| evidence.server_is_known)
            .map(|share| Disturbance::OtherPrograms { share }),
        asks_others(measurement),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn asks_others(measurement: &Measurement) -> Option<Disturbance> {
    let asked = measurement.server_asked.as_ref()?;
    let asks = asked.received_bytes_per_request >= ASKS_FOR_EACH;
    let opens = asked.connections_per_request >= OPENS_FOR_EACH;
    (asks || opens).then(|| Disturbance::AsksOthers {
        peers: asked.peers.iter().filter(|_| asks).cloned().collect(),
    })
}

fn unmeasured(measurement: &Measurement) -> Option<String> {
    let nothing = measurement.completed == 0 || measurement.window_us == 0;
    measurement
        .cut_short
        .clone()
        .or_else(|| nothing.then(|| "no call was answered".to_owned()))
}

/// Returns the disturbance by a queue that grew or shrank during the window, if there is one. The number of
/// calls that were offered and not answered is the number on their way at the close less that at the opening.
/// Without a queue at either end these two differ as Poisson counts do, give or take the call that is just
/// due. If the window has parts, the median of their differences decides.
fn queue(measurement: &Measurement) -> Option<Disturbance> {
    let dispatch = measurement.dispatch?;
    let parts = f64::from(measurement.parts);
    let offered = (dispatch.offered as f64 / parts).max(1.0);
    let on_their_way = dispatch.unanswered_at_open? as f64 / parts + 1.0;
    let chance = DEVIATIONS * (2.0 * on_their_way).sqrt();
    let (missing, chance) = match dispatch.growth {
        Some(growth) => (growth, 1.0 + chance * MEDIAN / parts.sqrt()),
        None => {
            let answered = measurement.completed as f64 / parts;
            (1.0 - answered / offered, chance)
        }
    };
    let is_queue = missing.abs() > OUT_OF_BALANCE && missing.abs() * offered > chance;
    is_queue.then_some(Disturbance::Queue {
        achieved_share: 1.0 - missing,
    })
}

fn late_dispatch(measurement: &Measurement) -> Option<Disturbance> {
    let dispatch = measurement.dispatch?;
    [50.0, 99.0]
        .into_iter()
        .any(|percentile| is_late(measurement, percentile))
        .then_some(Disturbance::LateDispatch {
            p50_us: dispatch.delay_p50_us,
            p99_us: dispatch.delay_p99_us,
        })
}

/// Returns true if the dispatch delay is comparable to `percentile` of latency: the median is held against
/// the median, and p99 against p99. If the median delay was not recorded, p99 is taken in its place.
pub fn is_late(measurement: &Measurement, percentile: f64) -> bool {
    let times = measurement.latency();
    let known = measurement.dispatch.filter(|_| times.count() > 0);
    known.is_some_and(|dispatch| {
        let median = dispatch.delay_p50_us.filter(|_| percentile <= 50.0);
        let delay = median.unwrap_or(dispatch.delay_p99_us);
        delay > COMPARABLE * times.percentile_us(percentile)
    })
}
