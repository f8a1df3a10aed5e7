//! The REST client: one HTTP/1.1 connection, JSON both ways, nothing that a call does not need.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};

use super::{
    recorder::Outcome,
    user::{Attack, ConnectError, GREETING},
};

/// The path of the call.
pub(super) const PATH: &str = "/v1/get_greetings";

/// The longest answer that is read, in bytes: what tonic's client reads of a message by default.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// One connection.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    data_comm_type: &'static str,
    message_type: &'static str,
    year: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    greetings: String,
    message_received: bool,
}

impl Connection {
    /// Connects to the attack's target.
    pub(super) async fn open(attack: &Attack) -> Result<Self, ConnectError> {
        let target = &attack.target;
        let stream = target.connect().await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the sender is dropped, the server closes, or the attack is stopped.
        tokio::spawn(attack.stop.clone().run_until_cancelled_owned(connection));
        Ok(Self {
            sender,
            host: target.authority(),
        })
    }

    /// Whether another call can be sent.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Makes one call, and reads and decodes the whole of its answer.
    pub(super) async fn call(&mut self) -> Outcome {
        self.exchange()
            .await
            .unwrap_or(Outcome::Broken("connection broken"))
    }

    async fn exchange(&mut self) -> hyper::Result<Outcome> {
        self.sender.ready().await?;
        let response = self.sender.send_request(self.request()).await?;
        let status = response.status().as_u16();
        let Ok(body) = Limited::new(response.into_body(), LONGEST_ANSWER)
            .collect()
            .await
        else {
            return Ok(Outcome::Broken("answer broken or too long"));
        };
        let body = body.to_bytes();
        if !Outcome::Http(status).is_ok() {
            return Ok(Outcome::Http(status));
        }
        Ok(match serde_json::from_slice(&body) {
            Ok(Answer {
                greetings,
                message_received: true,
            }) if greetings == GREETING => Outcome::Http(status),
            _ => Outcome::Broken("not the greeting asked for"),
        })
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let question = Question {
            data_comm_type: "REST",
            message_type: super::user::MESSAGE_TYPE,
            year: super::user::YEAR,
        };
        let body = serde_json::to_vec(&question).expect("two texts and a number are always JSON");
        Request::post(PATH)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .expect("the parts are valid")
    }
}
