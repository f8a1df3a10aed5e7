//! Capacity: the highest rate of an open loop that meets a latency objective, found by search.
//!
//! Each step offers a rate for one block. The rate is doubled until one misses the objective, and
//! then the distance between the highest that met it and the lowest that missed it is halved, on the
//! scale of ratios, until they are close.

use crate::{
    lab::Lab,
    plan::Planned,
    record::{Arm, BlockRecord, Capacity, Load, Objective, Purpose, Void},
    statistics::{SAMPLES_BEYOND, is_known},
};

/// The search ends where the rates that met and missed are closer than this: blocks at the edge
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

/// How often a rate is tried whose blocks tell nothing.
const ATTEMPTS: u32 = 3;

/// The longest block of a search, in microseconds. Rates at which the percentile is not known by then are
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

/// What a step of the search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Met,
    Missed,
    /// The generator could not offer the rate.
    GeneratorBound,
    /// Nothing: the block was disturbed.
    Disturbed,
}

/// The rates between which the objective stops being met.
#[derive(Clone, Copy, Debug, Default)]
struct Bracket {
    met: Option<f64>,
    missed: Option<f64>,
    /// Whether it was the generator that missed.
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

/// Searches for the capacity of `arm` with `users`, beginning at the rate `first`. The blocks are
/// added to `blocks`, whose length numbers the next one.
///
/// # Errors
/// When a process cannot be started, or an option cannot be carried out.
pub async fn search(
    lab: &mut Lab,
    (arm, users): (Arm, u32),
    objective: Objective,
    first: f64,
    blocks: &mut Vec<BlockRecord>,
) -> anyhow::Result<Capacity> {
    let mut bracket = Bracket::default();
    let mut disturbed = false;
    let window_us = lab.window_us;
    for step in 1..=MOST_STEPS {
        let Some(rate) = bracket.next(first, lowest(objective)) else {
            break;
        };
        let rate = rate.round();
        lab.window_us = window(objective, rate, window_us);
        // How many steps it takes is not known before.
        lab.plan(1);
        let found = try_rate(lab, (arm, users), objective, (rate, step), blocks).await;
        lab.done();
        lab.window_us = window_us;
        let found = found?;
        if found == Step::Disturbed {
            disturbed = true;
            lab.display.say(&format!(
                "capacity of {}: blocks at {rate} calls/s tell nothing, and the search ends",
                arm.name()
            ));
            break;
        }
        bracket.tell(rate, found);
        lab.display.say(&format!(
            "capacity of {}: {rate} calls/s, met {}, missed {}",
            arm.name(),
            bracket.met.map_or("-".to_owned(), |rate| rate.to_string()),
            bracket
                .missed
                .map_or("-".to_owned(), |rate| rate.to_string()),
        ));
        if lab.stop.is_cancelled() {
            break;
        }
    }
    Ok(Capacity {
        arm,
        connections: users,
        in_flight: 1,
        batch: 1,
        met_per_second: bracket.met,
        missed_per_second: bracket.missed.filter(|_| !bracket.generator_bound),
        generator_bound: bracket.generator_bound,
        disturbed,
    })
}

async fn try_rate(
    lab: &mut Lab,
    (arm, users): (Arm, u32),
    objective: Objective,
    (rate, step): (f64, u32),
    blocks: &mut Vec<BlockRecord>,
) -> anyhow::Result<Step> {
    let mut found = Step::Disturbed;
    for attempt in 1..=ATTEMPTS {
        let block = Planned {
            number: u32::try_from(blocks.len() + 1).unwrap_or(u32::MAX),
            pair: step,
            attempt,
            arm,
            label: arm.letter().to_owned(),
            purpose: Purpose::Capacity,
            connections: users,
            in_flight: 1,
            batch: 1,
            load: Load::Open { per_second: rate },
        };
        let record = lab.measure(&block, None).await?.record;
        found = judge(&record, objective);
        // Once may be an accident, such as a service that was started again.
        let has_errors = |void: &Void| matches!(void, Void::Errors { .. });
        let is_accident = attempt == 1 && record.void.iter().any(has_errors);
        blocks.push(record);
        let is_known = !matches!(found, Step::Disturbed | Step::GeneratorBound) && !is_accident;
        if is_known || lab.stop.is_cancelled() {
            break;
        }
    }
    Ok(found)
}

/// How many calls it takes to know the percentile, with a tenth to spare.
fn calls(objective: Objective) -> f64 {
    1.1 * SAMPLES_BEYOND * 100.0 / (100.0 - objective.percentile)
}

/// How long a block must be so that the percentile is known.
fn window(objective: Objective, rate: f64, usual_us: u64) -> u64 {
    let needed = calls(objective) / rate * 1e6;
    usual_us.max((needed as u64).min(LONGEST_US))
}

/// The lowest rate at which the percentile is known in the longest block.
fn lowest(objective: Objective) -> f64 {
    (calls(objective) / (LONGEST_US as f64 / 1e6)).max(LOWEST)
}

/// The share of the users that waited for an answer, on average over the window: their number is
/// rate × time (Little, Operations Research 9(3), 1961).
fn users_waiting(record: &BlockRecord) -> f64 {
    let mean_s = record.latency.uncorrected.0.mean() / 1e9;
    let users = f64::from(record.connections) * f64::from(record.in_flight);
    record.requests_per_second() * mean_s / users
}

/// What a block says about its rate. One whose server fell behind has missed every objective,
/// however late its calls were let go then: they waited for users, all of whom waited for answers.
fn judge(record: &BlockRecord, objective: Objective) -> Step {
    let is = |test: fn(&Void) -> bool| record.void.iter().any(test);
    if is(|void| matches!(void, Void::GeneratorBusy { .. })) {
        return Step::GeneratorBound;
    }
    if is(|void| matches!(void, Void::ServerRestarted)) {
        return Step::Disturbed;
    }
    let is_late = |void: &Void| matches!(void, Void::PacerLate { .. });
    if is(|void| matches!(void, Void::Errors { .. })) {
        return Step::Missed;
    }
    if is(|void| matches!(void, Void::Behind { .. })) {
        let is_taken = is(|void| matches!(void, Void::Others { .. }));
        let is_held_up = record.void.iter().any(is_late) && users_waiting(record) < WAITING;
        return match is_taken || is_held_up {
            true => Step::Disturbed,
            false => Step::Missed,
        };
    }
    let makes_it_harder = |void: &Void| {
        is_late(void) || matches!(void, Void::CatchingUp { .. } | Void::Others { .. })
    };
    if !record.void.iter().all(makes_it_harder) {
        return Step::Disturbed;
    }
    let Some(times) = &record.latency.corrected else {
        return Step::Disturbed;
    };
    if !is_known(times.count(), objective.percentile) {
        return Step::Disturbed;
    }
    if times.percentile_us(objective.percentile) < objective.below_us as f64 {
        // Calls that were let go late, a queue from before, and other programs only make it harder.
        Step::Met
    } else if record.is_valid() {
        Step::Missed
    } else {
        Step::Disturbed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::{Spec, blank},
        record::Nanoseconds,
    };

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
    fn a_slow_block_is_as_long_as_its_percentile_takes() {
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

    #[test]
    fn a_block_that_fell_behind_is_the_servers_fault_only_where_its_users_waited() {
        let behind = |each_ns: u64, late: bool| {
            let mut record = blank(&Spec::example(10));
            record.window_us = 1_000_000;
            record.requests = 1000;
            let Nanoseconds(times) = &mut record.latency.uncorrected;
            times.record_n(each_ns, 1000).unwrap();
            record.void.push(Void::Behind {
                achieved_share: 0.5,
                limit: 0.99,
            });
            record.void.extend(late.then_some(Void::PacerLate {
                lateness_p99_us: 1e6,
                limit_us: 50.0,
            }));
            judge(&record, parse("p99<5s").unwrap())
        };
        // A thousand calls of 9 ms on ten users in a second, and of 1 ms.
        assert_eq!(behind(9_000_000, true), Step::Missed);
        assert_eq!(behind(1_000_000, true), Step::Disturbed);
        assert_eq!(behind(1_000_000, false), Step::Missed);
    }

    #[test]
    fn a_block_that_others_disturbed_tells_only_where_it_met_the_objective_all_the_same() {
        let others = || Void::Others {
            share: 0.4,
            limit: 0.05,
        };
        let behind = || Void::Behind {
            achieved_share: 0.5,
            limit: 0.99,
        };
        let catching_up = || Void::CatchingUp {
            achieved_share: 1.1,
            limit: 1.01,
        };
        let judged = |each_ns: u64, void: Vec<Void>| {
            let mut spec = Spec::example(10);
            spec.planned.load = Load::Open { per_second: 1000.0 };
            let mut record = blank(&spec);
            (record.window_us, record.requests) = (20_000_000, 20_000);
            for times in [
                Some(&mut record.latency.uncorrected),
                record.latency.corrected.as_mut(),
            ] {
                let Nanoseconds(times) = times.unwrap();
                times.record_n(each_ns, 20_000).unwrap();
            }
            record.void = void;
            judge(&record, parse("p99<5ms").unwrap())
        };
        for void in [vec![others()], vec![catching_up()]] {
            assert_eq!(judged(1_000_000, void.clone()), Step::Met);
            assert_eq!(judged(9_000_000, void), Step::Disturbed);
        }
        assert_eq!(judged(9_000_000, vec![behind(), others()]), Step::Disturbed);
    }
}
