//! The instrument against services whose behaviour is known, on any machine, busy or not.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::Stdio,
    time::Duration,
};

use loadtest::{
    record::{Disturbance, Protocol, Purpose, Trial},
    validity,
};
use support::{Behaviour, INCONCLUSIVE, Room, compared, service, stderr, trial};

#[test]
fn a_stall_shows_in_response_times_and_hides_in_service_times() {
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
        "--rounds",
        "1",
        "--variants",
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
    let measured = &compared(&recording).next().unwrap().measurement;
    let response = measured.response_time.as_ref().unwrap();
    // A quarter of the calls fell due in the stall, and half of these waited for half of it.
    let shown = response.percentile_us(100.0 - 100.0 / 8.0);
    assert!(shown >= 400_000.0, "{shown} µs");
    // Two calls of four hundred were open in it.
    let hidden = measured.service_time.percentile_us(100.0 - 100.0 / 8.0);
    assert!(hidden <= shown / 2.0, "{hidden} µs of {shown} µs");
}

#[test]
fn asked_for_more_than_it_can_give_the_generator_says_so_and_nothing_is_claimed() {
    let room = Room::new();
    let too_much = [
        "--users",
        "1",
        "--rate",
        "1000000",
        // Calls that were due are waited for so long.
        "--timeout",
        "2",
        "--run-time",
        "1s",
        "--rounds",
        "1",
        "--variants",
        "A,E",
    ];
    let output = room.bare_tool(&too_much).output().unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    let open = || compared(&recording).filter(|trial| trial.purpose == Purpose::Open);
    assert!(open().count() >= 2);
    for trial in open() {
        let is_behind = |one: &Disturbance| matches!(one, Disturbance::Queue { achieved_share } if *achieved_share < 1.0);
        assert!(
            trial.disturbances.iter().any(is_behind) && !validity::is_usable(trial),
            "{:?}",
            trial.disturbances
        );
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("\nInconclusive"), "{said}");
    let page = std::fs::read_to_string(room.report().join("index.html")).unwrap();
    assert!(page.contains("a queue grew") && page.contains("Inconclusive"));
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
fn verdicts_on_one_variant_under_two_names_cannot_be_told_from_one_round() {
    let room = Room::new();
    let proofs = ["selftest", "--aa", "1", "--more-work", "1"];
    let output = room
        .bare_tool(&proofs)
        .args(["--users", "2", "--rounds", "1", "--run-time", "1s"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let of = |text: &str| said.lines().filter(|line| line.contains(text)).count();
    assert_eq!(
        of("holds       the verdict on REST under two names"),
        1,
        "no difference is claimed: {said}"
    );
    assert_eq!(
        of("FAILS       the verdict on REST and the same with more work: it is found"),
        1,
        "of one round nothing can be: {said}"
    );
    assert_eq!(
        of("can't tell  the verdict on REST and the same with more work: by how much"),
        1,
        "{said}"
    );
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(support::names(room.path()).is_empty(), "it leaves no files");
}

#[test]
fn a_campaign_keeps_its_runs_and_goes_on_with_them() {
    let room = Room::new();
    let campaign = |verdicts| {
        let output = room
            .bare_tool(&["selftest", "--keep", "kept", "--aa", verdicts])
            .args(["--users", "2", "--rounds", "1", "--run-time", "1s"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    };
    campaign("1");
    let first = room.path().join("kept/aa-01/run.json");
    let kept = std::fs::read(&first).unwrap();
    campaign("2");
    assert_eq!(std::fs::read(&first).unwrap(), kept, "not made again");
    assert_eq!(
        support::names(&room.path().join("kept")),
        ["aa-01", "aa-02"]
    );
    let foreign = String::from_utf8(kept)
        .unwrap()
        .replace("\"release\": false", "\"release\": true");
    std::fs::write(&first, foreign).unwrap();
    let output = room
        .bare_tool(&["selftest", "--keep", "kept", "--aa", "1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("made by another build"));
}

#[test]
fn the_generators_own_limit_is_measured_for_each_protocol() {
    let room = Room::new();
    let ceiling = ["ceiling", "--users", "2", "--run-time", "1s"];
    let output = room.bare_tool(&ceiling).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    for protocol in Protocol::STEPS {
        let name = format!("{:<24}", protocol.name());
        let line = table.lines().find(|line| line.starts_with(&name));
        let figures = line.unwrap_or_else(|| panic!("no {name} in {table}"));
        let figures: Vec<f64> = figures[name.len()..]
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
fn a_slower_variant_is_found_slower_by_about_what_it_is() {
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
        "1s",
        "--variants",
        "A,E",
        "--rounds",
        "3",
    ];
    let output = room
        .bare_tool(&closed)
        .args(["--host", &service.rest, "--grpc-host", &service.grpc])
        .output()
        .unwrap();
    let recording = room.recording();
    let median = |trial: &Trial| trial.measurement.service_time.percentile_us(50.0);
    let (rest, grpc) = (
        median(trial(&recording, Protocol::JsonHttp1)),
        median(trial(&recording, Protocol::Grpc)),
    );
    // However late a busy machine wakes who sleeps, each has slept.
    assert!(
        rest >= 79_900.0 && grpc >= 159_900.0,
        "{rest} and {grpc} µs"
    );
    assert!(rest < grpc, "{rest} and {grpc} µs: {}", stderr(&output));
    assert_eq!(recording.run.ceiling.len(), 2, "stands beside the result");
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
        "--rounds",
        "1",
    ];
    let output = room.bare_tool(&original).output().unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    // Four steps of two, and the twin of each first.
    let first = compared(&recording).filter(|trial| trial.attempt == 1);
    assert_eq!(first.count(), 12, "{}", stderr(&output));
    let bytes = |name: &str| {
        let trials = compared(&recording).filter(|trial| trial.variant.name == name);
        let trial = trials
            .max_by_key(|trial| trial.measurement.completed)
            .unwrap();
        trial.measurement.wire.unwrap().received_bytes_per_request
    };
    // "connection: close" and its line end. A reply at an end of the window may be counted without
    // its bytes.
    let more = bytes("REST that closes each connection") - bytes("REST that keeps it");
    assert!((5.0..=40.0).contains(&more), "{more} bytes");
}
