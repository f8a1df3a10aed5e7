//! Runs of formats 2 and 3, made one of today's: renamed and moved, value by value.
//!
//! Format 2 differs from 3 in one thing: all trials of a run were as long.

use serde_json::{Value, json};

use super::{FORMAT, Protocol, Variant};

/// The oldest format that is read.
pub(super) const OLDEST: u64 = 2;

/// Upgrades `run.json`.
pub(super) fn run(old: &mut Value) {
    let lengths = ["window_us", "warm_up_us"].map(|name| (name, old["plan"][name].clone()));
    let cells = take(&mut old["plan"], "cells");
    let scenarios: Vec<Value> = into_array(cells)
        .map(|mut cell| {
            for (name, length) in lengths.iter().filter(|(_, length)| !length.is_null()) {
                cell[*name] = length.clone();
            }
            scenario(cell)
        })
        .collect();
    old["plan"] = json!({ "scenarios": scenarios });
    for name in ["ceiling", "capacity"] {
        let limits = old.get_mut(name).and_then(Value::as_array_mut);
        for limit in limits.into_iter().flatten() {
            rename(limit, "arm", "protocol");
            shape(limit);
        }
    }
    old["format"] = FORMAT.into();
}

/// Upgrades one trial. Of its disturbances those are kept that its figures do not show; the reader finds the
/// others in them.
pub(super) fn trial(old: &mut Value) {
    let label = take(old, "label");
    let arm = take(old, "arm");
    old["variant"] = variant(&arm, &label, &old["purpose"]);
    placed(old);
    rename(old, "pair", "round");
    let void = take(old, "void");
    let kept: Vec<Value> = into_array(void).filter_map(disturbance).collect();
    old["disturbances"] = kept.into();

    let mut latency = take(old, "latency");
    let mut dispatch = take(old, "pacer");
    rename(&mut dispatch, "lateness_p99_us", "delay_p99_us");
    let requests = take(old, "requests");
    let mut measurement = json!({
        "completed": requests,
        "counted": requests,
        "service_time": take(&mut latency, "uncorrected"),
        "response_time": take(&mut latency, "corrected"),
        "dispatch": dispatch,
    });
    for name in [
        "opened_unix_us",
        "window_us",
        "errors",
        "server",
        "generator",
        "wire",
        "steal_share",
        "others_share",
    ] {
        measurement[name] = take(old, name);
    }
    old["measurement"] = measurement;
    old["format"] = FORMAT.into();
}

fn scenario(mut cell: Value) -> Value {
    let arms = into_array(take(&mut cell, "arms"));
    let variants = arms.map(|arm| variant(&arm[0], &arm[1], &cell["purpose"]));
    cell["variants"] = variants.collect::<Vec<_>>().into();
    rename(&mut cell, "pairs", "rounds");
    placed(&mut cell);
    cell
}

/// A variant is called by its protocol where it was by its letter. Of the two in an A/A scenario, the one that
/// has a name of its own is the twin.
fn variant(arm: &Value, label: &Value, purpose: &Value) -> Value {
    let protocol: Option<Protocol> = serde_json::from_value(arm.clone()).ok();
    match protocol {
        Some(protocol) if label.as_str().and_then(Protocol::of_letter) == Some(protocol) => {
            json!(Variant::of(protocol))
        }
        Some(protocol) if purpose == "aa" => {
            json!(Variant::twin_of(protocol))
        }
        _ => json!({ "protocol": arm, "name": label }),
    }
}

/// Gives shape and purpose of a trial or a scenario their names.
fn placed(value: &mut Value) {
    shape(value);
    let is_single = value["shape"] == json!({ "connections": 1, "in_flight": 1 })
        && value["batch"] == 1
        && value["load"] == "closed";
    let purpose = match value["purpose"].as_str() {
        Some("shape" | "payload") if is_single => "single",
        Some("shape" | "payload") => "map",
        Some("primary") => "closed",
        Some("seed") => "original",
        _ => return,
    };
    value["purpose"] = purpose.into();
}

fn shape(value: &mut Value) {
    let [connections, in_flight] = ["connections", "in_flight"].map(|name| take(value, name));
    value["shape"] = json!({ "connections": connections, "in_flight": in_flight });
}

/// Returns the disturbance `void` in the present layout if no figure of the trial shows it, else none.
fn disturbance(void: Value) -> Option<Value> {
    if void == "server_restarted" {
        return Some(void);
    }
    let (kind, mut facts) = void
        .as_object()?
        .iter()
        .next()
        .map(|(k, v)| (k.clone(), v.clone()))?;
    let kind = match kind.as_str() {
        "errors" => "bad_replies",
        "unmeasured" => "unmeasured",
        "not_at_once" => "not_at_once",
        _ => return None,
    };
    take(&mut facts, "limit");
    Some(json!({ kind: facts }))
}

fn take(value: &mut Value, name: &str) -> Value {
    let object = value.as_object_mut();
    object
        .and_then(|object| object.remove(name))
        .unwrap_or_default()
}

fn rename(value: &mut Value, from: &str, to: &str) {
    if let Some(object) = value.as_object_mut()
        && let Some(moved) = object.remove(from)
    {
        object.insert(to.to_owned(), moved);
    }
}

fn into_array(value: Value) -> impl Iterator<Item = Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
    .into_iter()
}
