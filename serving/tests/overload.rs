//! More calls than a server takes: the one too many is refused at once, and each slot comes back.

use std::time::{Duration, Instant};

use serving::{
    connection::Protocol::{Http1, Http2},
    limits::Limits,
};
use tokio::{io::AsyncWriteExt, time::sleep};
use tonic::Code;

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::Served;
use wire::{Answer, Client, connect, frame, http1, post, preface, read_frame, rest};

fn two_calls() -> Limits {
    Limits {
        calls: 2,
        ..Limits::default()
    }
}

/// Asserts that both slots are free.
async fn both_slots_are_free(served: &mut Served) {
    slots_are_free(served, 2).await;
}

/// Asserts that there are `count` slots, all free: so many calls are taken, and one more is not.
async fn slots_are_free(served: &mut Served, count: usize) {
    served.alive(0).await;
    let client = Client::connect(served.address).await;
    let mut taken = Vec::new();
    for _ in 0..count {
        let answer = client.clone().send("/stream", &[], "", true).await;
        taken.push(answer.expect("it is taken"));
    }
    served.alive(count).await;
    let another = client.clone().call("/echo", &[]).await;
    another.ended(Code::ResourceExhausted, true);
    drop(taken);
    served.alive(0).await;
}

/// The server is done with each answer at once, and the peer goes on to read of another call.
#[tokio::test]
async fn answers_that_a_peer_leaves_unread_count_until_their_connection_is_closed() {
    let limits = Limits {
        calls: 3,
        stalled_write: Duration::from_secs(2),
        // Which the peer would not answer.
        keepalive_interval: server::PATIENCE * 2,
        ..Limits::default()
    };
    let mut served = Served::start(Http2, limits).await;
    let mut peer = connect(served.address).await;
    let one_byte = frame(4, 0, 0, &[0, 4, 0, 0, 0, 1]);
    let calls = [post(1, "/short", &[]), post(3, "/short", &[])].concat();
    let bytes = [preface(), one_byte, calls].concat();
    peer.write_all(&bytes).await.unwrap();
    // One byte of each answer comes, and no more.
    let mut begun = 0;
    while begun < 2 {
        let (kind, _, _, payload) = read_frame(&mut peer).await.unwrap();
        begun += usize::from(kind == 0 && payload.len() == 1);
    }
    served.alive(0).await;
    let mut other = Client::connect(served.address).await;
    let taken = other.send("/stream", &[], "", true).await.unwrap();
    let refused = other.call("/echo", &[]).await;
    refused.ended(Code::ResourceExhausted, true);
    drop((taken, other));
    let unread = Instant::now();
    for stream in (5..).step_by(2) {
        assert!(unread.elapsed() < server::PATIENCE, "it is still open");
        let window = frame(8, 0, stream, &[0, 0, 1, 0]);
        let call = [post(stream, "/short", &[]), window].concat();
        // It fails when the connection is closed.
        let _ = peer.write_all(&call).await;
        let ends = |(_, flags, at, _): &(u8, u8, u32, _)| *at == stream && flags & 1 == 1;
        loop {
            match read_frame(&mut peer).await {
                None => return slots_are_free(&mut served, 3).await,
                Some(frame) if ends(&frame) => break,
                Some(_) => {}
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_call_too_many_is_refused_while_the_others_go_on() {
    let mut served = Served::start(Http2, two_calls()).await;
    // The calls of all connections count.
    let mut other = Client::connect(served.address).await;
    let call = |mut client: Client| tokio::spawn(async move { client.call("/slow", &[]).await });
    let calls = [
        call(Client::connect(served.address).await),
        call(Client::connect(served.address).await),
    ];
    served.alive(2).await;
    for _ in 0..10 {
        let refused = other.call("/echo", &[]).await;
        refused.ended(Code::ResourceExhausted, true);
        assert!(refused.body.is_empty());
    }
    served.release.cancel();
    for call in calls {
        let answer = call.await.unwrap();
        assert_eq!(answer.body, b"whole");
        answer.ended(Code::Ok, false);
    }
    both_slots_are_free(&mut served).await;
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn over_rest_it_is_told_when_to_try_again() {
    let mut served = Served::start(Http1, two_calls()).await;
    let close = "connection: close\r\n";
    let calls = [
        http1(served.address, "/slow", close).await,
        http1(served.address, "/slow", close).await,
    ];
    served.alive(2).await;
    let refused = rest(http1(served.address, "/echo", close).await).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    served.release.cancel();
    for call in calls {
        let answer = rest(call).await;
        assert!(answer.ends_with("\r\nwhole\r\n0\r\n\r\n"), "{answer}");
    }
    served.alive(0).await;
    let taken = rest(http1(served.address, "/slow", close).await).await;
    assert!(taken.starts_with("HTTP/1.1 200 "), "{taken}");
    served.stop().await.0.unwrap();
}

/// Limits that one unread answer of `/sized` reaches.
fn one_answer() -> Limits {
    Limits {
        answers: server::SIZED,
        ..Limits::default()
    }
}

/// Calls `/sized` until its answer is as expected.
async fn until(client: &mut Client, expected: impl Fn(&Answer) -> bool) -> Answer {
    let calls = async {
        loop {
            let answer = client.call("/sized", &[]).await;
            if expected(&answer) {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(server::PATIENCE, calls).await;
    answer.expect("an answer should be as expected")
}

#[tokio::test]
async fn answers_that_peers_leave_unread_are_bounded_in_memory_and_their_room_comes_back() {
    for unread in ["/large", "/sized"] {
        let mut served = Served::start(Http2, one_answer()).await;
        let mut peer = connect(served.address).await;
        let no_window = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
        let bytes = [preface(), no_window, post(1, unread, &[])].concat();
        peer.write_all(&bytes).await.unwrap();
        // The head of the answer.
        while read_frame(&mut peer).await.unwrap().0 != 1 {}
        let mut client = Client::connect(served.address).await;
        // It may not be held yet.
        let refused = until(&mut client, |answer| answer.body.is_empty()).await;
        refused.ended(Code::ResourceExhausted, true);
        let refused = client.call("/large", &[]).await;
        refused.ended(Code::ResourceExhausted, true);
        assert!(refused.body.is_empty());
        // A short answer is never refused.
        assert_eq!(client.call("/echo", &[]).await.body, b"question");
        drop(peer);
        served.alive(0).await;
        until(&mut client, |answer| answer.body.len() == server::SIZED).await;
        assert_eq!(client.call("/large", &[]).await.body.len(), server::LARGE);
        served.stop().await.0.unwrap();
    }
}

#[tokio::test]
async fn over_rest_an_answer_too_many_is_refused_before_it_begins() {
    let mut served = Served::start(Http1, one_answer()).await;
    let close = "connection: close\r\n";
    let peer = http1(served.address, "/large", "").await;
    peer.readable().await.unwrap();
    let refused = rest(http1(served.address, "/sized", close).await).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused:.99}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    drop(peer);
    served.alive(0).await;
    let answer = rest(http1(served.address, "/sized", close).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:.99}");
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn slots_come_back_however_a_call_ends() {
    let mut served = Served::start(Http2, two_calls()).await;
    let mut client = Client::connect(served.address).await;
    for path in ["/panic-at-once", "/panic", "/panic-later"] {
        for _ in 0..3 {
            client.call(path, &[]).await.ended(Code::Internal, false);
        }
        both_slots_are_free(&mut served).await;
    }
    // Passed deadlines.
    for path in ["/slow", "/stream"] {
        for _ in 0..3 {
            let late = client.call(path, &[("grpc-timeout", "1m")]).await;
            late.ended(Code::DeadlineExceeded, false);
        }
        both_slots_are_free(&mut served).await;
    }
    // Cancelled by the client, before the answer and in the middle of it.
    for path in ["/slow", "/stream", "/busy"] {
        for _ in 0..3 {
            let mut client = client.clone();
            let call = tokio::spawn(async move {
                let answer = client.send(path, &[], "", true).await;
                std::future::pending::<()>().await;
                drop(answer);
            });
            served.alive(1).await;
            call.abort();
            served.alive(0).await;
        }
        both_slots_are_free(&mut served).await;
    }
    // A connection that goes away with its calls.
    let peer = peer_with_two_calls(&mut served).await;
    drop(peer);
    both_slots_are_free(&mut served).await;
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn no_task_outlives_its_connection() {
    let mut served = Served::start(Http2, Limits::default()).await;
    // The server runs on this runtime, whose tasks can be counted.
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    for _ in 0..20 {
        let talking = peer_with_two_calls(&mut served).await;
        let silent = wire::connect(served.address).await;
        assert!(tasks() > before);
        drop((talking, silent));
        served.alive(0).await;
    }
    let returned = async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    };
    let returned = tokio::time::timeout(server::PATIENCE, returned).await;
    returned.unwrap_or_else(|_| panic!("{} tasks, {before} before", tasks()));
    served.stop().await.0.unwrap();
}

/// A peer with two open calls on a connection of its own.
async fn peer_with_two_calls(served: &mut Served) -> tokio::net::TcpStream {
    use tokio::io::AsyncWriteExt;
    let mut peer = wire::connect(served.address).await;
    let calls = [
        wire::preface(),
        wire::post(1, "/slow", &[]),
        wire::post(3, "/stream", &[]),
    ];
    let written = peer.write_all(&calls.concat()).await;
    written.expect("the server reads");
    served.alive(2).await;
    peer
}
