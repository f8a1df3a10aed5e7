//! The rules that a block must keep to count. One that breaks any of them is VOID: it is shown with
//! its reason, and never averaged.

use crate::record::{BlockRecord, Load, Purpose, Void};

/// At least this share of the offered calls must have been answered.
const ACHIEVED: f64 = 0.99;

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
    if let Load::Open { .. } = block.load {
        broken.extend(
            [behind(block), generator_busy(block), pacer_late(block)]
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

fn behind(block: &BlockRecord) -> Option<Void> {
    let offered = block.pacer?.offered;
    let achieved_share = block.requests as f64 / offered.max(1) as f64;
    // At both ends of the window, calls may be on their way: rate × time of them (Little, Operations
    // Research 9(3), 1961), give or take one, and at most as many as there are users.
    let users = f64::from(block.connections) * f64::from(block.in_flight);
    let median_s = block.latency.uncorrected.percentile_us(50.0) / 1e6;
    let rate = offered as f64 / (block.window_us.max(1) as f64 / 1e6);
    let on_their_way = users.min(2.0 * ((rate * median_s).ceil() + 1.0));
    let missing = offered as f64 - block.requests as f64;
    (achieved_share < ACHIEVED && missing > on_their_way).then_some(Void::Behind {
        achieved_share,
        limit: ACHIEVED,
    })
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
        record::{GeneratorCost, Nanoseconds, Pacer},
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
        let achieved = |block: &mut BlockRecord, _: &mut Evidence| block.requests = 9_900;
        assert_eq!(broken(achieved), []);
    }

    #[test]
    fn each_rule_is_broken_alone_and_named() {
        let pacer = |lateness_p99_us| {
            Some(Pacer {
                offered: 10_000,
                lateness_p99_us,
            })
        };
        type Change<'a> = &'a dyn Fn(&mut BlockRecord, &mut Evidence);
        let cases: [(Change<'_>, &str); 8] = [
            (&|block, _| block.requests = 9_890, "achieved 0.989"),
            (
                &|block, _| block.generator.busiest_core_share = Some(0.86),
                "86% busy",
            ),
            (&|block, _| block.pacer = pacer(104.0), "µs late (p99)"),
            (&|_, evidence| evidence.bad_answers = 1, "1 bad answers"),
            (&|block, _| block.steal_share = Some(0.011), "hypervisor"),
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
    fn a_closed_loop_has_no_pacer_and_may_use_all_of_its_core() {
        let void = broken(|block, _| {
            block.load = Load::Closed;
            block.pacer = None;
            block.generator.busiest_core_share = Some(1.0);
        });
        assert_eq!(void, []);
    }

    #[test]
    fn users_that_wait_for_calls_that_never_come_back_are_not_on_their_way() {
        let void = broken(|block, _| {
            block.connections = 1_000;
            block.requests = 9_100;
        });
        assert!(matches!(void[..], [Void::Behind { .. }]), "{void:?}");
    }

    #[test]
    fn calls_on_their_way_at_the_ends_of_a_short_window_are_not_missing() {
        let void = broken(|block, _| {
            block.requests = 93;
            block.window_us = 10_000;
            block.pacer = Some(Pacer {
                offered: 100,
                lateness_p99_us: 1.0,
            });
        });
        assert_eq!(void, []);
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
