//! Refusals: a run that cannot be measured ends in one line, an exit code, and no report.

mod support;

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use support::{Behaviour, Room, names, service, stderr};

/// The lines of an error message: what goose or this tool log besides starts otherwise.
fn errors(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with("error: "))
        .collect()
}

#[test]
fn a_wrong_option_is_named() {
    for (args, named) in [
        (
            &["--host", "localhost:5000"][..],
            "--host \"localhost:5000\" has no scheme",
        ),
        (
            &["--host", "http://localhost:70000"],
            "--host \"http://localhost:70000\" has a port",
        ),
        (
            &["--host", "https://localhost"],
            "--host \"https://localhost\" has another scheme",
        ),
        (
            &["--host", "http://localhost", "--grpc-host", "x"],
            "--grpc-host \"x\" has no scheme",
        ),
        (&["--users", "0"], "--users 0"),
        (&["--users", "x"], "--users"),
        (&["--users", "99999999999999"], "--users"),
        (&["--throttle-requests", "5"], "--throttle-requests"),
        (&["--iterations", "5"], "--iterations"),
        (&["--list"], "--list"),
        (&["--output-dir", "."], "--output-dir ."),
        (&["--run-time", "5x"], "--run-time \"5x\""),
        (&["--run-time", "0"], "--run-time \"0\""),
        (&["--rate", "0"], "--rate 0"),
        (&["--rate", "nan"], "--rate NaN"),
        (
            &["--rate", "2.5"],
            "--rate 2.5 gives a trial of 2 s too few",
        ),
        (&["--rate", "10", "--closed"], "--closed"),
        (&["--rounds", "0"], "--rounds 0"),
        (&["--pairs", "0"], "--rounds 0"),
        (&["--budget", "soon"], "--budget \"soon\""),
        (&["--budget", "1m", "--rounds", "3"], "--budget"),
        (&["--slo", "p99"], "write it like p99<5ms"),
        (&["--slo", "p99<5ms", "--closed"], "--closed"),
        (
            &["--variants", "A,F"],
            "the variants are A, B, C, D, E and grpc_web",
        ),
        (&["--arms", "A,A"], "--variants names one twice"),
        (&["--increase-rate", "fast"], "--increase-rate"),
        (&["--timeout", "zero"], "--timeout"),
        (&["--timeout", "0"], "--timeout 0 is not a number"),
        (&["--test-plan", "1,1s"], "--test-plan"),
        (&["--threshold", "speed<1"], "--threshold"),
        (&["--telnet-host", "localhost"], "--telnet-host"),
        (&["ceiling", "--host", "http://localhost:5000"], "--host"),
        (&["selftest", "--arms", "A,E"], "--arms"),
        (&["original", "--slo", "p99<5ms"], "--slo"),
    ] {
        let room = Room::new();
        let output = room.bare_tool(args).output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        let errors = errors(&text);
        assert_eq!(errors.len(), 1, "{args:?}: {text}");
        assert!(errors[0].contains(named), "{args:?}: {text}");
        assert!(names(&room.path().join("reports")).is_empty(), "{args:?}");
    }
}

#[test]
fn a_target_that_is_not_there_is_one_line_and_no_report() {
    let service = service(Behaviour::default());
    // A port that was free a moment ago, and that nothing listens at.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let closed = format!("http://{closed}");
    // A label may have 63 characters, so nobody is asked for it.
    let nowhere = format!("http://{}.invalid:1", "a".repeat(64));
    let stranger = stranger();
    for (rest, grpc, named) in [
        (
            closed.as_str(),
            service.grpc.as_str(),
            "REST cannot be tested",
        ),
        (
            service.rest.as_str(),
            closed.as_str(),
            "gRPC cannot be tested",
        ),
        (
            nowhere.as_str(),
            service.grpc.as_str(),
            "is at a host that is unknown",
        ),
        // Each is somebody, but not who was asked for.
        (
            stranger.as_str(),
            service.grpc.as_str(),
            "answers a call for a greeting with: 404",
        ),
        (
            service.rest.as_str(),
            stranger.as_str(),
            "answers a call for a greeting with: no gRPC there",
        ),
    ] {
        let room = Room::new();
        let output = room.run(&["--host", rest, "--grpc-host", grpc]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(5), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(named), "{text}");
        assert!(names(room.path()).is_empty());
    }
}

#[test]
fn the_help_tells_this_tools_defaults_and_not_gooses() {
    for (flag, told) in [
        ("-h", "[default: 32]"),
        ("--help", "[default: 32]"),
        ("--help", "thorough: 45m]"),
    ] {
        let output = Room::new().bare_tool(&[flag]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains(told),
            "{flag}: {told}"
        );
        for untrue in [
            "one per CPU",
            "until it is stopped",
            "Set in code",
            "--throttle-requests",
            "--iterations",
            "--test-plan",
            "--no-metrics",
            "--render-report",
            "--dashboard-control",
            "--websocket",
            "telnet",
            "GooseError",
        ] {
            assert!(!text.contains(untrue), "{flag}: {untrue}");
        }
    }
}

/// A server of something else. It ends with the tests.
fn stranger() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for mut peer in listener.incoming().flatten() {
            let _ = peer.read(&mut [0; 1024]);
            let _ = peer.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        }
    });
    format!("http://{address}")
}
