//! What the verdict says of recordings whose truth is known.

use loadtest::{
    record::{Arm, Load, Purpose, Recording, Void},
    statistics::{Finding, Floor, Unsaid, holm},
    verdict::{Verdict, claim::Claim, metric::Metric, sentence},
};

mod made_up;

use made_up::{CPU_RATIO, LATENCY_RATIO, THOROUGH, Truth};

/// Makes the blocks of `purpose` VOID that `which` picks by their pair.
fn make_void(recording: &mut Recording, purpose: Purpose, which: impl Fn(u32) -> bool) {
    for block in &mut recording.blocks {
        if block.purpose == purpose && which(block.pair) {
            block.void.push(Void::Errors { count: 7 });
        }
    }
}

/// Within 2%: the noise is 1% a block, over ten pairs.
fn is_near(found: f64, truth: f64) -> bool {
    (found / truth - 1.0).abs() < 0.02
}

#[test]
fn the_sentence_gives_the_ratio_its_interval_the_floor_and_the_conditions() {
    let verdict = Verdict::of(&made_up::headline(THOROUGH));
    assert!(verdict.is_told());
    let expected = "gRPC takes 1.10× (95% CI 1.09–1.11; A/A floor ±0.9%) of REST's server CPU per \
                    request at 32 connections × 1 in flight, 5,000 requests/s.";
    let digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(digits(&verdict.sentence()), digits(expected));
}

#[test]
fn the_headline_and_the_steps_of_the_waterfall_find_the_truth() {
    let verdict = Verdict::of(&made_up::headline(THOROUGH));
    let truths = [CPU_RATIO, LATENCY_RATIO];
    assert_eq!(verdict.headline.len(), truths.len());
    for (claim, truth) in verdict.headline.iter().zip(truths) {
        assert!(
            is_near(claim.estimate.as_ref().unwrap().ratio, truth),
            "{claim:?}"
        );
        assert_eq!(claim.finding, Finding::Difference);
    }
    let steps = [[0.8, 1.1, 1.25], [0.9, 1.2, 1.15]];
    for (waterfall, truths) in verdict.waterfalls.iter().zip(steps) {
        for (step, truth) in waterfall.steps.iter().zip(truths) {
            assert!(is_near(step.estimate.ratio, truth), "{step:?}");
        }
        let product: f64 = waterfall
            .steps
            .iter()
            .map(|step| step.estimate.ratio)
            .product();
        assert!((product / waterfall.total.ratio - 1.0).abs() < 1e-9);
    }
}

#[test]
fn arms_that_do_not_differ_are_never_said_to() {
    for seed in 0..10 {
        for (pairs, noise) in [(4, 0.03), (10, 0.01)] {
            let truth = Truth {
                pairs,
                noise,
                differ: false,
                seed,
            };
            let verdict = Verdict::of(&made_up::headline(truth));
            for claim in &verdict.headline {
                assert_ne!(
                    claim.finding,
                    Finding::Difference,
                    "{}",
                    sentence::of(claim)
                );
            }
            if pairs == 10 {
                let said = verdict.sentence();
                assert!(said.starts_with("No difference: gRPC takes "), "{said}");
                assert!(said.ends_with("which is within ±5%."), "{said}");
            }
        }
    }
}

#[test]
fn a_noisy_machine_gets_no_answer_and_hears_why() {
    let noisy = Truth {
        noise: 0.3,
        pairs: 4,
        ..THOROUGH
    };
    let verdict = Verdict::of(&made_up::headline(noisy));
    assert!(!verdict.is_told());
    let said = verdict.sentence();
    assert!(
        said.starts_with("Can't tell here whether the server CPU per request of gRPC is above or below that of REST at 32 connections"),
        "{said}"
    );
    assert!(said.contains("too wide to tell"), "{said}");
}

#[test]
fn void_blocks_are_left_out_and_too_many_leave_nothing_to_say() {
    let mut recording = made_up::headline(THOROUGH);
    for block in &mut recording.blocks {
        if block.purpose == Purpose::Open && block.pair == 3 && block.label == "E" {
            block.server.as_mut().unwrap().cpu_us *= 100;
            block.void.push(Void::ServerRestarted);
        }
    }
    let verdict = Verdict::of(&recording);
    let claim = verdict.first().unwrap();
    assert_eq!(claim.pairs, 9);
    assert!(is_near(claim.estimate.as_ref().unwrap().ratio, CPU_RATIO));

    make_void(&mut recording, Purpose::Open, |pair| pair > 4);
    let verdict = Verdict::of(&recording);
    assert_eq!(
        verdict.first().unwrap().finding,
        Finding::CantTell(Unsaid::TooFewPairs {
            valid: 3,
            needed: 5
        })
    );
    assert!(
        verdict
            .sentence()
            .contains("3 pairs valid, 5 needed (31 blocks VOID)"),
        "{}",
        verdict.sentence()
    );
}

#[test]
fn a_repeated_block_takes_the_place_of_the_void_one() {
    let mut recording = made_up::headline(THOROUGH);
    let mut again = recording
        .blocks
        .iter()
        .find(|b| b.purpose == Purpose::Open)
        .unwrap()
        .clone();
    make_void(&mut recording, Purpose::Open, |pair| pair == again.pair);
    again.number = recording.blocks.len() as u32 + 1;
    again.attempt = 2;
    let pair = again.pair;
    recording.blocks.push(again);
    let verdict = Verdict::of(&recording);
    assert_eq!(
        verdict.first().unwrap().pairs,
        9,
        "the other arm of pair {pair} is VOID still"
    );
}

#[test]
fn without_an_aa_run_nothing_is_claimed() {
    let mut recording = made_up::headline(THOROUGH);
    make_void(&mut recording, Purpose::Aa, |_| true);
    let verdict = Verdict::of(&recording);
    assert!(!verdict.is_told());
    assert!(
        verdict.sentence().contains("no valid A/A run"),
        "{}",
        verdict.sentence()
    );
}

#[test]
fn without_the_servers_cpu_the_verdict_is_about_latency() {
    let mut recording = made_up::headline(THOROUGH);
    for block in &mut recording.blocks {
        block.server = None;
    }
    // Of the open loop, whether a closed one gave its rate or --rate did.
    for with_closed_loop in [true, false] {
        let is_left = |purpose| with_closed_loop || purpose != Purpose::Primary;
        let Recording { run, blocks } = &mut recording;
        run.plan.cells.retain(|cell| is_left(cell.purpose));
        blocks.retain(|block| is_left(block.purpose));
        let verdict = Verdict::of(&recording);
        assert!(verdict.is_told());
        let sentence = verdict.sentence();
        assert!(
            sentence.contains("of REST's median latency at"),
            "{sentence}"
        );
        assert!(sentence.contains("5,000 requests/s"), "{sentence}");
        let claims = || verdict.headline.iter().chain(&verdict.others);
        let latency = claims().filter(|claim| claim.metric == Metric::MedianLatency);
        assert_eq!(latency.count(), 1 + usize::from(with_closed_loop));
    }
}

#[test]
fn where_the_cpu_of_one_side_only_is_seen_the_verdict_is_about_latency() {
    let mut recording = made_up::headline(THOROUGH);
    let grpc = recording.blocks.iter_mut().filter(|b| b.arm == Arm::Grpc);
    grpc.for_each(|block| block.server = None);
    let verdict = Verdict::of(&recording);
    assert_eq!(verdict.first().unwrap().metric, Metric::MedianLatency);
    assert!(verdict.is_told());
}

/// A pacer gives the rate of an open loop, so that no two blocks differ.
#[test]
fn the_rate_of_a_closed_loop_is_not_held_against_the_floor_of_an_open_one() {
    let mut recording = made_up::headline(THOROUGH);
    for block in &mut recording.blocks {
        if block.purpose == Purpose::Aa && block.load == Load::Closed {
            block.void = vec![Void::ServerRestarted];
        }
    }
    let verdict = Verdict::of(&recording);
    let of_closed = |metric| {
        let mut others = verdict.others.iter();
        let is = |claim: &&Claim| (claim.cell.load, claim.metric) == (Load::Closed, metric);
        others.find(is).unwrap()
    };
    assert_eq!(
        of_closed(Metric::Rate).finding,
        Finding::CantTell(Unsaid::NoFloor)
    );
    assert!(of_closed(Metric::TailLatency).floor.is_some());
}

#[test]
fn what_an_open_loop_finds_is_not_held_against_the_floor_of_a_closed_one() {
    let mut recording = made_up::headline(THOROUGH);
    for block in &mut recording.blocks {
        if block.purpose == Purpose::Aa && block.load != Load::Closed {
            block.void = vec![Void::ServerRestarted];
        }
    }
    let verdict = Verdict::of(&recording);
    assert_eq!(
        verdict.first().unwrap().finding,
        Finding::CantTell(Unsaid::NoFloor)
    );
}

#[test]
fn a_step_takes_as_many_pairs_as_the_verdict() {
    let mut recording = made_up::headline(THOROUGH);
    // Of ten pairs three have all five arms.
    for block in &mut recording.blocks {
        let is_open = block.purpose == Purpose::Open;
        if is_open && block.pair > 3 && block.arm == Arm::JsonHttp2 {
            block.void = vec![Void::ServerRestarted];
        }
    }
    let verdict = Verdict::of(&recording);
    assert_eq!(verdict.first().unwrap().finding, Finding::Difference);
    for step in &verdict.waterfalls[0].steps {
        assert!(
            matches!(
                step.finding,
                Finding::CantTell(Unsaid::TooFewPairs {
                    valid: 3,
                    needed: 5
                })
            ),
            "{:?}",
            step.finding
        );
    }
}

#[test]
fn where_most_blocks_are_void_nothing_is_claimed_of_the_others() {
    let mut recording = made_up::headline(THOROUGH);
    for block in &mut recording.blocks {
        if block.purpose != Purpose::Open {
            block.void = vec![Void::ServerRestarted];
        }
    }
    let verdict = Verdict::of(&recording);
    assert!(!verdict.is_told());
    let sentence = verdict.sentence();
    assert!(
        sentence.ends_with("most blocks are VOID, and the run gave up."),
        "{sentence}"
    );
}

#[test]
fn a_run_that_measured_nothing_says_so() {
    let mut recording = made_up::headline(THOROUGH);
    recording.blocks.clear();
    let verdict = Verdict::of(&recording);
    assert!(!verdict.is_told());
    assert!(
        verdict.sentence().starts_with("Can't tell here"),
        "{}",
        verdict.sentence()
    );
}

#[test]
fn the_same_recording_gives_the_same_verdict() {
    let recording = made_up::headline(Truth {
        pairs: 4,
        ..THOROUGH
    });
    assert_eq!(Verdict::of(&recording), Verdict::of(&recording));
}

#[test]
fn the_map_tells_where_small_calls_are_rests_and_large_ones_grpcs() {
    let verdict = Verdict::of(&made_up::recording(THOROUGH));
    let cells = |metric| {
        verdict
            .map
            .iter()
            .filter(move |claim| claim.metric == metric && claim.cell.in_flight == 1)
    };
    assert_eq!(cells(Metric::MedianLatency).count(), 12);
    for claim in cells(Metric::MedianLatency) {
        assert_eq!(claim.finding, Finding::Difference, "{claim:?}");
        let below = claim.estimate.as_ref().unwrap().ratio < 1.0;
        assert_eq!(below, claim.cell.batch >= 100, "{claim:?}");
    }
    // At ten greetings gRPC's server CPU is 0.99 of REST's.
    assert_eq!(cells(Metric::ServerCpu).count(), 12);
    for claim in cells(Metric::ServerCpu) {
        let is_even = claim.cell.batch == 10;
        assert_eq!(claim.finding == Finding::NoDifference, is_even, "{claim:?}");
    }
}

#[test]
fn on_one_connection_the_map_compares_grpc_with_the_rest_that_shares_it() {
    let verdict = Verdict::of(&made_up::recording(THOROUGH));
    let mut shared = verdict.map.iter().filter(|c| c.cell.in_flight > 1);
    let claim = shared.next().unwrap();
    assert_eq!(
        (claim.base.0, claim.candidate.0),
        (Arm::JsonHttp2, Arm::Grpc)
    );
    assert!(sentence::of(claim).contains("JSON over HTTP/2"));
    assert!(sentence::of(claim).contains("1 connection × 32 in flight"));
}

#[test]
fn the_cells_of_both_maps_are_corrected_for_their_number_together() {
    let verdict = Verdict::of(&made_up::recording(THOROUGH));
    let ps: Vec<f64> = verdict
        .map
        .iter()
        .map(|claim| claim.estimate.as_ref().unwrap().p)
        .collect();
    let adjusted: Vec<f64> = verdict
        .map
        .iter()
        .filter_map(|claim| claim.adjusted_p)
        .collect();
    assert_eq!(adjusted, holm(&ps));
    assert!(adjusted.iter().zip(&ps).any(|(adjusted, p)| adjusted > p));
}

#[test]
fn a_claim_stands_on_the_floor_of_the_load_and_the_blocks_most_like_its_own() {
    let mut recording = made_up::recording(THOROUGH);
    let open = Load::Open { per_second: 5000.0 };
    let mut aa = recording.run.plan.cells[0].clone();
    aa.load = open;
    let mut blocks: Vec<_> = recording
        .blocks
        .iter()
        .filter(|block| block.is_of(&recording.run.plan.cells[0]))
        .cloned()
        .collect();
    for block in &mut blocks {
        block.load = open;
    }
    // Two to one, so that the floors differ.
    for block in blocks.iter_mut().filter(|block| block.label == "A1") {
        block.requests /= 2;
    }
    recording.run.plan.cells.push(aa);
    recording.blocks.extend(blocks);
    let verdict = Verdict::of(&recording);
    let floor = |is: &dyn Fn(&Claim) -> bool, metric| {
        let claim = verdict
            .aa
            .iter()
            .find(|claim| claim.metric == metric && is(claim))
            .unwrap();
        Some(Floor::of(claim.estimate.as_ref().unwrap().interval))
    };
    let closed = floor(
        &|claim| claim.cell.load == Load::Closed && claim.cell.batch == 1,
        Metric::MedianLatency,
    );
    let short = floor(&|claim| claim.cell.batch == 100, Metric::MedianLatency);
    let open = floor(&|claim| claim.cell.load == open, Metric::ServerCpu);
    assert_ne!(closed, short);
    assert_eq!(verdict.headline[0].floor, open);
    assert_eq!(verdict.headline[1].floor, closed);
    let latencies = verdict
        .map
        .iter()
        .filter(|claim| claim.metric == Metric::MedianLatency);
    for claim in latencies {
        let own = if claim.cell.purpose == Purpose::Primary {
            closed
        } else {
            short
        };
        assert_eq!(claim.floor, own, "{claim:?}");
    }
}
