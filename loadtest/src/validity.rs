//! The rules that a block must keep to count. One that breaks any of them is VOID: it is shown with
//! its reason, and never averaged.

use crate::record::{BlockRecord, Load, Pacer, Purpose, Void};

/// At least this share of the offered calls must have been answered, and at most that: where a queue grows
/// or shrinks, times tell of the window's length and not of the service.
const ACHIEVED: f64 = 0.99;
const CAUGHT_UP: f64 = 1.01;

/// Beyond that, how many deviations of chance the calls on their way may differ between the two ends of a
/// window: one block in four hundred goes beyond it.
const DEVIATIONS: f64 = 3.0;

/// At most this share of the time may the generator's busiest core be busy in an open loop: above
/// it, calls wait for the generator itself.
const GENERATOR_BUSY: f64 = 0.85;

/// At most this share of the median latency may the 99th percentile of the pacer's lateness be.
const LATENESS: f64 = 0.1;

/// Lateness below this is borne in any case, in microseconds: it is how closely the instrument
/// itself is held to what is known (`selftest`), and no kernel wakes a thread more closely than some
/// of it. Where calls take 40 µs, a tenth of them would void every block of the quietest machine.
const LATENESS_BORNE_US: f64 = 50.0;

/// At most this share of the time may the hypervisor take.
const STEAL: f64 = 0.01;

/// At most this share of the cores' time may other programs take. A quiet machine shows up to half of it:
/// what all take and what is known are read a moment apart.
const OTHERS: f64 = 0.05;

/// So many ticks may the two differ by without anybody else: the kernel rounds each kind of time of each core.
const OTHERS_TICKS: f64 = 6.0;

/// The tick in which the kernel counts what the hypervisor takes, in microseconds. A share below one
/// tick of the window cannot be told from none.
const TICK_US: f64 = 10_000.0;

/// So many VOID blocks are borne in any run, however small.
const VOID_BORNE: usize = 4;

/// Of all blocks that were measured, at most this share may be VOID before the run gives up.
const VOID_SHARE: f64 = 0.5;

/// What is known of a block besides its record.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Bad answers over the whole attack, ramp included.
    pub bad_answers: u64,
    /// Whether the server's processes were others at the end than at the beginning.
    pub server_restarted: bool,
    /// Whether all processes that answer are known: where something forwards to another, they are not.
    pub server_is_known: bool,
    /// Why the window was not open for its whole length, if so.
    pub cut_short: Option<String>,
}

/// The rules that `block` breaks.
pub fn check(block: &BlockRecord, evidence: &Evidence) -> Vec<Void> {
    let unmeasured = match &evidence.cut_short {
        Some(reason) => Some(reason.clone()),
        None if block.requests == 0 => Some("no call was answered".to_owned()),
        None => None,
    };
    let bad = evidence.bad_answers.max(block.error_count());
    let mut broken = Vec::new();
    broken.extend(unmeasured.map(|reason| Void::Unmeasured { reason }));
    broken.extend((bad > 0).then_some(Void::Errors { count: bad }));
    broken.extend(evidence.server_restarted.then_some(Void::ServerRestarted));
    broken.extend(steal(block));
    broken.extend(others(block).filter(|_| evidence.server_is_known));
    if let Load::Open { .. } = block.load {
        broken.extend(
            [
                out_of_balance(block),
                generator_busy(block),
                pacer_late(block),
            ]
            .into_iter()
            .flatten(),
        );
    }
    broken
}

/// Whether so many blocks are VOID that measuring on is of no use. A search for capacity goes
/// beyond what can be done, and does not count.
pub fn too_many_void<'a>(blocks: impl IntoIterator<Item = &'a BlockRecord>) -> bool {
    let (mut all, mut void) = (0, 0);
    for block in blocks {
        let counts = block.purpose != Purpose::Capacity;
        all += usize::from(counts);
        void += usize::from(counts && !block.is_valid());
    }
    void > VOID_BORNE && void as f64 > VOID_SHARE * all as f64
}

fn steal(block: &BlockRecord) -> Option<Void> {
    let share = block.steal_share?;
    let limit = STEAL.max(TICK_US / block.window_us.max(1) as f64);
    (share > limit).then_some(Void::Steal { share, limit })
}

fn others(block: &BlockRecord) -> Option<Void> {
    let share = block.others_share?;
    let limit = OTHERS.max(OTHERS_TICKS * TICK_US / block.window_us.max(1) as f64);
    (share > limit).then_some(Void::Others { share, limit })
}

fn out_of_balance(block: &BlockRecord) -> Option<Void> {
    let Pacer {
        offered,
        unanswered_at_open,
        ..
    } = block.pacer?;
    let achieved_share = block.requests as f64 / offered.max(1) as f64;
    // What was offered and not answered is by how much more calls are on their way at the close than there
    // were at the opening. Where neither end has a queue, the two differ as Poisson's counts do, and give or
    // take the call that is just due.
    let on_their_way = unanswered_at_open? as f64 + 1.0;
    let chance = DEVIATIONS * (2.0 * on_their_way).sqrt();
    let missing = offered as f64 - block.requests as f64;
    if missing.abs() <= chance {
        None
    } else if achieved_share < ACHIEVED {
        Some(Void::Behind {
            achieved_share,
            limit: ACHIEVED,
        })
    } else if achieved_share > CAUGHT_UP {
        Some(Void::CatchingUp {
            achieved_share,
            limit: CAUGHT_UP,
        })
    } else {
        None
    }
}

/// In a closed loop it breaks no rule, but what is measured may be the generator.
pub(crate) fn generator_busy(block: &BlockRecord) -> Option<Void> {
    let busiest_core_share = block.generator.busiest_core_share?;
    (busiest_core_share > GENERATOR_BUSY).then_some(Void::GeneratorBusy {
        busiest_core_share,
        limit: GENERATOR_BUSY,
    })
}

fn pacer_late(block: &BlockRecord) -> Option<Void> {
    let lateness_p99_us = block.pacer?.lateness_p99_us;
    let median_us = block.latency.uncorrected.percentile_us(50.0);
    let limit_us = (LATENESS * median_us).max(LATENESS_BORNE_US);
    (lateness_p99_us > limit_us).then_some(Void::PacerLate {
        lateness_p99_us,
        limit_us,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::{Spec, blank},
        record::{GeneratorCost, Nanoseconds},
    };

    /// A block in an open loop that keeps every rule: a median of 1 ms, 10,000 calls in a second.
    fn good() -> BlockRecord {
        let mut spec = Spec::example(8);
        spec.planned.load = Load::Open {
            per_second: 10_000.0,
        };
        let mut block = blank(&spec);
        let Nanoseconds(times) = &mut block.latency.uncorrected;
        times.record_n(1_000_000, 10_000).unwrap();
        block.requests = 10_000;
        block.window_us = 1_000_000;
        block.generator = GeneratorCost {
            cpu_us: 100_000,
            busiest_core_share: Some(0.85),
            peak_memory_kib: None,
        };
        block.pacer = Some(Pacer {
            offered: 10_000,
            unanswered_at_open: Some(10),
            lateness_p99_us: 100.0,
        });
        block.steal_share = Some(0.01);
        block
    }

    fn broken(change: impl Fn(&mut BlockRecord, &mut Evidence)) -> Vec<Void> {
        let (mut block, mut evidence) = (good(), Evidence::default());
        change(&mut block, &mut evidence);
        check(&block, &evidence)
    }

    #[test]
    fn a_block_at_the_edge_of_every_rule_counts() {
        assert_eq!(broken(|_, _| ()), []);
        for requests in [9_900, 10_100] {
            let achieved = |block: &mut BlockRecord, _: &mut Evidence| block.requests = requests;
            assert_eq!(broken(achieved), []);
        }
    }

    #[test]
    fn each_rule_is_broken_alone_and_named() {
        let pacer = |lateness_p99_us| {
            Some(Pacer {
                offered: 10_000,
                unanswered_at_open: Some(10),
                lateness_p99_us,
            })
        };
        type Change<'a> = &'a dyn Fn(&mut BlockRecord, &mut Evidence);
        let cases: [(Change<'_>, &str); 10] = [
            (&|block, _| block.requests = 9_890, "achieved 0.989"),
            (&|block, _| block.requests = 10_110, "achieved 1.011"),
            (
                &|block, _| block.generator.busiest_core_share = Some(0.86),
                "86% busy",
            ),
            (&|block, _| block.pacer = pacer(104.0), "µs late (p99)"),
            (&|_, evidence| evidence.bad_answers = 1, "1 bad answers"),
            (&|block, _| block.steal_share = Some(0.011), "hypervisor"),
            (
                &|block, evidence| {
                    block.others_share = Some(0.07);
                    evidence.server_is_known = true;
                },
                "other programs took 7%",
            ),
            (
                &|_, evidence| evidence.server_restarted = true,
                "the server restarted",
            ),
            (
                &|_, evidence| evidence.cut_short = Some("by a test".to_owned()),
                "by a test",
            ),
            (
                &|block, _| {
                    block.requests = 0;
                    block.pacer = None;
                },
                "no call was answered",
            ),
        ];
        for (change, said) in cases {
            let void = broken(change);
            assert_eq!(void.len(), 1, "{void:?}");
            assert!(void[0].to_string().contains(said), "{} {said}", void[0]);
        }
    }

    #[test]
    fn what_a_forwarder_forwards_to_is_no_other_program() {
        assert_eq!(broken(|block, _| block.others_share = Some(0.5)), []);
    }

    #[test]
    fn a_closed_loop_has_no_pacer_and_may_use_all_of_its_core() {
        let void = broken(|block, _| {
            block.load = Load::Closed;
            block.pacer = None;
            block.generator.busiest_core_share = Some(1.0);
        });
        assert_eq!(void, []);
    }

    /// A window of 100 calls, of which so many were answered, and which opened with so many on their way.
    fn short(answered: u64, unanswered_at_open: u64) -> Vec<Void> {
        broken(|block, _| {
            block.requests = answered;
            block.window_us = 10_000;
            block.pacer = Some(Pacer {
                offered: 100,
                unanswered_at_open: Some(unanswered_at_open),
                lateness_p99_us: 1.0,
            });
        })
    }

    #[test]
    fn calls_on_their_way_at_the_ends_of_a_short_window_are_not_missing() {
        assert_eq!(short(96, 0), []);
        assert_eq!(short(87, 10), []);
        assert_eq!(short(113, 10), []);
    }

    #[test]
    fn a_queue_that_grows_or_shrinks_is_void_however_long_its_calls_take() {
        let grows = short(67, 30);
        assert!(matches!(grows[..], [Void::Behind { .. }]), "{grows:?}");
        let shrinks = short(133, 30);
        assert!(
            matches!(shrinks[..], [Void::CatchingUp { .. }]),
            "{shrinks:?}"
        );
    }

    #[test]
    fn a_run_gives_up_where_most_blocks_are_void_and_not_for_a_few() {
        let mut void = good();
        void.void = vec![Void::ServerRestarted];
        let of = |valid: usize, broken: usize| {
            let mut blocks = vec![good(); valid];
            blocks.extend(vec![void.clone(); broken]);
            too_many_void(&blocks)
        };
        assert!(!of(0, VOID_BORNE));
        assert!(of(0, VOID_BORNE + 1));
        assert!(!of(10, 10));
        assert!(of(10, 11));
    }
}
