//! A server that is restarted again and again under load, and callers who try again.
#![cfg(target_os = "linux")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use proto::unary::{Message, unary_client::UnaryClient};
use rustix::process::Signal;
use serving::{
    client::{self, CallError},
    retry::Retry,
};
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "../../serving/tests/support/program.rs"]
mod program;
use program::{PATIENCE, Running, program};

const RESTARTS: usize = 20;
/// Calls that each server must have answered before it is restarted.
const CALLS: usize = 50;
/// As long as a server may take to come back on a busy machine.
const PATIENT: Retry = Retry {
    retries: 1000,
    first_pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(100),
};

/// An address of loopback that no other test and no outgoing connection uses, so that the port is
/// still free when the next server takes it.
const HOST: &str = "127.0.0.2";

async fn start(port: &str) -> (Running, String) {
    let args = ["--bind", HOST, "--grpc-port", port];
    let mut server = Running::start(program(env!("CARGO_BIN_EXE_server"), &args));
    assert_eq!(server.line().await, "Server is running...");
    let address = server.address("gRPC").await;
    (server, address.to_string())
}

/// One call on a connection that is kept, and made anew when it breaks.
async fn call(channel: &Channel) -> Result<(), CallError> {
    let attempt = || async {
        let message = Message {
            message: "hello".to_owned(),
        };
        let request = client::with_deadline(message, PATIENCE);
        let answer = UnaryClient::new(channel.clone())
            .get_server_response(request)
            .await;
        let answer = answer.map_err(|status| client::call_error(&status, PATIENCE))?;
        assert!(answer.into_inner().received);
        Ok(())
    };
    PATIENT.run(PATIENCE, attempt).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_caller_who_tries_again_sees_that_a_server_is_restarted() {
    let (mut server, address) = start("0").await;
    let (_, port) = address.rsplit_once(':').expect("host and port");
    let channel = client::connect(&address).await.expect("it listens");
    let over = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (over, calls) = (Arc::clone(&over), Arc::clone(&calls));
        let (address, channel) = (address.clone(), channel.clone());
        callers.spawn(async move {
            while !over.load(Relaxed) {
                // Half of them keep a connection, half connect for every call.
                let called = if number % 2 == 0 {
                    call(&channel).await
                } else {
                    let message = "hello".to_owned();
                    let answer = unary::ask(&address, message, PATIENCE, PATIENT).await;
                    answer.map(|answer| assert!(answer.received))
                };
                called.unwrap_or_else(|error| panic!("caller {number}: {error}"));
                calls.fetch_add(1, Relaxed);
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
    for restart in 0..RESTARTS {
        let enough = calls.load(Relaxed) + CALLS;
        let end = Instant::now() + PATIENCE;
        while calls.load(Relaxed) < enough {
            if let Some(ended) = callers.try_join_next() {
                ended.expect("no caller should fail");
            }
            assert!(Instant::now() < end, "restart {restart}: no calls");
            sleep(Duration::from_millis(5)).await;
        }
        server.signal(Signal::TERM);
        let ended = server.end().await;
        assert_eq!(ended.code, Some(0), "restart {restart}: {ended:?}");
        (server, _) = start(port).await;
    }
    over.store(true, Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.expect("no caller should fail");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.code, Some(0));
}
