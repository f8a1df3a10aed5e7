//! Trials against servers whose behaviour is known.

mod support;

use std::{
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use engine::{Expect, INTERRUPTED, Load, Program, Shape, Transport, TrialError};
use support::{
    Answer, GOOD, Seen, Server, check,
    null_server::{JSON, Kind, MESSAGE, NullServer},
    run, trial, worker,
};
use tokio_util::sync::CancellationToken;

const MS: Duration = Duration::from_millis(1);

/// Two calls every 10 ms, one for each user.
const OPEN: Load = Load::Open { per_second: 200.0 };

#[test]
#[ignore = "the worker process of the other tests"]
fn worker_process() {
    engine::worker::main().unwrap();
}

/// Keeps calls that come from `from` on until `until`.
fn stall(from: Duration, until: Duration) -> impl Fn(Seen) -> Answer + Send + Sync + 'static {
    move |seen| Answer {
        delay: Some(match seen.since_first {
            now if now >= from => until.saturating_sub(now),
            _ => Duration::ZERO,
        }),
        ..GOOD
    }
}

#[tokio::test]
async fn every_transport_counts_its_calls_and_checks_their_replies() {
    for (transport, kind, reply) in [
        (Transport::Http1, Kind::Http1, JSON),
        (Transport::Http2, Kind::Grpc, &b"\0\0\0\0\x43"[..]),
        (Transport::Grpc, Kind::Grpc, MESSAGE),
        (Transport::GrpcWeb, Kind::GrpcWeb, MESSAGE),
    ] {
        let address = NullServer::start(kind).await.unwrap().address;
        let mut spec = trial(address, Load::Closed);
        spec.transport = transport;
        // Over HTTP/2 the body is the message with its prefix.
        let body = match transport {
            Transport::Http2 => Bytes::from([reply, MESSAGE].concat()),
            _ => Bytes::from_static(reply),
        };
        spec.workload.requests[0].expect = Expect::Body(body);
        let measured = run(&spec).await;
        check(&measured);
        assert!(
            measured.errors_in_all.is_empty(),
            "{transport:?}: {measured:?}"
        );
        assert!(
            measured.completed > 0 && measured.counted > 0,
            "{transport:?}"
        );
        assert!(measured.window_us >= spec.timing.window_us, "{transport:?}");
        let wire = measured.wire.unwrap();
        // The body, and a head that takes some bytes.
        assert!(
            wire.received_bytes_per_request > reply.len() as f64,
            "{wire:?}"
        );
        assert!(wire.sent_bytes_per_request > 8.0, "{wire:?}");
        assert_eq!((measured.response_time, measured.dispatch), (None, None));

        spec.workload.requests[0].expect = Expect::Body(Bytes::from_static(b"another"));
        let measured = run(&spec).await;
        check(&measured);
        assert_eq!(measured.errors["unexpected body"], measured.counted);
    }
}

#[tokio::test]
async fn a_stall_that_begins_at_the_end_of_the_window_shows_in_the_percentiles() {
    // The window ends 1,300 ms after the first call or later, and the stall long after that.
    let server = Server::start(stall(1_100 * MS, 4_000 * MS)).await;
    let measured = run(&trial(server.address, OPEN)).await;
    check(&measured);
    assert_eq!(measured.unanswered, 0, "{measured:?}");
    let late = measured.response_time.unwrap().percentile_us(90.0);
    assert!(late > 1_000_000.0, "{late} µs");
    // Calls that were due in the window, and whose replies came after it.
    assert!(measured.completed < measured.counted);
    assert!(measured.dispatch.unwrap().unanswered_at_close.unwrap() > 0);
}

#[tokio::test]
async fn in_a_closed_loop_a_call_that_is_open_at_the_end_counts_with_its_whole_time() {
    let server = Server::start(stall(1_100 * MS, 4_000 * MS)).await;
    let measured = run(&trial(server.address, Load::Closed)).await;
    check(&measured);
    let longest = Duration::from_nanos(measured.service_time.0.max());
    assert!(longest > 1_000 * MS, "{longest:?}");
    assert_eq!(measured.unanswered, 0);
}

#[tokio::test]
async fn calls_that_are_never_answered_are_bad_replies_and_end_the_trial() {
    let hang = |seen: Seen| Answer {
        delay: (seen.since_first < 1_000 * MS).then_some(Duration::ZERO),
        ..GOOD
    };
    for load in [OPEN, Load::Closed] {
        let server = Server::start(hang).await;
        let mut spec = trial(server.address, load);
        spec.timing.time_limit_us = 700_000;
        let measured = run(&spec).await;
        check(&measured);
        let late = measured.errors["no answer in time"];
        assert!(late > 0 && measured.unanswered <= late, "{measured:?}");
        if load == OPEN {
            // Both users wait in vain, and nobody takes the calls that are due.
            assert!(measured.unanswered > 0, "{measured:?}");
        }
    }
}

#[tokio::test]
async fn the_load_goes_on_until_the_last_reply_that_counts_has_come() {
    let slow_one = |seen: Seen| Answer {
        delay: Some(match (seen.connection, seen.since_first) {
            (0, now) if now > 1_000 * MS => 2_000 * MS,
            _ => MS,
        }),
        ..GOOD
    };
    for load in [OPEN, Load::Closed] {
        let server = Server::start(slow_one).await;
        let measured = run(&trial(server.address, load)).await;
        check(&measured);
        let closed = Duration::from_micros(measured.opened_unix_us + measured.window_us);
        let after = server
            .seen()
            .into_iter()
            .filter(|seen| seen.since_1970 > closed + 100 * MS);
        let after = after.count();
        assert!(after >= 20, "{after} calls after the window, {load:?}");
        assert!(measured.counted < server.seen().len() as u64);
    }
}

#[tokio::test]
async fn the_warm_up_lasts_until_the_service_is_steady() {
    // It warms up for a second, and then is as quick as it will be.
    let cold = |seen: Seen| Answer {
        delay: Some(
            (60 * MS)
                .saturating_sub(seen.since_first * 55 / 1_000)
                .max(5 * MS),
        ),
        ..GOOD
    };
    let server = Server::start(cold).await;
    let mut spec = trial(server.address, Load::Closed);
    spec.timing.longest_warm_up_us = 20_000_000;
    let measured = run(&spec).await;
    check(&measured);
    assert_eq!(measured.steady, Some(true));
    assert!(measured.warm_up_us >= 600_000, "{} µs", measured.warm_up_us);

    // It never is: each call takes longer.
    let slower = |seen: Seen| Answer {
        delay: Some(5 * MS + seen.since_first / 4),
        ..GOOD
    };
    let server = Server::start(slower).await;
    spec.endpoint.address = server.address;
    // So many that each slice has its ten replies.
    spec.shape.connections = 32;
    spec.timing.longest_warm_up_us = 1_500_000;
    let measured = run(&spec).await;
    assert_eq!(measured.steady, Some(false));
    assert!(
        measured.warm_up_us >= 1_500_000,
        "{} µs",
        measured.warm_up_us
    );
}

#[tokio::test]
async fn an_open_loop_tells_how_well_it_kept_its_times() {
    let server = Server::start(|_| GOOD).await;
    let measured = run(&trial(server.address, OPEN)).await;
    check(&measured);
    let dispatch = measured.dispatch.unwrap();
    // As many as fall into the window, whatever the machine does.
    let due = measured.window_us as f64 / 5_000.0;
    assert!(
        (dispatch.offered as f64 - due).abs() <= 1.0,
        "{} of {due}",
        dispatch.offered
    );
    let [p50, p99] = [dispatch.delay_p50_us.unwrap(), dispatch.delay_p99_us];
    assert!(p50 >= 0.0 && p99 >= p50, "{p50} and {p99}");
    assert!(dispatch.unanswered_at_open.is_some() && dispatch.unanswered_at_close.is_some());
}

#[tokio::test]
async fn a_server_that_says_close_in_its_own_spelling_is_called_on_new_connections() {
    let closing = |_| Answer {
        headers: "connection: x-other\r\nConnection: Keep-Alive, Close\r\n",
        closes: true,
        ..GOOD
    };
    let server = Server::start(closing).await;
    let measured = run(&trial(server.address, OPEN)).await;
    check(&measured);
    assert!(measured.errors_in_all.is_empty(), "{measured:?}");
    let mut connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    assert_eq!(connections.len(), server.seen().len());
}

#[tokio::test]
async fn bad_replies_are_counted_by_fixed_texts() {
    let mixed = |seen: Seen| Answer {
        status: if seen.connection == 0 { 503 } else { 200 },
        body: if seen.connection == 0 { "good" } else { "bad" },
        ..GOOD
    };
    let server = Server::start(mixed).await;
    let measured = run(&trial(server.address, OPEN)).await;
    check(&measured);
    let texts: Vec<_> = measured.errors.keys().map(String::as_str).collect();
    assert_eq!(texts, ["503", "unexpected body"]);
    assert_eq!(measured.service_time.count(), 0);
}

#[tokio::test]
async fn users_share_connections_as_the_shape_says() {
    let server = NullServer::start(Kind::Grpc).await.unwrap();
    let mut spec = trial(server.address, Load::Closed);
    spec.transport = Transport::Grpc;
    spec.shape = Shape {
        connections: 2,
        in_flight: 4,
    };
    spec.workload.requests[0].expect = Expect::Body(Bytes::from_static(MESSAGE));
    let most = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&most);
    let progress = move |progress: &engine::Progress| {
        let mut most = seen.lock().unwrap();
        *most = progress.users.max(*most);
    };
    let worker = worker();
    let measured = engine::run_trial(&worker, &spec, progress, CancellationToken::new());
    let measured = measured.await.unwrap();
    check(&measured);
    assert!(measured.errors_in_all.is_empty(), "{measured:?}");
    assert_eq!(*most.lock().unwrap(), 8);
    assert_eq!(server.connections.load(Relaxed), 2);
}

#[tokio::test]
async fn a_trial_that_is_stopped_says_so_and_reports_what_it_has() {
    let server = Server::start(|_| GOOD).await;
    let mut spec = trial(server.address, Load::Closed);
    spec.timing.window_us = 600_000_000;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let progress = move |progress: &engine::Progress| {
        if progress.measured_s.is_some_and(|seconds| seconds > 0.3) {
            stopping.cancel();
        }
    };
    let measured = engine::run_trial(&worker(), &spec, progress, stop)
        .await
        .unwrap();
    assert_eq!(measured.cut_short.as_deref(), Some(INTERRUPTED));
    assert!(
        measured.completed > 0 && measured.errors.is_empty(),
        "{measured:?}"
    );
}

#[tokio::test]
async fn a_worker_that_crashes_or_is_silent_leaves_a_measurement_that_says_so() {
    let spec = trial(([127, 0, 0, 1], 1).into(), Load::Closed);
    let shell = |script: &str| Program {
        path: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
    };
    let crash = shell("read line; kill -9 $$");
    let measured = engine::run_trial(&crash, &spec, |_| {}, CancellationToken::new())
        .await
        .unwrap();
    let said = measured.cut_short.unwrap();
    assert!(said.contains("signal: 9"), "{said}");

    let stop = CancellationToken::new();
    stop.cancel();
    let silent = shell("exec sleep 600");
    let measured = engine::run_trial(&silent, &spec, |_| {}, stop)
        .await
        .unwrap();
    assert!(measured.cut_short.unwrap().contains("was killed"));

    let missing = Program {
        path: "/no/such/program".into(),
        args: Vec::new(),
    };
    let error = engine::run_trial(&missing, &spec, |_| {}, CancellationToken::new()).await;
    assert!(matches!(error, Err(TrialError::NotStarted(_))));
}

#[tokio::test]
async fn an_option_that_goose_refuses_is_named_as_on_a_command_line() {
    let mut spec = trial(([127, 0, 0, 1], 1).into(), Load::Closed);
    spec.goose.increase_rate = Some("often".to_owned());
    let error = engine::run_trial(&worker(), &spec, |_| {}, CancellationToken::new()).await;
    let Err(TrialError::Refused(said)) = error else {
        panic!("{error:?}");
    };
    assert!(said.contains("--increase-rate"), "{said}");
}

#[tokio::test]
async fn a_server_that_nobody_reaches_leaves_bad_replies() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let measured = run(&trial(free, Load::Closed)).await;
    check(&measured);
    assert_eq!(measured.errors["connection refused"], measured.counted);
}

/// Calls of the servers of two trials that took turns, in the order of time: which of the two, and when.
fn both(servers: &[Server]) -> Vec<(usize, Duration)> {
    let of = |(which, server): (usize, &Server)| {
        let seen = server.seen().into_iter();
        seen.map(move |seen| (which, seen.since_1970))
            .collect::<Vec<_>>()
    };
    let mut all: Vec<_> = servers.iter().enumerate().flat_map(of).collect();
    all.sort_unstable_by_key(|(_, at)| *at);
    all
}

#[tokio::test]
async fn trials_that_take_turns_are_never_under_load_at_once_and_measure_their_whole_windows() {
    for load in [Load::Open { per_second: 1000.0 }, Load::Closed] {
        let answer = |_| Answer {
            delay: Some(MS),
            ..GOOD
        };
        let servers = [Server::start(answer).await, Server::start(answer).await];
        let specs = servers.each_ref().map(|server| {
            let mut spec = trial(server.address, load);
            spec.timing.parts = 5;
            // More than twice what a call takes, so that nobody waits for a user.
            spec.shape.connections = 8;
            spec
        });
        let mut cycles = 0;
        let order = |_: &mut [usize]| cycles += 1;
        let mut shown = Vec::new();
        let show = |place: usize, _: &engine::Progress| shown.push(place);
        let measured =
            engine::run_in_turns(&worker(), &specs, order, show, CancellationToken::new()).await;
        let measured = measured.unwrap();
        assert_eq!(cycles, 1 + 5, "the warm-up and each part");
        assert!(shown.contains(&0) && shown.contains(&1));
        for measured in &measured {
            check(measured);
            assert!(measured.errors_in_all.is_empty(), "{measured:?}");
            assert!(measured.window_us >= 1_000_000, "{measured:?}");
            // Not what was between the parts.
            assert!(measured.counted > 0 && measured.completed > 0);
            // Counted with exactly the calls that they belong to: all requests are alike.
            let wire = measured.wire.unwrap();
            assert_eq!(wire.sent_bytes_per_request.fract(), 0.0, "{wire:?}");
            assert_eq!(wire.received_bytes_per_request.fract(), 0.0, "{wire:?}");
            if let Some(dispatch) = measured.dispatch {
                assert!(dispatch.growth.is_some());
                assert_eq!(measured.completed, dispatch.offered);
                assert_eq!(dispatch.offered, measured.counted);
                let due = measured.window_us as f64 / 1_000.0;
                // One call more or less for each part.
                assert!((dispatch.offered as f64 - due).abs() <= 5.0, "{due}");
            }
        }
        // A call that has come is answered before the other trial has its turn.
        let all = both(&servers);
        let handovers = all.windows(2).filter(|pair| pair[0].0 != pair[1].0);
        let handovers: Vec<_> = handovers.map(|pair| pair[1].1 - pair[0].1).collect();
        assert!(handovers.iter().all(|gap| *gap >= MS), "{handovers:?}");
        assert_eq!(handovers.len(), 2 * 6 - 1, "{handovers:?}");
    }
}

#[tokio::test]
async fn trials_that_take_turns_end_together_when_they_are_stopped_and_apart_when_one_fails() {
    let servers = [Server::start(|_| GOOD).await, Server::start(|_| GOOD).await];
    let mut specs = servers.each_ref().map(|server| {
        let mut spec = trial(server.address, Load::Closed);
        spec.timing.parts = 3;
        spec
    });
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let show = move |_, progress: &engine::Progress| {
        if progress.measured_s.is_some_and(|seconds| seconds > 0.0) {
            stopping.cancel();
        }
    };
    specs[0].timing.window_us = 60_000_000;
    let stopped = engine::run_in_turns(&worker(), &specs, |_| {}, show, stop).await;
    for measured in stopped.unwrap() {
        assert_eq!(measured.cut_short.as_deref(), Some(INTERRUPTED));
    }

    // It serves its warm-up and goes away.
    let hang = |seen: Seen| Answer {
        delay: (seen.since_first < 250 * MS).then_some(Duration::ZERO),
        ..GOOD
    };
    let gone = Server::start(hang).await;
    specs[0] = trial(gone.address, Load::Closed);
    (specs[0].timing.parts, specs[0].timing.time_limit_us) = (3, 300_000);
    let measured = engine::run_in_turns(
        &worker(),
        &specs,
        |_| {},
        |_, _| {},
        CancellationToken::new(),
    )
    .await;
    let [gone, good] = &measured.unwrap()[..] else {
        panic!("two measurements");
    };
    assert!(gone.errors_in_all["no answer in time"] > 0, "{gone:?}");
    assert!(
        good.errors_in_all.is_empty() && good.cut_short.is_none(),
        "{good:?}"
    );
    assert!(good.window_us >= 1_000_000, "{good:?}");
}
