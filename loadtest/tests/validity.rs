//! The validity of a trial after a disturbance, measure by measure.

use loadtest::{
    metric::Metric,
    record::{Disturbance, Trial},
    validity::{self, Effect, Evidence},
};

mod made_up;

use made_up::{THOROUGH, Truth};

const CPU: [Metric; 2] = [Metric::ServerCpu, Metric::GeneratorCpu];
const TIMES: [Metric; 2] = [Metric::MedianLatency, Metric::TailLatency];

/// A trial of the open loop, changed, with what that disturbed.
fn disturbed(change: impl Fn(&mut Trial, &mut Evidence)) -> Trial {
    let one = Truth {
        rounds: 1,
        ..THOROUGH
    };
    let mut trial = made_up::two(one).trials.swap_remove(0);
    let mut evidence = Evidence {
        server_restarted: false,
        server_is_known: true,
    };
    change(&mut trial, &mut evidence);
    trial.disturbances = validity::disturbances(&trial, &evidence);
    trial
}

fn effects(trial: &Trial) -> String {
    let letter = |metric| match validity::effect(trial, metric) {
        Effect::Stands => 's',
        Effect::Inconclusive(_) => 'i',
        Effect::Void(_) => 'v',
    };
    validity::COLUMNS.map(letter).iter().collect()
}

#[test]
fn each_disturbance_leaves_the_measures_that_it_does_not_falsify() {
    type Change<'a> = &'a dyn Fn(&mut Trial, &mut Evidence);
    // Server CPU, client CPU, bytes, median, p99, rate.
    let cases: [(Change<'_>, &str, &str); 16] = [
        (&|_, _| (), "", "ssssss"),
        (
            &|trial, _| trial.measurement.cut_short = Some("by a test".into()),
            "by a test",
            "vvvvvv",
        ),
        (
            &|trial, _| {
                trial.measurement.errors_in_all.insert("503".into(), 1);
            },
            "1 bad reply",
            "vvvvvv",
        ),
        (
            &|trial, _| trial.measurement.unanswered = 2,
            "2 bad replies",
            "vvvvvv",
        ),
        (
            &|trial, _| trial.measurement.server_lost = true,
            "restarted",
            "vvvvvv",
        ),
        (
            &|_, evidence| evidence.server_restarted = true,
            "restarted",
            "vvvvvv",
        ),
        (
            &|trial, _| trial.measurement.completed -= trial.measurement.completed / 50,
            "a queue grew: 98.0%",
            "vvvvvv",
        ),
        (
            &|trial, _| trial.measurement.completed += trial.measurement.completed / 50,
            "a queue shrank: 102.0%",
            "vvvvvv",
        ),
        (
            &|trial, _| trial.measurement.generator.busiest_core_share = Some(0.86),
            "86% busy",
            "sssiii",
        ),
        (
            &|trial, _| trial.measurement.dispatch.as_mut().unwrap().delay_p99_us = 2000.0,
            "up to 2000 µs late",
            "ssssis",
        ),
        (
            &|trial, _| {
                let dispatch = trial.measurement.dispatch.as_mut().unwrap();
                (dispatch.delay_p50_us, dispatch.delay_p99_us) = (Some(200.0), 2000.0);
            },
            "µs late",
            "sssiis",
        ),
        (
            &|trial, _| {
                let dispatch = trial.measurement.dispatch.as_mut().unwrap();
                // Not recorded before format 4: p99 stands for it.
                (dispatch.delay_p50_us, dispatch.delay_p99_us) = (None, 60.0);
            },
            "µs late",
            "sssiss",
        ),
        (
            &|trial, _| trial.measurement.steal_share = Some(0.03),
            "hypervisor took 3.0%",
            "ssssis",
        ),
        (
            &|trial, _| trial.measurement.steal_share = Some(0.06),
            "6.0%",
            "ssssii",
        ),
        (
            &|trial, _| trial.measurement.steal_share = Some(0.14),
            "14.0%",
            "vvssii",
        ),
        (
            &|trial, _| trial.measurement.others_share = Some(0.25),
            "other programs took 25%",
            "ssssii",
        ),
    ];
    for (change, said, left) in cases {
        let trial = disturbed(change);
        let found: Vec<String> = trial.disturbances.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), usize::from(!said.is_empty()), "{found:?}");
        assert!(found.concat().contains(said), "{found:?} {said}");
        assert_eq!(effects(&trial), left, "{found:?}");
        assert_eq!(validity::is_usable(&trial), left != "vvvvvv");
    }
}

#[test]
fn small_noise_is_no_disturbance() {
    let trial = disturbed(|trial, _| {
        trial.measurement.steal_share = Some(0.009);
        trial.measurement.others_share = Some(0.04);
        trial.measurement.generator.busiest_core_share = Some(0.85);
        trial.measurement.completed -= trial.measurement.completed / 120;
    });
    assert_eq!(trial.disturbances, []);
}

#[test]
fn a_service_behind_a_forwarder_is_no_other_program() {
    let trial = disturbed(|trial, evidence| {
        evidence.server_is_known = false;
        trial.measurement.others_share = Some(0.5);
    });
    assert_eq!(trial.disturbances, []);
}

/// A window of 100 calls, of which so many were answered, and which opened with so many on their way.
fn short(answered: u64, unanswered_at_open: u64) -> Vec<Disturbance> {
    let trial = disturbed(|trial, _| {
        let measurement = &mut trial.measurement;
        measurement.completed = answered;
        measurement.window_us = 10_000;
        let dispatch = measurement.dispatch.as_mut().expect("an open loop");
        dispatch.offered = 100;
        dispatch.unanswered_at_open = Some(unanswered_at_open);
    });
    trial.disturbances
}

#[test]
fn calls_on_their_way_at_the_ends_of_a_short_window_are_not_missing() {
    assert_eq!(short(96, 0), []);
    assert_eq!(short(87, 10), []);
    assert_eq!(short(113, 10), []);
}

#[test]
fn a_queue_that_grows_or_shrinks_voids_however_long_its_calls_take() {
    for answered in [67, 133] {
        let found = short(answered, 30);
        assert!(
            matches!(found[..], [Disturbance::Queue { .. }]),
            "{found:?}"
        );
    }
}

/// A window of 20 parts with so many calls each, in most of which so many more were on their way at the close than at the
/// opening.
fn in_parts(calls: u64, growth: f64) -> Vec<Disturbance> {
    let trial = disturbed(|trial, _| {
        let measurement = &mut trial.measurement;
        (measurement.parts, measurement.completed) = (20, 20 * calls);
        let dispatch = measurement.dispatch.as_mut().expect("an open loop");
        (dispatch.offered, dispatch.growth) = (20 * calls, Some(growth / calls as f64));
        dispatch.unanswered_at_open = Some(40);
    });
    trial.disturbances
}

#[test]
fn a_queue_at_the_ends_of_most_parts_voids() {
    // Below a hundredth of the calls it is none, and below what chance does, either.
    for (calls, growth) in [(800, -7.0), (800, 0.0), (800, 7.0), (50, 2.5), (50, -2.5)] {
        assert_eq!(in_parts(calls, growth), [], "{growth} of {calls}");
    }
    for (calls, growth) in [(800, -12.0), (800, 9.0), (800, 40.0), (50, 5.0)] {
        let found = in_parts(calls, growth);
        assert!(
            matches!(found[..], [Disturbance::Queue { achieved_share }] if achieved_share == 1.0 - growth / calls as f64),
            "{found:?}"
        );
    }
}

#[test]
fn the_gravest_of_several_disturbances_counts() {
    let trial = disturbed(|trial, _| {
        trial.measurement.generator.busiest_core_share = Some(0.99);
        trial.measurement.steal_share = Some(0.2);
    });
    for metric in CPU {
        assert!(validity::effect(&trial, metric).is_void(), "{metric:?}");
        assert!(
            validity::void(&trial, metric)
                .unwrap()
                .contains("hypervisor")
        );
    }
    for metric in TIMES {
        assert!(!validity::effect(&trial, metric).is_void(), "{metric:?}");
    }
}

#[test]
fn the_table_is_said_in_words() {
    let said = validity::explained();
    for expected in [
        "steal: server CPU per request void above 10%",
        "p99 latency inconclusive above 1%",
        "every measure is void",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
