//! Run directories: written, read, reported on, compared, merged.

use std::{
    fs,
    mem::discriminant,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use engine::Load;
use hdrhistogram::{
    Histogram,
    serialization::{
        Deserializer,
        interval_log::{IntervalLogIterator, LogEntry},
    },
};
use loadtest::{
    commands::{
        compare::{Compared, compare},
        merge::merge,
        report::{SUMMARY, report},
    },
    record::{Disturbance, Protocol, Purpose, Recording, Service, Trial, Variant},
    verdict::{Verdict, metric::Metric},
};
use serde_json::{Value, json};
use tempfile::TempDir;

mod made_up;

use made_up::{THOROUGH, Truth};

/// Three rounds: what is tested here is not statistics.
const FEW: Truth = Truth {
    rounds: 3,
    ..THOROUGH
};

fn written(recording: &Recording, parent: &TempDir, name: &str) -> PathBuf {
    let directory = parent.path().join(name);
    fs::create_dir(&directory).expect("a new folder");
    recording.write(&directory).expect("a folder to write to");
    directory
}

/// Returns the recording of one of several machines that measured one service.
fn part(seed: u64) -> Recording {
    let mut recording = made_up::two(Truth { seed, ..FEW });
    recording.run.service = Service::Host {
        rest: "http://service.example:5000".into(),
        grpc: "http://service.example:50051".into(),
    };
    recording
}

#[test]
fn what_is_written_is_what_is_read() {
    let parent = tempfile::tempdir().unwrap();
    let recording = made_up::recording(FEW);
    let directory = written(&recording, &parent, "run");
    assert_eq!(Recording::read(&directory).unwrap(), recording);
}

#[test]
fn counts_that_cannot_be_are_not_reported_on_and_nothing_is_judged() {
    let recording = made_up::two(FEW);
    type Change<'a> = &'a dyn Fn(&mut Trial);
    let changes: [(Change<'_>, Option<&str>); 4] = [
        (
            &|trial| trial.measurement.counted /= 2,
            Some("and the times of"),
        ),
        (
            &|trial| {
                trial.measurement.errors.insert("503".to_owned(), 7);
            },
            Some("7 of them bad"),
        ),
        (
            &|trial| trial.measurement.response_time = Some(trial_of_one().service_time),
            Some("response times of 1"),
        ),
        // What rules say today is not what a record says.
        (&|trial| trial.measurement.steal_share = Some(0.5), None),
    ];
    for (change, said) in changes {
        let parent = tempfile::tempdir().unwrap();
        let mut changed = recording.clone();
        change(&mut changed.trials[0]);
        let directory = written(&changed, &parent, "run");
        match (Recording::read(&directory), said) {
            (Ok(read), None) => assert_eq!(read, changed),
            (Err(error), Some(said)) => {
                let error = error.to_string();
                assert!(
                    error.contains("contradicts itself") && error.contains(said),
                    "{error}"
                );
            }
            (read, _) => panic!("{said:?}: {read:?}"),
        }
    }
}

fn trial_of_one() -> engine::Measurement {
    let mut trial = made_up::two(FEW).trials.swap_remove(0);
    made_up::with_replies(&mut trial, 1);
    trial.measurement
}

#[test]
fn a_run_without_a_trial_is_read_too() {
    let parent = tempfile::tempdir().unwrap();
    let mut recording = made_up::two(FEW);
    recording.trials.clear();
    let directory = written(&recording, &parent, "run");
    assert_eq!(Recording::read(&directory).unwrap(), recording);
    report(&directory).unwrap();
    assert!(!directory.join("hdr").exists());
}

/// `recording` as format 3 had it: other names, in other places.
fn as_format_3(recording: &Recording, directory: &Path) {
    let label = |variant: &Variant| match variant.is_twin {
        true => "A′",
        false => {
            let known = ["A", "B", "C", "D", "E"].into_iter();
            let mut known =
                known.filter(|letter| Protocol::of_letter(letter) == Some(variant.protocol));
            known.next().expect("that format knew no others")
        }
    };
    let purpose = |purpose: Purpose| match purpose {
        Purpose::Single => json!("shape"),
        Purpose::Map => json!("payload"),
        Purpose::Closed => json!("primary"),
        Purpose::Original => json!("seed"),
        other => json!(other),
    };
    let flat = |value: &mut Value| {
        let Value::Object(shape) = value["shape"].take() else {
            panic!("a shape")
        };
        value.as_object_mut().expect("an object").remove("shape");
        value.as_object_mut().expect("an object").extend(shape);
    };
    let mut run = json!(recording.run);
    run["format"] = 3.into();
    let cells = recording.run.plan.scenarios.iter().map(|scenario| {
        let mut cell = json!(scenario);
        let variants = scenario.variants.iter();
        let arms: Vec<Value> = variants
            .map(|one| json!([one.protocol, label(one)]))
            .collect();
        cell["arms"] = arms.into();
        cell["pairs"] = json!(scenario.rounds);
        cell["purpose"] = purpose(scenario.purpose);
        flat(&mut cell);
        cell
    });
    run["plan"] = json!({ "cells": cells.collect::<Vec<_>>() });
    for limits in ["ceiling", "capacity"] {
        for limit in run[limits].as_array_mut().expect("an array") {
            limit["arm"] = limit["protocol"].take();
            flat(limit);
        }
    }
    fs::create_dir_all(directory.join("blocks")).expect("a new folder");
    fs::write(directory.join("run.json"), run.to_string()).expect("a folder to write to");
    for trial in &recording.trials {
        let measurement = json!(trial.measurement);
        let dispatch = trial.measurement.dispatch.map(|dispatch| {
            json!({
                "offered": dispatch.offered,
                "unanswered_at_open": dispatch.unanswered_at_open,
                "lateness_p99_us": dispatch.delay_p99_us,
            })
        });
        let mut block = json!({
            "format": 3,
            "number": trial.number,
            "pair": trial.round,
            "attempt": trial.attempt,
            "arm": trial.variant.protocol,
            "label": label(&trial.variant),
            "purpose": purpose(trial.purpose),
            "shape": trial.shape,
            "batch": trial.batch,
            "load": trial.load,
            "requests": trial.measurement.completed,
            "latency": {
                "uncorrected": trial.measurement.service_time,
                "corrected": trial.measurement.response_time,
            },
            "pacer": dispatch,
            "void": [
                { "errors": { "count": 3 } },
                "server_restarted",
                { "steal": { "share": 0.02, "limit": 0.01 } },
            ],
        });
        flat(&mut block);
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
            block[name] = measurement[name].clone();
        }
        let file = directory.join(format!("blocks/{:04}.json", trial.number));
        fs::write(file, block.to_string()).expect("a folder to write to");
    }
}

/// Returns as much of `recording` as an older run knew.
fn as_known_then(recording: &Recording) -> Recording {
    let mut known = recording.clone();
    for scenario in &mut known.run.plan.scenarios {
        if scenario.purpose == Purpose::Single && scenario.load != Load::Closed {
            scenario.purpose = Purpose::Map;
        }
    }
    for trial in &mut known.trials {
        let measurement = &mut trial.measurement;
        (measurement.warm_up_us, measurement.steady) = (0, None);
        measurement.completed_in_all = 0;
        if let Some(dispatch) = &mut measurement.dispatch {
            (dispatch.delay_p50_us, dispatch.unanswered_at_close) = (None, None);
        }
        trial.disturbances = vec![
            Disturbance::BadReplies { count: 3 },
            Disturbance::ServerRestarted,
        ];
        if trial.measurement.steal_share > Some(0.01) {
            trial.disturbances.push(Disturbance::Steal { share: 0.02 });
        }
    }
    known
}

/// An older run: A/A had scenarios of their own, and the map was one of closed loops.
fn older() -> Recording {
    let mut recording = made_up::two(FEW);
    recording.run.budget_s = None;
    let [open, single] = &recording.run.plan.scenarios[..] else {
        panic!("two scenarios")
    };
    let mut aa = open.clone();
    aa.purpose = Purpose::Aa;
    aa.variants.remove(1);
    let mut scenarios = vec![open.clone(), single.clone(), aa];
    for scenario in &mut scenarios[..2] {
        scenario.variants.pop();
    }
    recording.run.plan.scenarios = scenarios;
    recording.trials.retain_mut(|trial| {
        if trial.variant.is_twin {
            trial.purpose = Purpose::Aa;
        }
        trial.purpose != Purpose::Aa || trial.load != Load::Closed
    });
    recording.trials[1].measurement.steal_share = Some(0.02);
    let baselines = recording.trials.iter().filter(|trial| {
        trial.purpose == Purpose::Open && trial.variant.protocol == Protocol::JsonHttp1
    });
    let mut baselines: Vec<Trial> = baselines.cloned().collect();
    for (number, trial) in (1000..).zip(&mut baselines) {
        (trial.purpose, trial.number) = (Purpose::Aa, number);
    }
    recording.trials.extend(baselines);
    recording
}

#[test]
fn runs_of_formats_2_and_3_are_upgraded_as_they_are_read() {
    let recording = older();
    let expected = as_known_then(&recording);
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("format-3");
    as_format_3(&recording, &directory);
    assert_eq!(Recording::read(&directory).unwrap(), expected);
    report(&directory).unwrap();

    // In format 2 all trials of a run were as long.
    let directory = parent.path().join("format-2");
    as_format_3(&recording, &directory);
    let change = |file: PathBuf, change: &dyn Fn(&mut Value)| {
        let mut value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(&mut value);
        value["format"] = 2.into();
        fs::write(file, value.to_string()).unwrap();
    };
    change(directory.join("run.json"), &|run| {
        let plan = &mut run["plan"];
        for name in ["window_us", "warm_up_us"] {
            plan[name] = plan["cells"][0][name].clone();
            for cell in plan["cells"].as_array_mut().unwrap() {
                cell.as_object_mut().unwrap().remove(name).unwrap();
            }
        }
    });
    for block in fs::read_dir(directory.join("blocks")).unwrap() {
        change(block.unwrap().path(), &|_| ());
    }
    assert_eq!(Recording::read(&directory).unwrap(), expected);
}

#[test]
fn the_floor_of_an_older_run_is_that_of_exactly_the_same_load_and_shape() {
    let verdict = Verdict::of(&older());
    let floor = |purpose, metric| {
        let is = |claim: &&loadtest::verdict::claim::Claim| {
            (claim.scenario.purpose, claim.metric) == (purpose, metric)
        };
        verdict.claims().find(is).unwrap().floor
    };
    assert!(floor(Purpose::Open, Metric::ServerCpu).is_some());
    assert!(floor(Purpose::Single, Metric::MedianLatency).is_none());
    let mut other = older();
    for scenario in &mut other.run.plan.scenarios {
        scenario.window_us += u64::from(scenario.purpose == Purpose::Aa);
    }
    assert!(Verdict::of(&other).first().unwrap().floor.is_none());
}

#[test]
fn the_committed_runs_make_their_pages() {
    for name in ["reference", "original", "shop"] {
        let parent = tempfile::tempdir().unwrap();
        let committed = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../reports")
            .join(name);
        let recording = Recording::read(&committed).unwrap();
        let directory = written(&recording, &parent, name);
        let (verdict, page) = report(&directory).unwrap();
        assert!(fs::read_to_string(page).unwrap().contains("<h1"));
        assert!(
            verdict.first().unwrap().estimate.is_some(),
            "{}",
            verdict.sentence()
        );
        assert_eq!(Recording::read(&directory).unwrap(), recording);
    }
}

#[test]
fn the_summary_can_be_pasted() {
    let parent = tempfile::tempdir().unwrap();
    let recording = made_up::two(THOROUGH);
    let directory = written(&recording, &parent, "run");
    let (verdict, _) = report(&directory).unwrap();
    let summary = fs::read_to_string(directory.join(SUMMARY)).unwrap();
    assert!(
        summary.starts_with(&format!("**{}**", verdict.sentence())),
        "{summary}"
    );
    for expected in [
        "|  | REST | gRPC | ratio | 95% CI | A/A floor | grade |",
        "| server CPU per request | 1",
        " µs | ",
        "| difference |",
        "32 connections × 1 in flight, 5,000 requests/s",
        "Made-up Processor 3000, 8 cores, Linux 6.12.0",
        "0123456789ab",
        "```sh\ncargo run --release -p loadtest",
    ] {
        assert!(summary.contains(expected), "{expected}: {summary}");
    }
    let terminal = loadtest::summary::of(&recording, &verdict);
    assert!(terminal.contains(&verdict.sentence()), "{terminal}");
    assert!(
        terminal.lines().all(|line| line.chars().count() < 240),
        "{terminal}"
    );
}

#[test]
fn the_page_is_made_from_the_raw_data_alone_and_is_always_the_same() {
    let parent = tempfile::tempdir().unwrap();
    let directory = written(&made_up::headline(FEW), &parent, "run");
    let (verdict, page) = report(&directory).unwrap();
    let first = fs::read_to_string(&page).unwrap();
    let sentence = verdict.sentence();
    let (plainly, _) = sentence.split_once(" (").unwrap();
    assert!(first.contains(plainly), "{sentence}");
    let chart = fs::read_to_string(directory.join("waterfall.svg")).unwrap();
    assert!(chart.starts_with("<svg xmlns=") && chart.contains("codec: JSON to protobuf"));
    assert!(
        !chart.contains("href") && !chart.contains("url("),
        "it fetches nothing"
    );
    assert!(
        !directory.join("original.svg").exists(),
        "that was not measured"
    );
    let others = ["openmetrics.txt", "verdict.json", "junit.xml", SUMMARY];
    let read = || others.map(|file| fs::read_to_string(directory.join(file)).unwrap());
    let first_others = read();
    fs::write(&page, "an older page").unwrap();
    report(&directory).unwrap();
    assert_eq!(fs::read_to_string(&page).unwrap(), first);
    assert_eq!(read(), first_others);
}

#[test]
fn a_folder_that_is_no_run_of_this_format_is_refused_in_a_sentence() {
    let parent = tempfile::tempdir().unwrap();
    let said = |directory: &Path| format!("{:#}", report(directory).unwrap_err());
    assert!(
        said(parent.path()).contains("holds no run.json"),
        "{}",
        said(parent.path())
    );

    let directory = written(&made_up::headline(FEW), &parent, "run");
    let run = directory.join("run.json");
    for (content, expected) in [
        ("{\"schema\": 1}", "names no format"),
        (
            "{\"format\": 99}",
            "is of format 99 and this version reads formats 2 to 4",
        ),
        ("{\"format\": 2}", "cannot be understood: missing field"),
        ("{\"format\": 4}", "cannot be understood: missing field"),
        ("half a fil", "is no JSON"),
    ] {
        fs::write(&run, content).unwrap();
        assert!(said(&directory).contains(expected), "{}", said(&directory));
        assert!(!directory.join("index.html").exists());
    }
}

#[test]
fn the_logs_hold_every_trial_that_counts_as_hdrhistograms_tools_read_them() {
    let parent = tempfile::tempdir().unwrap();
    let mut recording = made_up::two(FEW);
    let is_logged =
        |trial: &Trial| trial.purpose == Purpose::Open && trial.variant.protocol == Protocol::Grpc;
    let first = recording
        .trials
        .iter_mut()
        .find(|trial| is_logged(trial))
        .unwrap();
    first.disturbances.push(Disturbance::ServerRestarted);
    let directory = written(&recording, &parent, "run");
    report(&directory).unwrap();
    let log = directory.join("hdr/open-32x1-1-open5000-grpc-gRPC-response-time.hlog");
    let log = fs::read(log).unwrap();
    let intervals: Vec<(f64, Histogram<u64>)> = IntervalLogIterator::new(&log)
        .filter_map(|entry| match entry.unwrap() {
            LogEntry::Interval(interval) => Some(interval),
            _ => None,
        })
        .map(|interval| {
            let bytes = BASE64_STANDARD
                .decode(interval.encoded_histogram())
                .unwrap();
            let times = Deserializer::new()
                .deserialize(&mut bytes.as_slice())
                .unwrap();
            (interval.max(), times)
        })
        .collect();
    let counting = recording
        .trials
        .iter()
        .filter(|trial| is_logged(trial) && trial.is_sound());
    let counting: Vec<&Trial> = counting.collect();
    assert_eq!(intervals.len(), 2);
    for ((max, times), trial) in intervals.iter().zip(counting) {
        assert_eq!(times, &trial.measurement.response_time.as_ref().unwrap().0);
        assert!(
            (max - times.max() as f64 / 1e6).abs() < 0.01,
            "milliseconds: {max}"
        );
    }
}

#[test]
fn two_runs_of_the_same_comparison_agree_and_their_page_says_so() {
    let parent = tempfile::tempdir().unwrap();
    let [first, second] = [(1, "before"), (2, "after")]
        .map(|(seed, name)| written(&made_up::two(Truth { seed, ..THOROUGH }), &parent, name));
    let compared = compare(&first, &second, None, &parent.path().join("compared")).unwrap();
    let Compared { text, folder, .. } = compared;
    assert!(compared.is_conclusive);
    assert!(
        text.starts_with("The two runs agree on server CPU per request: their intervals overlap, "),
        "{text}"
    );
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    for expected in ["before", "after", "Ratios of both runs", "Second / first"] {
        assert!(page.contains(expected), "{expected}");
    }
}

#[test]
fn runs_at_different_rates_of_which_one_is_inconclusive_are_not_said_to_agree() {
    let parent = tempfile::tempdir().unwrap();
    let first = written(&made_up::two(THOROUGH), &parent, "one");
    let mut second = made_up::two(Truth { seed: 2, ..FEW });
    let scenarios = second
        .run
        .plan
        .scenarios
        .iter_mut()
        .map(|scenario| &mut scenario.load);
    let trials = second.trials.iter_mut().map(|trial| &mut trial.load);
    for load in scenarios
        .chain(trials)
        .filter(|load| **load != Load::Closed)
    {
        *load = made_up::open(6000.0);
    }
    let second = written(&second, &parent, "other");
    let compared = compare(&first, &second, None, &parent.path().join("compared")).unwrap();
    let Compared { text, folder, .. } = compared;
    assert!(!compared.is_conclusive, "one is not");
    assert!(
        text.starts_with("The two runs do not contradict each other on server CPU per request"),
        "{text}"
    );
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.contains("5,000 requests/s and 6,000 requests/s"));
}

#[test]
fn runs_that_find_something_else_do_not_agree() {
    let parent = tempfile::tempdir().unwrap();
    let first = written(&made_up::two(THOROUGH), &parent, "differ");
    let alike = Truth {
        differ: false,
        ..THOROUGH
    };
    let second = written(&made_up::two(alike), &parent, "alike");
    let Compared { text, .. } =
        compare(&first, &second, None, &parent.path().join("compared")).unwrap();
    assert!(
        text.starts_with("The two runs do not agree on server CPU per request"),
        "{text}"
    );
}

#[test]
fn merged_runs_hold_the_requests_and_the_times_of_all_machines() {
    let parent = tempfile::tempdir().unwrap();
    let parts = [part(1), part(2), part(3)];
    let directories: Vec<PathBuf> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| written(part, &parent, &format!("machine-{index}")))
        .collect();
    let output = parent.path().join("merged");
    let folder = merge(&directories, &output).unwrap();
    let whole = Recording::read(&folder).unwrap();
    assert_eq!(whole.trials.len(), parts[0].trials.len());
    assert_eq!(whole.run.machines.len(), 3);
    assert!(folder.join("index.html").is_file());
    for trial in &whole.trials {
        let same: Vec<_> = parts
            .iter()
            .flat_map(|part| &part.trials)
            .filter(|other| {
                discriminant(&other.load) == discriminant(&trial.load)
                    && (other.purpose, other.round, &other.variant)
                        == (trial.purpose, trial.round, &trial.variant)
            })
            .collect();
        assert_eq!(trial.disturbances, []);
        let completed: u64 = same.iter().map(|part| part.measurement.completed).sum();
        assert_eq!(trial.measurement.completed, completed);
        let mut times = same[0].measurement.service_time.0.clone();
        times.add(&same[1].measurement.service_time.0).unwrap();
        times.add(&same[2].measurement.service_time.0).unwrap();
        assert_eq!(trial.measurement.service_time.0, times);
        if trial.purpose == Purpose::Open {
            assert_eq!(trial.shape.connections, 96);
            assert_eq!(trial.load, made_up::open(15_000.0));
        }
    }
    let again = merge(&directories, &output).unwrap();
    assert_eq!(again, parent.path().join("merged-2"), "the first stays");
}

#[test]
fn trials_that_were_not_measured_at_once_are_void() {
    let parent = tempfile::tempdir().unwrap();
    let (one, mut other) = (part(1), part(2));
    for trial in &mut other.trials {
        let measurement = &mut trial.measurement;
        match trial.round {
            // Clocks agree to less than a hundredth of a window; a tenth of it is not at once.
            1 => measurement.opened_unix_us += measurement.window_us / 200,
            2 => measurement.opened_unix_us += measurement.window_us / 10,
            _ => {}
        }
    }
    let is_grpc = |trial: &Trial| trial.variant.protocol == Protocol::Grpc;
    other
        .trials
        .retain(|trial| trial.round != 3 || !is_grpc(trial));
    let directories = [
        written(&one, &parent, "one"),
        written(&other, &parent, "other"),
    ];
    let folder = merge(&directories, &parent.path().join("merged")).unwrap();
    for trial in Recording::read(&folder).unwrap().trials {
        let reasons: Vec<String> = trial.disturbances.iter().map(ToString::to_string).collect();
        match trial.round {
            2 => assert_eq!(
                reasons,
                ["the machines measured at once for 90% of the window"]
            ),
            3 if is_grpc(&trial) => assert_eq!(
                reasons,
                ["nothing was measured: 1 of 2 machines have this trial"]
            ),
            _ => assert!(reasons.is_empty(), "{reasons:?}"),
        }
        assert_eq!(trial.is_sound(), reasons.is_empty());
    }
}

#[test]
fn runs_that_are_not_parts_of_one_are_refused_and_nothing_is_written() {
    type Change = fn(&mut Recording);
    let cases: [(Change, &str); 6] = [
        (
            |other| other.run.plan.scenarios[0].window_us += 1,
            "their plans differ",
        ),
        (|other| other.run.seed += 1, "their seeds differ"),
        (
            |other| other.run.tool.version = "9.9.9".into(),
            "different builds",
        ),
        (
            |other| other.run.service = Service::Embedded,
            "different services",
        ),
        (
            |other| other.run.objective = None,
            "their objectives differ",
        ),
        (|other| *other = part(1), "hold the same run"),
    ];
    for (change, expected) in cases {
        let parent = tempfile::tempdir().unwrap();
        let mut other = part(2);
        change(&mut other);
        let directories = [
            written(&part(1), &parent, "one"),
            written(&other, &parent, "other"),
        ];
        let output = parent.path().join("merged");
        let said = merge(&directories, &output).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
        assert_eq!(
            fs::read_dir(parent.path()).unwrap().count(),
            2,
            "{expected}"
        );
    }
}

#[test]
fn runs_that_each_started_a_server_of_their_own_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let directories = [(1, "one"), (2, "other")]
        .map(|(seed, name)| written(&made_up::two(Truth { seed, ..FEW }), &parent, name));
    let said = merge(&directories, &parent.path().join("merged"))
        .unwrap_err()
        .to_string();
    assert!(said.contains("use --host with one service"), "{said}");
    let said = merge(&directories[..1], &parent.path().join("merged"))
        .unwrap_err()
        .to_string();
    assert!(said.contains("two runs or more"), "{said}");
}
