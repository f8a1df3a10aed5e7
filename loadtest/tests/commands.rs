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
