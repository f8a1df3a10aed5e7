//! The instrument against services whose behaviour is known, as far as a busy machine can tell.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::Stdio,
    time::Duration,
};

use loadtest::record::{Arm, Void};
use support::{Behaviour, CANNOT_TELL, Room, answered, block, gave_up, service, stderr};

#[test]
fn a_stall_shows_in_times_from_the_intended_start_and_hides_in_the_others() {
    let service = service(Behaviour {
        stall: Some((Duration::from_secs(2), Duration::from_secs(1))),
        ..Behaviour::default()
    });
    let room = Room::new();
    let open = [
        "--users",
        "2",
        "--rate",
        "100",
        "--run-time",
        "4s",
        "--pairs",
        "1",
        "--arms",
        "A",
        // More than a tenth of the calls wait longer, and two of them while they are under way.
        "--threshold",
        "p85<200ms",
        "--no-threshold-abort",
    ];
    let output = room
        .bare_tool(&open)
        .args(["--host", &service.rest, "--grpc-host", &service.grpc])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let recording = room.recording();
    // The service stalls once, after its first call.
    let latency = &recording.blocks[0].latency;
    let corrected = latency.corrected.as_ref().unwrap();
    // A quarter of the calls fell due in the stall, and half of these waited for half of it.
    let shown = corrected.percentile_us(100.0 - 100.0 / 8.0);
    assert!(shown >= 400_000.0, "{shown} µs");
    // Two calls of four hundred were open in it.
    let hidden = latency.uncorrected.percentile_us(100.0 - 100.0 / 8.0);
    assert!(hidden <= shown / 2.0, "{hidden} µs of {shown} µs");
}

#[test]
fn asked_for_more_than_it_can_give_the_generator_says_void() {
    let room = Room::new();
    let too_much = [
        "--users",
        "1",
        "--rate",
        "1000000",
        "--run-time",
        "1s",
        "--pairs",
        "1",
        "--arms",
        "A,E",
    ];
    let output = room.bare_tool(&too_much).output().unwrap();
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    for block in room.recording().blocks {
        let is_behind = |void: &Void| matches!(void, Void::Behind { .. });
        assert!(block.void.iter().any(is_behind), "{:?}", block.void);
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // Nothing that was measured is told as if it counted: every figure is left out.
    for row in ["requests/s", "p50, µs", "p99, µs", "server CPU, µs each"] {
        let mut lines = said.lines().filter_map(|line| line.strip_prefix(row));
        let figures: Vec<_> = lines.next().expect(&said).split_whitespace().collect();
        assert_eq!(figures, ["-", "-"], "{said}");
    }
    assert!(said.contains("VOID: block 1"), "{said}");
    assert!(
        said.contains("\nCan't tell here") && !said.contains("CI"),
        "{said}"
    );
    let page = std::fs::read_to_string(room.report().join("index.html")).unwrap();
    assert!(page.contains("VOID") && page.contains("Can't tell here"));
    // A ratio is a number right before the sign; "1 × 1 in flight" is none.
    let ratio = page
        .split('×')
        .find(|text| text.ends_with(|c: char| c.is_ascii_digit()));
    assert_eq!(ratio.map(|text| &text[text.len() - 10..]), None);
}

#[test]
fn a_server_that_is_given_work_adds_it_to_each_call_and_says_how_much_it_was() {
    const CALLS: u64 = 50;
    const EACH_NS: u64 = 1_000_000;
    let room = Room::new();
    let mut server = room.bare_tool(&["server"]);
    let mut server = server.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut hear = || -> serde_json::Value {
        let line = output.next().expect("the server still speaks").unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let spec = serde_json::json!({"cores": [], "kind": {"AddedWork": {"cpu_ns": EACH_NS}}});
    writeln!(input, "{spec}").unwrap();
    let address = hear()["rest"].as_str().unwrap().to_owned();
    let mut connection = BufReader::new(TcpStream::connect(&address).unwrap());
    for _ in 0..CALLS {
        let call = b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n";
        connection.get_mut().write_all(call).unwrap();
        support::read_answer(&mut connection);
    }
    let cpu = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
        let of = |task: std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("schedstat")).unwrap()
        };
        let nanos = |text: String| text.split(' ').next().unwrap().parse::<u64>().unwrap();
        tasks.flatten().map(of).map(nanos).sum::<u64>()
    };
    let took_ns = cpu();
    drop(input);
    let account = &hear()["Added"];
    server.wait().unwrap();
    assert_eq!(account["calls"], CALLS);
    let added_ns = account["cpu_ns"].as_u64().unwrap();
    assert!(added_ns >= CALLS * EACH_NS, "{added_ns}");
    // The scheduler, whom the load test asks, counted it too.
    assert!(added_ns <= took_ns, "{added_ns} of {took_ns}");
}

#[test]
fn verdicts_on_one_arm_under_two_names_cannot_be_told_from_one_pair() {
    let room = Room::new();
    let proofs = ["selftest", "--aa", "1", "--more-work", "1"];
    let output = room
        .bare_tool(&proofs)
        .args(["--users", "2", "--pairs", "1", "--run-time", "1s"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), CANNOT_TELL, "{said}");
    if said.contains("nothing valid, and no rate is known") {
        // Somebody else had the machine all along, and no verdict was begun.
        return;
    }
    let of = |text: &str| said.lines().filter(|line| line.contains(text)).count();
    assert_eq!(
        of("can't tell  the verdict on one arm under two names"),
        1,
        "{said}"
    );
    assert_eq!(
        of("can't tell  the verdict on one arm and the same with more work"),
        2,
        "{said}"
    );
    assert!(support::names(room.path()).is_empty(), "it leaves no files");
}

#[test]
fn the_generators_own_limit_is_measured_for_each_arm() {
    let room = Room::new();
    let ceiling = ["ceiling", "--users", "2", "--run-time", "1s"];
    let output = room.bare_tool(&ceiling).output().unwrap();
    let is_known = |arm: &Arm| {
        // VOID three times on a machine that is not its own.
        !stderr(&output).contains(&format!("limit with {} is not known", arm.name()))
    };
    let known: Vec<Arm> = Arm::ALL.into_iter().filter(is_known).collect();
    assert_eq!(
        output.status.success(),
        !known.is_empty(),
        "{}",
        stderr(&output)
    );
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    for arm in known {
        let line = table.lines().find(|line| line.starts_with(arm.name()));
        let figures = line.unwrap_or_else(|| panic!("no {} in {table}", arm.name()));
        let figures: Vec<f64> = figures[arm.name().len()..]
            .split_whitespace()
            .map(|figure| figure.parse().unwrap())
            .collect();
        assert!(
            figures.len() == 2 && figures.iter().all(|f| *f > 0.0),
            "{table}"
        );
    }
    assert!(support::names(room.path()).is_empty(), "it leaves no files");
}

#[test]
fn a_slower_arm_is_found_slower_by_about_what_it_is() {
    // Sleeping 80 ms and 160 ms: the ratio is 2, and a busy machine adds little to either. Below
    // 40 ms it would be the delayed acknowledgement of the head that is measured.
    let (rest, grpc) = (Duration::from_millis(80), Duration::from_millis(160));
    let service = service(Behaviour {
        delay: rest,
        more_on_grpc: grpc - rest,
        ..Behaviour::default()
    });
    let room = Room::new();
    let closed = [
        "--users",
        "2",
        "--closed",
        "--run-time",
        "3s",
        "--arms",
        "A,E",
        "--pairs",
        "3",
    ];
    let output = room
        .bare_tool(&closed)
        .args(["--host", &service.rest, "--grpc-host", &service.grpc])
        .output()
        .unwrap();
    let recording = room.recording();
    if gave_up(&recording) {
        return;
    }
    let (rest, grpc) = (
        block(&recording, Arm::JsonHttp1),
        block(&recording, Arm::Grpc),
    );
    let median =
        |block: &loadtest::record::BlockRecord| block.latency.uncorrected.percentile_us(50.0);
    let ratio = median(grpc) / median(rest);
    assert!((1.3..=2.7).contains(&ratio), "{ratio} {}", stderr(&output));
    let said = stderr(&output);
    let unknown = said.matches("is not known:").count();
    let known = recording.run.ceiling.len();
    assert_eq!(known + unknown, 2, "stands beside the result: {said}");
}

#[test]
fn the_originals_comparison_is_made_on_a_server_that_closes_connections_and_on_one_that_keeps_them()
{
    let room = Room::new();
    let original = [
        "original",
        "--users",
        "2",
        "--run-time",
        "1s",
        "--pairs",
        "1",
    ];
    let output = room.bare_tool(&original).output().unwrap();
    assert_eq!(output.status.code(), CANNOT_TELL, "{}", stderr(&output));
    let recording = room.recording();
    if gave_up(&recording) {
        return;
    }
    // Four steps of two. On a busy machine a hypervisor may make some VOID, and they are repeated.
    let first = recording.blocks.iter().filter(|block| block.attempt == 1);
    assert_eq!(first.count(), 8, "{}", stderr(&output));
    let bytes = |label: &str| {
        let blocks = answered(&recording).filter(|block| block.label == label);
        let block = blocks.max_by_key(|block| block.requests).unwrap();
        block.wire.unwrap().received_bytes_per_request
    };
    // "connection: close" and its line end. An answer at an end of the window may be counted without
    // its bytes.
    let more = bytes("REST that closes each connection") - bytes("REST that keeps it");
    assert!((5.0..=40.0).contains(&more), "{more} bytes");
}
