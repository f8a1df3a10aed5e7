//! The README's curl commands print what the README says they print, and its links lead somewhere.

use std::{fs, path::Path};

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
use common::{
    Served,
    wire::{To, Wire},
};

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

/// The words of a command, of which some are in single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in command.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// What printf makes of `\ooo`.
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
    let readme = include_str!("../../README.md");
    let lines: Vec<_> = readme.lines().collect();
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let mut commands = 0;
    for (line, printed) in lines.iter().zip(&lines[1..]) {
        let Some(command) = line.strip_prefix("$ ") else {
            continue;
        };
        if !command.starts_with("curl ") && !command.contains("| curl ") {
            continue;
        }
        let curl = Curl::of(command);
        let method = if curl.body.is_some() { "POST" } else { "GET" };
        let headers = curl.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        let to = format!("{method} {}", curl.path);
        let body = curl.body.unwrap_or_default();
        let answer = wire.send(To::Rest1, &to, &headers, body).await;
        // An id is another one each time.
        let wanted = printed.replace(ID, answer.header("x-request-id"));
        assert_eq!(String::from_utf8_lossy(&answer.body), wanted, "{command}");
        commands += 1;
    }
    assert!(commands >= 7, "only {commands} commands were found");
    served.stop().await;
}

#[test]
fn every_file_that_a_document_links_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut links = 0;
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "reports/README.md",
        "reports/reference/README.md",
        "reports/original/README.md",
    ] {
        let path = root.join(document);
        let text = fs::read_to_string(&path).expect("the document is there");
        let folder = path.parent().expect("it is in a folder");
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            links += 1;
            assert!(folder.join(file).exists(), "{document} links to {file}");
        }
    }
    assert!(links > 0);
}
