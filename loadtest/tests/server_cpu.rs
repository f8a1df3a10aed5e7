//! Whose CPU time is the server's: behind a proxy, as it was named, and as the server tells it itself.

mod support;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use engine::CpuSource;
use loadtest::{
    record::{Disturbance, Protocol, Purpose},
    system::embedded::Spec,
};
use serde_json::Value;

use support::{Behaviour, Calls, INCONCLUSIVE, Room, compared, names, service, stderr, trial};

/// dual-mode in a process of its own.
struct Backend {
    process: Child,
    rest: SocketAddr,
    grpc: SocketAddr,
}

impl Backend {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .arg("server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tool was built");
        let spec = serde_json::to_string(&Spec::default()).expect("it can be written");
        let stdin = process.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{spec}").expect("it reads");
        let mut line = String::new();
        let stdout = process.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it tells");
        let addresses: Value = serde_json::from_str(&line).expect("it tells its addresses");
        let address = |side: &str| {
            let text = addresses[side].as_str().expect("an address is a string");
            text.parse().expect("an address can be read")
        };
        Self {
            rest: address("rest"),
            grpc: address("grpc"),
            process,
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Hands each connection on to `backend`, as a proxy does; returns where it listens.
fn proxy_to(backend: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port can be bound");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for accepted in listener.incoming().flatten() {
            let Ok(opened) = TcpStream::connect(backend) else {
                continue;
            };
            for stream in [&accepted, &opened] {
                let _ = stream.set_nodelay(true);
            }
            let both = [(&accepted, &opened), (&opened, &accepted)];
            for (from, to) in both.map(|(from, to)| (from.try_clone(), to.try_clone())) {
                let (Ok(mut from), Ok(mut to)) = (from, to) else {
                    continue;
                };
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    format!("http://{address}")
}

/// Of a process of its own: in this one threads of other tests end, and its CPU time is known to a tick.
#[test]
#[cfg(target_os = "linux")]
fn a_running_service_is_measured_in_turns_no_shorter_than_they_were_named() {
    let backend = Backend::start();
    let [rest, grpc] = [backend.rest, backend.grpc].map(|at| format!("http://{at}"));
    let room = Room::new();
    let output = room
        .bare_tool(&["--users", "2", "--run-time", "1s", "--budget", "1s"])
        .args(["--host", &rest, "--grpc-host", &grpc, "--turn", "200ms"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    // Two rounds of two scenarios, of REST, gRPC and the twin.
    let of_rounds = compared(&recording)
        .filter(|trial| matches!(trial.purpose, Purpose::Open | Purpose::Single));
    let parts: Vec<_> = of_rounds.map(|trial| trial.measurement.parts).collect();
    assert!(parts.len() >= 2 * 2 * 3, "{parts:?}");
    // Calls that take long, as on a busy machine, make longer turns.
    assert!(
        parts.iter().all(|parts| (1..=5).contains(parts)),
        "{parts:?}"
    );
    assert!(parts.iter().any(|parts| *parts > 1), "{parts:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn behind_a_proxy_the_servers_cpu_is_inconclusive_until_the_backend_is_named() {
    let backend = Backend::start();
    let (rest, grpc) = (proxy_to(backend.rest), proxy_to(backend.grpc));
    let room = Room::new();
    let host = ["--host", &rest, "--grpc-host", &grpc];

    let output = room.run(&[&host[..], &["--output-dir", "unnamed"]].concat());
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = support::read_run(&room.path().join("unnamed"));
    for trial in compared(&recording) {
        let asks = trial.disturbances.iter().find_map(|one| match one {
            Disturbance::AsksOthers { peers } => Some(peers.clone()),
            _ => None,
        });
        let backend = match trial.variant.protocol {
            Protocol::Grpc => backend.grpc,
            _ => backend.rest,
        };
        let asks = asks.unwrap_or_else(|| panic!("{:?}", trial.measurement.server_asked));
        assert!(asks.contains(&backend.to_string()), "{asks:?}");
    }
    let page = std::fs::read_to_string(room.path().join("unnamed/index.html"));
    assert!(page.unwrap().contains("--server-pid"));

    let pid = backend.process.id().to_string();
    let named = ["--server-pid", &pid, "--output-dir", "named"];
    let output = room.run(&[&host[..], &named].concat());
    let said = stderr(&output);
    assert!(
        said.contains(&format!("({pid}) with its children")),
        "{said}"
    );
    let recording = support::read_run(&room.path().join("named"));
    for trial in compared(&recording) {
        assert!(trial.measurement.server.is_some());
        let asks = |one: &Disturbance| matches!(one, Disturbance::AsksOthers { .. });
        assert!(!trial.disturbances.iter().any(asks));
    }
}

/// A call's CPU time as the made-up metrics have it.
const CPU_US: u64 = 100;

/// Tells that each of `calls` took [`CPU_US`]; returns where.
fn metrics_of(calls: Calls) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port can be bound");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let count = calls.lock().expect("no test panics with this lock").len() as u64;
            let body = format!(
                "# TYPE process_cpu_seconds_total counter\n\
                 process_cpu_seconds_total {}\n\
                 process_resident_memory_bytes 1.048576e+07\n",
                (count * CPU_US) as f64 / 1e6
            );
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://{address}/metrics")
}

#[test]
fn the_servers_cpu_is_what_its_metrics_tell_of_all_calls_and_no_scrape_is_among_them() {
    let running = service(Behaviour::default());
    let metrics = metrics_of(Arc::clone(&running.calls));
    let room = Room::new();
    let only_grpc = format!("grpc={metrics}");
    let output = room.run(&[
        "--host",
        &running.rest,
        "--grpc-host",
        &running.grpc,
        "--server-metrics",
        &only_grpc,
    ]);
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    assert_eq!(recording.run.listening[1], [metrics]);
    let told = &trial(&recording, Protocol::Grpc).measurement;
    let server = told.server.unwrap();
    assert_eq!(server.cpu_source, Some(CpuSource::Metrics));
    assert_eq!(server.memory_under_load_kib, 10 << 10);
    // Calls that were sent and given up at the end are no replies: two users have one each at most.
    let [least, most] = [0, 4].map(|more| {
        let share = told.completed as f64 / told.completed_in_all as f64;
        (told.completed_in_all + more) as f64 * share * CPU_US as f64
    });
    let cpu = server.cpu_us as f64;
    assert!(
        (least - 1.0..=most + 1.0).contains(&cpu),
        "{cpu}: {least} to {most}"
    );
    let rest = &trial(&recording, Protocol::JsonHttp1).measurement;
    let source = rest.server.and_then(|server| server.cpu_source);
    assert_ne!(source, Some(CpuSource::Metrics));
}

#[test]
fn what_is_named_and_not_there_is_said_and_nothing_is_written() {
    let running = service(Behaviour::default());
    let room = Room::new();
    let host = ["--host", &running.rest, "--grpc-host", &running.grpc];
    let no_metrics = format!("{}/metrics", running.rest);
    for (args, code, said) in [
        (["--server-pid", "4194305"], 2, "no such process"),
        (["--server-pid", "rest=orders"], 2, "write it like 4711"),
        (["--server-pid", "new=1"], 2, "there are REST and gRPC"),
        (["--server-cgroup", "/no/such/group"], 2, "cpu.stat"),
        (["--server-metrics", "grpc=localhost:1"], 2, "has no scheme"),
        (
            ["--server-metrics", no_metrics.as_str()],
            5,
            "process_cpu_seconds_total",
        ),
    ] {
        let output = room.run(&[&host[..], &args].concat());
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(
            error.starts_with("error: ") && error.contains(said),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(args[0]), "{error}");
    }
    let output = room.run(&["--server-pid", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("name it by --host"));
    assert!(names(room.path()).is_empty());
}
