//! The bytes of one connection: with an end to every write that a peer does not read, under TLS or
//! not, and with the first bytes put back after they were looked at.

use std::{
    future::Future,
    io::{self, ErrorKind, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep, sleep_until},
};
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;
#[cfg(feature = "tls")]
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::{
    chunk::Open,
    http2::{LAST_WORD, Wire},
    linger::Bounds,
    peer::Peer,
    telemetry::metrics::{Limit, Listener},
    tls::Tls,
};

/// Preface with which every HTTP/2 connection begins (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The frame that must follow it, SETTINGS of the connection: by its type. h2 looks at the
/// rest.
const SETTINGS: u8 = 4;
const FRAME_HEAD: usize = 9;

/// Time between two questions to the system whether a connection is broken whose peer has closed its side: it
/// tells that by no event of its own.
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// A socket whose writes must not stall.
pub(crate) struct Socket {
    stream: TcpStream,
    remote: SocketAddr,
    limit: Duration,
    open: Arc<Open>,
    counters: Arc<Listener>,
    stalled: Option<Pin<Box<Sleep>>>,
    /// When the system is asked again whether the connection is broken.
    asked_again: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// `stream`, which comes from `remote`.
    pub(crate) fn new(
        (stream, remote): (TcpStream, SocketAddr),
        stalled_write: Duration,
        open: &Arc<Open>,
        counters: &Arc<Listener>,
    ) -> Self {
        Self {
            stream,
            remote,
            limit: stalled_write,
            open: Arc::clone(open),
            counters: Arc::clone(counters),
            stalled: None,
            asked_again: None,
        }
    }

    /// Waits until the connection is broken in both directions. One whose peer has only closed its side is
    /// always ready to be read, and never to be read from: it is asked once in a while.
    pub(crate) fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            if let Err(error) = ready!(self.stream.poll_read_ready(cx)) {
                return Poll::Ready(error);
            }
            match self.stream.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => return Poll::Ready(error),
            }
            let again = self
                .asked_again
                .get_or_insert_with(|| Box::pin(sleep(ASKED_EVERY)));
            ready!(again.as_mut().poll(cx));
            self.asked_again = None;
        }
    }

    /// Passes on how a write went, or that it has waited for too long.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            if self.stalled.take().is_some() {
                self.open.set_full(false);
            }
            return result;
        }
        let (limit, open) = (self.limit, &self.open);
        let timer = self.stalled.get_or_insert_with(|| {
            open.set_full(true);
            let stalled = Instant::now() + limit;
            let last = |end| stalled.min(end + LAST_WORD);
            Box::pin(sleep_until(open.last_moment().map_or(stalled, last)))
        });
        ready!(timer.as_mut().poll(cx));
        let passed = open.last_moment().is_some_and(|end| end < timer.deadline());
        self.counters.hit(match passed {
            true => Limit::Deadline,
            false => Limit::StalledWrite,
        });
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.open.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
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
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let result = match buffers {
            // `send` costs the kernel less than `writev`, and small answers are one buffer each.
            [buffer] => stream.poll_write(cx, buffer),
            buffers => stream.poll_write_vectored(cx, buffers),
        };
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

#[cfg(feature = "tls")]
impl Connected for Socket {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        TcpConnectInfo {
            local_addr: self.stream.local_addr().ok(),
            remote_addr: Some(self.remote),
        }
    }
}

/// A socket, under TLS or not.
enum Stream {
    Clear(Socket),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Socket>>),
}

/// A connection whose first bytes can be looked at.
pub(crate) struct Connection {
    stream: Stream,
    first: BytesMut,
}

impl Connection {
    /// `socket` as it is, or after the handshake of `tls`, which has no end of its own.
    ///
    /// # Errors
    /// When the handshake fails.
    pub(crate) async fn open(
        socket: Socket,
        tls: Option<&Tls>,
        #[cfg_attr(not(feature = "tls"), expect(unused_variables))] bounds: Bounds,
    ) -> io::Result<Self> {
        let stream = match tls {
            None => Stream::Clear(socket),
            #[cfg(not(feature = "tls"))]
            Some(tls) => match *tls {},
            #[cfg(feature = "tls")]
            Some(tls) => match tls.acceptor().accept(socket).into_fallible().await {
                Ok(stream) => Stream::Tls(Box::new(stream)),
                Err((error, socket)) => {
                    // Its peer may have gone on already, and is to read why it was refused.
                    crate::linger::linger(socket, bounds).await;
                    return Err(error);
                }
            },
        };
        let first = BytesMut::new();
        Ok(Self { stream, first })
    }

    /// Its other end, whose certificates are known once the handshake is over.
    pub(crate) fn peer(&self) -> Peer {
        match &self.stream {
            Stream::Clear(socket) => Peer::clear(socket.remote, socket.stream.local_addr().ok()),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Peer::tls(stream.get_ref().0.remote, stream.connect_info()),
        }
    }

    /// Returns the socket below the connection, whether under TLS or not.
    pub(crate) fn socket(&mut self) -> &mut Socket {
        match &mut self.stream {
            Stream::Clear(socket) => socket,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.get_mut().0,
        }
    }

    /// Returns true if the peer speaks HTTP/2, by its first bytes: the preface with the head of the SETTINGS
    /// frame that ends it, for which h2 itself would wait without an end. The bytes are kept to be read
    /// again. Whatever deviates from the preface is taken for HTTP/1.
    ///
    /// # Errors
    /// When the peer closes before it can be told, or sends another frame than SETTINGS.
    pub(crate) async fn speaks_http2(&mut self) -> io::Result<bool> {
        while self.first.len() < PREFACE.len() + FRAME_HEAD {
            let read = match &mut self.stream {
                Stream::Clear(socket) => socket.read_buf(&mut self.first).await?,
                #[cfg(feature = "tls")]
                Stream::Tls(stream) => stream.read_buf(&mut self.first).await?,
            };
            if read == 0 {
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
}

impl Wire for Connection {
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match &mut self.stream {
            Stream::Clear(socket) => socket.poll_broken(cx),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.get_mut().0.poll_broken(cx),
        }
    }
}

/// Does the same to the stream, whichever it is.
macro_rules! either {
    ($connection:expr, $method:ident($($argument:expr),*)) => {
        match &mut $connection.stream {
            Stream::Clear(socket) => Pin::new(socket).$method($($argument),*),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return either!(self, poll_read(cx, buffer));
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
        either!(self, poll_write(cx, buffer))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Clear(socket) => socket.is_write_vectored(),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(cx))
    }
}
