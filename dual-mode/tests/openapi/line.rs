//! The line between what is greeted and what is refused, as the schemas draw it.

use dual_mode::greetings::{self, Request};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{ONE, common::Served, document, validator};

#[tokio::test]
async fn the_schemas_draw_the_line_where_the_business_draws_it() {
    let served = Served::start().await;
    let document = document(served.rest).await;
    let parameters = &document["paths"][ONE]["get"]["parameters"];
    let in_query = |name: &str| {
        let parameters = parameters.as_array().expect("parameters").iter();
        let mut found = parameters.filter(|parameter| parameter["name"] == name);
        let schema = &found.next().expect("the query has it")["schema"];
        validator(&document, schema, false)
    };
    let schema = &document["components"]["schemas"]["Request"];
    let in_body = validator(&document, schema, false);
    let fine = Request {
        message_type: "Holi".to_owned(),
        year: 2021,
        ..Request::default()
    };
    let same = |request: &Request, in_query: &Validator, value: &Value| {
        let greeted = greetings::greet(request).is_ok();
        assert_eq!(in_query.is_valid(value), greeted, "{request:?} in a query");
        let body = json!({
            "dataCommType": request.data_comm_type,
            "messageType": request.message_type,
            "year": request.year,
        });
        assert_eq!(in_body.is_valid(&body), greeted, "{request:?} in a body");
    };

    let (message_type, data_comm_type, year) = (
        in_query("messageType"),
        in_query("dataCommType"),
        in_query("year"),
    );
    // Every character that any standard calls a blank or a control is in the first plane.
    let characters = ('\0'..='\u{ffff}').chain(['\u{1fa94}', '\u{e0001}', '\u{10ffff}']);
    let alone = characters.map(String::from);
    let around = ['\n', '\u{a0}', '\u{85}', '\u{200b}', '\u{feff}'];
    let around = around.map(|c| format!("a{c}b{c}"));
    let long = [256, 257].map(|length| "ह".repeat(length));
    for text in alone.chain(around).chain(long).chain([String::new()]) {
        let value = Value::from(text.as_str());
        let request = Request {
            message_type: text,
            ..fine.clone()
        };
        same(&request, &message_type, &value);
    }
    for text in [
        "".to_owned(),
        "\n".to_owned(),
        "ह".repeat(32),
        "ह".repeat(33),
    ] {
        let value = Value::from(text.as_str());
        let request = Request {
            data_comm_type: text,
            ..fine.clone()
        };
        same(&request, &data_comm_type, &value);
    }
    for number in [i32::MIN, -1, 0, 1, 2021, 9999, 10_000, i32::MAX] {
        let request = Request {
            year: number,
            ..fine.clone()
        };
        same(&request, &year, &Value::from(number));
    }

    let batch = &document["components"]["schemas"]["BatchRequest"];
    let batch = validator(&document, batch, false);
    for length in [0, 1, 1000, 1001] {
        let requests = vec![json!({ "messageType": "Holi", "year": 2021 }); length];
        let greeted = greetings::greet_batch(&vec![fine.clone(); length]).is_ok();
        assert_eq!(
            batch.is_valid(&json!({ "requests": requests })),
            greeted,
            "{length}"
        );
    }
    served.stop().await;
}
