//! The gate through which h2 reads a connection: it bounds how much h2 reads at a time, and tells h2 that
//! the peer has said all it will say.
//!
//! h2 reads as long as there is something to read, and keeps a block of memory for each frame that nobody
//! has taken from it, however small. So it reads in turns: after each, what came is taken off it.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take},
    sync::Notify,
};

/// Bytes that h2 reads in one turn: one of the largest frames, or 1,600 of the smallest that carry anything.
pub(super) const TURN: u64 = 16 * 1024;

/// More streams than can begin and be reset in one turn, which takes at least 25 bytes.
pub(super) const MOST_STREAMS: usize = 1_000;

/// Bytes that can be read from and written to a peer.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// Waits until the connection is broken for writing as well, once its peer has closed its side.
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error>;
}

/// Between h2, which reads, and whoever polls it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// A turn has begun, and nothing was read in it.
    begun: AtomicBool,
    /// There may be more to read than the turn let through.
    over: AtomicBool,
    /// The peer has closed its side.
    ended: AtomicBool,
    /// h2 is told so.
    told: AtomicBool,
    end: Notify,
}

impl Gate {
    pub(super) fn begin_turn(&self) {
        self.over.store(false, Relaxed);
        self.begun.store(true, Relaxed);
    }

    /// Returns true if the turn ended while there may have been more to read.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Returns true if the peer has closed its side: no more requests come, and none that has begun will be
    /// completed.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Waits until the peer has closed its side.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }

    /// Tells h2 about it, which drops every stream that is open. Returns whether it was told before.
    pub(super) fn tell(&self) -> bool {
        self.told.swap(true, Relaxed)
    }
}

/// A stream that h2 reads through a gate.
pub(crate) struct Gated<T> {
    stream: Take<T>,
    gate: Arc<Gate>,
}

impl<T: Wire> Gated<T> {
    pub(super) fn new(stream: T, gate: &Arc<Gate>) -> Self {
        Self {
            stream: stream.take(TURN),
            gate: Arc::clone(gate),
        }
    }
}

impl<T: Wire> AsyncRead for Gated<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, gate } = &mut *self;
        if gate.begun.load(Relaxed) {
            gate.begun.store(false, Relaxed);
            stream.set_limit(TURN);
        }
        if gate.has_ended() {
            if gate.told.load(Relaxed) {
                return Poll::Ready(Ok(()));
            }
            return stream.get_mut().poll_broken(cx).map(Err);
        }
        if stream.limit() == 0 {
            // Whoever polls h2 knows that there may be more.
            gate.over.store(true, Relaxed);
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        match ready!(Pin::new(&mut *stream).poll_read(cx, buffer)) {
            // Under TLS, it has not said that this is all.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            Ok(()) if buffer.filled().len() == before && buffer.remaining() > 0 => {
                gate.ended.store(true, Relaxed);
                gate.end.notify_one();
                stream.get_mut().poll_broken(cx).map(Err)
            }
            result => Poll::Ready(result),
        }
    }
}

impl<T: Wire> AsyncWrite for Gated<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }
}
