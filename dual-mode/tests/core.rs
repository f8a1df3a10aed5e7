//! The business stays free of every transport, and its rules stay in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dual_mode::greetings::{Fault, Request, greet, greet_batch};

/// Words of transports, formats, I/O and clocks, which `greetings.rs` must not know.
const FOREIGN: [&str; 16] = [
    "axum",
    "chrono",
    "http",
    "hyper",
    "proto::",
    "prost",
    "serde",
    "serving",
    "tokio",
    "tonic",
    "tracing",
    "print",
    "std::fs",
    "std::io",
    "std::net",
    "std::time",
];

/// The bounds of its rules by name.
const NAMES: [&str; 4] = [
    "LONGEST_MESSAGE_TYPE",
    "LONGEST_DATA_COMM_TYPE",
    "YEARS",
    "LARGEST_BATCH",
];

/// And by number.
const NUMBERS: [&str; 6] = ["256", "257", "9999", "10_000", "1000", "1001"];

#[test]
fn the_business_knows_no_transport_no_format_no_io_and_no_clock() {
    let source = include_str!("../src/greetings.rs");
    for (number, line) in (1..).zip(source.lines()) {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in FOREIGN {
            assert!(!line.contains(word), "greetings.rs:{number}: {line}");
        }
    }
}

/// The words of every rule, from requests that break it.
fn rules() -> Vec<&'static str> {
    let request = |message_type: &str, year| Request {
        data_comm_type: "x".repeat(33),
        message_type: message_type.to_owned(),
        year,
    };
    let long = "x".repeat(257);
    let refused = ["", "\0x", &long].map(|kind| greet(&request(kind, 0)).err());
    let batch = greet_batch(&[]).err();
    let mut rules: Vec<_> = refused
        .into_iter()
        .chain([batch])
        .map(|fault| fault.expect("it breaks rules"))
        .flat_map(|Fault::InvalidArgument { violations, .. }| violations)
        .map(|violation| violation.rule)
        .collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn no_adapter_contains_a_rule() {
    let rules = rules();
    assert_eq!(rules.len(), 6, "{rules:?}");
    // These read requests field by field, and say what is no field, or no value of its kind.
    let readers = ["json/requests.rs", "rest/query.rs"];
    let mut adapters = 0;
    for file in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let source = fs::read_to_string(&file).expect("it can be read");
        if file.ends_with("greetings.rs") {
            for rule in &rules {
                let times = source.matches(&format!("\"{rule}\"")).count();
                assert_eq!(times, 1, "greetings.rs should say once: {rule}");
            }
            continue;
        }
        // A document that describes the rules quotes them.
        if file.extension().is_none_or(|kind| kind != "rs")
            || file.display().to_string().contains("openapi")
        {
            continue;
        }
        adapters += 1;
        let finds_fields_wrong = ["Fault::field(", "Violation {"];
        let shipped = source.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(
            readers.iter().any(|reader| file.ends_with(reader))
                || !finds_fields_wrong.iter().any(|call| shipped.contains(call)),
            "{} finds fields wrong, which is for the core",
            file.display()
        );
        for (number, line) in (1..).zip(source.lines()) {
            let at = format!("{}:{number}: {line}", file.display());
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(
                !words.any(|w| NAMES.contains(&w) || NUMBERS.contains(&w)),
                "{at}"
            );
            assert!(!rules.iter().any(|rule| line.contains(rule)), "{at}");
        }
    }
    assert!(adapters > 10, "only {adapters} files were found");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources are here") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else {
            files.push(path);
        }
    }
    files
}
