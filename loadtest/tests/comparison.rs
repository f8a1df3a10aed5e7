//! A comparison from the command line to its report.

mod support;

use std::{fs, time::Duration};

use loadtest::record::{Disturbance, Mode, Protocol, Purpose, Service};
use support::{
    Behaviour, INCONCLUSIVE, ONE_ROUND, Room, Side, compared, names, read_run, service, stderr,
    trial,
};

/// A trial of each variant.
const SHORT: [&str; 7] = [
    "--users",
    "2",
    "--run-time",
    "1s",
    "--closed",
    "--rounds",
    "1",
];

const BOTH: [Protocol; 2] = [Protocol::JsonHttp1, Protocol::Grpc];

#[test]
fn without_a_host_dual_mode_is_started_measured_and_stopped_for_each_trial() {
    let room = Room::new();
    let output = room.run(&[]);
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    assert_eq!(names(room.path()), ["reports"], "nothing is left elsewhere");
    let files = names(&room.report());
    for file in [
        "ceiling",
        "goose-grpc.html",
        "goose-json_http1.html",
        "hdr",
        "index.html",
        "junit.xml",
        "openmetrics.txt",
        "run.json",
        "summary.md",
        "trials",
        "verdict.json",
    ] {
        assert!(
            files.contains(&file.to_owned()),
            "{file} is not in {files:?}"
        );
    }
    let recording = room.recording();
    assert_eq!(recording.run.service, Service::Embedded);
    assert_eq!(recording.run.cut_short, None);
    for protocol in BOTH {
        let trial = trial(&recording, protocol);
        let measured = &trial.measurement;
        assert_eq!((measured.error_count(), trial.shape.connections), (0, 2));
        assert!(measured.completed > 0);
        assert_eq!(measured.service_time.count(), measured.counted);
        assert!(measured.window_us >= 1_000_000, "{}", measured.window_us);
        let wire = measured.wire.expect("bytes are always counted");
        assert!(wire.sent_bytes_per_request > 20.0 && wire.received_bytes_per_request > 60.0);
        if cfg!(target_os = "linux") {
            let server = measured
                .server
                .expect("the server is a process on this machine");
            assert!(server.cpu_us > 0 && server.memory_under_load_kib > 1 << 10);
        }
    }
}

#[test]
fn each_protocol_is_answered_by_dual_mode() {
    let room = Room::new();
    let output = room
        .bare_tool(&SHORT)
        .args(["--variants", "A,B,C,D,E"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    for protocol in Protocol::STEPS {
        let measured = &trial(&recording, protocol).measurement;
        assert!(
            measured.completed > 0 && measured.error_count() == 0,
            "{protocol:?}"
        );
    }
}

/// A trial of each variant in each scenario of the full design, the map's too.
const SHORT_MAP: [&str; 5] = ["--thorough", "--rounds", "1", "--run-time", "1s"];

#[test]
fn the_map_asks_every_protocol_for_batches_of_up_to_a_thousand_and_gets_each_greeting() {
    for variants in ["A,E", "B,C"] {
        let room = Room::new();
        let output = room
            .bare_tool(&SHORT_MAP)
            .args(["--users", "1", "--variants", variants])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
        let recording = room.recording();
        let scenarios = &recording.run.plan.scenarios;
        let batches = scenarios
            .iter()
            .filter(|scenario| scenario.purpose == Purpose::Map)
            .map(|scenario| scenario.batch);
        assert_eq!(batches.collect::<Vec<_>>(), [10, 100, 1000]);
        for trial in &recording.trials {
            let measured = &trial.measurement;
            assert!(
                measured.completed > 0 && measured.error_count() == 0,
                "{trial:?}"
            );
            let received = measured
                .wire
                .expect("bytes are always counted")
                .received_bytes_per_request;
            assert!(received > 60.0 * f64::from(trial.batch), "{received}");
        }
    }
}

#[test]
fn batches_that_a_running_service_does_not_answer_are_left_out_of_the_map_and_said() {
    let service = service(Behaviour::default());
    let room = Room::new();
    let hosts = ["--host", &service.rest, "--grpc-host", &service.grpc];
    let output = room
        .bare_tool(&SHORT_MAP)
        .args(hosts)
        .args(["--users", "1", "--variants", "A,E"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let text = stderr(&output);
    let said = "calls for more than one greeting are left out of the map: REST: not the greeting asked for";
    assert!(text.contains(said), "{text}");
    let scenarios = room.recording().run.plan.scenarios;
    assert!(
        scenarios.iter().all(|scenario| scenario.batch == 1),
        "{scenarios:?}"
    );
}

#[test]
fn as_many_calls_as_there_are_users_are_in_flight_on_one_connection() {
    let service = service(Behaviour {
        delay: Duration::from_millis(50),
        ..Behaviour::default()
    });
    let room = Room::new();
    let hosts = ["--host", &service.rest, "--grpc-host", &service.grpc];
    let output = room
        .bare_tool(&SHORT_MAP)
        .args(["--users", "4", "--variants", "B,E"])
        .args(hosts)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    let calls = service.calls.lock().unwrap();
    let is_shared = |purpose: Purpose| {
        recording
            .trials
            .iter()
            .filter(move |trial| trial.purpose == purpose && trial.shape.in_flight == 4)
    };
    // One after the other would be 20 in a second.
    for trial in is_shared(Purpose::Pilot) {
        assert_eq!(trial.shape.connections, 1);
        let completed = trial.measurement.completed;
        assert!(completed > 40, "{completed}");
    }
    assert_eq!(is_shared(Purpose::Pilot).count(), 2);
    for side in [Side::Rest, Side::Grpc] {
        // It is the last place of the map, and its calls are the last.
        let of_side: Vec<_> = calls.iter().filter(|call| call.0 == side).collect();
        let last = of_side.last().unwrap().2;
        let on_it = of_side.iter().filter(|call| call.2 == last).count() as u64;
        let shared = is_shared(Purpose::Map)
            .filter(|trial| (trial.variant.protocol == Protocol::Grpc) == (side == Side::Grpc));
        let completed = shared.map(|trial| trial.measurement.completed).max();
        assert!(Some(on_it) >= completed, "{on_it} of {completed:?}");
    }
}

#[test]
fn the_order_of_the_trials_follows_from_the_seed() {
    let order = |seed: &str| {
        let room = Room::new();
        let seed_and_variants = ["--variants", "A,C,E", "--seed", seed];
        let output = room
            .bare_tool(&SHORT)
            .args(seed_and_variants)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
        let recording = room.recording();
        assert_eq!(recording.run.seed.to_string(), seed);
        assert_eq!(recording.run.mode, Mode::Quick);
        // A trial that measured nothing is repeated, which is no part of the order.
        let first = compared(&recording).filter(|trial| trial.attempt == 1);
        first
            .map(|trial| trial.variant.name.clone())
            .collect::<Vec<_>>()
    };
    let (one, other) = (order("7"), order("7"));
    assert_eq!(one.len(), 3);
    assert_eq!(one, other);
}

#[test]
fn the_trials_of_a_round_take_turns_and_each_is_kept() {
    let room = Room::new();
    // Two rounds are the least, whatever the budget is.
    let brief = [
        "--users",
        "2",
        "--run-time",
        "1s",
        "--budget",
        "1s",
        "--variants",
        "A,E",
    ];
    let output = room.bare_tool(&brief).output().unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    let numbers: Vec<u32> = recording.trials.iter().map(|trial| trial.number).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{numbers:?}"
    );
    for purpose in [Purpose::Open, Purpose::Single] {
        for round in [1, 2] {
            let of_round = compared(&recording)
                .filter(|trial| (trial.purpose, trial.round, trial.attempt) == (purpose, round, 1));
            let of_round: Vec<_> = of_round.map(|trial| &trial.measurement).collect();
            assert_eq!(of_round.len(), 3, "REST, gRPC and the twin");
            for measured in of_round {
                assert!(measured.parts > 1, "{purpose:?}");
                assert!(measured.window_us >= 1_000_000, "{measured:?}");
                assert!(measured.completed > 0 && measured.error_count() == 0);
                if cfg!(target_os = "linux") {
                    assert!(measured.server.is_some_and(|server| server.cpu_us > 0));
                }
            }
        }
    }
    let files = names(&room.report());
    for file in ["goose-grpc.html", "goose-json_http1.html"] {
        assert!(files.contains(&file.to_owned()), "{file} is not there");
    }
}

#[test]
fn a_running_service_is_measured_one_trial_after_the_other() {
    let service = service(Behaviour::default());
    let room = Room::new();
    let output = room.run(&["--host", &service.rest, "--grpc-host", &service.grpc]);
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    let host = Service::Host {
        rest: service.rest.clone(),
        grpc: service.grpc.clone(),
    };
    assert_eq!(recording.run.service, host);
    if cfg!(target_os = "linux") {
        // The service is this test. A child that another test is starting may hold its sockets for a moment.
        let own = format!("({})", std::process::id());
        for side in &recording.run.listening {
            assert!(side.iter().any(|name| name.ends_with(&own)), "{side:?}");
        }
        let page = fs::read_to_string(room.report().join("index.html")).unwrap();
        let said = stderr(&output);
        assert!(page.contains(&own) && said.contains(&own), "{said}");
        let grpc = trial(&recording, Protocol::Grpc);
        assert!(grpc.measurement.server.is_some(), "found by its port");
    }
    let calls = service.calls.lock().unwrap();
    // Each was asked once whether it is who it is taken for.
    let (asked, calls) = calls.split_at(2);
    assert_ne!(asked[0].0, asked[1].0);
    let changes = calls.windows(2).filter(|two| two[0].0 != two[1].0).count();
    let trials: Vec<_> = compared(&recording).collect();
    let turns = trials
        .windows(2)
        .filter(|two| two[0].variant != two[1].variant)
        .count();
    assert_eq!(changes, turns, "never side by side");
}

#[test]
fn a_protocol_that_a_running_service_does_not_answer_is_left_out_and_said() {
    let service = service(Behaviour {
        json_only: true,
        ..Behaviour::default()
    });
    let room = Room::new();
    let hosts = ["--host", &service.rest, "--grpc-host", &service.grpc];
    let output = room
        .bare_tool(&SHORT)
        .arg("--thorough")
        .args(hosts)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let text = stderr(&output);
    assert!(
        text.contains("protobuf over HTTP/1.1 is left out"),
        "{text}"
    );
    let scenario = &room.recording().run.plan.scenarios[0];
    let variants = scenario.variants.iter().map(|variant| variant.protocol);
    let expected = [Protocol::JsonHttp1, Protocol::JsonHttp2, Protocol::Grpc];
    assert_eq!(variants.collect::<Vec<_>>(), expected);
}

#[test]
fn both_protocols_are_timed_to_the_end_of_the_reply() {
    let delay = Duration::from_millis(20);
    let service = service(Behaviour {
        delay,
        ..Behaviour::default()
    });
    let room = Room::new();
    let output = room.run(&["--host", &service.rest, "--grpc-host", &service.grpc]);
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    for protocol in BOTH {
        let times = &trial(&recording, protocol).measurement.service_time;
        assert!(times.count() > 0 && times.percentile_us(0.0) >= 19_900.0);
    }
}

#[test]
fn an_open_loop_offers_its_rate_and_times_from_the_intended_start() {
    let room = Room::new();
    let open = [
        "--users",
        "2",
        "--rate",
        "50",
        "--rounds",
        "1",
        "--variants",
        "A",
    ];
    let output = room.bare_tool(&open).output().unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    let open = compared(&recording).find(|trial| trial.purpose == Purpose::Open);
    let measured = &open.expect("it was measured").measurement;
    let dispatch = measured.dispatch.expect("an open loop dispatches");
    // 50/s for a second.
    assert!(
        (45..=100).contains(&dispatch.offered),
        "{}",
        dispatch.offered
    );
    assert_eq!(measured.counted, dispatch.offered, "counted by when due");
    let response = measured.response_time.as_ref().unwrap();
    assert_eq!(response.count(), measured.service_time.count());
    assert!(response.percentile_us(50.0) >= measured.service_time.percentile_us(50.0));
}

#[test]
fn a_server_that_cannot_keep_up_leaves_no_trial_that_counts_and_no_verdict() {
    let slow = Behaviour {
        delay: Duration::from_millis(100),
        ..Behaviour::default()
    };
    // Four calls at once in a tenth of a second are 40 in a second, of 100.
    cannot_keep_up(slow, "4", "100");
}

#[test]
fn a_queue_that_grows_in_the_server_is_no_verdict_either() {
    // 200 a second, of 300: no user ever has to wait for another, and calls take longer and longer.
    let queueing = Behaviour {
        one_in: Duration::from_millis(5),
        ..Behaviour::default()
    };
    cannot_keep_up(queueing, "200", "300");
}

fn cannot_keep_up(behaviour: Behaviour, users: &str, rate: &str) {
    let service = service(behaviour);
    let room = Room::new();
    let overload = [
        "--users",
        users,
        "--rate",
        rate,
        "--run-time",
        "2s",
        "--rounds",
        "1",
        "--variants",
        "A,E",
    ];
    let output = room
        .bare_tool(&overload)
        .args(["--host", &service.rest, "--grpc-host", &service.grpc])
        .output()
        .expect("the tool runs");
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    let open = || compared(&recording).filter(|trial| trial.purpose == Purpose::Open);
    for trial in open() {
        let fell_behind = |one: &Disturbance| matches!(one, Disturbance::Queue { achieved_share } if *achieved_share < 1.0);
        assert!(
            trial.disturbances.iter().any(fell_behind),
            "{:?}",
            trial.disturbances
        );
    }
    let attempts = open().map(|trial| trial.attempt);
    assert_eq!(attempts.max(), Some(3), "repeated, up to a bound");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        out.contains("queue") && out.contains("nconclusive"),
        "{out}"
    );
}

#[test]
fn error_replies_are_counted_by_status_and_fail_the_run() {
    let service = service(Behaviour {
        refuse: true,
        ..Behaviour::default()
    });
    let room = Room::new();
    let output = room.run(&["--host", &service.rest, "--grpc-host", &service.grpc]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let recording = room.recording();
    for (protocol, status) in [
        (Protocol::JsonHttp1, "503"),
        (Protocol::Grpc, "UNAVAILABLE"),
    ] {
        let trial = trial(&recording, protocol);
        let measured = &trial.measurement;
        assert_eq!(measured.errors[status], measured.counted);
        assert!(!loadtest::validity::is_usable(trial));
        assert_eq!(
            measured.service_time.count(),
            0,
            "a bad reply's time is not a latency"
        );
    }
}

#[test]
fn bad_replies_in_the_warm_up_fail_the_run_too() {
    let service = service(Behaviour {
        refuse_at_first: true,
        ..Behaviour::default()
    });
    let room = Room::new();
    let slowly = ["--users", "2", "--run-time", "1s", "--increase-time", "6s"];
    let hosts = ["--host", &service.rest, "--grpc-host", &service.grpc];
    let output = room
        .bare_tool(&slowly)
        .args(ONE_ROUND)
        .args(hosts)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let recording = room.recording();
    let window_is_clean = |protocol| trial(&recording, protocol).measurement.error_count() == 0;
    assert!(BOTH.into_iter().all(window_is_clean));
    let first = compared(&recording).next().unwrap();
    let is_for_errors = |one: &Disturbance| matches!(one, Disturbance::BadReplies { .. });
    assert!(
        first.disturbances.iter().any(is_for_errors),
        "{:?}",
        first.disturbances
    );
    assert!(stderr(&output).contains("warm-up included"));
}

#[test]
fn replies_that_are_another_greeting_are_bad_replies() {
    let service = service(Behaviour {
        nonsense: true,
        ..Behaviour::default()
    });
    let room = Room::new();
    let output = room.run(&["--host", &service.rest, "--grpc-host", &service.grpc]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let recording = room.recording();
    for protocol in BOTH {
        let measured = &trial(&recording, protocol).measurement;
        assert!(measured.counted > 0);
        assert_eq!(measured.error_count(), measured.counted);
    }
}

#[test]
fn a_missed_threshold_fails_the_run() {
    let room = Room::new();
    // goose judges a rate only of a second or more of its own counting, which a busy machine begins late.
    let output = room
        .bare_tool(&["--users", "2", "--run-time", "3s"])
        .args(ONE_ROUND)
        .args(["--threshold", "rps>1000000000", "--no-threshold-abort"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let recording = room.recording();
    assert!(recording.run.thresholds_missed.len() >= 2);
    for missed in &recording.run.thresholds_missed {
        assert!(missed.contains("rps>1000000000"), "{missed}");
    }
}

#[test]
fn nothing_that_stands_already_is_overwritten() {
    let room = Room::new();
    let mine = room.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("run.json"), "precious").unwrap();
    let output = room.run(&["--output-dir", "mine"]);
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    assert_eq!(
        fs::read_to_string(mine.join("run.json")).unwrap(),
        "precious"
    );
    assert!(read_run(&room.path().join("mine-2")).trials.len() >= 2);

    let log = room.path().join("log-2-grpc.csv");
    fs::write(&log, "precious").unwrap();
    let output = room.run(&["--request-log", "log.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--request-log would overwrite log-2-grpc.csv"));
    assert_eq!(fs::read_to_string(&log).unwrap(), "precious");
}

#[test]
fn goose_writes_a_report_of_its_own_for_each_trial() {
    let room = Room::new();
    let output = room.run(&["--report-file", "g.json", "--spawn-rate", "4"]);
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    let outside = names(room.path());
    for trial in compared(&recording) {
        let file = format!("g-{}-{}.json", trial.number, trial.variant.protocol.slug());
        assert!(outside.contains(&file), "{outside:?}");
        let report = fs::read_to_string(room.path().join(file)).unwrap();
        assert!(report.contains("et_greetings") || report.contains("GRPCGetGreetings"));
    }
}
