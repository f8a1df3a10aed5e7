//! Capacity: the highest rate of an open loop that meets a latency objective, found by search.
//!
//! It begins with what the comparison's own trials say of their rate. Each step offers a rate for a trial,
//! and for up to two more if that missed the objective or tells nothing. The rate is doubled until one misses it, and then the
//! distance between the highest that met it and the lowest that missed it is halved, on the scale of
//! ratios, until they are close.

use engine::Load;
use stats::{SAMPLES_BEYOND, is_known};

use crate::{
    executor::{Executor, Planned},
    record::{Capacity, Disturbance, Objective, Purpose, Scenario, Trial, Variant},
    system::System,
};

/// The search ends where the rates that met and missed are closer than this: trials at the edge
/// differ by more.
const CLOSE: f64 = 1.05;

/// The most rates that are tried: from a thousandth of the first to a thousand times it takes ten
/// steps, and to come close another five.
const MOST_STEPS: u32 = 15;

/// A server that falls behind keeps its users waiting for at least this share of the time. Where they
/// wait less and calls are late all the same, it is the generator that had no core.
const WAITING: f64 = 0.5;

/// Below this rate no objective is searched for, in calls per second, whatever its percentile.
const LOWEST: f64 = 1.0;

/// The most trials at one rate: another one follows only while those before it settle nothing.
const ATTEMPTS: u32 = 3;

/// The longest trial of a search, in microseconds. Rates at which the percentile is not known by then are
/// not tried.
const LONGEST_US: u64 = 60_000_000;

/// Reads an objective such as `p99<5ms`: a percentile, and the time it must stay below, in us, ms
/// or s.
///
/// # Errors
/// A sentence that says how to write one.
pub fn parse(text: &str) -> Result<Objective, String> {
    let how = || format!("{text:?} is no objective; write it like p99<5ms or p99.9<800us");
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (percentile, below) = compact
        .strip_prefix('p')
        .and_then(|rest| rest.split_once('<'))
        .ok_or_else(how)?;
    let percentile: f64 = percentile.parse().map_err(|_| how())?;
    let units = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
    let below = units
        .iter()
        .find_map(|(unit, us)| Some(below.strip_suffix(unit)?.parse::<f64>().ok()? * us));
    let below_us = below
        .filter(|us| (1.0..=3.6e9).contains(us))
        .ok_or_else(how)?;
    if !(0.0..=99.99).contains(&percentile) || percentile == 0.0 {
        return Err(format!(
            "{text:?} names a percentile that is not above 0 and at most 99.99"
        ));
    }
    Ok(Objective {
        percentile,
        below_us: below_us.round() as u64,
    })
}

/// Result of one step of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Met,
    Missed,
    /// The generator could not offer the rate.
    GeneratorBound,
    /// Nothing: the trial was disturbed.
    Disturbed,
}

/// The rates between which the objective stops being met.
#[derive(Clone, Copy, Debug, Default)]
struct Bracket {
    met: Option<f64>,
    missed: Option<f64>,
    /// True if `missed` is a rate that the generator could not offer, not one that the service
    /// missed.
    generator_bound: bool,
}

impl Bracket {
    /// The rate to try next, beginning with `first`, and none below `lowest`; none where the search is
    /// over.
    fn next(&self, first: f64, lowest: f64) -> Option<f64> {
        match (self.met, self.missed) {
            (None, None) => Some(first.max(lowest)),
            (Some(met), None) => Some(met * 2.0),
            (None, Some(missed)) => Some(missed / 2.0).filter(|rate| *rate >= lowest),
            (Some(met), Some(missed)) if missed / met > CLOSE => Some((met * missed).sqrt()),
            _ => None,
        }
    }

    /// Takes over what was found at `rate`: what lies above the generator's limit is not the
    /// service's, until the service misses below it.
    fn tell(&mut self, rate: f64, found: Step) {
        match found {
            Step::Met => self.met = Some(rate),
            Step::Missed | Step::GeneratorBound => {
                self.missed = Some(rate);
                self.generator_bound = found == Step::GeneratorBound;
            }
            Step::Disturbed => {}
        }
    }
}

/// Searches for the capacity of `variant` in the shape of `like`, beginning at its rate; none if the
/// user stopped it before anything was found.
///
/// # Errors
/// When a process cannot be started, or an option cannot be carried out.
pub async fn search(
    executor: &mut Executor,
    like: &Scenario,
    (variant, system): (&Variant, &System),
    objective: Objective,
) -> anyhow::Result<Option<Capacity>> {
    let Load::Open { per_second: first } = like.load else {
        return Ok(None);
    };
    let mut bracket = Bracket::default();
    let compared = executor.trials.iter().filter(|trial| {
        let of_it = (trial.purpose, trial.shape, trial.batch, trial.load);
        of_it == (like.purpose, like.shape, like.batch, like.load) && trial.variant == *variant
    });
    bracket.tell(first, most(compared.map(|trial| judge(trial, objective))));
    let mut disturbed = false;
    for step in 1..=MOST_STEPS {
        let Some(rate) = bracket.next(first, lowest(objective)) else {
            break;
        };
        let rate = rate.round();
        let scenario = Scenario {
            purpose: Purpose::Capacity,
            load: Load::Open { per_second: rate },
            window_us: window(objective, rate, like.window_us),
            variants: vec![variant.clone()],
            ..like.clone()
        };
        let planned = Planned {
            scenario: &scenario,
            variant,
            system,
            round: step,
        };
        let found = try_rate(executor, &planned, objective).await?;
        if executor.is_over() {
            break;
        }
        if found == Step::Disturbed {
            disturbed = true;
            executor.display.say(&format!(
                "capacity of {}: trials at {rate} calls/s tell nothing, and the search ends",
                variant.name
            ));
            break;
        }
        bracket.tell(rate, found);
        let said = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| rate.to_string());
        executor.display.say(&format!(
            "capacity of {}: {rate} calls/s, met {}, missed {}",
            variant.name,
            said(bracket.met),
            said(bracket.missed),
        ));
    }
    let is_empty = bracket.met.is_none() && bracket.missed.is_none() && !disturbed;
    Ok((!is_empty).then_some(Capacity {
        protocol: variant.protocol,
        variant: (variant.name != variant.protocol.name()).then(|| variant.name.clone()),
        shape: like.shape,
        batch: like.batch,
        met_per_second: bracket.met,
        missed_per_second: bracket.missed.filter(|_| !bracket.generator_bound),
        generator_bound: bracket.generator_bound,
        disturbed,
    }))
}

async fn try_rate(
    executor: &mut Executor,
    planned: &Planned<'_>,
    objective: Objective,
) -> anyhow::Result<Step> {
    let (mut found, mut misses) = (Step::Disturbed, 0);
    let mut otherwise = Step::Disturbed;
    for attempt in 1..=ATTEMPTS {
        // A rate that cannot be met has bad replies and queues: that is an answer, and not to be
        // repeated by the executor.
        let Some(trial) = executor.once(planned, attempt).await? else {
            break;
        };
        found = judge(trial, objective);
        match found {
            Step::Missed => misses += 1,
            Step::GeneratorBound => otherwise = found,
            Step::Met | Step::Disturbed => {}
        }
        if settles(found, misses) || executor.is_over() {
            break;
        }
    }
    // One miss alone is none.
    match found == Step::Missed && !settles(found, misses) {
        true => Ok(otherwise),
        false => Ok(found),
    }
}

/// Returns true if what a trial at a rate `found` settles it, the last of so many `misses` there. A miss may be
/// an accident: a service that was started again, or a moment of a busy machine. Nothing of the kind makes a
/// service meet what it misses.
fn settles(found: Step, misses: u32) -> bool {
    match found {
        Step::Met => true,
        Step::Missed => misses > 1,
        Step::GeneratorBound | Step::Disturbed => false,
    }
}

/// Returns the result that the rounds of a comparison give for its rate: `Met` if most of those
/// that tell anything met the objective, `Missed` if two or more missed it and none met it, else
/// `Disturbed`.
fn most(rounds: impl Iterator<Item = Step>) -> Step {
    let (mut met, mut missed) = (0, 0);
    for found in rounds {
        met += u32::from(found == Step::Met);
        missed += u32::from(found == Step::Missed);
    }
    if met > missed {
        Step::Met
    } else if settles(Step::Missed, missed) && met == 0 {
        Step::Missed
    } else {
        Step::Disturbed
    }
}

/// Returns the number of calls that it takes to know the percentile, with a tenth to spare.
fn calls(objective: Objective) -> f64 {
    1.1 * SAMPLES_BEYOND * 100.0 / (100.0 - objective.percentile)
}

/// Returns the length of a trial's window at `rate`, in microseconds: so long that the percentile
/// is known, but at most [`LONGEST_US`], and never less than `usual_us`.
fn window(objective: Objective, rate: f64, usual_us: u64) -> u64 {
    let needed = calls(objective) / rate * 1e6;
    usual_us.max((needed as u64).min(LONGEST_US))
}

/// The lowest rate at which the percentile is known in the longest trial.
fn lowest(objective: Objective) -> f64 {
    (calls(objective) / (LONGEST_US as f64 / 1e6)).max(LOWEST)
}

/// The share of the users that waited for a reply, on average over the window: their number is
/// rate × time (Little, Operations Research 9(3), 1961).
fn users_waiting(trial: &Trial) -> f64 {
    let mean_s = trial.measurement.service_time.0.mean() / 1e9;
    trial.measurement.requests_per_second() * mean_s / trial.shape.users() as f64
}

/// Returns the result of `trial` for its rate. A trial whose server fell behind has missed every
/// objective, however late its calls were sent: they waited for a free user, and all users waited
/// for replies. It is `Disturbed` instead if other programs took CPU time, or if calls were late
/// while a smaller share of the users than [`WAITING`] waited.
fn judge(trial: &Trial, objective: Objective) -> Step {
    let is = |test: fn(&Disturbance) -> bool| trial.disturbances.iter().any(test);
    let is_late = is(|one| matches!(one, Disturbance::LateDispatch { .. }));
    let is_taken = is(|one| matches!(one, Disturbance::OtherPrograms { .. }));
    if is(|one| matches!(one, Disturbance::GeneratorLimit { .. })) {
        return Step::GeneratorBound;
    }
    if is(|one| {
        matches!(
            one,
            Disturbance::ServerRestarted | Disturbance::Unmeasured { .. }
        )
    }) {
        return Step::Disturbed;
    }
    if is(|one| matches!(one, Disturbance::BadReplies { .. })) {
        return Step::Missed;
    }
    let fell_behind = |one: &Disturbance| matches!(one, Disturbance::Queue { achieved_share } if *achieved_share < 1.0);
    if trial.disturbances.iter().any(fell_behind) {
        let is_held_up = is_late && users_waiting(trial) < WAITING;
        return match is_taken || is_held_up {
            true => Step::Disturbed,
            false => Step::Missed,
        };
    }
    let Some(times) = &trial.measurement.response_time else {
        return Step::Disturbed;
    };
    if !is_known(times.count(), objective.percentile) {
        return Step::Disturbed;
    }
    if times.percentile_us(objective.percentile) < objective.below_us as f64 {
        // Calls that were let go late, a queue from before, and other programs only make it harder.
        return Step::Met;
    }
    // The hypervisor too takes what the service needs.
    let is_stolen = is(|one| matches!(one, Disturbance::Steal { .. }));
    let is_queued = is(|one| matches!(one, Disturbance::Queue { .. }));
    match is_late || is_taken || is_stolen || is_queued {
        true => Step::Disturbed,
        false => Step::Missed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Shape;

    #[test]
    fn an_objective_is_a_percentile_and_a_time() {
        for (text, percentile, below_us) in [
            ("p99<5ms", 99.0, 5_000),
            ("p99.9 < 800us", 99.9, 800),
            ("p50<0.5s", 50.0, 500_000),
            ("p95<100µs", 95.0, 100),
        ] {
            let found = parse(text).unwrap();
            assert_eq!(
                (found.percentile, found.below_us),
                (percentile, below_us),
                "{text}"
            );
        }
        for text in [
            "", "p99", "99<5ms", "p99<5", "p99>5ms", "p0<1ms", "p100<1ms", "p99<0ms", "p99<-1ms",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_is_missed_by_two_trials_and_met_by_one() {
        for (found, settled_at) in [
            (Step::Met, Some(1)),
            (Step::Missed, Some(2)),
            (Step::Disturbed, None),
            (Step::GeneratorBound, None),
        ] {
            let first = (1..=ATTEMPTS).find(|misses| settles(found, *misses));
            assert_eq!(first, settled_at, "{found:?}");
        }
    }

    #[test]
    fn most_rounds_of_the_comparison_decide_what_its_rate_is() {
        use Step::{Disturbed, GeneratorBound, Met, Missed};
        for (rounds, expected) in [
            (&[][..], Disturbed),
            (&[Met], Met),
            (&[Missed], Disturbed),
            (&[Missed, Disturbed, Missed], Missed),
            (&[Missed, Met, Disturbed, Met], Met),
            (&[Missed, Met, Missed], Disturbed),
            (&[GeneratorBound, GeneratorBound], Disturbed),
        ] {
            assert_eq!(most(rounds.iter().copied()), expected, "{rounds:?}");
        }
    }

    #[test]
    fn the_search_closes_in_on_the_edge_from_wherever_it_begins() {
        for truth in [3.0, 700.0, 9_000.0, 55_000.0] {
            for first in [10.0, 4_000.0, 50_000.0] {
                let mut bracket = Bracket::default();
                let mut steps = 0;
                while let Some(rate) = bracket.next(first, LOWEST) {
                    let met = rate <= truth;
                    bracket.tell(rate, if met { Step::Met } else { Step::Missed });
                    steps += 1;
                    assert!(steps <= 30, "{truth} from {first}");
                }
                let (met, missed) = (bracket.met.unwrap(), bracket.missed.unwrap());
                assert!(met <= truth && truth < missed && missed / met <= CLOSE);
            }
        }
    }

    #[test]
    fn a_search_that_nothing_meets_ends() {
        let mut bracket = Bracket::default();
        while let Some(rate) = bracket.next(1000.0, LOWEST) {
            bracket.tell(rate, Step::Missed);
        }
        assert_eq!(bracket.met, None);
    }

    #[test]
    fn what_the_service_misses_below_the_generators_limit_is_the_services() {
        let mut bracket = Bracket::default();
        bracket.tell(4_000.0, Step::Met);
        bracket.tell(8_000.0, Step::GeneratorBound);
        assert!(bracket.generator_bound);
        bracket.tell(5_657.0, Step::Missed);
        bracket.tell(4_757.0, Step::Met);
        assert!(!bracket.generator_bound);
        assert_eq!(bracket.missed, Some(5_657.0));
    }

    #[test]
    fn a_slow_trial_is_as_long_as_its_percentile_takes() {
        let objective = parse("p99<5ms").unwrap();
        assert_eq!(window(objective, 100_000.0, 1_500_000), 1_500_000);
        assert_eq!(window(objective, 1_100.0, 1_500_000), 10_000_000);
        assert_eq!(window(objective, 1.0, 1_500_000), LONGEST_US);
    }

    #[test]
    fn no_rate_is_tried_at_which_the_percentile_would_not_be_known() {
        let objective = parse("p99.9<5ms").unwrap();
        let mut bracket = Bracket::default();
        let mut tried = Vec::new();
        while let Some(rate) = bracket.next(500.0, lowest(objective)) {
            tried.push(rate);
            bracket.tell(
                rate,
                if tried.len() < 3 {
                    Step::Met
                } else {
                    Step::Missed
                },
            );
        }
        let known = |rate: &f64| rate * (window(objective, *rate, 0) as f64 / 1e6) >= 100_000.0;
        assert!(tried.iter().all(known), "{tried:?}");
    }

    fn empty() -> engine::Measurement {
        let empty = serde_json::json!({
            "opened_unix_us": 0, "window_us": 0, "completed": 0, "counted": 0, "errors": {},
            "service_time": engine::Nanoseconds::default(),
            "response_time": engine::Nanoseconds::default(),
            "server": null, "generator": {"cpu_us": 0, "busiest_core_share": null},
            "wire": null, "dispatch": null, "steal_share": null,
        });
        serde_json::from_value(empty).unwrap()
    }

    fn trial(each_ns: u64, calls: u64, disturbances: Vec<Disturbance>) -> Trial {
        let shape = Shape {
            connections: 10,
            in_flight: 1,
        };
        let load = Load::Open { per_second: 1000.0 };
        let mut measurement = empty();
        measurement.window_us = calls * 1000;
        (measurement.completed, measurement.counted) = (calls, calls);
        for times in [
            Some(&mut measurement.service_time),
            measurement.response_time.as_mut(),
        ] {
            times.unwrap().0.record_n(each_ns, calls).unwrap();
        }
        Trial {
            format: crate::record::FORMAT,
            number: 1,
            round: 1,
            attempt: 1,
            purpose: Purpose::Capacity,
            shape,
            batch: 1,
            load,
            variant: crate::study::variants(&[crate::record::Protocol::Grpc]).remove(0),
            added_cpu_us: None,
            waited: None,
            measurement,
            disturbances,
        }
    }

    const LATE: Disturbance = Disturbance::LateDispatch {
        p50_us: None,
        p99_us: 1e6,
    };

    #[test]
    fn a_trial_that_fell_behind_is_the_servers_fault_only_if_its_users_waited() {
        let behind = |each_ns: u64, late: bool| {
            let mut disturbances = vec![Disturbance::Queue {
                achieved_share: 0.5,
            }];
            disturbances.extend(late.then_some(LATE));
            judge(
                &trial(each_ns, 1000, disturbances),
                parse("p99<5s").unwrap(),
            )
        };
        // A thousand calls of 9 ms on ten users in a second, and of 1 ms.
        assert_eq!(behind(9_000_000, true), Step::Missed);
        assert_eq!(behind(1_000_000, true), Step::Disturbed);
        assert_eq!(behind(1_000_000, false), Step::Missed);
    }

    #[test]
    fn a_trial_that_others_disturbed_tells_only_if_it_met_the_objective_all_the_same() {
        let others = || Disturbance::OtherPrograms { share: 0.4 };
        let behind = || Disturbance::Queue {
            achieved_share: 0.5,
        };
        let catching_up = || Disturbance::Queue {
            achieved_share: 1.1,
        };
        let judged = |each_ns: u64, disturbances: Vec<Disturbance>| {
            judge(
                &trial(each_ns, 20_000, disturbances),
                parse("p99<5ms").unwrap(),
            )
        };
        for disturbances in [vec![others()], vec![catching_up()], vec![LATE]] {
            assert_eq!(judged(1_000_000, disturbances.clone()), Step::Met);
            assert_eq!(judged(9_000_000, disturbances), Step::Disturbed);
        }
        assert_eq!(judged(9_000_000, vec![behind(), others()]), Step::Disturbed);
        assert_eq!(judged(9_000_000, vec![]), Step::Missed);
    }
}
