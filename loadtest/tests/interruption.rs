//! A run that is stopped in the middle writes what it has, says so, and leaves no process behind.

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use loadtest::record::{Disturbance, Recording};
use rustix::process::{Pid, Signal, kill_process};
use support::{Behaviour, ONE_ROUND, Room, compared, names, read_run, service, stderr};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the tool for far longer than the test will let it run, and waits until it says `text`.
fn started(mut tool: Command, text: &str) -> Child {
    let mut child = tool
        .args([
            "--run-time",
            "5m",
            "--closed",
            "--rounds",
            "1",
            "--variants",
            "A",
        ])
        .spawn()
        .expect("the tool was built");
    let stderr = child.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains(text)),
        "the tool never said {text:?}"
    );
    // Keep reading, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).expect("it still runs");
}

#[test]
fn ctrl_c_writes_what_was_measured_and_marks_it() {
    let room = Room::new();
    let mut tool = started(room.bare_tool(&["--users", "2"]), " of 300.0 s, ");
    send(&tool, Signal::INT);
    assert_eq!(tool.wait().unwrap().code(), Some(130));
    let recording = room.recording();
    assert_eq!(
        recording.run.cut_short.as_deref(),
        Some("stopped by a signal")
    );
    let trials: Vec<_> = compared(&recording).collect();
    assert_eq!(trials.len(), 1, "no other trial was begun");
    let measured = &trials[0].measurement;
    assert!(measured.completed > 0 && measured.error_count() == 0);
    assert!(!loadtest::validity::is_usable(trials[0]));
    assert!(room.report().join("index.html").exists());
}

#[test]
fn sigterm_before_anything_was_measured_writes_nothing() {
    let room = Room::new();
    let slow = ["--users", "2", "--increase-time", "2m"];
    let mut tool = started(room.bare_tool(&slow), " of 2 users, ");
    send(&tool, Signal::TERM);
    assert_eq!(tool.wait().unwrap().code(), Some(130));
    assert!(names(&room.path().join("reports")).is_empty());
}

#[test]
fn ctrl_c_breaks_off_calls_that_hang() {
    let delay = Duration::from_secs(600);
    let service = service(Behaviour {
        delay,
        ..Behaviour::default()
    });
    let room = Room::new();
    let hosts = [
        "--users",
        "2",
        "--timeout",
        "300",
        "--host",
        &service.rest,
        "--grpc-host",
        &service.grpc,
    ];
    let mut tool = started(room.bare_tool(&hosts), " of 300.0 s, ");
    let begun = Instant::now();
    send(&tool, Signal::INT);
    assert_eq!(tool.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(
        names(&room.path().join("reports")).is_empty(),
        "nothing was measured"
    );
}

/// Not trial after trial at a closed port.
#[test]
fn a_service_that_goes_away_ends_the_run_with_what_was_measured() {
    let service = service(Behaviour::default());
    let room = Room::new();
    let hosts = ["--host", &service.rest, "--grpc-host", &service.grpc];
    let mut tool = room.bare_tool(&["--users", "2", "--run-time", "2s"]);
    let tool = tool.args(hosts).args(ONE_ROUND).spawn().unwrap();
    let begun = Instant::now();
    let calls = Arc::clone(&service.calls);
    // Each was asked once before; now the second trial has begun.
    let has_both = || {
        let calls = calls.lock().unwrap();
        let mut calls = calls.iter().skip(2).map(|call| call.0);
        let first = calls.next();
        calls.any(|protocol| Some(protocol) != first)
    };
    while !has_both() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(service);
    let output = tool.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let recording = room.recording();
    let why = recording.run.cut_short.clone().unwrap();
    assert!(why.contains("the service went away: "), "{why}");
    assert_eq!(compared(&recording).count(), 2);
}

#[test]
fn a_page_of_the_dashboard_that_somebody_looks_at_does_not_keep_the_run() {
    let room = Room::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let port = address.port().to_string();
    let load = [
        "--users",
        "2",
        "--run-time",
        "3s",
        "--closed",
        "--rounds",
        "1",
        "--variants",
        "A",
    ];
    let mut tool = room.bare_tool(&load);
    tool.args(["--dashboard", "--dashboard-port", &port]);
    let mut tool = tool.spawn().unwrap();
    let stderr = tool.stderr.take().unwrap();
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("round 1 · REST")));
    let reads = std::thread::spawn(move || lines.collect::<Vec<_>>());
    let begun = Instant::now();
    let mut page = loop {
        match TcpStream::connect(address) {
            Ok(page) => break page,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    };
    let events = format!("GET /api/v1/events HTTP/1.1\r\nhost: {address}\r\n\r\n");
    page.write_all(events.as_bytes()).unwrap();
    let mut head = [0; 15];
    page.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    while tool.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            tool.kill().unwrap();
            panic!("it still waits");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(page);
    let said = reads.join().unwrap();
    let recording = room.recording();
    assert_eq!(recording.run.cut_short, None, "{said:#?}");
    let cut = |one: &Disturbance| matches!(one, Disturbance::Unmeasured { .. });
    let trial = compared(&recording).next().unwrap();
    assert!(!trial.disturbances.iter().any(cut), "{said:#?}");
}

/// Starts a run of many short trials, and waits until one is on the disk. Returns the run's folder too,
/// which has no name of its own yet.
fn begun(room: &Room) -> (Child, PathBuf) {
    let mut tool = room.bare_tool(&SHORT);
    let tool = tool.args(["--rounds", "50"]).spawn();
    let reports = room.path().join("reports");
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "no trial was written");
        let folder = names(&reports).pop().map(|name| reports.join(name));
        if let Some(folder) = folder.filter(|folder| folder.join("run.json").exists()) {
            return (tool.expect("the tool was built"), folder);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One variant in trials of a second.
const SHORT: [&str; 7] = [
    "--closed",
    "--variants",
    "A",
    "--users",
    "2",
    "--run-time",
    "1s",
];

/// A run like it, of one round, after that in `left`; returns what it says and the other's report.
fn next(room: &Room, left: &Path) -> (String, Recording) {
    let output = room.bare_tool(&SHORT).args(["--rounds", "1"]).output();
    let text = stderr(&output.expect("the tool was built"));
    let reports = room.path().join("reports");
    let name = left
        .file_name()
        .expect("it is a folder's")
        .to_string_lossy();
    // Such as `.2026-01-01T00-00-00Z.4711.partial`.
    let name = name.split('.').nth(1).expect("it begins with a dot");
    let left = reports.join(name);
    let said = format!("its report: reports/{name}/index.html");
    assert!(text.contains(&said), "{text}");
    assert!(left.join("index.html").exists());
    let all = names(&reports);
    assert!(
        all.len() == 2 && all.iter().all(|name| !name.starts_with('.')),
        "{all:?}"
    );
    (text, read_run(&left))
}

#[test]
fn what_a_killed_run_had_measured_gets_its_report_from_the_next() {
    let room = Room::new();
    let (mut tool, folder) = begun(&room);
    tool.kill().unwrap();
    tool.wait().unwrap();
    let (text, left) = next(&room, &folder);
    assert!(text.contains("was killed, or failed, after "), "{text}");
    assert_eq!(
        left.run.cut_short.as_deref(),
        Some("the tool was killed, or failed")
    );
    assert!(
        left.trials
            .iter()
            .any(|trial| trial.measurement.completed > 0)
    );
}

#[test]
fn what_was_measured_before_the_disk_took_no_more_is_not_lost() {
    let room = Room::new();
    let (tool, folder) = begun(&room);
    let known = names(&folder.join("trials")).len();
    // The first one was of the null server, and the next is being measured.
    let in_the_way = folder.join(format!("trials/{:04}.json", known + 3));
    std::fs::create_dir(&in_the_way).unwrap();
    let output = tool.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("error: the run broke off; what it had measured stays in reports/."),
        "{text}"
    );
    std::fs::remove_dir(in_the_way).unwrap();
    let (_, left) = next(&room, &folder);
    assert_eq!(compared(&left).count(), known + 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_run_takes_its_children_with_it() {
    let room = Room::new();
    let mut tool = started(room.bare_tool(&["--users", "2"]), " of 300.0 s, ");
    let children = children(tool.id());
    assert_eq!(children.len(), 2, "the server and the worker");
    send(&tool, Signal::KILL);
    tool.wait().unwrap();
    let begun = Instant::now();
    while children.iter().any(|pid| is_alive(*pid)) {
        assert!(begun.elapsed() < PATIENCE, "a child lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes that `parent` started.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("Linux has it").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(_, ppid)| ppid == parent))
        .collect()
}

#[cfg(target_os = "linux")]
fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z")
}

/// State and parent of a process (proc(5), /proc/pid/stat).
#[cfg(target_os = "linux")]
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
