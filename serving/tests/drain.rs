//! The end of a server: calls in flight may finish, but not for ever.

use std::{future::pending, time::Duration};

use serving::{
    CancellationToken,
    drain::{GRACE, ServeError, finish},
};
use tokio::time::{Instant, sleep, timeout};

type Served = Result<(), &'static str>;

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_stop_is_cut_when_the_grace_ends() {
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let start = Instant::now();
    let served = finish("gRPC", pending::<Served>(), &shutdown);
    let cut = timeout(GRACE * 100, served).await;
    assert_eq!(
        cut.unwrap().unwrap_err().to_string(),
        "gRPC was cut: calls were still open 10 s after the signal"
    );
    assert!((GRACE..GRACE * 2).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn the_grace_begins_with_the_signal_and_not_before() {
    let shutdown = CancellationToken::new();
    let served = finish("gRPC", pending::<Served>(), &shutdown);
    let without_signal = timeout(GRACE * 100, served).await;
    assert!(without_signal.is_err(), "it ended without a signal");
}

#[tokio::test(start_paused = true)]
async fn calls_that_finish_within_the_grace_end_it_well() {
    let shutdown = CancellationToken::new();
    let stopping = async {
        shutdown.cancelled().await;
        sleep(GRACE - Duration::from_secs(1)).await;
        Served::Ok(())
    };
    shutdown.cancel();
    finish("gRPC", stopping, &shutdown).await.unwrap();
}

#[tokio::test]
async fn a_listener_that_fails_is_named_with_its_reason() {
    let shutdown = CancellationToken::new();
    let failed = finish("REST", async { Served::Err("no more files") }, &shutdown).await;
    let error = failed.unwrap_err();
    assert!(matches!(error, ServeError::Failed { .. }));
    assert_eq!(error.to_string(), "REST stopped: no more files");
}
