//! HTTP/1.1: one of hyper's connections.

use std::pin::{Pin, pin};

use bytes::Bytes;
use http::{HeaderMap, Request, header, response::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;

use super::{CallError, Collected, driver::Driver};
use crate::tls::Stream;

/// One connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    /// True if the server has said that it closes, which may take it a moment.
    is_closing: bool,
}

impl Connection {
    pub(super) async fn open(stream: Stream, is_short: bool) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        // A head and a short body in one piece: to write two costs more than to copy them.
        builder.writev(!is_short);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            driver: Driver::of_user(async move {
                // Calls tell of an error.
                let _ = connection.await;
            }),
            is_closing: false,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.is_closing && !self.driver.has_ended() && !self.sender.is_closed()
    }

    pub(super) async fn attend<F: Future>(&mut self, future: Pin<&mut F>) -> F::Output {
        self.driver.attend(future).await
    }

    pub(super) async fn call(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Parts, Bytes), CallError> {
        let sender = &mut self.sender;
        let exchange = async {
            if !sender.is_ready() {
                sender.ready().await?;
            }
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok::<_, CallError>((head, collect(body).await?))
        };
        let (head, body) = self.driver.call(pin!(exchange)).await?;
        self.is_closing = closes(&head.headers);
        Ok((head, body))
    }
}

async fn collect(mut body: Incoming) -> Result<Bytes, CallError> {
    let mut collected = Collected::default();
    while !body.is_end_stream() {
        match body.frame().await {
            Some(frame) => {
                if let Ok(part) = frame?.into_data() {
                    collected.push(part)?;
                }
            }
            None => break,
        }
    }
    Ok(collected.into_bytes())
}

/// Returns true if the server closes the connection after this reply: `close` is among the tokens
/// of any `Connection` header, in whatever case (RFC 9110 §7.6.1).
fn closes(headers: &HeaderMap) -> bool {
    let tokens = |value: &str| {
        value
            .split(',')
            .any(|token| token.trim().eq_ignore_ascii_case("close"))
    };
    let mut values = headers.get_all(header::CONNECTION).iter();
    values.any(|value| value.to_str().is_ok_and(tokens))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_is_a_token_in_any_case_of_any_connection_header() {
        for (values, is_closing) in [
            (&["close"][..], true),
            (&["Close"], true),
            (&["keep-alive, CLOSE"], true),
            (&["upgrade", " x-hop ,close "], true),
            (&["keep-alive"], false),
            (&["closed", "x-close"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONNECTION, value.parse().unwrap());
            }
            assert_eq!(closes(&headers), is_closing, "{values:?}");
        }
    }
}
