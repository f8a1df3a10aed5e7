//! The commands on runs that were recorded, as a user gives them.

use std::{fs, process::Command};

use loadtest::record::{Protocol, Recording};
use tempfile::TempDir;

mod made_up;

use made_up::{THOROUGH, Truth};

fn write(recording: &Recording, parent: &TempDir, name: &str) {
    let directory = parent.path().join(name);
    fs::create_dir(&directory).expect("a new folder");
    recording.write(&directory).expect("a folder to write to");
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
fn the_commands_say_what_they_made_and_why_they_did_not() {
    let parent = tempfile::tempdir().unwrap();
    write(&made_up::two(THOROUGH), &parent, "run");
    let (code, said) = loadtest(&parent, &["report", "run"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("server CPU per request") && said.contains("Report: run/index.html"),
        "{said}"
    );

    let (code, said) = loadtest(
        &parent,
        &["compare", "run", "run", "--output-dir", "compared"],
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("The two runs agree") && said.contains("compared/index.html"),
        "{said}"
    );

    let mut alone = made_up::two(Truth {
        rounds: 3,
        ..THOROUGH
    });
    alone
        .trials
        .retain(|trial| trial.variant.protocol == Protocol::Grpc);
    write(&alone, &parent, "alone");
    for command in [
        &["report", "alone"][..],
        &["compare", "run", "alone", "--output-dir", "three"],
    ] {
        let (code, said) = loadtest(&parent, command);
        assert_eq!(code, Some(6), "{said}");
        assert!(said.contains("Inconclusive"), "{said}");
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

#[test]
fn a_requirement_is_met_or_missed_or_cannot_be_told_and_every_file_says_so() {
    let parent = tempfile::tempdir().unwrap();
    let schema = include_str!("../verdict.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    // In truth gRPC takes 1.1 times of REST's CPU, some ten microseconds.
    for (name, requirement, code, word, mark) in [
        ("a", "grpc.cpu <= 1.3 * rest.cpu", 0, "met", "<system-out>"),
        ("b", "rest.cpu >= 0.8 * gRPC.cpu", 0, "met", "<system-out>"),
        ("c", "grpc.cpu <= 1ms", 0, "met", "<system-out>"),
        ("d", "grpc.cpu < 1.05 * rest.cpu", 4, "missed", "<failure "),
        ("e", "grpc.cpu <= 1us", 4, "missed", "<failure "),
        (
            "f",
            "grpc.cpu <= 1.085 * rest.cpu",
            6,
            "cannot tell",
            "<error ",
        ),
    ] {
        let mut recording = made_up::two(THOROUGH);
        recording.run.requirements = vec![requirement.to_owned()];
        write(&recording, &parent, name);
        let (found, said) = loadtest(&parent, &["report", name]);
        assert_eq!(found, Some(code), "{requirement}: {said}");
        let read = |file: &str| fs::read_to_string(parent.path().join(name).join(file)).unwrap();
        let json = serde_json::from_str(&read("verdict.json")).unwrap();
        let errors: Vec<_> = schema.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(json["requirements"][0]["outcome"], word);
        assert!(json["claims"].as_array().unwrap().len() > 2, "{json}");
        assert!(read("summary.md").contains(&format!("- {word}: {requirement}")));
        let metrics = read("openmetrics.txt");
        assert!(metrics.ends_with("# EOF\n"), "{metrics}");
        let of_requirement = format!("requirement_met{{requirement=\"{requirement}\"}} ");
        let met = match word {
            "met" => Some("1.0"),
            "missed" => Some("0.0"),
            _ => None,
        };
        let found = metrics.split_once(&of_requirement);
        let found = found.map(|(_, rest)| rest.lines().next().unwrap());
        assert_eq!(found, met, "{metrics}");
        // 12 µs, as the page says.
        let cpu = metrics.lines().find_map(|line| {
            line.strip_prefix("loadtest_server_cpu_seconds{variant=\"REST\",purpose=\"open\",")
        });
        let seconds: f64 = cpu.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!((11e-6..13e-6).contains(&seconds), "{metrics}");
        let junit = read("junit.xml");
        assert!(junit.contains(mark), "{junit}");
        assert!(junit.contains("tests=\"2\""), "{junit}");
    }
    for (rule, said) in [
        ("grpc.p99", "write it like"),
        ("new.cpu < old.cpu", "there are REST and gRPC"),
    ] {
        let (code, error) = loadtest(&parent, &["--require", rule]);
        assert_eq!(code, Some(2), "{error}");
        assert!(
            error.contains(said) && error.contains("--require"),
            "{error}"
        );
    }
}

#[test]
fn a_gate_lets_pass_what_is_allowed_and_says_that_the_runs_were_apart() {
    let parent = tempfile::tempdir().unwrap();
    write(&made_up::two(THOROUGH), &parent, "base");
    let again = Truth {
        seed: 2,
        ..THOROUGH
    };
    write(&made_up::two(again), &parent, "same");
    let mut more = made_up::two(again);
    for trial in &mut more.trials {
        if let Some(server) = &mut trial.measurement.server {
            server.cpu_us = server.cpu_us * 13 / 10;
        }
    }
    write(&more, &parent, "more");
    for (new, code, said) in [
        ("same", 0, "met: server CPU per request of REST"),
        ("more", 4, "missed: server CPU per request of gRPC"),
    ] {
        let args = [
            "compare",
            "base",
            new,
            "--allow",
            "1.2",
            "--output-dir",
            "c",
        ];
        let (found, text) = loadtest(&parent, &args);
        assert_eq!(found, Some(code), "{text}");
        assert!(text.contains(said), "{text}");
        assert!(text.contains("not interleaved"), "{text}");
    }
    let (code, text) = loadtest(&parent, &["compare", "base", "same", "--allow", "0.5"]);
    assert_eq!(code, Some(2), "{text}");
}
