//! Streams of one HTTP/2 connection, and that what one of them does harms no other.

use std::collections::BTreeMap;

use serving::{connection::Protocol::Http2, limits::Limits};
use tokio::{io::AsyncWriteExt, net::TcpStream};

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::Served;
use wire::{connect, frame, post, preface, read_frame};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
const ENHANCE_YOUR_CALM: u32 = 11;

/// The head of a POST whose body follows.
fn head(stream: u32, path: &str) -> Vec<u8> {
    let mut head = post(stream, path, &[]);
    head[4] &= !END_STREAM;
    head
}

/// One DATA frame for each of `messages`, and the end.
fn body(stream: u32, messages: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let frames = messages.flat_map(|message| frame(DATA, 0, stream, &message));
    frames.chain(frame(DATA, END_STREAM, stream, &[])).collect()
}

/// A gRPC message of five bytes that says which it is.
fn message(number: u32) -> Vec<u8> {
    let number = number.to_be_bytes();
    [&[0, 0, 0, 0, 5, 7][..], &number].concat()
}

fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL)
}

/// The `count` first streams of a client.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

/// A connection whose peer has taken the server's settings: before, its windows are the smaller ones of
/// the protocol.
async fn hello(served: &Served) -> TcpStream {
    let mut peer = connect(served.address).await;
    peer.set_nodelay(true).expect("it is open");
    let hello = [preface(), frame(SETTINGS, ACK, 0, &[])].concat();
    peer.write_all(&hello).await.expect("the server reads");
    peer
}

/// The answers that came on a connection so far.
#[derive(Debug, Default)]
struct Seen {
    bodies: BTreeMap<u32, Vec<u8>>,
    /// Streams that were answered to their end.
    ended: Vec<u32>,
    resets: BTreeMap<u32, u32>,
    goaway: Option<(u32, String)>,
    closed: bool,
}

impl Seen {
    fn note(&mut self, (kind, flags, stream, payload): (u8, u8, u32, Vec<u8>)) {
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes"));
        match kind {
            DATA => self.bodies.entry(stream).or_default().extend(payload),
            RST_STREAM => drop(self.resets.insert(stream, number(&payload))),
            GOAWAY => {
                let text = String::from_utf8_lossy(&payload[8..]).into_owned();
                self.goaway = Some((number(&payload[4..8]), text));
            }
            _ => {}
        }
        if [DATA, HEADERS].contains(&kind) && flags & END_STREAM != 0 {
            self.ended.push(stream);
        }
    }

    /// Returns true if `stream` was answered to its end, or reset.
    fn is_over(&self, stream: u32) -> bool {
        self.ended.contains(&stream) || self.resets.contains_key(&stream)
    }

    /// Reads until `done`, or the connection ends.
    async fn until(&mut self, peer: &mut TcpStream, done: impl Fn(&Self) -> bool) {
        while !done(self) && self.goaway.is_none() {
            let Some(frame) = read_frame(peer).await else {
                self.closed = true;
                return;
            };
            self.note(frame);
        }
    }

    /// Reads until the server has read all that was sent to it.
    async fn until_read(&mut self, peer: &mut TcpStream) {
        let _ = peer.write_all(&frame(PING, 0, 0, b"all read")).await;
        loop {
            match read_frame(peer).await {
                Some((PING, ACK, _, payload)) if payload == b"all read" => return,
                Some(frame) => self.note(frame),
                None => {
                    self.closed = true;
                    return;
                }
            }
        }
    }
}

/// A service that is slower than its client, as every one is at times.
#[tokio::test]
async fn many_small_messages_wait_until_they_are_read() {
    const MESSAGES: u32 = 20_000;
    let served = Served::start(Http2, Limits::default()).await;
    let mut peer = hello(&served).await;
    let all: Vec<u8> = (0..MESSAGES).flat_map(message).collect();
    let call = [head(1, "/echo-later"), body(1, (0..MESSAGES).map(message))];
    peer.write_all(&call.concat()).await.unwrap();
    let mut seen = Seen::default();
    seen.until_read(&mut peer).await;
    assert_eq!(seen.goaway, None);
    served.release.cancel();
    // All of them fit into the windows of the answer, if the peer gives back what it reads.
    peer.write_all(&window(0, 1 << 20)).await.unwrap();
    peer.write_all(&window(1, 1 << 20)).await.unwrap();
    seen.until(&mut peer, |seen| seen.is_over(1)).await;
    assert_eq!(seen.goaway, None);
    assert!(seen.bodies.remove(&1) == Some(all), "{:?}", seen.resets);
    drop(peer);
    served.stop().await.0.unwrap();
}

/// A burst of calls that were given up, as when a page is left.
#[tokio::test]
async fn calls_that_are_cancelled_at_once_harm_no_other() {
    const CALLS: u32 = 500;
    let mut served = Served::start(Http2, Limits::default()).await;
    for _ in 0..10 {
        let mut peer = hello(&served).await;
        // One that stays.
        peer.write_all(&post(1, "/stream", &[])).await.unwrap();
        let others = streams(CALLS + 1).skip(1);
        let calls = others.map(|id| {
            [
                head(id, "/slow"),
                frame(DATA, 0, id, &message(1)),
                reset(id),
            ]
        });
        let last = post(2 * CALLS + 3, "/short", &[]);
        let calls: Vec<u8> = calls.flatten().flatten().chain(last).collect();
        peer.write_all(&calls).await.unwrap();
        let mut seen = Seen::default();
        seen.until(&mut peer, |seen| seen.is_over(2 * CALLS + 3))
            .await;
        assert_eq!(seen.goaway, None);
        assert_eq!(seen.bodies[&(2 * CALLS + 3)], b"whole");
        assert!(!seen.is_over(1), "{seen:?}");
        served.alive(1).await;
        drop(peer);
        served.alive(0).await;
    }
    served.stop().await.0.unwrap();
}

/// Work that was begun for nobody is bounded: CVE-2023-44487. What is answered makes up for what is not.
#[tokio::test]
async fn who_cancels_more_calls_than_it_lets_be_answered_is_told_to_be_calm() {
    let limits = Limits {
        cancelled: 50,
        ..Limits::default()
    };
    let mut served = Served::start(Http2, limits).await;
    let mut peer = hello(&served).await;
    let mut ids = streams(u32::MAX / 4);
    let mut seen = Seen::default();
    for _ in 0..100 {
        let (answered, cancelled) = (ids.next().unwrap(), ids.next().unwrap());
        let calls = [post(answered, "/short", &[]), post(cancelled, "/slow", &[])];
        peer.write_all(&calls.concat()).await.unwrap();
        seen.until(&mut peer, |seen| seen.is_over(answered)).await;
        served.alive(1).await;
        peer.write_all(&reset(cancelled)).await.unwrap();
        served.alive(0).await;
    }
    assert_eq!(seen.goaway, None);
    let ids: Vec<u32> = ids.take(150).collect();
    let calls: Vec<u8> = ids.iter().flat_map(|id| post(*id, "/slow", &[])).collect();
    peer.write_all(&calls).await.unwrap();
    served.alive(150).await;
    let resets: Vec<u8> = ids.iter().flat_map(|id| reset(*id)).collect();
    peer.write_all(&resets).await.unwrap();
    seen.until(&mut peer, |_| false).await;
    assert_eq!(seen.goaway.map(|(code, _)| code), Some(ENHANCE_YOUR_CALM));
    served.alive(0).await;
    served.stop().await.0.unwrap();
}

/// A client may close its side when it has asked all it wants to know.
#[tokio::test]
async fn who_has_asked_all_and_closes_its_side_is_answered() {
    let mut served = Served::start(Http2, Limits::default()).await;
    let mut peer = hello(&served).await;
    let calls = [post(1, "/slow", &[]), head(3, "/echo")];
    peer.write_all(&calls.concat()).await.unwrap();
    served.alive(2).await;
    peer.shutdown().await.unwrap();
    // That one was not whole, and is not taken for it.
    let mut seen = Seen::default();
    seen.until(&mut peer, |seen| seen.is_over(3)).await;
    assert!(!seen.closed, "{seen:?}");
    assert_eq!(seen.bodies[&3], b"");
    served.release.cancel();
    // The server closes when there is nothing left to say.
    seen.until(&mut peer, |_| false).await;
    assert!(seen.closed && seen.ended.contains(&1), "{seen:?}");
    assert_eq!(seen.bodies[&1], b"whole");
    served.stop().await.0.unwrap();
}

/// Its system answers whatever is sent to it with a reset.
#[tokio::test]
async fn the_work_for_a_client_that_has_gone_stops() {
    let mut served = Served::start(Http2, Limits::default()).await;
    let mut peer = hello(&served).await;
    peer.write_all(&post(1, "/slow", &[])).await.unwrap();
    served.alive(1).await;
    drop(peer);
    served.alive(0).await;
    served.stop().await.0.unwrap();
}

/// Data that is on its way when an answer comes early is discarded, for each of many streams.
#[tokio::test]
async fn what_comes_after_an_early_answer_harms_no_other_stream() {
    let served = Served::start(Http2, Limits::default()).await;
    let mut peer = hello(&served).await;
    peer.write_all(&head(1, "/echo-later")).await.unwrap();
    let early: Vec<u32> = streams(201).skip(1).collect();
    let mut seen = Seen::default();
    for ids in early.chunks(100) {
        let heads: Vec<u8> = ids.iter().flat_map(|id| head(*id, "/short")).collect();
        peer.write_all(&heads).await.unwrap();
        let all = |seen: &Seen| ids.iter().all(|id| seen.is_over(*id));
        seen.until(&mut peer, all).await;
    }
    let data = early
        .iter()
        .flat_map(|id| frame(DATA, 0, *id, &message(1)).repeat(20));
    peer.write_all(&data.collect::<Vec<u8>>()).await.unwrap();
    peer.write_all(&body(1, [message(7)].into_iter()))
        .await
        .unwrap();
    served.release.cancel();
    seen.until(&mut peer, |seen| seen.is_over(1)).await;
    assert_eq!(seen.goaway, None);
    assert_eq!(seen.bodies[&1], message(7));
    drop(peer);
    served.stop().await.0.unwrap();
}
