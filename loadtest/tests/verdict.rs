//! The verdict on recordings whose truth is known: what it says, and what it must not say of any.

use std::path::Path;

use loadtest::{
    metric::Metric,
    record::{Disturbance, Protocol, Purpose, Recording, Trial},
    validity,
    verdict::{
        Verdict,
        claim::{Claim, Grade, Reason},
        sentence,
    },
};
use proptest::prelude::*;

mod made_up;

use made_up::{CPU_RATIO, LATENCY_RATIO, THOROUGH, Truth};

/// Disturbs the trials of `purpose` that `which` picks.
fn disturb(
    recording: &mut Recording,
    purpose: Purpose,
    disturbance: &Disturbance,
    which: impl Fn(&Trial) -> bool,
) {
    for trial in &mut recording.trials {
        if trial.purpose == purpose && which(trial) {
            trial.disturbances.push(disturbance.clone());
        }
    }
}

const RESTARTED: Disturbance = Disturbance::ServerRestarted;

fn is_of(protocol: Protocol) -> impl Fn(&Trial) -> bool {
    move |trial| trial.variant.protocol == protocol && !trial.variant.is_twin
}

/// Within 2%: the noise is 1% a trial, over fourteen rounds.
fn is_near(found: f64, truth: f64) -> bool {
    (found / truth - 1.0).abs() < 0.02
}

fn claim(verdict: &Verdict, purpose: Purpose, metric: Metric) -> Claim {
    let is = |claim: &&Claim| (claim.scenario.purpose, claim.metric) == (purpose, metric);
    verdict.claims().find(is).expect("a claim of each").clone()
}

#[test]
fn the_sentence_says_who_costs_less_by_how_much_and_on_what_that_stands() {
    let verdict = Verdict::of(&made_up::two(THOROUGH));
    assert!(verdict.is_conclusive());
    let expected = "REST costs less here: gRPC takes 1.2 µs more server CPU per request (13.2 against 12.0, \
                    1.10×; 95% CI 1.09–1.11; A/A floor ±1.2%) at 32 connections × 1 in flight, 5,000 requests/s.";
    let digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(digits(&verdict.sentence()), digits(expected));
    let meaning = verdict.meaning().join("\n");
    for expected in [
        "At 5,000 requests/s that is 0.0",
        "cores more: 0.0",
        "Of a handler that takes 1, 5 or 20 ms of CPU the difference is 0.",
    ] {
        assert!(meaning.contains(expected), "{expected}: {meaning}");
    }
}

#[test]
fn a_price_of_a_core_says_what_a_difference_costs_in_a_month() {
    let mut recording = made_up::two(THOROUGH);
    let without = Verdict::of(&recording);
    assert!(!without.meaning().join(" ").contains("month"));
    // At 5,000 requests/s, for 730 hours at 2.
    let per_us = 5_000.0 / 1e6 * 730.0 * 2.0;
    let [of_rest, of_grpc] = without.headline[0].values.map(|us| us.unwrap() * per_us);
    recording.run.core_price = Some(2.0);
    let found = Verdict::of(&recording).meaning().join(" ");
    let (_, month) = found.split_once("In a month they cost ").expect(&found);
    let (more, rest) = month.split_once(" more: ").expect(&found);
    let (grpc, rest) = rest.split_once(" against ").expect(&found);
    let (rest, _) = rest.split_once(". ").expect(&found);
    let [more, grpc, rest] = [more, grpc, rest].map(|text| text.parse::<f64>().expect(&found));
    let is_near = |found: f64, truth: f64| (found / truth - 1.0).abs() < 0.01;
    assert!(is_near(rest, of_rest) && is_near(grpc, of_grpc), "{found}");
    assert!(is_near(more, of_grpc - of_rest), "{found}");
}

#[test]
fn the_headline_and_the_steps_of_the_waterfall_find_the_truth() {
    let verdict = Verdict::of(&made_up::headline(THOROUGH));
    let truths = [CPU_RATIO, LATENCY_RATIO];
    assert_eq!(verdict.headline.len(), truths.len());
    for (claim, truth) in verdict.headline.iter().zip(truths) {
        assert!(is_near(claim.estimate.unwrap().ratio, truth), "{claim:?}");
        assert_eq!(claim.grade, Grade::Difference);
    }
    assert_eq!(verdict.waterfalls.len(), 2);
    let steps = [[0.8, 1.1, 1.25], [0.9, 1.2, 1.15]];
    for (waterfall, truths) in verdict.waterfalls.iter().zip(steps) {
        for (step, truth) in waterfall.steps.iter().zip(truths) {
            assert!(is_near(step.estimate.ratio, truth), "{step:?}");
            assert_eq!(step.grade, Grade::Difference);
        }
        let product: f64 = waterfall
            .steps
            .iter()
            .map(|step| step.estimate.ratio)
            .product();
        assert!(is_near(product, waterfall.total.ratio));
    }
}

#[test]
fn variants_that_do_not_differ_are_never_said_to() {
    for seed in 0..10 {
        for (rounds, noise) in [(6, 0.03), (14, 0.01)] {
            let truth = Truth {
                rounds,
                noise,
                differ: false,
                seed,
            };
            let verdict = Verdict::of(&made_up::two(truth));
            for claim in verdict.claims() {
                assert_ne!(claim.grade, Grade::Difference, "{}", sentence::of(claim));
            }
            if rounds == 14 {
                let said = verdict.sentence();
                assert!(
                    said.starts_with("No difference here: the server CPU"),
                    "{said}"
                );
            }
        }
    }
}

#[test]
fn a_noisy_machine_gets_an_estimate_an_interval_and_the_reason_for_no_more() {
    let noisy = Truth {
        noise: 0.2,
        rounds: 9,
        ..THOROUGH
    };
    let mut recording = made_up::two(noisy);
    let verdict = Verdict::of(&recording);
    assert!(!verdict.is_conclusive());
    let said = verdict.sentence();
    assert!(
        said.starts_with("Inconclusive: the server CPU per request of gRPC is about 1."),
        "{said}"
    );
    assert!(
        said.contains("has room for no difference and for one that matters"),
        "{said}"
    );
    assert!(
        !verdict.meaning().join(" ").contains("busy"),
        "nothing was there"
    );

    for trial in &mut recording.trials {
        trial.measurement.others_share = Some(0.3);
    }
    let verdict = Verdict::of(&recording);
    let said = verdict.sentence();
    assert!(
        said.ends_with("the machine was too busy for more."),
        "{said}"
    );
    let meaning = verdict.meaning().join(" ");
    assert!(
        meaning.contains("a busy machine: other programs took 30% of the time"),
        "{meaning}"
    );
}

#[test]
fn void_rounds_are_left_out_and_if_most_are_nothing_is_concluded() {
    let mut recording = made_up::two(THOROUGH);
    for trial in &mut recording.trials {
        if trial.purpose == Purpose::Open && trial.round == 3 && is_of(Protocol::Grpc)(trial) {
            trial.measurement.server.as_mut().unwrap().cpu_us *= 100;
            trial.disturbances.push(RESTARTED);
        }
    }
    let verdict = Verdict::of(&recording);
    let claim = verdict.first().unwrap();
    assert_eq!((claim.rounds, claim.rounds_run), (13, 14));
    assert!(is_near(claim.estimate.unwrap().ratio, CPU_RATIO));

    disturb(&mut recording, Purpose::Open, &RESTARTED, |trial| {
        trial.round > 6
    });
    let verdict = Verdict::of(&recording);
    let claim = verdict.first().unwrap();
    assert_eq!(
        claim.grade,
        Grade::Inconclusive(Reason::MostlyVoid(RESTARTED))
    );
    assert_eq!(claim.rounds, 5);
    assert!(claim.estimate.is_some());
    let said = verdict.sentence();
    assert!(
        said.contains("more than half of the rounds were disturbed, for one: the server"),
        "{said}"
    );

    disturb(&mut recording, Purpose::Open, &RESTARTED, |_| true);
    let verdict = Verdict::of(&recording);
    let claim = verdict.first().unwrap();
    assert_eq!(claim.grade, Grade::Inconclusive(Reason::NoTrial(RESTARTED)));
    assert_eq!((claim.estimate, claim.values), (None, [None, None]));
}

#[test]
fn a_repeated_trial_takes_the_place_of_the_void_one() {
    let mut recording = made_up::two(THOROUGH);
    let first = recording
        .trials
        .iter()
        .position(|trial| trial.purpose == Purpose::Open)
        .unwrap();
    let mut again = recording.trials[first].clone();
    recording.trials[first].disturbances.push(RESTARTED);
    assert_eq!(Verdict::of(&recording).first().unwrap().rounds, 13);
    again.number = recording.trials.len() as u32 + 1;
    again.attempt = 2;
    recording.trials.push(again);
    assert_eq!(Verdict::of(&recording).first().unwrap().rounds, 14);
}

#[test]
fn without_a_twin_nothing_is_concluded() {
    let mut recording = made_up::two(THOROUGH);
    let is_twin = |trial: &Trial| trial.variant.is_twin;
    disturb(&mut recording, Purpose::Open, &RESTARTED, is_twin);
    let verdict = Verdict::of(&recording);
    assert!(!verdict.is_conclusive());
    assert!(verdict.first().unwrap().estimate.is_some());
    assert!(
        verdict.sentence().contains("no A/A twin"),
        "{}",
        verdict.sentence()
    );
}

#[test]
fn without_the_servers_cpu_of_both_sides_the_verdict_is_about_latency() {
    for sides in [1, 2] {
        let mut recording = made_up::two(THOROUGH);
        for trial in &mut recording.trials {
            if sides == 2 || is_of(Protocol::Grpc)(trial) {
                trial.measurement.server = None;
            }
        }
        let verdict = Verdict::of(&recording);
        let claim = verdict.first().unwrap();
        assert_eq!(
            (claim.metric, claim.scenario.purpose),
            (Metric::MedianLatency, Purpose::Open)
        );
        assert!(verdict.is_conclusive());
        let said = verdict.sentence();
        assert!(
            said.starts_with("REST is quicker here: the median latency of gRPC is "),
            "{said}"
        );
        assert!(said.contains(" µs longer ("), "{said}");
    }
}

#[test]
fn nothing_is_claimed_of_latency_and_rate_from_a_generator_at_its_limit() {
    let mut recording = made_up::recording(THOROUGH);
    let limit = Disturbance::GeneratorLimit {
        busiest_core_share: 0.98,
    };
    for purpose in [
        Purpose::Open,
        Purpose::Single,
        Purpose::Map,
        Purpose::Original,
    ] {
        disturb(&mut recording, purpose, &limit, |_| true);
    }
    let verdict = Verdict::of(&recording);
    for claim in verdict.claims() {
        let is_bound = matches!(
            claim.metric,
            Metric::MedianLatency | Metric::TailLatency | Metric::Rate
        );
        let bound = claim.grade == Grade::Inconclusive(Reason::GeneratorLimit);
        let too_few = matches!(
            claim.grade,
            Grade::Inconclusive(Reason::TooFewReplies { .. })
        );
        assert_eq!(is_bound, bound || is_bound && too_few, "{claim:?}");
        assert!(claim.estimate.is_some() || too_few, "{claim:?}");
    }
    let [cpu, latency] = &verdict.waterfalls[..] else {
        panic!("two waterfalls");
    };
    assert!(cpu.steps.iter().all(|step| step.grade == Grade::Difference));
    let bound = Grade::Inconclusive(Reason::GeneratorLimit);
    assert!(latency.steps.iter().all(|step| step.grade == bound));
    let said = sentence::of(&verdict.headline[1]);
    assert!(said.contains("the generator was at its limit"), "{said}");
}

#[test]
fn cpu_is_not_compared_across_rates() {
    let mut recording = made_up::two(THOROUGH);
    for trial in &mut recording.trials {
        if trial.purpose == Purpose::Open && is_of(Protocol::Grpc)(trial) {
            made_up::with_replies(trial, 24_000);
        }
    }
    let verdict = Verdict::of(&recording);
    for metric in [Metric::ServerCpu, Metric::GeneratorCpu] {
        let claim = claim(&verdict, Purpose::Open, metric);
        assert_eq!(claim.grade, Grade::Inconclusive(Reason::RatesDiffer));
        assert_eq!(claim.estimate, None);
        assert!(claim.values[0].is_some() && claim.values[1].is_some());
    }
    let latency = claim(&verdict, Purpose::Open, Metric::MedianLatency);
    assert_eq!(latency.grade, Grade::Difference);
    assert!(
        verdict.sentence().contains("differ by more than 2%"),
        "{}",
        verdict.sentence()
    );

    // Nor is the floor.
    let mut recording = made_up::two(THOROUGH);
    for trial in recording
        .trials
        .iter_mut()
        .filter(|trial| trial.variant.is_twin)
    {
        made_up::with_replies(trial, 24_000);
    }
    let claim = claim(&Verdict::of(&recording), Purpose::Open, Metric::ServerCpu);
    assert_eq!(
        claim.grade,
        Grade::Inconclusive(Reason::Statistics(stats::Reason::NoFloor))
    );
}

#[test]
fn whether_there_is_a_p99_is_decided_for_the_scenario_and_not_trial_by_trial() {
    let mut recording = made_up::two(THOROUGH);
    let p99 =
        |recording: &Recording| claim(&Verdict::of(recording), Purpose::Open, Metric::TailLatency);
    assert_eq!(p99(&recording).rounds, 14);
    let short = recording
        .trials
        .iter_mut()
        .find(|trial| trial.round == 5)
        .unwrap();
    made_up::with_replies(short, 9_999);
    let claim = p99(&recording);
    assert_eq!(
        claim.grade,
        Grade::Inconclusive(Reason::TooFewReplies { replies: 9_999 })
    );
    assert_eq!(
        (claim.estimate, claim.values, claim.rounds),
        (None, [None, None], 0)
    );
    // A trial that is void for it decides nothing.
    disturb(&mut recording, Purpose::Open, &RESTARTED, |trial| {
        trial.round == 5
    });
    assert_eq!(p99(&recording).rounds, 13);
}

#[test]
fn a_step_takes_as_many_rounds_as_the_verdict() {
    let mut recording = made_up::headline(THOROUGH);
    disturb(&mut recording, Purpose::Open, &RESTARTED, |trial| {
        trial.round > 5 && is_of(Protocol::JsonHttp2)(trial)
    });
    let verdict = Verdict::of(&recording);
    assert_eq!(verdict.first().unwrap().grade, Grade::Difference);
    for step in &verdict.waterfalls[0].steps {
        assert_eq!(
            step.grade,
            Grade::Inconclusive(Reason::MostlyVoid(RESTARTED))
        );
        assert_eq!(step.estimate.rounds, 5);
    }
}

#[test]
fn a_run_that_measured_nothing_says_so() {
    let mut recording = made_up::two(THOROUGH);
    recording.trials.clear();
    let verdict = Verdict::of(&recording);
    assert!(!verdict.is_conclusive() && !verdict.is_decided());
    assert!(
        verdict.sentence().starts_with("Inconclusive: "),
        "{}",
        verdict.sentence()
    );
    recording.run.plan.scenarios.clear();
    let verdict = Verdict::of(&recording);
    assert!(!verdict.is_decided(), "an empty headline decides nothing");
    assert!(
        verdict.sentence().starts_with("Inconclusive: "),
        "{}",
        verdict.sentence()
    );
}

#[test]
fn a_scenario_is_decided_only_where_a_look_was_scheduled() {
    let decided = |rounds| {
        let truth = Truth { rounds, ..THOROUGH };
        Verdict::of(&made_up::two(truth)).is_decided()
    };
    for (rounds, expected) in [(5, false), (8, false), (9, true), (10, false), (14, true)] {
        assert_eq!(decided(rounds), expected, "after {rounds} rounds");
    }
}

#[test]
fn who_answers_more_is_who_has_the_higher_rate() {
    let verdict = Verdict::of(&made_up::recording(THOROUGH));
    let mut told = [0, 0];
    for claim in &verdict.original {
        let (Grade::Difference, [Some(baseline), Some(candidate)]) = (&claim.grade, claim.values)
        else {
            continue;
        };
        let is_more = candidate > baseline;
        let better = if is_more {
            &claim.candidate
        } else {
            &claim.baseline
        };
        let said = sentence::of(claim);
        let begin = format!("{} answers more here", better.name);
        assert!(said.starts_with(&begin), "{said}");
        told[usize::from(is_more)] += 1;
    }
    assert!(told.iter().all(|count| *count > 0), "{told:?}");
}

#[test]
fn server_cpu_that_is_decided_and_not_known_well_is_told() {
    let noisy = Truth {
        rounds: 9,
        noise: 0.035,
        ..THOROUGH
    };
    let mut recording = made_up::two(noisy);
    for trial in recording
        .trials
        .iter_mut()
        .filter(|trial| is_of(Protocol::Grpc)(trial))
    {
        trial.measurement.server.as_mut().unwrap().cpu_us *= 2;
    }
    let verdict = Verdict::of(&recording);
    for claim in &verdict.headline {
        let width = claim.estimate.unwrap().interval.half_width();
        assert!(claim.grade.is_conclusive() && width > 0.05, "{claim:?}");
    }
    assert!(verdict.is_decided());
    let imprecise: Vec<Purpose> = verdict.imprecise().iter().map(|one| one.purpose).collect();
    assert_eq!(imprecise, [Purpose::Open]);
    let verdict = Verdict::of(&made_up::two(THOROUGH));
    assert_eq!(verdict.imprecise(), []);
}

#[test]
fn a_decided_scenario_needs_no_more_rounds_and_the_other_does() {
    let mut recording = made_up::two(THOROUGH);
    disturb(&mut recording, Purpose::Single, &RESTARTED, |trial| {
        trial.round > 3
    });
    let verdict = Verdict::of(&recording);
    let undecided: Vec<Purpose> = verdict.undecided().iter().map(|one| one.purpose).collect();
    assert_eq!(undecided, [Purpose::Single]);
    assert!(verdict.is_conclusive() && !verdict.is_decided());
}

#[test]
fn the_same_recording_gives_the_same_verdict() {
    let recording = made_up::two(Truth {
        rounds: 6,
        ..THOROUGH
    });
    assert_eq!(Verdict::of(&recording), Verdict::of(&recording));
}

#[test]
fn the_map_tells_where_small_calls_are_rests_and_large_ones_grpcs() {
    let verdict = Verdict::of(&made_up::recording(THOROUGH));
    let places = |metric| {
        verdict
            .map
            .iter()
            .filter(move |claim| claim.metric == metric && claim.scenario.shape.in_flight == 1)
    };
    assert_eq!(places(Metric::MedianLatency).count(), 12);
    for claim in places(Metric::MedianLatency) {
        assert_eq!(claim.grade, Grade::Difference, "{claim:?}");
        let below = claim.estimate.unwrap().ratio < 1.0;
        assert_eq!(below, claim.scenario.batch >= 100, "{claim:?}");
    }
    // At ten items gRPC's server CPU is 0.99 of REST's.
    assert_eq!(places(Metric::ServerCpu).count(), 12);
    for claim in places(Metric::ServerCpu) {
        let is_even = claim.scenario.batch == 10;
        assert_eq!(claim.grade == Grade::NoDifference, is_even, "{claim:?}");
    }
    let meaning = verdict.meaning().join("\n");
    assert!(
        meaning.contains(
            "It turns around from 100 items per call on: there gRPC has less than REST ("
        ),
        "{meaning}"
    );
    // The place of the headline is the same claim.
    let headline = verdict.first().unwrap();
    assert!(verdict.map.contains(headline));
}

#[test]
fn on_one_connection_the_map_compares_grpc_with_the_rest_that_shares_it() {
    let verdict = Verdict::of(&made_up::recording(THOROUGH));
    let mut shared = verdict
        .map
        .iter()
        .filter(|c| c.scenario.shape.in_flight > 1);
    let claim = shared.next().unwrap();
    let said = sentence::of(claim);
    assert!(said.contains("REST over HTTP/2"), "{said}");
    assert!(said.contains("1 connection × 32 in flight"), "{said}");
}

/// REST and gRPC change places, and the twin is the new baseline's.
fn swapped(recording: &Recording) -> Recording {
    let mut swapped = recording.clone();
    for scenario in &mut swapped.run.plan.scenarios {
        scenario.variants.swap(0, 1);
    }
    swapped
}

/// The rounds that a claim may stand on: nothing void, nothing at the generator's limit that is about times
/// or rates, no CPU across rates. Said once more here, without the verdict's own code.
fn sound_rounds(recording: &Recording, claim: &Claim) -> (Vec<f64>, usize) {
    let of = |round: u32, name: &str| {
        recording.trials.iter().rfind(|trial| {
            trial.round == round && trial.is_of(&claim.scenario) && trial.variant.name == name
        })
    };
    let is_cpu = matches!(claim.metric, Metric::ServerCpu | Metric::GeneratorCpu);
    let last = recording
        .trials
        .iter()
        .map(|trial| trial.round)
        .max()
        .unwrap_or(0);
    let mut run = 0;
    let ratios = (1..=last).filter_map(|round| {
        let both = [&claim.baseline, &claim.candidate].map(|variant| of(round, &variant.name));
        run += usize::from(both.iter().any(Option::is_some));
        let [baseline, candidate] = both.map(|trial| trial.map(|trial| &trial.measurement));
        let (baseline, candidate) = (baseline?, candidate?);
        let stands = both.into_iter().flatten().all(|trial| {
            let falsified = trial.disturbances.iter().any(Disturbance::falsifies);
            let bound = trial.measurement.generator.busiest_core_share > Some(0.85);
            let is_free = is_cpu || claim.metric == Metric::Bytes;
            !falsified
                && (is_free || !bound)
                && (claim.metric != Metric::ServerCpu || trial.measurement.steal_share <= Some(0.1))
        });
        let rates = [baseline, candidate].map(|one| one.requests_per_second());
        let ratio = rates[0].max(rates[1]) / rates[0].min(rates[1]);
        let value = |measurement| claim.metric.of(measurement);
        (stands && (!is_cpu || ratio <= 1.02)).then_some(())?;
        Some(value(candidate)? / value(baseline)?)
    });
    let ratios: Vec<f64> = ratios.collect();
    (ratios, run)
}

/// No claim on the page stands on what the instrument cannot support.
fn every_claim_is_supported(recording: &Recording) {
    let verdict = Verdict::of(recording);
    for claim in verdict.claims().filter(|claim| claim.grade.is_conclusive()) {
        let (ratios, run) = sound_rounds(recording, claim);
        assert!(claim.rounds <= ratios.len(), "{claim:?}");
        assert!(2 * claim.rounds >= run, "{claim:?}");
        assert!(
            claim.rounds >= stats::LEAST_ROUNDS && claim.floor.is_some(),
            "{claim:?}"
        );
        if claim.rounds == ratios.len() {
            let expected = stats::trimmed_geometric_mean(&ratios).expect("positive ratios");
            assert!(
                (claim.estimate.expect("an estimate").ratio / expected - 1.0).abs() < 1e-9,
                "{claim:?}"
            );
        }
    }
    for waterfall in &verdict.waterfalls {
        let is_time = waterfall.metric == Metric::MedianLatency;
        let mut trials = recording
            .trials
            .iter()
            .filter(|trial| trial.is_of(&waterfall.scenario));
        let bound = |trial: &Trial| trial.measurement.generator.busiest_core_share > Some(0.85);
        if is_time && trials.all(bound) {
            assert!(
                waterfall
                    .steps
                    .iter()
                    .all(|step| !step.grade.is_conclusive())
            );
        }
    }
}

#[test]
fn no_claim_of_the_committed_runs_is_without_support() {
    for name in ["reference", "original", "shop"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../reports")
            .join(name);
        let recording = Recording::read(&directory).unwrap();
        assert!(Verdict::of(&recording).first().is_some());
        every_claim_is_supported(&recording);
    }
}

/// Disturbances that one trial in a random recording suffers.
#[derive(Clone, Copy, Debug)]
struct Luck {
    busiest: f64,
    steal: f64,
    others: f64,
    delay_us: f64,
    replies: f64,
    bad: bool,
}

fn luck() -> impl Strategy<Value = Luck> {
    let share = |often: f64, most: f64| prop_oneof![6 => 0.0..often, 1 => often..most];
    (
        share(0.84, 1.0),
        share(0.009, 0.3),
        share(0.04, 0.6),
        share(5.0, 5000.0),
        prop_oneof![8 => 0.995..1.005, 1 => 0.5..1.5],
        prop::bool::weighted(0.04),
    )
        .prop_map(|(busiest, steal, others, delay_us, replies, bad)| Luck {
            busiest,
            steal,
            others,
            delay_us,
            replies,
            bad,
        })
}

fn suffer(trial: &mut Trial, luck: Luck) {
    let replies = trial.measurement.completed as f64 * luck.replies;
    made_up::with_replies(trial, replies as u64);
    let measurement = &mut trial.measurement;
    measurement.generator.busiest_core_share = Some(luck.busiest);
    measurement.steal_share = Some(luck.steal);
    measurement.others_share = Some(luck.others);
    if let Some(dispatch) = &mut measurement.dispatch {
        dispatch.delay_p50_us = Some(luck.delay_us / 10.0);
        dispatch.delay_p99_us = luck.delay_us;
    }
    if luck.bad {
        measurement.errors_in_all.insert("503".into(), 1);
    }
    trial.disturbances = validity::disturbances(
        trial,
        &validity::Evidence {
            server_restarted: false,
            server_is_known: true,
        },
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_claim_of_any_recording_is_without_support(
        luck in prop::collection::vec(luck(), 54),
        seed in 0_u64..1000,
        differ in any::<bool>(),
        much in prop::sample::select(&[0.0, 0.3, 1.0][..]),
    ) {
        let truth = Truth { rounds: 9, noise: 0.01, differ, seed };
        let mut recording = made_up::two(truth);
        prop_assert_eq!(recording.trials.len(), luck.len());
        let disturbed = (luck.len() as f64 * much) as usize;
        for (trial, luck) in recording.trials.iter_mut().zip(luck).take(disturbed) {
            suffer(trial, luck);
        }
        every_claim_is_supported(&recording);
        let verdict = Verdict::of(&recording);
        for claim in verdict.claims() {
            prop_assert!(!sentence::of(claim).is_empty());
            let (ratios, _) = sound_rounds(&recording, claim);
            // What can be estimated is, unless which trials can be is a part of the outcome.
            let is_selected = matches!(
                claim.grade,
                Grade::Inconclusive(Reason::TooFewReplies { .. } | Reason::RatesDiffer)
            );
            prop_assert!(claim.estimate.is_some() || ratios.len() < 2 || is_selected, "{:?}", claim);
        }
        let back = Verdict::of(&swapped(&recording));
        for (there, back) in verdict.claims().zip(back.claims()) {
            prop_assert_eq!((there.metric, there.rounds), (back.metric, back.rounds));
            if let (Some(there), Some(back)) = (there.estimate, back.estimate) {
                prop_assert!((there.ratio * back.ratio - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn swapping_the_variants_mirrors_the_grades(
        seed in 0_u64..1000,
        noise in prop::sample::select(&[0.003, 0.01, 0.03][..]),
        differ in any::<bool>(),
    ) {
        let recording = made_up::two(Truth { rounds: 9, noise, differ, seed });
        let (there, back) = (Verdict::of(&recording), Verdict::of(&mirrored(&recording)));
        let costs = [Metric::ServerCpu, Metric::GeneratorCpu];
        let both = there.claims().zip(back.claims());
        for (there, back) in both.filter(|(there, _)| costs.contains(&there.metric)) {
            prop_assert_eq!(there.metric, back.metric);
            prop_assert_eq!(there.values, [back.values[1], back.values[0]]);
            prop_assert_eq!(&there.grade, &back.grade, "{:?} {:?}", there, back);
        }
    }
}

/// REST and gRPC change places, and the CPU of the twin differs from that of the new baseline as it did from
/// that of the old.
fn mirrored(recording: &Recording) -> Recording {
    let mut mirrored = swapped(recording);
    for trial in mirrored
        .trials
        .iter_mut()
        .filter(|trial| trial.variant.is_twin)
    {
        let of = |protocol: Protocol| {
            let mut all = recording.trials.iter();
            let like = |one: &&Trial| (one.purpose, one.round) == (trial.purpose, trial.round);
            let found = all.find(|one| like(one) && is_of(protocol)(one));
            let measurement = &found.expect("a trial of each").measurement;
            [
                measurement.server.expect("a server").cpu_us,
                measurement.generator.cpu_us,
            ]
            .map(|us| us as f64)
        };
        let (rest, grpc) = (of(Protocol::JsonHttp1), of(Protocol::Grpc));
        let scaled = |us: u64, index: usize| (us as f64 * grpc[index] / rest[index]).round() as u64;
        let server = trial.measurement.server.as_mut().expect("a server");
        server.cpu_us = scaled(server.cpu_us, 0);
        trial.measurement.generator.cpu_us = scaled(trial.measurement.generator.cpu_us, 1);
    }
    mirrored
}
