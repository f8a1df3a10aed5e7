//! The JSON-RPC 2.0 adapter at `POST /rpc`: a third transport, in one file (jsonrpc.org). It decides
//! nothing.
//!
//! Its methods are `get_greetings` and `get_greetings_batch`, with the fields of the contract as
//! params by name. Calls may come several in one array; those without an id are not answered.

use std::{borrow::Cow, fmt};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, StatusCode, header::CONTENT_TYPE},
    response::Response,
    routing::post,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{error::Category, value::RawValue};
use serving::{CallContext, telemetry::codes::CountedAs};
use tonic::Code;

use crate::{
    faults::Fault,
    greetings::batch_of,
    rest::{AnswerBody, BatchBody, Details, Form, json, only, problem, whole},
};

/// Name of this adapter in the log, if the caller names no transport.
const JSON_RPC: &str = "JSON-RPC";

/// The most calls in one array. A call takes two bytes, and the answer to it a hundred times as many; of
/// its batches, all together are bounded like one.
const MOST_CALLS: usize = 100;

/// `POST /rpc`, whose requests have at most `longest` bytes.
pub(crate) fn routes(longest: usize) -> Router {
    let call = async move |request| respond(request, longest).await;
    Router::new().route("/rpc", only(post(call), "POST, OPTIONS"))
}

async fn respond(request: Request<Body>, longest: usize) -> Response {
    let (head, body) = request.into_parts();
    let call = CallContext::of(&head.extensions);
    let body = match Form::of_request(&head.headers) {
        Ok(Form::Json) => whole(body, longest).await,
        Ok(form) => Err(Fault::UnsupportedMediaType {
            form: form.media_type().to_owned(),
            accept: "application/json",
        }),
        Err(fault) => Err(fault),
    };
    let body = match body {
        Ok(body) => body,
        Err(fault) => return problem(&fault, &call),
    };
    let mut tally = Tally {
        call,
        asked: 0,
        worst: None,
    };
    let answer = answers(&body, &mut tally).await;
    let mut response = Response::new(Body::empty());
    // HTTP says 200 whatever went wrong; metrics do not.
    if let Some(worst) = tally.worst {
        response.extensions_mut().insert(CountedAs(worst));
    }
    match answer {
        None => *response.status_mut() = StatusCode::NO_CONTENT,
        Some(answer) => {
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            *response.body_mut() = Body::from(answer);
        }
    }
    response
}

/// The calls of one request, as far as they are known.
struct Tally {
    /// The context of the request as one call of HTTP.
    call: CallContext,
    /// The greetings that were asked for.
    asked: usize,
    /// The status of the worst fault, the server's own before a caller's.
    worst: Option<StatusCode>,
}

impl Tally {
    /// Notes that a call has met `fault`.
    fn met(&mut self, fault: &Fault) {
        self.worst = self.worst.max(Some(fault.row().status));
    }
}

/// The calls of an array, one more than may come at most: the others are read over.
struct Calls<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Calls<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Counted;
        impl<'de> Visitor<'de> for Counted {
            type Value = Calls<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of calls")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Calls<'de>, A::Error> {
                let mut calls = Vec::new();
                while let Some(call) = array.next_element()? {
                    calls.push(call);
                    if calls.len() > MOST_CALLS {
                        while array.next_element::<IgnoredAny>()?.is_some() {}
                        break;
                    }
                }
                Ok(Calls(calls))
            }
        }
        json.deserialize_seq(Counted)
    }
}

/// One call.
#[derive(Deserialize)]
#[serde(expecting = "a call")]
struct Call<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    id: Option<&'a RawValue>,
}

/// A member that is there, even if it is null.
fn there<'de, D: Deserializer<'de>>(json: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(json).map(Some)
}

/// The response object of one call.
#[derive(Serialize)]
struct Answered<'a> {
    jsonrpc: &'static str,
    #[serde(flatten)]
    outcome: Outcome<'a>,
    id: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<'a> {
    Result(Box<RawValue>),
    Error(Error<'a>),
}

#[derive(Serialize)]
struct Error<'a> {
    code: i32,
    message: String,
    data: Details<'a>,
}

/// The answer to a whole request, if there is any.
async fn answers(body: &[u8], tally: &mut Tally) -> Option<Vec<u8>> {
    if !body.trim_ascii_start().starts_with(b"[") {
        return answer(body, tally);
    }
    let calls = match serde_json::from_slice(body) {
        Ok(Calls(calls)) => calls,
        Err(error) => return Some(unreadable(&error, tally)),
    };
    if !(1..=MOST_CALLS).contains(&calls.len()) {
        let fault = Fault::Malformed(format!("an array must hold 1 to {MOST_CALLS} calls"));
        return Some(refusal(&fault, INVALID_REQUEST, RawValue::NULL, tally));
    }
    let mut answers = Vec::new();
    for call in calls {
        answers.extend(answer(call.get().as_bytes(), tally));
        // To read a hundred batches takes a while: others have their turn between.
        tokio::task::yield_now().await;
    }
    (!answers.is_empty()).then(|| [&b"["[..], &answers.join(&b","[..]), b"]"].concat())
}

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// The answer to one call, if it wants one. It is added to the `tally`.
fn answer(call: &[u8], tally: &mut Tally) -> Option<Vec<u8>> {
    // serde takes an array for a struct, and where a text stands in place of one it quotes all of it.
    if !call.trim_ascii_start().starts_with(b"{") {
        let json = serde_json::from_slice::<IgnoredAny>(call);
        return Some(match json {
            Ok(IgnoredAny) => no_call(tally),
            Err(error) => unreadable(&error, tally),
        });
    }
    let call: Call<'_> = match serde_json::from_slice(call) {
        Ok(call) => call,
        Err(error) => return Some(unreadable(&error, tally)),
    };
    let id = call.id.unwrap_or(RawValue::NULL);
    // An id is a text, a number or null.
    let valid_id = !id.get().starts_with(['{', '[', 't', 'f']);
    if call.jsonrpc != "2.0" || !valid_id {
        return Some(no_call(tally));
    }
    let outcome = result(&call.method, call.params, &mut tally.asked);
    if let Err(fault) = &outcome {
        tally.met(fault);
    }
    call.id?;
    Some(match outcome {
        Ok(result) => written(Outcome::Result(result), id),
        Err(fault) => refusal(&fault, code(fault.row().code), id, tally),
    })
}

fn result(
    method: &str,
    params: Option<&RawValue>,
    asked: &mut usize,
) -> Result<Box<RawValue>, Fault> {
    let params = params.map_or(&b"{}"[..], |params| params.get().as_bytes());
    match method {
        "get_greetings" => {
            let answer = crate::answer(JSON_RPC, &json::request(params)?)?;
            Ok(raw(&AnswerBody::from(&answer)))
        }
        "get_greetings_batch" => {
            let requests = json::batch(params)?;
            if batch_of(requests.len()).is_ok() {
                let together = *asked + requests.len();
                batch_of(together).map_err(|_| too_many())?;
                *asked = together;
            }
            let answers = crate::answer_batch(JSON_RPC, &requests)?;
            Ok(raw(&BatchBody::from(&answers[..])))
        }
        _ => Err(Fault::UnknownMethod),
    }
}

fn too_many() -> Fault {
    let text = "the batches of one array may ask for no more greetings in all than one batch";
    Fault::Malformed(text.to_owned())
}

/// Returns JSON-RPC's error code for a fault with this gRPC code.
fn code(code: Code) -> i32 {
    match code {
        Code::Unimplemented => -32601,
        Code::InvalidArgument => -32602,
        Code::Internal => -32603,
        _ => -32000,
    }
}

const NO_CALL: &str = "this is not a call of JSON-RPC 2.0";

fn no_call(tally: &mut Tally) -> Vec<u8> {
    let fault = Fault::Malformed(NO_CALL.to_owned());
    refusal(&fault, INVALID_REQUEST, RawValue::NULL, tally)
}

fn unreadable(error: &serde_json::Error, tally: &mut Tally) -> Vec<u8> {
    let (code, text) = match error.classify() {
        Category::Data => (INVALID_REQUEST, NO_CALL),
        _ => (PARSE_ERROR, "the body is not JSON"),
    };
    let fault = Fault::Malformed(format!("{text}: {error}"));
    refusal(&fault, code, RawValue::NULL, tally)
}

fn refusal(fault: &Fault, code: i32, id: &RawValue, tally: &mut Tally) -> Vec<u8> {
    tally.met(fault);
    let error = Error {
        code,
        message: fault.to_string(),
        data: Details::of(fault, &tally.call),
    };
    written(Outcome::Error(error), id)
}

const ALWAYS: &str = "texts, numbers and truth values are always JSON";

fn written(outcome: Outcome<'_>, id: &RawValue) -> Vec<u8> {
    let answered = Answered {
        jsonrpc: "2.0",
        outcome,
        id,
    };
    serde_json::to_vec(&answered).expect(ALWAYS)
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect(ALWAYS)
}
