//! Checks that variants do the same work: each is called with the first rows, twice, and the answers are
//! compared.

use std::{collections::BTreeSet, time::Duration};

use engine::{Accepted, Endpoint, Failure, Reply, Status};
use serde_json::{Value, json};

use super::{
    Options, Served, ServiceError,
    answers::{self, Difference, Fields},
    explain,
    requests::{Call, Form},
};
use crate::record::Protocol;

/// Rows whose answers are compared.
const ROWS: usize = 3;

/// The most comparisons while they differ: a time of whole seconds may fall between two calls.
const ATTEMPTS: u32 = 3;

/// Differences that are shown.
const SHOWN: usize = 12;

/// The widest value in the table of differences.
const WIDEST: usize = 40;

/// The result of comparing answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sameness {
    /// Fields that were left out, as they differ from call to call, or as the user said.
    pub left_out: Vec<String>,
    /// Fields that differ between variants, which the user allowed.
    pub differences: Vec<String>,
}

/// Calls every variant, and compares their answers.
///
/// # Errors
/// When one does not answer well, or differently.
pub async fn same_work(
    variants: &[Served],
    endpoints: &[Endpoint],
    options: &Options,
    time_limit: Duration,
) -> Result<Sameness, ServiceError> {
    let mut left_out = options.ignore.clone();
    let mut found = Vec::new();
    for attempt in 1..=ATTEMPTS {
        found = Vec::new();
        let rows = variants.first().map_or(0, |one| one.0.rows.rows.len());
        for row in 0..rows.min(ROWS) {
            let asked = answers_of(row, variants, endpoints, options, time_limit).await?;
            for answers in &asked {
                if let [Some(first), Some(second)] = answers {
                    left_out.extend(answers::varying(first, second));
                }
            }
            found.push((row, asked));
        }
        let differ = |(_, asked): &(usize, Vec<Answers>)| {
            let others = asked[1..].iter();
            let mut found = others.map(|other| compared(&asked[0], other, &left_out));
            found.any(|found| !found.is_empty())
        };
        if attempt == ATTEMPTS || !found.iter().any(differ) {
            break;
        }
    }
    let varying: Vec<&str> = left_out
        .difference(&options.ignore)
        .map(String::as_str)
        .collect();
    if !varying.is_empty() {
        eprintln!(
            "left out of the comparison of answers, as two calls of one variant differ in it: {}",
            options.secrets.shown(&varying.join(", "))
        );
    }
    let differences = differences(variants, &found, &left_out, options)?;
    Ok(Sameness {
        left_out: left_out
            .iter()
            .map(|place| options.secrets.shown(place))
            .collect(),
        differences,
    })
}

/// The answers to two calls with one row; none where the outcome was accepted, and says nothing.
type Answers = [Option<Fields>; 2];

/// The differences of two variants in their first answers, or if those cannot be compared in their second.
fn compared(one: &Answers, other: &Answers, left_out: &BTreeSet<String>) -> Vec<Difference> {
    let pairs = one.iter().zip(other);
    let mut found = pairs.filter_map(|(one, other)| {
        Some(answers::differences(
            one.as_ref()?,
            other.as_ref()?,
            left_out,
        ))
    });
    found.next().unwrap_or_default()
}

/// The answers of all variants to one row, two each, in turn.
async fn answers_of(
    row: usize,
    variants: &[Served],
    endpoints: &[Endpoint],
    options: &Options,
    time_limit: Duration,
) -> Result<Vec<Answers>, ServiceError> {
    let mut rounds = Vec::new();
    for is_second in [false, true] {
        let mut answers = Vec::new();
        for (served, endpoint) in variants.iter().zip(endpoints) {
            let asked = Asked {
                served,
                endpoint,
                options,
                row,
                is_second,
            };
            answers.push(asked.answer(time_limit).await?);
        }
        rounds.push(answers);
    }
    let second = rounds.pop().unwrap_or_default();
    let first = rounds.pop().unwrap_or_default();
    let pairs = first.into_iter().zip(second);
    Ok(pairs.map(|(first, second)| [first, second]).collect())
}

/// One call that is looked at.
struct Asked<'a> {
    served: &'a Served,
    endpoint: &'a Endpoint,
    options: &'a Options,
    row: usize,
    is_second: bool,
}

impl Asked<'_> {
    async fn answer(&self, time_limit: Duration) -> Result<Option<Fields>, ServiceError> {
        let inner = &self.served.0;
        let request = inner
            .rows
            .request(&inner.call, self.row)
            .map_err(ServiceError::input)?;
        let transport = inner.call.protocol.transport();
        match engine::probe(transport, self.endpoint, &request, time_limit).await {
            Ok(reply) => self.fields(&reply).map(Some),
            Err(Failure::BadStatus(reply)) if self.is_accepted(&reply) => Ok(None),
            Err(failure) => {
                let mut told = explain::failure(
                    &explain::Place {
                        name: &inner.name,
                        call: &called(&inner.call),
                        url: &inner.target.url(),
                        endpoint: self.endpoint,
                        protocol: inner.call.protocol,
                        secrets: &self.options.secrets,
                    },
                    &failure,
                )
                .await;
                if self.is_second && matches!(failure, Failure::BadStatus(_)) {
                    told += "; that was the second call with one and the same row: ${seq} or ${uuid} in the \
                             row makes calls unique, and --accept takes this outcome for a good one";
                }
                Err(ServiceError::service(told))
            }
        }
    }

    fn is_accepted(&self, reply: &Reply) -> bool {
        let outcome = match &reply.status {
            Status::Http(status) => Accepted::Http(status.as_u16()),
            Status::Grpc(code, _) => Accepted::Grpc(*code as i32),
        };
        self.options.accept.contains(&outcome)
    }

    fn fields(&self, reply: &Reply) -> Result<Fields, ServiceError> {
        let inner = &self.served.0;
        let output = inner.call.messages.as_ref().map(|(_, output)| output);
        let is_protobuf = matches!(
            inner.call.protocol,
            Protocol::ProtobufHttp1 | Protocol::ProtobufHttp2
        );
        let is_json = || inner.is_json.get_or_init(|| true);
        let value = match (&inner.call.form, output) {
            (form, Some(output)) if is_protobuf || matches!(form, Form::Grpc(_)) => {
                answers::of_protobuf(&reply.body, output).map_err(|what| {
                    ServiceError::service(format!("{}: the answer {what}", inner.name))
                })?
            }
            (_, _) if reply.body.is_empty() => json!({}),
            (Form::Http { response_body, .. }, _) => {
                match serde_json::from_slice::<Value>(&reply.body) {
                    Ok(value) => {
                        is_json();
                        match response_body {
                            Some(field) => json!({ field.as_str(): value }),
                            None => value,
                        }
                    }
                    Err(_) => self.no_json(reply)?,
                }
            }
            (Form::Grpc(_), _) => json!({}),
        };
        Ok(answers::fields(&value, output))
    }

    /// An answer of HTTP that is no JSON: measured only if answers need not be compared.
    fn no_json(&self, reply: &Reply) -> Result<Value, ServiceError> {
        let inner = &self.served.0;
        let media = reply
            .headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|media| media.to_str().ok())
            .unwrap_or("no content-type");
        let text = String::from_utf8_lossy(&reply.body);
        let secrets = &self.options.secrets;
        let is_page = explain::is_page(media, &text);
        if self.options.answers_differ && !is_page {
            let _ = inner.is_json.set(false);
            return Ok(Value::String(text.into_owned()));
        }
        let what = match is_page {
            true => "a page of HTML, not with JSON; is that a sign-in page, or another path than that of \
                     the API?"
                .to_owned(),
            false => format!(
                "{}, which is not JSON and cannot be compared; --answers-differ measures it all the same",
                secrets.shown(media)
            ),
        };
        Err(ServiceError::service(format!(
            "{}: {} {} answers with {what}",
            inner.name,
            inner.target.url(),
            called(&inner.call)
        )))
    }
}

/// Shows where variants differ from the first one.
fn differences(
    variants: &[Served],
    found: &[(usize, Vec<Answers>)],
    left_out: &BTreeSet<String>,
    options: &Options,
) -> Result<Vec<String>, ServiceError> {
    let mut places = BTreeSet::new();
    let mut table = Vec::new();
    let mut between = None;
    for (row, asked) in found {
        for (index, other) in asked.iter().enumerate().skip(1) {
            let differences = compared(&asked[0], other, left_out);
            if differences.is_empty() {
                continue;
            }
            let names = [&variants[0].0.name, &variants[index].0.name];
            between.get_or_insert(names);
            let line = variants[0].0.rows.rows[*row].line;
            let fresh: Vec<&Difference> = differences
                .iter()
                .filter(|one| places.insert(answers::general(&one.place)))
                .collect();
            if !fresh.is_empty() && table.len() < SHOWN {
                let of = match line {
                    0 => String::new(),
                    line => format!(" to line {line}"),
                };
                table.push(row_of(
                    &format!("the answers{of}"),
                    names.map(String::as_str),
                ));
                table.extend(fresh.iter().take(SHOWN).map(|one| {
                    let [a, b] = one.values.each_ref().map(|value| {
                        value.as_deref().map_or("(nothing)".to_owned(), |value| {
                            short(&options.secrets.shown(value))
                        })
                    });
                    row_of(&options.secrets.shown(&one.place), [&a, &b])
                }));
            }
        }
    }
    let Some([one, other]) = between else {
        return Ok(Vec::new());
    };
    for line in &table {
        eprintln!("{line}");
    }
    let places: Vec<String> = places
        .iter()
        .map(|place| match place.as_str() {
            "" => "the whole answer".to_owned(),
            place => options.secrets.shown(place),
        })
        .collect();
    if options.answers_differ {
        eprintln!("the answers differ, and are measured all the same");
        return Ok(places);
    }
    let named = match places.len() {
        0..=SHOWN => places.join(", "),
        _ => format!("{} and others", places[..SHOWN].join(", ")),
    };
    Err(ServiceError::service(format!(
        "{one} and {other} answer differently in {named}: is it the same work? --ignore FIELD leaves a field \
         out of it, --answers-differ measures them all the same"
    )))
}

fn row_of(place: &str, [a, b]: [&str; 2]) -> String {
    format!("  {place:<32} {a:<WIDEST$} {b}")
}

fn short(text: &str) -> String {
    match text.chars().count() > WIDEST {
        true => text.chars().take(WIDEST - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Such as `POST /v1/orders/{id}`, or `shop.v1.Orders/CreateOrder`.
pub fn called(call: &Call) -> String {
    match &call.form {
        Form::Grpc(method) => super::contract::called(method),
        Form::Http { method, path, .. } => format!("{method} {path}"),
    }
}
