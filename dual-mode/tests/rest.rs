//! REST over a real socket, byte by byte: what the original's clients send and read, and what they
//! are told when they are wrong.

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
use common::{
    Answer, Served, http,
    wire::{To, Wire},
    written,
};

const JSON: &str = r#"{"messageType":"Holi","year":2021}"#;
const PATH: &str = "/v1/get_greetings";
const DIWALI: &str = r#"{"greetings":"Here is your greetings --> Today is a special day! (Diwali, 2023)","messageReceived":true}"#;

/// Asserts that `answer` is a problem as RFC 9457 writes it, and returns its detail.
#[track_caller]
fn problem(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    let content_type = answer.header("content-type");
    assert_eq!(content_type, Some("application/problem+json"));
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(body["status"], status, "{answer:?}");
    assert!(body["title"].is_string(), "{answer:?}");
    body["detail"].as_str().expect("a detail").to_owned()
}

#[tokio::test]
async fn a_query_is_answered_as_the_original_answers_it() {
    let served = Served::start().await;
    for query in [
        "dataCommType=REST&messageType=Diwali&year=2023",
        "year=2023&messageType=Diwali&dataCommType=",
        "year=2023&messageType=Diwali",
        "messageType=%44iwali&year=%32023",
    ] {
        let answer = http(served.rest, &format!("GET {PATH}?{query}"), "", "").await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.body, DIWALI, "{query}");
    }
    let eid = format!("GET {PATH}?messageType=Eid+al-Fitr&year=2023");
    let answer = http(served.rest, &eid, "", "").await;
    assert!(answer.body.contains("(Eid al-Fitr, 2023)"), "{answer:?}");
    served.stop().await;
}

#[tokio::test]
async fn a_body_is_read_as_json_unless_its_content_type_says_otherwise() {
    let served = Served::start().await;
    let number = r#"{"dataCommType":"REST","messageType":"Diwali","year":2023}"#;
    let text = r#"{"dataCommType":"REST","messageType":"Diwali","year":"2023"}"#;
    let spaced = "\r\n{ \"year\" : 2023 ,\n\t\"messageType\" : \"Diwal\\u0069\" } ";
    for body in [number, text, spaced] {
        for headers in [
            "",
            "content-type: application/json\r\n",
            "content-type: application/x-www-form-urlencoded\r\n",
            "content-type: Application/Geo+JSON; charset=utf-8\r\n",
        ] {
            let answer = http(served.rest, &format!("POST {PATH}"), headers, body).await;
            assert_eq!(answer.status, 200, "{headers:?}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.body, DIWALI, "{headers:?}");
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_query_that_is_wrong_is_a_problem_that_names_what() {
    let served = Served::start().await;
    for (query, named) in [
        ("", "messageType"),
        ("?", "messageType"),
        ("?year=2023", "messageType"),
        ("?messageType=&year=2023", "messageType"),
        ("?messageType=Holi", "year"),
        ("?messageType=Holi&year=", "year"),
        ("?messageType=Holi&year=soon", "year"),
        ("?messageType=Holi&year=2023.5", "year"),
        ("?messageType=Holi&year=99999999999", "year"),
        ("?messageType=Holi&year=2023&yeer=1", "yeer"),
    ] {
        let answer = http(served.rest, &format!("GET {PATH}{query}"), "", "").await;
        let detail = problem(&answer, 400);
        assert!(detail.contains(named), "{query:?}: {detail}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_is_wrong_is_a_problem_that_names_what() {
    let served = Served::start().await;
    for (body, named) in [
        (&b"{}"[..], "messageType"),
        (br#"{"year":2023}"#, "messageType"),
        (br#"{"messageType":"Holi"}"#, "year"),
        (br#"{"messageType":"Holi","year":"soon"}"#, "year"),
        (br#"{"messageType":"Holi","year":2023.5}"#, "year"),
        (br#"{"messageType":"Holi","year":99999999999}"#, "year"),
        (br#"{"messageType":"Holi","year":null}"#, "year"),
        (br#"{"messageType":"Holi","year":[2023]}"#, "year"),
        (br#"{"messageType":7,"year":2023}"#, "messageType"),
        (br#"{"messageType":"Holi","year":2023,"yeer":1}"#, "yeer"),
        (br#"{"messageType":"Holi","year":2023} again"#, "JSON"),
        (br#"{"messageType":"Holi","#, "JSON"),
        (b"messageType=Holi&year=2023", "JSON"),
        (b"", "JSON"),
        (b"null", "JSON object"),
        (br#"["REST","Holi",2021]"#, "JSON object"),
        (b"\xff\xfe", "JSON"),
    ] {
        let answer = http(served.rest, &format!("POST {PATH}"), "", body).await;
        let detail = problem(&answer, 400);
        let body = String::from_utf8_lossy(body);
        assert!(detail.contains(named), "{body}: {detail}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_body_whose_chunks_are_no_chunks_is_malformed_and_did_not_break_off() {
    let served = Served::start().await;
    let ask = async |path: &str, headers: &str, body: &str| {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
        );
        written(served.rest, request.as_bytes()).await
    };
    for path in [PATH, "/rpc"] {
        // A size that is no number, one that no number holds, and no end of the line behind a chunk.
        for body in ["zz\r\n", "fffffffffffffffffffff\r\n", "2\r\n{}xx0\r\n\r\n"] {
            let answer = ask(path, "transfer-encoding: chunked\r\n", body).await;
            let detail = problem(&answer, 400);
            assert!(answer.body.contains("MALFORMED"), "{answer:?}");
            assert!(detail.contains("chunks"), "{body}: {detail}");
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let served = Served::start().await;
    for path in ["/pages", "/v1", "/v1/get_greetings/", "/v1/Get_Greetings"] {
        problem(
            &http(served.rest, &format!("GET {path}"), "", "").await,
            404,
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let served = Served::start().await;
    for method in ["PUT", "DELETE", "PATCH", "BREW"] {
        let answer = http(served.rest, &format!("{method} {PATH}"), "", "{}").await;
        problem(&answer, 405);
        let allow = answer.header("allow").expect("RFC 9110 demands it");
        let mut allowed: Vec<_> = allow.split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["GET", "HEAD", "OPTIONS", "POST"], "{method}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_target_is_read_as_its_rfc_says() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    for to in [To::Rest1, To::Rest2] {
        for (path, status) in [
            ("/v1/get%5Fgreetings?messageType=a&year=1", 200),
            ("/%76%31/get%5fgreetings?messageType=a&year=1", 200),
            ("/v1%2Fget_greetings?messageType=a&year=1", 404),
        ] {
            let answer = wire.send(to, &format!("GET {path}"), &[], "").await;
            assert_eq!(answer.status, status, "{path}: {answer:?}");
        }
    }
    let method = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGet%47reetings";
    let answer = wire.grpc(method, &[], b"\x12\x04Holi\x18\xe5\x0f").await;
    assert_eq!(answer.trailers["grpc-status"], "0", "{answer:?}");
    for port in [served.rest, served.grpc] {
        let asked = "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = written(port, asked.as_bytes()).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        assert!(answer.header("allow").is_some(), "{answer:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_content_coding_is_told_by_every_header_and_in_any_case() {
    let served = Served::start().await;
    for path in [PATH, "/rpc"] {
        let body = match path {
            PATH => JSON,
            _ => {
                r#"{"jsonrpc":"2.0","method":"get_greetings","params":{"messageType":"a","year":1},"id":1}"#
            }
        };
        for (codings, status) in [
            ("content-encoding: Identity\r\n", 200),
            (
                "content-encoding: identity\r\ncontent-encoding: gzip\r\n",
                415,
            ),
            ("content-encoding: identity, gzip\r\n", 415),
            (
                "content-type: application/json\r\ncontent-type: text/plain\r\n",
                415,
            ),
        ] {
            let answer = http(served.rest, &format!("POST {path}"), codings, body).await;
            assert_eq!(answer.status, status, "{codings}: {answer:?}");
            let is_coding = status == 415 && codings.contains("encoding");
            let read = answer.header("accept-encoding");
            assert_eq!(read, is_coding.then_some("identity"), "{answer:?}");
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn bytes_that_are_not_read_are_not_passed_over() {
    let served = Served::start().await;
    for (to, body) in [
        ("POST /v1/get_greetings", &*format!("{JSON} {{}}")),
        ("POST /v1/get_greetings", &*format!("{JSON}x")),
        ("GET /v1/get_greetings?messageType=a&year=1", JSON),
    ] {
        let answer = http(served.rest, to, "", body).await;
        problem(&answer, 400);
        assert!(answer.body.contains("MALFORMED"), "{answer:?}");
    }
    served.stop().await;
}
