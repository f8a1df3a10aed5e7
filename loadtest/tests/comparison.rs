//! A comparison from the command line to its report.

mod support;

use std::{fs, time::Duration};

use loadtest::record::{Arm, Mode, Purpose, Service, Void};
use support::{
    Behaviour, CANNOT_TELL, ONE_PAIR, Protocol, Room, answered, block, gave_up, names, read_run,
    service, stderr,
};

/// A block of each arm.
const SHORT: [&str; 7] = [
    "--users",
    "2",
    "--run-time",
    "1s",
    "--closed",
    "--pairs",
    "1",
];

const BOTH: [Arm; 2] = [Arm::JsonHttp1, Arm::Grpc];

#[test]
fn without_a_host_dual_mode_is_started_measured_and_stopped_for_each_block() {
    let room = Room::new();
    let output = room.run(&[]);
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    assert_eq!(names(room.path()), ["reports"], "nothing is left elsewhere");
    let files = names(&room.report());
    for file in [
        "blocks",
        "goose-grpc.html",
        "goose-json_http1.html",
        "hdr",
        "index.html",
        "run.json",
    ] {
        assert!(
            files.contains(&file.to_owned()),
            "{file} is not in {files:?}"
        );
    }
    let recording = room.recording();
    assert_eq!(recording.run.service, Service::Embedded);
    assert_eq!(recording.run.cut_short, None);
    for arm in BOTH {
        let block = block(&recording, arm);
        assert_eq!((block.error_count(), block.connections), (0, 2));
        assert!(block.requests > 0);
        assert_eq!(block.latency.uncorrected.count(), block.requests);
        assert!(block.window_us >= 1_000_000, "{}", block.window_us);
        let wire = block.wire.expect("bytes are always counted");
        assert!(wire.sent_bytes_per_request > 20.0 && wire.received_bytes_per_request > 60.0);
        if cfg!(target_os = "linux") {
            let server = block
                .server
                .expect("the server is a process on this machine");
            assert!(server.cpu_us > 0 && server.memory_under_load_kib > 1 << 10);
        }
    }
}

#[test]
fn each_arm_is_answered_by_dual_mode() {
    let room = Room::new();
    let output = room.bare_tool(&SHORT).output().unwrap();
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    let recording = room.recording();
    if gave_up(&recording) {
        return;
    }
    for arm in Arm::ALL {
        let block = block(&recording, arm);
        assert!(block.requests > 0 && block.error_count() == 0, "{arm:?}");
    }
}

/// A block of each arm in each cell, the map's too.
const SHORT_MAP: [&str; 6] = ["--thorough", "--closed", "--pairs", "1", "--run-time", "1s"];

#[test]
fn the_map_asks_every_arm_for_batches_of_up_to_a_thousand_and_gets_each_greeting() {
    for arms in ["A,E", "B,C"] {
        let room = Room::new();
        let output = room
            .bare_tool(&SHORT_MAP)
            .args(["--users", "1", "--arms", arms])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
        let recording = room.recording();
        if gave_up(&recording) {
            return;
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("1 in flight, 1000 greetings per call"),
            "{said}"
        );
        let batches = recording.run.plan.cells.iter().map(|cell| cell.batch);
        assert_eq!(batches.collect::<Vec<_>>(), [1, 10, 100, 1000]);
        for block in &recording.blocks {
            assert!(block.requests > 0 && block.error_count() == 0, "{block:?}");
            let received = block
                .wire
                .expect("bytes are always counted")
                .received_bytes_per_request;
            assert!(received > 60.0 * f64::from(block.batch), "{received}");
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
        .args(["--users", "1", "--arms", "A,E"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    let text = stderr(&output);
    let said = "calls for more than one greeting are left out of the map: JSON over HTTP/1.1: not the greeting asked for";
    assert!(text.contains(said), "{text}");
    let cells = room.recording().run.plan.cells;
    assert!(cells.iter().all(|cell| cell.batch == 1), "{cells:?}");
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
        .args(["--users", "4", "--arms", "B,E"])
        .args(hosts)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    let recording = room.recording();
    if gave_up(&recording) {
        return;
    }
    let calls = service.calls.lock().unwrap();
    for (arm, protocol) in [
        (Arm::JsonHttp2, Protocol::Rest),
        (Arm::Grpc, Protocol::Grpc),
    ] {
        // It is the last cell of the map.
        let block = block(&recording, arm);
        assert_eq!((block.connections, block.in_flight), (1, 4));
        let calls = calls.iter().filter(|call| call.0 == protocol);
        let calls: Vec<_> = calls.map(|call| call.2).collect();
        let last = calls.last().unwrap();
        let on_it = calls.iter().filter(|peer| *peer == last).count() as u64;
        assert!(on_it >= block.requests, "{on_it} of {}", block.requests);
        // One after the other would be 20 in a second.
        assert!(block.requests > 40, "{}", block.requests);
    }
}

#[test]
fn the_order_of_the_blocks_follows_from_the_seed() {
    let order = |seed: &str| {
        let room = Room::new();
        let seed_and_arms = ["--arms", "A,C,E", "--seed", seed];
        let output = room.bare_tool(&SHORT).args(seed_and_arms).output().unwrap();
        assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
        let recording = room.recording();
        assert_eq!(recording.run.seed.to_string(), seed);
        assert_eq!(recording.run.mode, Mode::Quick);
        // Blocks that were VOID are repeated, which is not part of the order.
        let first = recording
            .blocks
            .into_iter()
            .filter(|block| block.attempt == 1);
        first.map(|block| block.arm).collect::<Vec<_>>()
    };
    let (one, other) = (order("7"), order("7"));
    // Where a run gave up, as far as it came.
    let both = one.len().min(other.len());
    assert!(both > 0);
    assert_eq!(one[..both], other[..both]);
}

#[test]
fn a_running_service_is_measured_one_block_after_the_other() {
    let service = service(Behaviour::default());
    let room = Room::new();
    let output = room.run(&["--host", &service.rest, "--grpc-host", &service.grpc]);
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
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
        assert!(
            block(&recording, Arm::Grpc).server.is_some(),
            "found by its port"
        );
    }
    let calls = service.calls.lock().unwrap();
    // Each was asked once whether it is who it is taken for.
    let (asked, calls) = calls.split_at(2);
    assert_ne!(asked[0].0, asked[1].0);
    let changes = calls.windows(2).filter(|two| two[0].0 != two[1].0).count();
    // A block that a busy machine made VOID was repeated.
    let blocks = recording.blocks.windows(2);
    let turns = blocks.filter(|two| two[0].arm != two[1].arm).count();
    assert_eq!(changes, turns, "never side by side");
}

#[test]
fn what_a_running_service_does_not_answer_is_left_out_and_said() {
    let service = service(Behaviour {
        json_only: true,
        ..Behaviour::default()
    });
    let room = Room::new();
    let hosts = ["--host", &service.rest, "--grpc-host", &service.grpc];
    let output = room.bare_tool(&SHORT).args(hosts).output().unwrap();
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    let text = stderr(&output);
    assert!(
        text.contains("protobuf over HTTP/1.1 is left out"),
        "{text}"
    );
    let cell = &room.recording().run.plan.cells[0];
    let arms: Vec<_> = cell.arms.iter().map(|(arm, _)| *arm).collect();
    assert_eq!(arms, [Arm::JsonHttp1, Arm::JsonHttp2, Arm::Grpc]);
}

#[test]
fn both_protocols_are_timed_to_the_end_of_the_answer() {
    let delay = Duration::from_millis(20);
    let service = service(Behaviour {
        delay,
        ..Behaviour::default()
    });
    let room = Room::new();
    let output = room.run(&["--host", &service.rest, "--grpc-host", &service.grpc]);
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    for block in answered(&room.recording()) {
        assert!(block.latency.uncorrected.percentile_us(0.0) >= 19_900.0);
    }
}

#[test]
fn an_open_loop_offers_its_rate_and_times_from_the_intended_start() {
    let room = Room::new();
    let open = [
        "--users", "2", "--rate", "50", "--pairs", "1", "--arms", "A",
    ];
    let output = room.bare_tool(&open).output().unwrap();
    // On a busy machine calls may start late, and the block is VOID; what it measured stands.
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    let recording = room.recording();
    assert_eq!(recording.run.plan.cells[0].purpose, Purpose::Open);
    for block in answered(&recording) {
        let pacer = block.pacer.expect("an open loop has a pacer");
        // 50/s for 1.5 s, of which a machine that stalls may measure less.
        assert!((40..=200).contains(&pacer.offered), "{}", pacer.offered);
        let (corrected, uncorrected) = (
            block.latency.corrected.as_ref().unwrap(),
            &block.latency.uncorrected,
        );
        assert_eq!(corrected.count(), uncorrected.count());
        assert!(corrected.percentile_us(50.0) >= uncorrected.percentile_us(50.0));
    }
}

#[test]
fn a_server_that_cannot_keep_up_makes_every_block_void_and_no_verdict() {
    let slow = Behaviour {
        delay: Duration::from_millis(100),
        ..Behaviour::default()
    };
    cannot_keep_up(slow, "2", "200", "3");
}

#[test]
fn a_queue_that_grows_in_the_server_is_no_verdict_either() {
    // 200 a second, of 300: no user ever has to wait for another, and calls take longer and longer.
    let queueing = Behaviour {
        one_in: Duration::from_millis(5),
        ..Behaviour::default()
    };
    cannot_keep_up(queueing, "200", "300", "1");
}

fn cannot_keep_up(behaviour: Behaviour, users: &str, rate: &str, pairs: &str) {
    let service = service(behaviour);
    let room = Room::new();
    let overload = [
        "--users", users, "--rate", rate, "--pairs", pairs, "--arms", "A,E",
    ];
    let output = room
        .bare_tool(&overload)
        .args(["--host", &service.rest, "--grpc-host", &service.grpc])
        .output()
        .expect("the tool runs");
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    let recording = room.recording();
    for block in &recording.blocks {
        let behind = |void: &Void| matches!(void, Void::Behind { .. });
        assert!(block.void.iter().any(behind), "{:?}", block.void);
    }
    let attempts = recording.blocks.iter().map(|block| block.attempt);
    assert_eq!(attempts.max(), Some(3), "repeated, up to a bound");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.contains("VOID") && out.contains("an't tell"), "{out}");
}

#[test]
fn error_answers_are_counted_by_status_and_fail_the_run() {
    let service = service(Behaviour {
        refuse: true,
        ..Behaviour::default()
    });
    let room = Room::new();
    let output = room.run(&["--host", &service.rest, "--grpc-host", &service.grpc]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let recording = room.recording();
    for (arm, status) in [(Arm::JsonHttp1, "503"), (Arm::Grpc, "UNAVAILABLE")] {
        let block = block(&recording, arm);
        assert_eq!(block.errors[status], block.requests);
        assert!(!block.is_valid());
        assert_eq!(
            block.latency.uncorrected.count(),
            0,
            "a bad answer's time is not a latency"
        );
    }
}

#[test]
fn bad_answers_in_the_warm_up_fail_the_run_too() {
    let service = service(Behaviour {
        refuse_at_first: true,
        ..Behaviour::default()
    });
    let room = Room::new();
    let slowly = ["--users", "2", "--run-time", "1s", "--increase-time", "6s"];
    let hosts = ["--host", &service.rest, "--grpc-host", &service.grpc];
    let output = room
        .bare_tool(&slowly)
        .args(ONE_PAIR)
        .args(hosts)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let recording = room.recording();
    let window_is_clean = |arm| block(&recording, arm).error_count() == 0;
    assert!(BOTH.into_iter().all(window_is_clean));
    let first = &recording.blocks[0];
    let is_for_errors = |void: &Void| matches!(void, Void::Errors { .. });
    assert!(first.void.iter().any(is_for_errors), "{:?}", first.void);
    assert!(stderr(&output).contains("warm-up included"));
}

#[test]
fn answers_that_are_another_greeting_are_bad_answers() {
    let service = service(Behaviour {
        nonsense: true,
        ..Behaviour::default()
    });
    let room = Room::new();
    let output = room.run(&["--host", &service.rest, "--grpc-host", &service.grpc]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    for block in answered(&room.recording()) {
        assert!(block.errors["not the greeting asked for"] > 0);
    }
}

#[test]
fn a_missed_threshold_fails_the_run() {
    let room = Room::new();
    let output = room.run(&["--threshold", "rps>1000000000", "--no-threshold-abort"]);
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
    std::fs::create_dir(&mine).unwrap();
    std::fs::write(mine.join("run.json"), "precious").unwrap();
    let output = room.run(&["--output-dir", "mine"]);
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    assert_eq!(
        std::fs::read_to_string(mine.join("run.json")).unwrap(),
        "precious"
    );
    assert!(read_run(&room.path().join("mine-2")).blocks.len() >= 2);

    let log = room.path().join("log-2-grpc.csv");
    std::fs::write(&log, "precious").unwrap();
    let output = room.run(&["--request-log", "log.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--request-log would overwrite log-2-grpc.csv"));
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "precious");
}

#[test]
fn goose_writes_a_report_of_its_own_for_each_block() {
    let room = Room::new();
    let output = room.run(&[
        "--report-file",
        "g.json",
        "--report-file",
        "--spawn-rate",
        "4",
    ]);
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    let blocks = room.recording().blocks;
    let of_block =
        |stem: &str, number: u32, arm: Arm| format!("{stem}-{number}-{}.json", arm.slug());
    let (outside, inside) = (names(room.path()), names(&room.report()));
    for block in &blocks {
        assert!(
            outside.contains(&of_block("g", block.number, block.arm)),
            "{outside:?}"
        );
        assert!(
            inside.contains(&of_block("goose", block.number, block.arm)),
            "{inside:?}"
        );
    }
    let file = room
        .path()
        .join(of_block("g", blocks[0].number, blocks[0].arm));
    let report = std::fs::read_to_string(file).unwrap();
    assert!(report.contains("et_greetings") || report.contains("GRPCGetGreetings"));
}
