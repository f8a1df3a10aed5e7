//! The proof: same input, same outcome, however it comes. One table of requests goes in every way
//! that there is, one table of faults over every transport, and both tables stand in the README as
//! they came out here.
//!
//! `UPDATE_README=1 cargo test -p dual-mode --test same_outcome` writes them there.

mod cases;
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
mod faults;
mod random;
mod ways;

use std::{fs, path::Path};

use cases::{Expected, cases};
use common::{Served, wire::Wire};
use ways::{Outcome, Way};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

#[tokio::test]
async fn every_request_has_the_same_outcome_every_way() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let ways: Vec<_> = Way::AROUND_THE_CORE.map(Way::name).into();
    let mut table = format!(
        "| request | core | {} |\n|---|---|{}\n",
        ways.join(" | "),
        "---|".repeat(ways.len())
    );
    for case in cases() {
        let name = case.name;
        let core = Way::Core.ask(&mut wire, &case.asked).await;
        let said = match (&core, case.expected) {
            (Outcome::Greeted(greetings), Expected::Greeted(first)) => {
                assert!(greetings[0].ends_with(first), "{name}: {greetings:?}");
                "greeted".to_owned()
            }
            (Outcome::Refused(refusal), Expected::Refused(wanted)) => {
                let fields: Vec<_> = refusal.fields.iter().map(|(field, _)| field).collect();
                assert_eq!(fields, wanted, "{name}");
                let fields = fields.iter().map(|field| format!("`{field}`"));
                let fields = fields.take(3).collect::<Vec<_>>().join(", ");
                let more = if wanted.len() > 3 { ", …" } else { "" };
                format!("{}: {fields}{more}", refusal.reason)
            }
            (outcome, _) => panic!("{name}: {outcome:?}"),
        };
        let mut cells = Vec::new();
        for way in Way::AROUND_THE_CORE {
            if !way.can_say(&case.asked) {
                cells.push("–");
                continue;
            }
            let outcome = way.ask(&mut wire, &case.asked).await;
            assert_eq!(outcome, core, "{name}: {}", way.name());
            cells.push("=");
        }
        table += &format!("| {name} | {said} | {} |\n", cells.join(" | "));
    }
    served.stop().await;
    stands_in_readme("outcomes", &table);
}

#[tokio::test]
async fn it_is_the_same_where_all_ways_lead_to_one_port() {
    let served = Served::on_one_port(&[]).await;
    let mut wire = Wire::to(&served).await;
    for case in cases() {
        let core = Way::Core.ask(&mut wire, &case.asked).await;
        for way in Way::AROUND_THE_CORE {
            if way.can_say(&case.asked) {
                let outcome = way.ask(&mut wire, &case.asked).await;
                assert_eq!(outcome, core, "{}: {}", case.name, way.name());
            }
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn every_fault_is_the_same_on_every_transport() {
    stands_in_readme("faults", &faults::table().await);
}

/// Asserts that the README has `text` between its marks called `name`, or puts it there.
fn stands_in_readme(name: &str, text: &str) {
    let readme = fs::read_to_string(Path::new(README)).expect("the README can be read");
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let marked = readme.split_once(&begin).and_then(|(before, rest)| {
        let (found, after) = rest.split_once(&end)?;
        Some((before, found, after))
    });
    let (before, found, after) = marked.unwrap_or_else(|| panic!("the README lacks {begin}"));
    if std::env::var_os("UPDATE_README").is_some() {
        let new = format!("{before}{begin}{text}{end}{after}");
        fs::write(README, new).expect("the README can be written");
    } else {
        assert_eq!(
            found, text,
            "the README's table is not what came out; if it should be, run \
             UPDATE_README=1 cargo test -p dual-mode --test same_outcome -- --test-threads 1"
        );
    }
}
