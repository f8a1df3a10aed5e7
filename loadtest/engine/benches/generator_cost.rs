//! CPU time of the generator for each request, beside that of h2load: 32 users with a connection each
//! in a closed loop against a null server, each generator on one core and the server on another.
//!
//! Run with `cargo bench -p loadtest --bench generator_cost`, about six minutes; `-- PAIRS` asks for
//! another number of pairs than 21, `-- PAIRS Grpc` for gRPC alone. It needs h2load (Debian: nghttp2-client), taskset and two cores. The ratio of the medians is at
//! most 1.25 over HTTP/1.1 and 1.4 over gRPC.

#[allow(dead_code, reason = "the tests use more of it")]
mod null_server;

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use engine::{
    Endpoint, Expect, Load, PreparedRequest, Program, Shape, Timing, Transport, TrialSpec,
    Workload, process::Child, usage, usage::Accounts,
};
use null_server::{Kind, NullServer};

/// The one of loadtest.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Users, with a connection each.
const USERS: u32 = 32;

/// Seconds of each trial, and of h2load.
const SECONDS: u64 = 3;

/// The most that a request may cost, as a multiple of h2load's.
const BOUNDS: [(Transport, f64); 2] = [(Transport::Http1, 1.25), (Transport::Grpc, 1.4)];

const QUESTION: &[u8] = br#"{"dataCommType":"REST","messageType":"Diwali","year":2023}"#;
const MESSAGE: &[u8] = b"\x0a\x04gRPC\x12\x06Diwali\x18\xe7\x0f";
const METHOD: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";

fn main() -> anyhow::Result<ExitCode> {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().filter(|arg| arg != "--bench").collect();
    match args.get(1).map(String::as_str) {
        Some("worker") => engine::worker::main().map(|()| ExitCode::SUCCESS),
        Some("null-server") => serve().map(|()| ExitCode::SUCCESS),
        other => {
            let pairs = other.and_then(|pairs| pairs.parse().ok()).unwrap_or(21);
            let only = args.get(2).map(String::as_str);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(compare(pairs, only))
        }
    }
}

/// The null server, on the last core, until standard input closes.
fn serve() -> anyhow::Result<()> {
    usage::pin(&usage::cores()[1..])?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // It never sleeps: to wake it, on a virtual machine, would cost the slower generator more than
        // its request, and the quicker one nothing.
        tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        let addresses = [
            NullServer::start(Kind::Http1).await?.address,
            NullServer::start(Kind::Grpc).await?.address,
        ];
        writeln!(io::stdout(), "{}", serde_json::to_string(&addresses)?)?;
        tokio::task::spawn_blocking(|| io::copy(&mut io::stdin().lock(), &mut io::sink()))
            .await??;
        Ok(())
    })
}

async fn compare(pairs: usize, only: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut server = Child::start(&Program::this(["null-server"])?)?;
    let addresses: [SocketAddr; 2] = server.hear().await?.context("no null server")?;
    let mut is_within = true;
    for ((transport, bound), address) in BOUNDS.into_iter().zip(addresses) {
        if only.is_some_and(|only| only != "--bench" && only != format!("{transport:?}")) {
            continue;
        }
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..pairs {
            theirs.push(h2load(transport, address)?);
            own.push(engine(transport, address, server.id()).await?);
        }
        let [own_us, theirs_us] = [&mut own, &mut theirs].map(|all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        });
        let ratio = own_us / theirs_us;
        println!(
            "{transport:?}: {own_us:.2} µs against {theirs_us:.2} µs, {ratio:.2}×, at most {bound}"
        );
        println!("  of {own:.1?} and {theirs:.1?}");
        is_within &= ratio <= bound;
    }
    server.end().await?;
    Ok(if is_within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// CPU of a trial for each request in µs.
async fn engine(
    transport: Transport,
    address: SocketAddr,
    server: Option<u32>,
) -> anyhow::Result<f64> {
    let (path, body, reply) = match transport {
        Transport::Grpc => (METHOD, MESSAGE, null_server::MESSAGE),
        _ => ("/v1/get_greetings", QUESTION, null_server::JSON),
    };
    let json = ("content-type".to_owned(), "application/json".to_owned());
    let is_rest = transport != Transport::Grpc;
    let mut spec = TrialSpec {
        name: "null".to_owned(),
        transport,
        endpoint: Endpoint {
            address,
            authority: address.to_string(),
            tls: None,
        },
        workload: Workload {
            accept: Vec::new(),
            requests: vec![PreparedRequest {
                method: "POST".to_owned(),
                path: path.to_owned(),
                headers: is_rest.then_some(json).into_iter().collect(),
                body: Bytes::from_static(body),
                expect: Expect::Body(Bytes::from_static(reply)),
            }],
        },
        shape: Shape {
            connections: USERS,
            in_flight: 1,
        },
        load: Load::Closed,
        timing: Timing {
            warm_up_us: 500_000,
            longest_warm_up_us: 1_000_000,
            window_us: SECONDS * 1_000_000,
            connecting_us: 100_000,
            time_limit_us: 10_000_000,
            parts: 1,
            others_us: 0,
        },
        server: Accounts::of_processes(server.into_iter().collect()),
        watch_for_others: false,
        affinity: usage::cores().first().map(|core| vec![*core]),
        goose: goose::config::GooseConfiguration::default(),
    };
    spec.goose.increase_rate = Some("1000".to_owned());
    let worker = Program::this(["worker"])?;
    let measured = engine::run_trial(&worker, &spec, |_| {}, Default::default()).await?;
    ensure!(
        measured.errors_in_all.is_empty(),
        "bad replies: {:?}",
        measured.errors_in_all
    );
    ensure!(measured.cut_short.is_none(), "{:?}", measured.cut_short);
    eprintln!(
        "  engine: {:.0}/s, busy {:.2}, server {:.1} µs",
        measured.requests_per_second(),
        measured.generator.busiest_core_share.unwrap_or_default(),
        measured.server_cpu_us_per_request().unwrap_or_default(),
    );
    measured
        .generator_cpu_us_per_request()
        .context("no replies")
}

/// CPU of h2load for each request in µs.
fn h2load(transport: Transport, address: SocketAddr) -> anyhow::Result<f64> {
    let file = std::env::temp_dir().join(format!("h2load-{}", std::process::id()));
    let core = usage::cores()[0];
    let options = match transport {
        Transport::Grpc => {
            let mut framed = vec![0];
            framed.extend((MESSAGE.len() as u32).to_be_bytes());
            framed.extend_from_slice(MESSAGE);
            std::fs::write(&file, framed)?;
            format!(
                "-H 'content-type: application/grpc' -H 'te: trailers' http://{address}{METHOD}"
            )
        }
        _ => {
            std::fs::write(&file, QUESTION)?;
            format!("--h1 -H 'content-type: application/json' http://{address}/v1/get_greetings")
        }
    };
    let script = format!(
        "TIMEFORMAT='%3U %3S'; time taskset -c {core} h2load -c {USERS} -m 1 -t 1 -D {SECONDS} -d {} {options}",
        file.display()
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .output()?;
    std::fs::remove_file(file)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let done = said
        .lines()
        .find_map(|line| line.strip_prefix("requests: "));
    let done = done.with_context(|| format!("h2load said: {said}"))?;
    let done: f64 = done
        .split(", ")
        .find_map(|part| part.strip_suffix(" succeeded"))
        .context("h2load tells no requests")?
        .parse()?;
    let times = String::from_utf8_lossy(&output.stderr);
    let times = times.lines().last().context("no times")?.split(' ');
    let seconds: f64 = times.filter_map(|time| time.parse::<f64>().ok()).sum();
    eprintln!(
        "  h2load: {:.0}/s, {seconds:.2} s of CPU",
        done / SECONDS as f64
    );
    Ok(seconds * 1e6 / done)
}
