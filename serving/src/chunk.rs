//! What one connection has open, down to the bytes that its peer has not yet taken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::time::sleep;

/// What one connection has open.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// Calls whose answers are not yet made.
    calls: AtomicUsize,
    /// Pieces of answers that are made, and not yet handed to the kernel.
    chunks: AtomicUsize,
    /// How often some of them was.
    moves: AtomicUsize,
    /// Calls whose answers are made, and that count for the listener until their pieces are written: never
    /// more than there are pieces.
    unwritten: AtomicUsize,
    /// The calls that count for the listener.
    listener: Arc<AtomicUsize>,
}

impl Open {
    pub(crate) fn new(listener: &Arc<AtomicUsize>) -> Self {
        let mut open = Self::default();
        open.listener = Arc::clone(listener);
        open
    }

    /// A call begins, which counts for the listener already.
    pub(crate) fn begin(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// Its answer is made. While the peer leaves it unread it still takes memory, and counts.
    pub(crate) fn end(&self) {
        self.calls.fetch_sub(1, Relaxed);
        if self.unwritten.load(Relaxed) < self.chunks.load(Relaxed) {
            self.unwritten.fetch_add(1, Relaxed);
        } else {
            self.listener.fetch_sub(1, Relaxed);
        }
    }

    /// How many calls are lost if the connection is cut now. Answers that only have to be written
    /// count as one, as their pieces do not tell how many they are.
    pub(crate) fn calls(&self) -> usize {
        let unwritten = usize::from(self.chunks.load(Relaxed) > 0);
        self.calls.load(Relaxed).max(unwritten)
    }

    /// Ends when the peer has left what there was to read unread for `limit`, or half as long again.
    pub(crate) async fn unread(&self, limit: Duration) {
        let mut still = 0;
        while still < 2 {
            let moves = self.moves.load(Relaxed);
            let unread = self.chunks.load(Relaxed) > 0;
            sleep(limit / 2).await;
            let is_still = unread && self.moves.load(Relaxed) == moves;
            still = if is_still { still + 1 } else { 0 };
        }
    }

    fn keep(&self, chunks: usize) {
        let keep = |unwritten| (unwritten > chunks).then_some(chunks);
        if let Ok(before) = self.unwritten.fetch_update(Relaxed, Relaxed, keep) {
            self.listener.fetch_sub(before - chunks, Relaxed);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.keep(0);
    }
}

/// A piece of an answer, counted until it is written.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Bytes,
    open: Arc<Open>,
}

impl Chunk {
    pub(crate) fn new(bytes: Bytes, open: &Arc<Open>) -> Self {
        open.chunks.fetch_add(1, Relaxed);
        Self {
            bytes,
            open: Arc::clone(open),
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let chunks = self.open.chunks.fetch_sub(1, Relaxed) - 1;
        self.open.moves.fetch_add(1, Relaxed);
        self.open.keep(chunks);
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.open.moves.fetch_add(1, Relaxed);
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.bytes.copy_to_bytes(length)
    }
}
