//! What is done with the folders of runs: written, read, reported on, compared, merged.

use std::{
    fs,
    mem::discriminant,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, prelude::BASE64_STANDARD};
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
        report::report,
    },
    record::{Arm, BlockRecord, Load, Purpose, Recording, Service, Void},
};
use tempfile::TempDir;

mod made_up;

use made_up::{THOROUGH, Truth};

/// Three pairs: what is tested here is not statistics.
const FEW: Truth = Truth {
    pairs: 3,
    ..THOROUGH
};

fn written(recording: &Recording, parent: &TempDir, name: &str) -> PathBuf {
    let directory = parent.path().join(name);
    fs::create_dir(&directory).expect("a new folder");
    recording.write(&directory).expect("a folder to write to");
    directory
}

/// What one of several machines recorded against one service.
fn part(seed: u64) -> Recording {
    let mut recording = made_up::headline(Truth { seed, ..FEW });
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
fn a_block_that_was_changed_by_hand_is_not_reported_on() {
    let recording = made_up::headline(FEW);
    let at = recording
        .blocks
        .iter()
        .position(|block| block.pacer.is_some() && block.is_valid());
    let at = at.unwrap();
    type Change<'a> = &'a dyn Fn(&mut BlockRecord);
    let changes: [(Change<'_>, &str); 5] = [
        (&|block| block.requests /= 2, "and the times of"),
        (
            &|block| {
                block.errors.insert("503".to_owned(), 7);
            },
            "7 of them bad",
        ),
        (
            &|block| block.steal_share = Some(0.5),
            "the hypervisor took 50",
        ),
        (
            &|block| block.others_share = Some(0.5),
            "other programs took 50",
        ),
        (
            &|block| block.pacer.as_mut().unwrap().offered *= 2,
            "achieved 0.5",
        ),
    ];
    for (change, said) in changes {
        let parent = tempfile::tempdir().unwrap();
        let mut changed = recording.clone();
        change(&mut changed.blocks[at]);
        let directory = written(&changed, &parent, "run");
        let error = report(&directory).unwrap_err().to_string();
        assert!(
            error.contains("contradicts itself") && error.contains(said),
            "{error}"
        );
    }
}

#[test]
fn a_run_without_a_block_is_read_too() {
    let parent = tempfile::tempdir().unwrap();
    let mut recording = made_up::headline(FEW);
    recording.blocks.clear();
    let directory = written(&recording, &parent, "run");
    assert_eq!(Recording::read(&directory).unwrap(), recording);
}

#[test]
fn a_run_of_format_2_whose_blocks_were_all_as_long_is_read_too() {
    let parent = tempfile::tempdir().unwrap();
    let recording = made_up::headline(FEW);
    let directory = written(&recording, &parent, "run");
    let change = |file: PathBuf, change: &dyn Fn(&mut serde_json::Value)| {
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
    assert_eq!(Recording::read(&directory).unwrap(), recording);
    report(&directory).unwrap();
}

#[test]
fn the_commands_say_what_they_made_and_why_they_did_not() {
    let parent = tempfile::tempdir().unwrap();
    written(&made_up::headline(FEW), &parent, "run");
    let (code, said) = loadtest(&parent, &["report", "run"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("server CPU per request") && said.contains("Report: run/index.html"),
        "{said}"
    );

    let (code, said) = loadtest(&parent, &["compare", "run", "run", "--output-dir", "two"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("The two runs agree") && said.contains("two/index.html"),
        "{said}"
    );

    let mut alone = made_up::headline(FEW);
    alone.blocks.retain(|block| block.arm == Arm::Grpc);
    written(&alone, &parent, "alone");
    for command in [
        &["report", "alone"][..],
        &["compare", "run", "alone", "--output-dir", "three"],
    ] {
        let (code, said) = loadtest(&parent, command);
        assert_eq!(code, Some(6), "{said}");
        assert!(said.contains("an't"), "{said}");
    }

    let (code, said) = loadtest(&parent, &["merge", "run", "run", "--output-dir", "all"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("error: run and run hold the same run"),
        "{said}"
    );
    assert!(!parent.path().join("all").exists());

    let (code, said) = loadtest(&parent, &["report", "nowhere"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: nowhere holds no run.json"), "{said}");
}

/// The exit code and everything said.
fn loadtest(directory: &TempDir, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(args)
        .current_dir(directory.path())
        .output()
        .expect("the program");
    let texts =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), texts.concat())
}

#[test]
fn the_page_is_made_from_the_raw_data_alone_and_is_always_the_same() {
    let parent = tempfile::tempdir().unwrap();
    let directory = written(&made_up::headline(FEW), &parent, "run");
    fs::remove_dir_all(directory.join("hdr")).unwrap();
    let (verdict, page) = report(&directory).unwrap();
    let first = fs::read_to_string(&page).unwrap();
    assert!(
        first.contains(&verdict.sentence()),
        "{}",
        verdict.sentence()
    );
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
    fs::write(&page, "an older page").unwrap();
    report(&directory).unwrap();
    assert_eq!(fs::read_to_string(&page).unwrap(), first);
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
            "is of format 99 and this version reads formats 2 and",
        ),
        ("{\"format\": 2}", "cannot be understood: missing field"),
        ("half a fil", "is no JSON"),
    ] {
        fs::write(&run, content).unwrap();
        assert!(said(&directory).contains(expected), "{}", said(&directory));
        assert!(!directory.join("index.html").exists());
    }
}

#[test]
fn the_logs_hold_every_valid_block_as_hdrhistograms_tools_read_them() {
    let parent = tempfile::tempdir().unwrap();
    let mut recording = made_up::headline(FEW);
    let of_arm = |block: &&mut loadtest::record::BlockRecord| {
        block.purpose == Purpose::Open && block.label == "E"
    };
    let first = recording.blocks.iter_mut().find(of_arm).unwrap();
    first.void.push(Void::ServerRestarted);
    let directory = written(&recording, &parent, "run");
    let log = fs::read(directory.join("hdr/open-32x1-1-open5000-E-grpc-corrected.hlog")).unwrap();
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
    let valid: Vec<_> = recording
        .blocks
        .iter()
        .filter(|b| b.purpose == Purpose::Open && b.label == "E" && b.is_valid())
        .collect();
    assert_eq!(intervals.len(), 2);
    for ((max, times), block) in intervals.iter().zip(valid) {
        assert_eq!(times, &block.latency.corrected.as_ref().unwrap().0);
        assert!(
            (max - times.max() as f64 / 1e6).abs() < 0.01,
            "milliseconds: {max}"
        );
    }
}

#[test]
fn two_runs_of_the_same_comparison_agree_and_their_page_says_so() {
    let parent = tempfile::tempdir().unwrap();
    let [first, second] = [(1, "before"), (2, "after")].map(|(seed, name)| {
        written(
            &made_up::headline(Truth { seed, ..THOROUGH }),
            &parent,
            name,
        )
    });
    let compared = compare(&first, &second, &parent.path().join("compared")).unwrap();
    let Compared { text, folder, .. } = compared;
    assert!(compared.is_told);
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
fn runs_at_different_rates_of_which_one_cannot_tell_are_not_said_to_agree() {
    let parent = tempfile::tempdir().unwrap();
    let first = written(&made_up::headline(Truth { seed: 1, ..FEW }), &parent, "one");
    let mut second = made_up::headline(Truth { seed: 2, ..FEW });
    let cells = second.run.plan.cells.iter_mut().map(|cell| &mut cell.load);
    let blocks = second.blocks.iter_mut().map(|block| &mut block.load);
    for load in cells.chain(blocks).filter(|load| **load != Load::Closed) {
        *load = Load::Open { per_second: 6000.0 };
    }
    let second = written(&second, &parent, "other");
    let compared = compare(&first, &second, &parent.path().join("compared")).unwrap();
    let Compared { text, folder, .. } = compared;
    assert!(!compared.is_told, "one can't tell");
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
    let first = written(&made_up::headline(FEW), &parent, "differ");
    let alike = Truth {
        differ: false,
        ..FEW
    };
    let second = written(&made_up::headline(alike), &parent, "alike");
    let Compared { text, .. } = compare(&first, &second, &parent.path().join("compared")).unwrap();
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
    assert_eq!(whole.blocks.len(), parts[0].blocks.len());
    assert_eq!(whole.run.machines.len(), 3);
    assert!(folder.join("index.html").is_file());
    for block in &whole.blocks {
        let same: Vec<_> = parts
            .iter()
            .flat_map(|part| &part.blocks)
            .filter(|other| {
                discriminant(&other.load) == discriminant(&block.load)
                    && (other.purpose, other.pair, &other.label)
                        == (block.purpose, block.pair, &block.label)
            })
            .collect();
        assert!(block.is_valid(), "{:?}", block.void);
        assert_eq!(block.requests, same.iter().map(|b| b.requests).sum::<u64>());
        let mut times = same[0].latency.uncorrected.0.clone();
        times.add(&same[1].latency.uncorrected.0).unwrap();
        times.add(&same[2].latency.uncorrected.0).unwrap();
        assert_eq!(block.latency.uncorrected.0, times);
        assert_eq!(block.connections, 96);
        if block.purpose == Purpose::Open {
            assert_eq!(
                block.load,
                Load::Open {
                    per_second: 15_000.0
                }
            );
        }
    }
    let again = merge(&directories, &output).unwrap();
    assert_eq!(again, parent.path().join("merged-2"), "the first stays");
}

#[test]
fn blocks_that_were_not_measured_at_once_are_void() {
    let parent = tempfile::tempdir().unwrap();
    let (one, mut other) = (part(1), part(2));
    for block in &mut other.blocks {
        match block.pair {
            // A tenth of a window apart is at once; a half is not.
            1 => block.opened_unix_us += block.window_us / 20,
            2 => block.opened_unix_us += block.window_us / 2,
            _ => {}
        }
    }
    other
        .blocks
        .retain(|block| block.pair != 3 || block.label != "E");
    let directories = [
        written(&one, &parent, "one"),
        written(&other, &parent, "other"),
    ];
    let folder = merge(&directories, &parent.path().join("merged")).unwrap();
    for block in Recording::read(&folder).unwrap().blocks {
        let reasons: Vec<String> = block.void.iter().map(ToString::to_string).collect();
        match (block.pair, block.label.as_str()) {
            (2, _) => assert_eq!(
                reasons,
                ["the machines measured at once for 50% of the window, below 90%"]
            ),
            (3, "E") => assert_eq!(
                reasons,
                ["nothing was measured: 1 of 2 machines have this block"]
            ),
            _ => assert!(reasons.is_empty(), "{reasons:?}"),
        }
    }
}

#[test]
fn runs_that_are_not_parts_of_one_are_refused_and_nothing_is_written() {
    type Change = fn(&mut Recording);
    let cases: [(Change, &str); 6] = [
        (
            |other| other.run.plan.cells[0].window_us += 1,
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
        .map(|(seed, name)| written(&made_up::headline(Truth { seed, ..FEW }), &parent, name));
    let said = merge(&directories, &parent.path().join("merged"))
        .unwrap_err()
        .to_string();
    assert!(said.contains("use --host with one service"), "{said}");
    let said = merge(&directories[..1], &parent.path().join("merged"))
        .unwrap_err()
        .to_string();
    assert!(said.contains("two runs or more"), "{said}");
}
