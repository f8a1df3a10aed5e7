//! Same input, same outcome, however it comes: one table drives both transports.

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
use common::{Served, http};
use proto::rest_grpc_dual_mode::{
    RequestMessage, greetings_generator_client::GreetingsGeneratorClient,
};
use serde_json::{Value, json};
use tonic::{Code, transport::Channel};

/// A greeting, or the sentence that says what is wrong with the request.
type Outcome = Result<String, String>;

/// Each request as (dataCommType, messageType, year), and the part of the greeting in brackets or
/// the field that is wrong.
fn cases() -> Vec<(String, String, i32, Result<String, &'static str>)> {
    let long = |length| "ह".repeat(length);
    let case = |comm: &str, kind: &str, year, outcome: Result<&str, _>| {
        (comm.into(), kind.into(), year, outcome.map(str::to_owned))
    };
    vec![
        case("gRPC", "Holi", 2021, Ok("(Holi, 2021)")),
        case("REST", "Diwali", 2023, Ok("(Diwali, 2023)")),
        case("", "Holi", 1, Ok("(Holi, 1)")),
        case("smoke signals", "Holi", 9999, Ok("(Holi, 9999)")),
        case("", "दीवाली 🪔", 2023, Ok("(दीवाली 🪔, 2023)")),
        case(
            "",
            " a \"b\" & c=d% {e} \\ ",
            5,
            Ok("( a \"b\" & c=d% {e} \\ , 5)"),
        ),
        case("", &long(256), 5, Ok(&format!("({}, 5)", long(256)))),
        case(&long(32), "Holi", 5, Ok("(Holi, 5)")),
        case("", "", 0, Err("messageType")),
        case("REST", "", 2023, Err("messageType")),
        case("REST", " \u{a0}", 2023, Err("messageType")),
        case("REST", "a\nb", 2023, Err("messageType")),
        case("REST", "a\0", 2023, Err("messageType")),
        case("REST", &long(257), 2023, Err("messageType")),
        case("REST", "Holi", 0, Err("year")),
        case("REST", "Holi", -1, Err("year")),
        case("REST", "Holi", 10_000, Err("year")),
        case("REST", "Holi", i32::MIN, Err("year")),
        case("REST", "Holi", i32::MAX, Err("year")),
        case(&long(33), "Holi", 2023, Err("dataCommType")),
    ]
}

#[tokio::test]
async fn every_request_has_the_same_outcome_over_grpc_a_query_and_a_body() {
    let served = Served::start().await;
    let channel = serving::client::connect(&served.grpc.to_string()).await;
    let mut stub = GreetingsGeneratorClient::new(channel.unwrap());
    for (comm, kind, year, expected) in cases() {
        let outcome = over_grpc(&mut stub, &comm, &kind, year).await;
        match (&outcome, &expected) {
            (Ok(greeting), Ok(brackets)) => assert_eq!(
                *greeting,
                format!("Here is your greetings --> Today is a special day! {brackets}")
            ),
            (Err(detail), Err(field)) => assert!(detail.starts_with(field), "{detail}"),
            _ => panic!("{comm:?}, {kind:?}, {year}: {outcome:?}, not {expected:?}"),
        }

        let name = format!("{comm:?}, {kind:?}, {year}");
        let fields = [
            ("dataCommType", comm.clone(), json!(comm)),
            ("messageType", kind.clone(), json!(kind)),
            ("year", year.to_string(), json!(year)),
        ];
        // proto3 does not write a field that holds its default; REST may leave it out as well.
        let written = [!comm.is_empty(), !kind.is_empty(), year != 0];
        let shorter = fields.iter().zip(written).filter(|(_, written)| *written);
        let shorter: Vec<_> = shorter.map(|(field, _)| field.clone()).collect();
        for fields in [&fields[..], &shorter] {
            assert_eq!(over_query(&served, fields).await, outcome, "query {name}");
            assert_eq!(over_body(&served, fields).await, outcome, "body {name}");
        }
    }
    served.stop().await;
}

async fn over_grpc(
    stub: &mut GreetingsGeneratorClient<Channel>,
    comm: &str,
    kind: &str,
    year: i32,
) -> Outcome {
    let request = RequestMessage {
        data_comm_type: comm.to_owned(),
        message_type: kind.to_owned(),
        year,
    };
    match stub.grpc_get_greetings(request).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            assert!(answer.message_received);
            Ok(answer.greetings)
        }
        Err(status) => {
            assert_eq!(status.code(), Code::InvalidArgument, "{status}");
            Err(status.message().to_owned())
        }
    }
}

type Field = (&'static str, String, Value);

async fn over_query(served: &Served, fields: &[Field]) -> Outcome {
    let pairs = fields.iter().map(|(name, text, _)| {
        let text: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("{name}={text}")
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    over_rest(served, &format!("GET /v1/get_greetings?{query}"), "").await
}

async fn over_body(served: &Served, fields: &[Field]) -> Outcome {
    let fields = fields.iter().cloned();
    let body: serde_json::Map<_, _> = fields
        .map(|(name, _, value)| (name.to_owned(), value))
        .collect();
    let body = Value::from(body).to_string();
    over_rest(served, "POST /v1/get_greetings", &body).await
}

async fn over_rest(served: &Served, method_and_path: &str, body: &str) -> Outcome {
    let answer = http(served.rest, method_and_path, "", body).await;
    let body: Value = serde_json::from_str(&answer.body).expect("the body is JSON");
    let text = |key: &str| body[key].as_str().expect("it is a text").to_owned();
    if answer.status == 200 {
        assert_eq!(body["messageReceived"], true);
        Ok(text("greetings"))
    } else {
        assert_eq!(answer.status, 400, "{answer:?}");
        Err(text("detail"))
    }
}
