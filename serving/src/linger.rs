//! The end of an HTTP/1.1 connection whose peer may still be sending. A socket that is closed with bytes
//! unread is reset by the kernel, and the reset takes the answer with it that the peer has not read yet. So
//! the write side is closed first, and what still comes is read and discarded, for a bounded time and size
//! (RFC 9112 §9.6).

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    chunk::Open,
    io::{Connection, Socket},
    limits::Limits,
    unread::Unread,
};

/// Longest pause of a peer that is waited for: one that has read the answer closes.
const PAUSE: Duration = Duration::from_secs(2);

/// Bytes that are discarded at a time.
const PIECE: usize = 8 * 1024;

/// The rest of what a peer sends, which is read and discarded.
#[derive(Debug)]
pub(crate) struct Lingering {
    left: usize,
    end: Instant,
    timer: Pin<Box<Sleep>>,
}

/// The most of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    time: Duration,
    bytes: usize,
}

impl Bounds {
    pub(crate) fn of(limits: &Limits) -> Self {
        Self {
            time: limits.linger,
            bytes: limits.linger_bytes,
        }
    }
}

impl Lingering {
    fn new(bounds: Bounds) -> Self {
        let now = Instant::now();
        let end = now + bounds.time;
        Self {
            left: bounds.bytes,
            end,
            timer: Box::pin(sleep_until(end.min(now + PAUSE))),
        }
    }

    /// Ready when the peer has closed, has sent as much as is read, or has taken its time.
    fn poll(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<()> {
        let mut has_come = false;
        while let Poll::Ready(length) = discard(socket, cx) {
            if length == 0 || length > self.left {
                return Poll::Ready(());
            }
            self.left -= length;
            has_come = true;
        }
        if has_come {
            let pause = Instant::now() + PAUSE;
            self.timer.as_mut().reset(self.end.min(pause));
        }
        self.timer.as_mut().poll(cx)
    }
}

/// Reads bytes of `socket` and forgets them. Tells how many they were: none at its end.
fn discard(socket: &mut Socket, cx: &mut Context<'_>) -> Poll<usize> {
    let mut piece = [MaybeUninit::uninit(); PIECE];
    let mut buffer = ReadBuf::uninit(&mut piece);
    let read = ready!(Pin::new(socket).poll_read(cx, &mut buffer));
    Poll::Ready(read.map_or(0, |()| buffer.filled().len()))
}

/// Closes the write side of `socket`, and discards what its peer still sends.
pub(crate) async fn linger(mut socket: Socket, bounds: Bounds) {
    let closed = poll_fn(|cx| Pin::new(&mut socket).poll_shutdown(cx)).await;
    if closed.is_ok() {
        let mut lingering = Lingering::new(bounds);
        poll_fn(|cx| lingering.poll(&mut socket, cx)).await;
    }
}

/// The stream of an HTTP/1.1 connection. If its peer may still be sending when it is shut down, the shutdown
/// lasts until the peer has had the chance to read the answer.
pub(crate) struct LingeringStream {
    stream: Connection,
    unread: Arc<Unread>,
    open: Arc<Open>,
    bounds: Bounds,
    /// The peer has closed its side.
    ended: bool,
    lingering: Option<Lingering>,
}

impl LingeringStream {
    /// `stream`, whose requests are read as far as `unread` knows, and whose calls are `open`.
    pub(crate) fn new(
        stream: Connection,
        unread: Arc<Unread>,
        open: Arc<Open>,
        bounds: Bounds,
    ) -> Self {
        Self {
            stream,
            unread,
            open,
            bounds,
            ended: false,
            lingering: None,
        }
    }
}

impl AsyncRead for LingeringStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.unread.came();
        } else {
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LingeringStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper reads nothing while a call is open, so that a peer that has only closed its write side gets the
    /// answer. It flushes whenever it waits: a peer that has reset the connection is noticed here.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.open.calls() > 0
            && let Poll::Ready(error) = self.stream.socket().poll_broken(cx)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            let mut more = || discard(this.stream.socket(), cx).map(|length| length > 0);
            // Where all was read, more may have come since; where nothing has, nobody is waited for.
            if this.ended || !this.unread.is_owed() && more() != Poll::Ready(true) {
                return Poll::Ready(Ok(()));
            }
        }
        let bounds = this.bounds;
        let lingering = this.lingering.get_or_insert_with(|| Lingering::new(bounds));
        lingering.poll(this.stream.socket(), cx).map(Ok)
    }
}
