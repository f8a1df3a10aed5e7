//! HTTP/2: one of h2's connections. hyper's client puts two tasks and two channels between a call and
//! h2, which cost as much as the call itself.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Waker},
};

use bytes::Bytes;
use h2::{
    RecvStream,
    client::{self, ResponseFuture, SendRequest},
};
use http::Request;

use super::{CallError, Collected, Received, Sharing, driver::Driver};
use crate::tls::Stream;

/// Flow control: what hyper's client gives by default, so that no reply of a usual size waits for it.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 5 * 1024 * 1024;

/// One connection, or a user's share of it.
pub(crate) struct Connection {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) driver: Driver,
}

impl Connection {
    pub(super) async fn open(stream: Stream, sharing: Sharing) -> Result<Self, h2::Error> {
        let (sender, connection) = client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false)
            .handshake(stream)
            .await?;
        let work = async move {
            // Calls tell of an error.
            let _ = connection.await;
        };
        let driver = match sharing {
            Sharing::Exclusive => Driver::of_user(work),
            Sharing::Shared => Driver::task(work),
        };
        Ok(Self { sender, driver })
    }

    /// The same connection for another user; none where it has one call at a time.
    pub(super) fn share(&self) -> Option<Self> {
        Some(Self {
            sender: self.sender.clone(),
            driver: self.driver.share()?,
        })
    }

    pub(super) fn is_open(&mut self) -> bool {
        !self.driver.has_ended() && is_open(&mut self.sender)
    }

    pub(super) async fn attend<F: Future>(&mut self, future: Pin<&mut F>) -> F::Output {
        self.driver.attend(future).await
    }

    pub(super) async fn call(
        &mut self,
        head: Request<()>,
        body: Bytes,
    ) -> Result<Received, CallError> {
        let sender = &mut self.sender;
        let exchange = async {
            poll_fn(|cx| sender.poll_ready(cx)).await?;
            let (head, stream) = send(sender, head, body)?.await?.into_parts();
            Ok::<_, CallError>(Received::Http(head, collect(stream).await?))
        };
        self.driver.call(pin!(exchange)).await
    }
}

/// Returns true if `sender` can send another call: the connection has not failed.
pub(super) fn is_open(sender: &mut SendRequest<Bytes>) -> bool {
    let polled = sender.poll_ready(&mut Context::from_waker(Waker::noop()));
    !matches!(polled, std::task::Poll::Ready(Err(_)))
}

/// Sends a whole request: its last frame ends the stream.
pub(super) fn send(
    sender: &mut SendRequest<Bytes>,
    head: Request<()>,
    body: Bytes,
) -> Result<ResponseFuture, h2::Error> {
    let (response, mut stream) = sender.send_request(head, body.is_empty())?;
    if !body.is_empty() {
        // h2 keeps what flow control does not let go yet.
        stream.send_data(body, true)?;
    }
    Ok(response)
}

async fn collect(mut stream: RecvStream) -> Result<Bytes, CallError> {
    let mut collected = Collected::default();
    while let Some(part) = poll_fn(|cx| stream.poll_data(cx)).await {
        let part = part?;
        stream.flow_control().release_capacity(part.len())?;
        collected.push(part)?;
        if stream.is_end_stream() {
            break;
        }
    }
    Ok(collected.into_bytes())
}
