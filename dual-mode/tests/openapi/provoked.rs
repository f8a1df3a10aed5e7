//! Every documented answer, brought about.

use std::{net::SocketAddr, time::Duration};

use serving::limits::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    common::{
        Answer, PATIENCE, Served,
        panics::{FATAL, panics},
    },
    document, fits, operations,
};

/// A request to send: a method and a path, a query, headers, a body, and the length that the head
/// declares, which may be more than is really sent.
struct Sent {
    to: &'static str,
    query: String,
    headers: String,
    body: String,
    length: usize,
}

impl Sent {
    /// A request that is fine.
    fn fine(to: &'static str) -> Self {
        let (query, body) = match to {
            "GET /v1/get_greetings" => ("?messageType=Holi&year=2021", ""),
            "POST /v1/get_greetings" => ("", r#"{"messageType":"Holi","year":2021}"#),
            "POST /v1/get_greetings:batch" => {
                ("", r#"{"requests":[{"messageType":"Holi","year":"2021"}]}"#)
            }
            _ => ("", ""),
        };
        Self {
            to,
            query: query.to_owned(),
            headers: String::new(),
            body: body.to_owned(),
            length: body.len(),
        }
    }

    fn with_headers(self, headers: &str) -> Self {
        let headers = headers.to_owned();
        Self { headers, ..self }
    }

    /// A greeting for another occasion.
    fn of(self, occasion: &str) -> Self {
        let body = self.body.replace("Holi", occasion);
        Self {
            query: self.query.replace("Holi", occasion),
            length: body.len(),
            body,
            ..self
        }
    }

    /// Says that the body is longer than what comes of it.
    fn of_length(self, length: usize) -> Self {
        Self { length, ..self }
    }

    async fn to(&self, address: SocketAddr) -> Answer {
        let head = format!(
            "{}{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{}\r\n",
            self.to, self.query, self.length, self.headers
        );
        let exchange = async {
            let mut connection = TcpStream::connect(address).await?;
            connection.write_all(head.as_bytes()).await?;
            connection.write_all(self.body.as_bytes()).await?;
            let mut answer = Vec::new();
            // A server that refuses a request it has not read to its end may reset the connection.
            let read = connection.read_to_end(&mut answer).await;
            if answer.is_empty() {
                read.map(|_| answer)
            } else {
                Ok(answer)
            }
        };
        let answer = timeout(PATIENCE, exchange)
            .await
            .expect("an answer in time");
        let answer = answer.expect("an answer").into_iter();
        // A body of protobuf is not looked into here.
        let answer = String::from_utf8_lossy(&answer.collect::<Vec<_>>()).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        Answer {
            status: status
                .and_then(|status| status.parse().ok())
                .expect("a status"),
            headers: lines.map(str::to_owned).collect(),
            body: body.to_owned(),
        }
    }
}

/// Returns the limits of the server and the requests that bring about a documented status, or
/// `None` if nothing does.
fn provocations(to: &'static str, status: u16) -> Option<(Limits, Vec<Sent>)> {
    let limits = Limits::default();
    let fine = || Sent::fine(to);
    let has_body = to.starts_with("POST");
    let requests = match status {
        200 => {
            let mut requests = vec![fine(), fine().with_headers("grpc-timeout: 5S\r\n")];
            if to.contains("greetings") {
                requests.push(fine().with_headers("accept: application/protobuf\r\n"));
            }
            requests
        }
        400 => {
            let named = "x-request-id: abc\r\n";
            let mut requests = vec![fine().with_headers("grpc-timeout: soon\r\n")];
            if has_body {
                requests.push(
                    Sent {
                        body: "{}".to_owned(),
                        length: 2,
                        ..fine()
                    }
                    .with_headers(named),
                );
                requests.push(Sent {
                    body: "{".to_owned(),
                    length: 1,
                    ..fine()
                });
                requests.push(Sent {
                    body: "".to_owned(),
                    length: 0,
                    ..fine()
                });
                requests.push(fine().with_headers("content-type: application/protobuf\r\n"));
            } else if to.contains("greetings") {
                let queries = [
                    "",
                    "?messageType=Holi",
                    "?messageType=Holi&year=2021&x=1",
                    "?%ff",
                ];
                requests.extend(queries.map(|query| Sent {
                    query: query.to_owned(),
                    ..fine()
                }));
            }
            requests
        }
        403 => vec![fine().with_headers("origin: https://evil.example\r\n")],
        421 => vec![fine()],
        408 => {
            let body_pause = Duration::from_millis(1);
            return Some((
                Limits {
                    body_pause,
                    ..limits
                },
                vec![fine().of_length(1000)],
            ));
        }
        413 => vec![fine().of_length(limits.message + 1)],
        414 => vec![Sent {
            query: format!("?{}", "x".repeat(limits.uri)),
            ..fine()
        }],
        415 => ["text/html", "application/grpc"]
            .map(|form| fine().with_headers(&format!("content-type: {form}\r\n")))
            .into(),
        431 => vec![fine().with_headers(&"x: y\r\n".repeat(limits.headers + 1))],
        503 => return Some((Limits { calls: 0, ..limits }, vec![fine()])),
        504 if has_body => {
            let longest_call = Duration::from_millis(1);
            return Some((
                Limits {
                    longest_call,
                    ..limits
                },
                vec![fine().of_length(1000)],
            ));
        }
        // A greeting that waits for nothing is there before a deadline can be.
        504 => return None,
        // Nothing can go wrong in a probe.
        500 if !to.contains("greetings") => return None,
        500 => vec![fine().of(FATAL)],
        _ => panic!("{to} documents {status}, and this test cannot bring it about"),
    };
    Some((limits, requests))
}

#[tokio::test]
async fn every_documented_answer_is_given_as_it_is_documented() {
    let _panics = panics();
    let served = Served::start().await;
    let document = document(served.rest).await;
    for (operation, described) in operations(&document) {
        let known = [
            "GET /v1/get_greetings",
            "POST /v1/get_greetings",
            "POST /v1/get_greetings:batch",
            "GET /healthz",
            "GET /readyz",
        ];
        let known = known.into_iter().find(|known| *known == operation);
        let operation =
            known.unwrap_or_else(|| panic!("{operation} is new: let this test bring it about"));
        let responses = described["responses"].as_object().expect("responses");
        let least = ["200", "400", "414", "421", "431", "500", "503", "504"].into_iter();
        let of_bodies = ["403", "408", "413", "415"].into_iter();
        let of_bodies = of_bodies.filter(|_| operation.starts_with("POST"));
        for status in least.chain(of_bodies) {
            assert!(
                responses.contains_key(status),
                "{operation} has no {status}"
            );
        }
        for (status, described) in responses {
            let status = status.parse().expect("a status");
            let Some((limits, requests)) = provocations(operation, status) else {
                continue;
            };
            // The requests are for another host.
            let hosts = if status == 421 {
                &["api.example"][..]
            } else {
                &[]
            };
            let served = Served::called(hosts, &limits, &[]).await;
            for request in requests {
                let answer = request.to(served.rest).await;
                let what = format!("{operation}{}, {status}", request.query);
                assert_eq!(answer.status, status, "{what}: {answer:?}");
                fits(&document, described, &answer, &what);
            }
            served.stop().await;
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_server_that_goes_away_says_so_as_it_is_documented() {
    let limits = Limits {
        // The server of this test goes with it, and not in order.
        drain_pause: PATIENCE,
        ..Limits::default()
    };
    let served = Served::with(&limits, &[]).await;
    let document = document(served.rest).await;
    served.drain();
    let answer = Sent::fine("GET /readyz").to(served.rest).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("NOT_SERVING"), "{answer:?}");
    let described = &document["paths"]["/readyz"]["get"]["responses"]["503"];
    fits(&document, described, &answer, "GET /readyz");
    // Those who still come are served.
    for operation in ["GET /v1/get_greetings", "GET /healthz"] {
        let answer = Sent::fine(operation).to(served.rest).await;
        assert_eq!(answer.status, 200, "{operation}: {answer:?}");
    }
}
