//! The bytes of one connection: with an end to every write that a peer does not read, and with the
//! first bytes put back after they were looked at.

use std::{
    future::Future,
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// What every HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The frame that must follow it, SETTINGS of the connection: by its type. h2 looks at the
/// rest.
const SETTINGS: u8 = 4;
const FRAME_HEAD: usize = 9;

/// A connection whose writes must not stall.
pub(crate) struct Connection {
    stream: TcpStream,
    first: BytesMut,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, stalled_write: Duration) -> Self {
        Self {
            stream,
            first: BytesMut::new(),
            limit: stalled_write,
            stalled: None,
        }
    }

    /// Whether the peer speaks HTTP/2, by its first bytes, which are kept to be read again: the preface
    /// with the head of the SETTINGS frame that ends it, for which h2 itself would wait without an
    /// end. Whatever deviates from the preface is taken for HTTP/1.
    ///
    /// # Errors
    /// When the peer closes before it can be told, or sends another frame than SETTINGS.
    pub(crate) async fn speaks_http2(&mut self) -> io::Result<bool> {
        while self.first.len() < PREFACE.len() + FRAME_HEAD {
            if self.stream.read_buf(&mut self.first).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let length = self.first.len().min(PREFACE.len());
            if self.first[..length] != PREFACE[..length] {
                return Ok(false);
            }
        }
        match self.first[PREFACE.len() + 3] {
            SETTINGS => Ok(true),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Passes on how a write went, or that it has waited for too long.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let limit = self.limit;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..length]);
        self.first.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buffer);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
