//! What one connection has open, down to the bytes that its peer has not yet taken.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::{Buf, Bytes};

/// What one connection has open.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// Calls whose answers are not yet made.
    pub(crate) calls: AtomicUsize,
    /// Pieces of answers that are made, and not yet handed to the kernel.
    chunks: AtomicUsize,
}

impl Open {
    /// How many calls are lost if the connection is cut now. Answers that only have to be written
    /// count as one, as their pieces do not tell how many they are.
    pub(crate) fn calls(&self) -> usize {
        let unwritten = usize::from(self.chunks.load(Relaxed) > 0);
        self.calls.load(Relaxed).max(unwritten)
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
        self.open.chunks.fetch_sub(1, Relaxed);
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
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.bytes.copy_to_bytes(length)
    }
}
