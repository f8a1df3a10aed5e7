//! A server that may open no more files.

use std::{net::SocketAddr, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::{
    peer::Peer,
    siege::{Siege, Target, get},
};
use crate::program::PATIENCE;

const FEW: &str = "64";
/// More than it has, and few enough that a short backlog holds the rest.
const MORE: usize = 120;
const WINDOW: Duration = Duration::from_secs(2);
/// A loop that spins takes all of the window.
const MOST_PROCESSOR_TIME: Duration = Duration::from_millis(500);

/// Takes every descriptor of the server by connections to `address`, and gives them back.
async fn take_all(siege: &Siege, address: SocketAddr) {
    let mut connections = Vec::new();
    for _ in 0..MORE {
        let stream = TcpStream::connect(address).await;
        connections.push(stream.expect("the kernel takes what the server does not"));
    }
    let taken = siege.processor_time(WINDOW).await;
    assert!(taken < MOST_PROCESSOR_TIME, "{taken:?} of {WINDOW:?}");
    drop(connections);
}

pub(crate) async fn descriptors_that_run_out_on_grpc_stop_nobody(target: &Target) {
    let siege = Siege::with_descriptors(target, &[], FEW).await;
    take_all(&siege, siege.grpc()).await;
    // The server accepts again.
    let mut peer = Peer::hello(siege.grpc(), &[]).await;
    assert!(peer.frame().await.is_some());
    drop(peer);
    siege.end().await;
}

pub(crate) async fn descriptors_that_run_out_on_rest_stop_nobody(target: &Target) {
    let siege = Siege::with_descriptors(target, &[], FEW).await;
    take_all(&siege, siege.rest()).await;
    let mut stream = TcpStream::connect(siege.rest()).await.expect("it listens");
    let answer = timeout(PATIENCE, get(&mut stream, target.get)).await;
    let answer = answer.expect("an answer should come");
    answer.expect("the server accepts again");
    let _ = stream.shutdown().await;
    drop(stream);
    siege.end().await;
}
