//! A comparison from the command line to its report.

mod support;

use std::{net::TcpStream, time::Duration};

use loadtest::result::{Protocol, Service};
use support::{Behaviour, Room, arm, names, read_run, service, stderr};

#[test]
fn without_a_host_dual_mode_is_started_measured_and_stopped() {
    let room = Room::new();
    let output = room.run(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(names(room.path()), ["reports"], "nothing is left elsewhere");
    assert_eq!(
        names(&room.report()),
        [
            "echarts.min.js",
            "grpc.html",
            "index.html",
            "rest.html",
            "run.json"
        ]
    );
    let run = room.run_json();
    assert_eq!(run.service, Service::Embedded);
    assert_eq!(run.cut_short, None);
    for protocol in [Protocol::Rest, Protocol::Grpc] {
        let arm = arm(&run, protocol);
        assert_eq!(arm.failures, 0);
        assert!(arm.requests > 0);
        assert_eq!(arm.latency.count, arm.requests);
        assert_eq!(arm.connections_opened, 2, "one connection per user");
        assert!(arm.seconds >= 0.9, "{}", arm.seconds);
        let address = arm.target.trim_start_matches("http://");
        assert!(
            TcpStream::connect(address).is_err(),
            "{address} still listens"
        );
        if cfg!(target_os = "linux") {
            let server = arm
                .server
                .as_ref()
                .expect("the server is a process on this machine");
            assert!(server.cpu_micros_per_request > 0.0 && server.memory_under_load > 1 << 20);
        }
    }
}

#[test]
fn a_running_service_is_measured_one_protocol_after_the_other() {
    let service = service(Behaviour::default());
    let room = Room::new();
    let output = room.run(&["--host", &service.rest, "--grpc-host", &service.grpc]);
    assert!(output.status.success(), "{}", stderr(&output));
    let run = room.run_json();
    assert_eq!(run.service, Service::Running);
    assert_eq!(arm(&run, Protocol::Rest).target, service.rest);
    assert_eq!(arm(&run, Protocol::Grpc).target, service.grpc);
    if cfg!(target_os = "linux") {
        let server = arm(&run, Protocol::Grpc)
            .server
            .as_ref()
            .expect("this process is found by its port");
        assert_eq!(server.pids, [std::process::id()]);
    }
    let calls = service.calls.lock().unwrap();
    let last_rest = calls
        .iter()
        .rposition(|(protocol, _)| *protocol == Protocol::Rest);
    let first_grpc = calls
        .iter()
        .position(|(protocol, _)| *protocol == Protocol::Grpc);
    assert!(
        last_rest.unwrap() < first_grpc.unwrap(),
        "never side by side"
    );
}

#[test]
fn both_protocols_are_timed_to_the_end_of_the_answer() {
    let delay = Duration::from_millis(20);
    let service = service(Behaviour {
        delay,
        ..Behaviour::default()
    });
    let room = Room::new();
    let hosts = ["--host", &service.rest, "--grpc-host", &service.grpc];
    let output = room
        .bare_tool(&hosts)
        .args(["--users", "8", "--run-time", "1s"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let run = room.run_json();
    for arm in &run.arms {
        assert!(arm.latency.min >= 20_000.0, "{:?}", arm.latency);
    }
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
    let run = room.run_json();
    for (protocol, status) in [(Protocol::Rest, "503"), (Protocol::Grpc, "UNAVAILABLE")] {
        let arm = arm(&run, protocol);
        assert_eq!(arm.failures, arm.requests);
        assert_eq!(arm.statuses.len(), 1);
        assert_eq!(arm.statuses[0].status, status);
        assert!(!arm.statuses[0].ok);
        assert_eq!(arm.latency.count, 0, "a bad answer's time is not a latency");
    }
    let page = std::fs::read_to_string(room.report().join("index.html")).unwrap();
    assert!(page.contains("503") && page.contains("UNAVAILABLE"));
}

#[test]
fn bad_answers_in_the_warm_up_fail_the_run_too() {
    let service = service(Behaviour {
        refuse_at_first: true,
        ..Behaviour::default()
    });
    let room = Room::new();
    let slowly = ["--users", "2", "--run-time", "1s", "--increase-time", "3s"];
    let hosts = ["--host", &service.rest, "--grpc-host", &service.grpc];
    let output = room.bare_tool(&slowly).args(hosts).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let run = room.run_json();
    assert!(
        run.arms.iter().all(|arm| arm.failures == 0),
        "the window has none"
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("503, warm-up included"));
    let page = std::fs::read_to_string(room.report().join("index.html")).unwrap();
    assert!(page.contains("answers were bad during the warm-up"));
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
    for arm in room.run_json().arms {
        assert_eq!(arm.statuses[0].status, "not the greeting asked for");
    }
}

#[test]
fn a_missed_threshold_fails_the_run() {
    let room = Room::new();
    let output = room.run(&["--threshold", "rps>1000000000", "--no-threshold-abort"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    for arm in room.run_json().arms {
        assert!(
            arm.thresholds_missed[0].contains("rps>1000000000"),
            "{:?}",
            arm.thresholds_missed
        );
    }
}

#[test]
fn locusts_name_for_the_ramp_is_understood() {
    let room = Room::new();
    let output = room.run(&["--spawn-rate", "4"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(room.run_json().load.ramp, "4 users/s");
}

#[test]
fn nothing_that_stands_already_is_overwritten() {
    let room = Room::new();
    let mine = room.path().join("mine");
    std::fs::create_dir(&mine).unwrap();
    std::fs::write(mine.join("run.json"), "precious").unwrap();
    let output = room.run(&["--output-dir", "mine"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        std::fs::read_to_string(mine.join("run.json")).unwrap(),
        "precious"
    );
    assert_eq!(read_run(&room.path().join("mine-2")).arms.len(), 2);

    let log = room.path().join("log-grpc.csv");
    std::fs::write(&log, "precious").unwrap();
    let output = room.run(&["--request-log", "log.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--request-log would overwrite log-grpc.csv"));
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "precious");
}

#[test]
fn goose_writes_a_report_of_its_own_for_each_protocol() {
    let room = Room::new();
    let output = room.run(&["--report-file", "g.json", "--report-file"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        names(room.path()),
        ["g-grpc.json", "g-rest.json", "reports"]
    );
    let files = names(&room.report());
    assert!(files.contains(&"goose-rest.json".to_owned()), "{files:?}");
    let report = std::fs::read_to_string(room.path().join("g-rest.json")).unwrap();
    assert!(report.contains("/v1/get_greetings"));
}
