//! The README's curl commands print what the README says they print. Over all READMEs: a test reads each
//! command, and every link leads somewhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
use common::{
    Served,
    wire::{To, Wire},
};
#[path = "../../serving/tests/support/program.rs"]
#[allow(dead_code, reason = "the other files use the rest of it")]
mod program;
#[path = "../../serving/tests/support/readme.rs"]
mod readme;
use program::{program, run};
use readme::words;

/// The request id that the README shows.
const ID: &str = "8f3c2a7be45d41d0";

/// One command, understood as far as the README goes.
#[derive(Debug, Default)]
struct Curl {
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Curl {
    fn of(command: &str) -> Self {
        let (piped, command) = match command.split_once(" | ") {
            Some((printf, command)) => {
                let text = words(printf.strip_prefix("printf ").expect("only printf"));
                (Some(unescaped(&text[0])), command)
            }
            None => (None, command),
        };
        let mut curl = Self::default();
        let mut words = words(command).into_iter();
        assert_eq!(words.next().as_deref(), Some("curl"));
        while let Some(word) = words.next() {
            let mut value = || words.next().expect("an option has a value");
            match word.as_str() {
                "-d" => curl.body = Some(value().into_bytes()),
                "-H" => {
                    let header = value();
                    let (name, value) = header.split_once(": ").expect("name: value");
                    curl.headers.push((name.to_owned(), value.to_owned()));
                }
                "--data-binary" => {
                    assert_eq!(value(), "@-");
                    curl.body.clone_from(&piped);
                }
                url => {
                    let path = url.strip_prefix("http://localhost:5000");
                    path.expect("the REST port").clone_into(&mut curl.path);
                }
            }
        }
        // What curl says of a body unless it is told.
        if curl.body.is_some() && !curl.headers.iter().any(|(name, _)| name == "content-type") {
            let form = "application/x-www-form-urlencoded";
            curl.headers
                .push(("content-type".to_owned(), form.to_owned()));
        }
        if !curl.headers.iter().any(|(name, _)| name == "accept") {
            curl.headers.push(("accept".to_owned(), "*/*".to_owned()));
        }
        curl
    }
}

/// Returns the bytes that printf makes of `text`, where `\ooo` is the byte of that octal number.
fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (octal, rest) = part.split_at(3);
        bytes.push(u8::from_str_radix(octal, 8).expect("three digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

#[tokio::test]
async fn curl_prints_what_the_readme_says() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let mut commands = 0;
    for shown in readme::commands(include_str!("../README.md")) {
        let command = shown.command;
        if !command.starts_with("curl ") && !command.contains("| curl ") {
            continue;
        }
        let curl = Curl::of(&command);
        let method = if curl.body.is_some() { "POST" } else { "GET" };
        let headers = curl.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        let to = format!("{method} {}", curl.path);
        let body = curl.body.unwrap_or_default();
        let answer = wire.send(To::Rest1, &to, &headers, body).await;
        // An id is another one each time. A blank line parts a command from the one before.
        let wanted = shown.printed.join("\n");
        let wanted = wanted.trim_end().replace(ID, answer.header("x-request-id"));
        assert_eq!(String::from_utf8_lossy(&answer.body), wanted, "{command}");
        commands += 1;
    }
    assert!(commands >= 7, "only {commands} commands were found");
    served.stop().await;
}

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The documents under `folder`, without what is built and what runs left behind.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a folder can be read");
    for path in entries.map(|entry| entry.expect("an entry can be read").path()) {
        let name = path.file_name().expect("it has a name").to_string_lossy();
        if path.is_dir() {
            // A run has its folder in reports/; the committed ones are named below.
            let is_a_run =
                folder.ends_with("reports") && !["reference", "original"].contains(&&*name);
            if !name.starts_with('.') && name != "target" && !is_a_run {
                documents(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Every README of the workspace: its name, and its text.
fn readmes() -> Vec<(String, String)> {
    let mut found = Vec::new();
    documents(&root(), &mut found);
    found.retain(|path| path.ends_with("README.md"));
    assert!(found.len() > 6, "{found:?}");
    let read = found.iter().map(|path| {
        let text = fs::read_to_string(path).expect("the document can be read");
        let name = path.strip_prefix(root()).expect("it is in the workspace");
        (name.display().to_string(), text)
    });
    read.collect()
}

#[tokio::test]
async fn the_servers_take_the_options_that_the_readmes_give_them() {
    let mut commands = 0;
    for (document, text) in readmes() {
        for shown in readme::commands(&text) {
            let command = shown.command.replace(" --release", "");
            let Some(mut args) = readme::after("cargo run -p dual-mode", &command) else {
                continue;
            };
            args.push("--print-limits".to_owned());
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            let ended = run(program(env!("CARGO_BIN_EXE_dual-mode"), &args)).await;
            assert_eq!(ended.code, Some(0), "{document}: {command}: {ended:?}");
            commands += 1;
        }
    }
    assert!(commands >= 5, "only {commands} commands were found");
}

#[test]
fn a_test_reads_every_command_of_every_readme() {
    for (document, text) in readmes() {
        for shown in readme::commands(&text) {
            let command = &shown.command;
            let words = words(command);
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            match words[..] {
                ["cargo", ..] => names_what_there_is(&document, command, &words),
                // loadtest/tests/readme.rs.
                ["loadtest" | "export" | "head" | "cat", ..] => {
                    assert!(document.starts_with("loadtest/"), "{document}: {command}");
                }
                [
                    "curl" | "echo" | "printf" | "grpcurl" | "buf" | "openssl",
                    ..,
                ] => {
                    let is_known = ["dual-mode/README.md", "serving/README.md"];
                    assert!(is_known.contains(&&document[..]), "{document}: {command}");
                }
                _ => panic!("no test reads this: {document}: {command}"),
            }
        }
    }
}

/// Packages, programs, examples and benchmarks are there under the names that `command` gives them.
fn names_what_there_is(document: &str, command: &str, words: &[&str]) {
    let folder = |package: &str| match package {
        "engine" | "stats" => root().join("loadtest").join(package),
        "shop-on-serving" => root().join("serving/examples/shop"),
        other => root().join(other),
    };
    let mut package = root();
    for pair in words.windows(2) {
        let (kind, name) = (pair[0], pair[1]);
        let places = match kind {
            "--" => break,
            "-p" => {
                package = folder(name);
                vec!["Cargo.toml".to_owned()]
            }
            "--bin" => vec![format!("src/bin/{name}.rs")],
            "--example" => vec![
                format!("examples/{name}.rs"),
                format!("examples/{name}/main.rs"),
            ],
            "--bench" => vec![
                format!("benches/{name}.rs"),
                format!("benches/{name}/main.rs"),
            ],
            _ => continue,
        };
        let is_there = places.iter().any(|place| package.join(place).exists());
        assert!(is_there, "{document}: {command}: there is no {kind} {name}");
    }
}

/// The anchor that GitHub makes of a heading: small letters, digits, hyphens for blanks.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ => letter.is_alphanumeric().then_some(letter),
    });
    kept.collect()
}

/// The places in the document at `path` that a link may name.
fn anchors(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).expect("the document can be read");
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn every_link_of_every_document_leads_somewhere() {
    let mut found = Vec::new();
    documents(&root(), &mut found);
    let mut links = 0;
    for path in found {
        let text = fs::read_to_string(&path).expect("the document can be read");
        let folder = path.parent().expect("it is in a folder");
        let written = text.split("](").skip(1).map(|rest| (rest, ')'));
        let shown = text
            .split("src=\"")
            .skip(1)
            .chain(text.split("srcset=\"").skip(1));
        let shown = shown.map(|rest| (rest, '"'));
        for (rest, end) in written.chain(shown) {
            let link = rest.split(end).next().unwrap_or_default();
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let document = path.display();
            let target = if file.is_empty() {
                path.clone()
            } else {
                folder.join(file)
            };
            assert!(target.exists(), "{document} links to {file}");
            if !place.is_empty() {
                assert!(
                    anchors(&target).contains(place),
                    "{document} links to {link}"
                );
            }
            links += 1;
        }
    }
    assert!(links > 100, "only {links} links were found");
}

#[test]
fn the_front_page_is_short_and_leads_to_every_crate() {
    let front = fs::read_to_string(root().join("README.md")).expect("it can be read");
    let lines = front.lines().count();
    // One or two screens.
    assert!(lines <= 120, "{lines} lines");
    for page in ["unary", "bidirectional", "dual-mode", "serving", "loadtest"] {
        assert!(front.contains(&format!("]({page}/README.md)")), "{page}");
    }
}
