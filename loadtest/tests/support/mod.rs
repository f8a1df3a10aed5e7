//! The tool as a process, and a service whose answers a test chooses.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Json, Router, http::StatusCode, routing::post};
use loadtest::result::{Arm, Protocol, Run};
use proto::rest_grpc_dual_mode::{
    RequestMessage, ResponseMessage,
    greetings_generator_server::{GreetingsGenerator, GreetingsGeneratorServer},
};
use tempfile::TempDir;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

/// An empty working directory, and the tool run in it.
pub struct Room(TempDir);

impl Room {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory can be made"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The tool with a small load, to be started.
    pub fn tool(&self, args: &[&str]) -> Command {
        let mut tool = self.bare_tool(&["--users", "2", "--run-time", "1s"]);
        tool.args(args);
        tool
    }

    /// The tool with `args` alone, to be started.
    pub fn bare_tool(&self, args: &[&str]) -> Command {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        tool.args(args)
            .current_dir(self.path())
            .stdin(Stdio::null());
        tool.stdout(Stdio::piped()).stderr(Stdio::piped());
        tool
    }

    /// Runs the tool to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.tool(args).output().expect("the tool was built")
    }

    /// The only report in `reports/`.
    pub fn report(&self) -> PathBuf {
        let mut reports = names(&self.path().join("reports"));
        assert_eq!(reports.len(), 1, "{reports:?}");
        self.path().join("reports").join(reports.remove(0))
    }

    /// What the only report says.
    pub fn run_json(&self) -> Run {
        read_run(&self.report())
    }
}

/// What the report in `folder` says.
pub fn read_run(folder: &Path) -> Run {
    let json = std::fs::read_to_string(folder.join("run.json")).expect("a report has a run.json");
    serde_json::from_str(&json).expect("run.json is a run")
}

/// The arm of `protocol`.
pub fn arm(run: &Run, protocol: Protocol) -> &Arm {
    let mut arms = run.arms.iter().filter(|arm| arm.protocol == protocol);
    arms.next().expect("the protocol was measured")
}

/// The names in `folder`, sorted; none where there is no such folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What a process wrote to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// How the service answers.
#[derive(Clone, Copy, Default)]
pub struct Behaviour {
    /// Before each answer.
    pub delay: Duration,
    /// Refuse every call: 503, UNAVAILABLE.
    pub refuse: bool,
    /// Give answers that are no greetings.
    pub nonsense: bool,
}

/// When each call came.
pub type Calls = Arc<Mutex<Vec<(Protocol, Instant)>>>;

#[derive(Clone)]
struct Service {
    behaviour: Behaviour,
    calls: Calls,
}

impl Service {
    async fn take(&self, protocol: Protocol) {
        let call = (protocol, Instant::now());
        self.calls
            .lock()
            .expect("no test panics with this lock")
            .push(call);
        tokio::time::sleep(self.behaviour.delay).await;
    }

    fn greeting(&self) -> String {
        if self.behaviour.nonsense {
            String::new()
        } else {
            "Happy Diwali".to_owned()
        }
    }
}

#[tonic::async_trait]
impl GreetingsGenerator for Service {
    async fn grpc_get_greetings(
        &self,
        _: Request<RequestMessage>,
    ) -> Result<Response<ResponseMessage>, Status> {
        self.take(Protocol::Grpc).await;
        if self.behaviour.refuse {
            return Err(Status::unavailable("not today"));
        }
        let (greetings, message_received) = (self.greeting(), true);
        Ok(Response::new(ResponseMessage {
            greetings,
            message_received,
        }))
    }
}

/// A service that runs in the test's own process until the test ends.
pub struct Running {
    pub rest: String,
    pub grpc: String,
    pub calls: Calls,
    _runtime: tokio::runtime::Runtime,
}

/// Starts the service on free ports.
pub fn service(behaviour: Behaviour) -> Running {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    let service = Service {
        behaviour,
        calls: Calls::default(),
    };
    let listen = async || {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port can be bound");
        let address: SocketAddr = listener
            .local_addr()
            .expect("a bound socket has an address");
        (listener, format!("http://{address}"))
    };
    let (rest, grpc) = runtime.block_on(async { (listen().await, listen().await) });
    let calls = Arc::clone(&service.calls);
    let rest_service = service.clone();
    let app = Router::new().route(
        "/v1/get_greetings",
        post(async move || {
            rest_service.take(Protocol::Rest).await;
            let body = serde_json::json!({
                "greetings": rest_service.greeting(),
                "messageReceived": true,
            });
            match behaviour.refuse {
                true => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    Json(serde_json::Value::Null),
                ),
                false => (StatusCode::OK, Json(body)),
            }
        }),
    );
    runtime.spawn(async move { axum::serve(rest.0, app).await });
    runtime.spawn(
        tonic::transport::Server::builder()
            .add_service(GreetingsGeneratorServer::new(service))
            .serve_with_incoming(TcpIncoming::from(grpc.0)),
    );
    Running {
        rest: rest.1,
        grpc: grpc.1,
        calls,
        _runtime: runtime,
    }
}
