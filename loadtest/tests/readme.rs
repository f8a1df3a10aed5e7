//! The README's commands, on the shop: what takes less than a minute is run, and the rest is read as the
//! program reads it.

#[path = "../../serving/tests/support/readme.rs"]
mod readme;
#[path = "support/shop.rs"]
mod shop;
mod support;

use std::{fs, path::Path, process::Output};

use clap::{CommandFactory, FromArgMatches, error::ErrorKind};
use loadtest::cli::Cli;
use readme::Shown;
use shop::{Shop, app};
use support::{INCONCLUSIVE, Room, stderr};

const README: &str = include_str!("../README.md");
/// The tool's name in the README.
const LONG: &str = "cargo run --release -p loadtest";
/// The addresses and the token that it shows.
const REST: &str = "localhost:5000";
const GRPC: &str = "localhost:50051";
const TOKEN: &str = "secret";

/// The arguments of the tool, if `command` calls it.
fn of_the_tool(command: &str) -> Option<Vec<String>> {
    let args = readme::after(LONG, command).or_else(|| readme::after("loadtest", command))?;
    (!args.iter().any(|arg| arg == "--example")).then_some(args)
}

#[track_caller]
fn parses(args: &[String]) {
    let words = ["loadtest".to_owned()]
        .into_iter()
        .chain(args.iter().cloned());
    let matches = Cli::command().try_get_matches_from(words);
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    if let Err(error) = cli
        && error.kind() != ErrorKind::DisplayHelp
    {
        panic!("{args:?}: {error}");
    }
}

/// The pieces of `line` between backticks.
fn codes(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[test]
fn the_tool_reads_every_command_that_a_readme_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut commands = 0;
    for document in ["README.md", "loadtest/README.md", "reports/README.md"] {
        let text = fs::read_to_string(root.join(document)).expect("it can be read");
        for shown in readme::commands(&text) {
            if let Some(args) = of_the_tool(&shown.command) {
                parses(&args);
                commands += 1;
            }
        }
        for code in text.lines().flat_map(codes) {
            // The name of the tool alone is no command.
            if let Some(args) = of_the_tool(code)
                && code.contains(" --")
                && !code.ends_with("--")
            {
                parses(&args);
                commands += 1;
            }
        }
    }
    // The table of what to write after its name.
    let table = README.split("| after `loadtest` | |").nth(1);
    let rows = table.expect("there is the table").lines().skip(2);
    for row in rows.take_while(|row| row.starts_with('|')) {
        let first = row.trim_start_matches('|').split(" | ").next();
        for code in codes(first.unwrap_or_default()) {
            parses(&readme::words(code));
            commands += 1;
        }
    }
    assert!(commands > 25, "only {commands} commands were found");
}

#[test]
fn the_tool_has_every_option_that_the_readme_lists() {
    let table = README.split("About a service of your own:").nth(1);
    let command = Cli::command();
    let known: Vec<_> = command
        .get_arguments()
        .filter_map(|arg| arg.get_long())
        .collect();
    let mut options = 0;
    let rows = table.expect("there is the table").lines().skip(4);
    for row in rows.take_while(|row| row.starts_with('|')) {
        for code in row.split(" | ").take(1).flat_map(codes) {
            let option = code.split_whitespace().next().unwrap_or_default();
            if let Some(option) = option.strip_prefix("--") {
                assert!(known.contains(&option), "there is no --{option}");
                options += 1;
            }
        }
    }
    assert!(options > 15, "only {options} options were found");
}

/// `text` with the addresses of `shop` in the place of those that the README shows.
fn here(shop: &Shop, text: &str) -> String {
    text.replace(GRPC, &shop.grpc.to_string())
        .replace(REST, &shop.rest.to_string())
}

/// The other way round.
fn there(shop: &Shop, text: &str) -> String {
    text.replace(&shop.grpc.to_string(), GRPC)
        .replace(&shop.rest.to_string(), REST)
}

/// The commands of the README that begin with `prefix`.
fn shown(prefix: &str) -> Vec<Shown> {
    let mut all = readme::commands(README);
    all.retain(|shown| shown.command.starts_with(prefix));
    assert!(!all.is_empty(), "the README lacks: {prefix}");
    all
}

fn run(room: &Room, args: &[String]) -> Output {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut tool = room.bare_tool(&args);
    let output = tool.env("TOKEN", TOKEN).output();
    output.expect("the tool was built")
}

#[test]
fn the_shop_is_measured_as_the_readme_says() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    let rows = app::rows::orders(1000, app::rows::SEED);
    let rows = rows.map(|row| serde_json::to_string(&row).expect("a row is JSON") + "\n");
    let rows: Vec<_> = rows.collect();
    let head = shown("head -1 orders.jsonl").remove(0);
    assert_eq!(head.printed.join("\n"), rows[0].trim_end());
    fs::write(room.path().join("orders.jsonl"), rows.concat()).expect("it can be written");

    let asked = [
        "loadtest list",
        "loadtest describe",
        "loadtest study orders.toml --init",
    ];
    for shown in asked.into_iter().flat_map(shown) {
        let args = of_the_tool(&shown.command).expect("it calls the tool");
        // A study keeps the addresses that it was given.
        let is_study = args[0] == "study";
        let args: Vec<_> = args
            .iter()
            .map(|arg| {
                if is_study {
                    arg.clone()
                } else {
                    here(&shop, arg)
                }
            })
            .collect();
        let output = run(&room, &args);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let printed = String::from_utf8_lossy(&output.stdout);
        let wanted = shown.printed.join("\n");
        assert_eq!(
            there(&shop, printed.trim_end()),
            wanted,
            "{}",
            shown.command
        );
    }

    let study = room.path().join("orders.toml");
    let text = fs::read_to_string(&study).expect("it was written");
    let cat = shown("cat orders.toml").remove(0);
    assert_eq!(text.trim_end(), cat.printed.join("\n"));
    fs::write(&study, here(&shop, &text)).expect("it can be written");
    let measured = shown("loadtest study orders.toml");
    let measured = measured.iter().find(|shown| shown.printed.is_empty());
    let command = &measured.expect("the study is measured").command;
    let mut args = of_the_tool(command).expect("it calls the tool");
    // Too little for a verdict, and enough to see that everything comes to one.
    let small = "--users 2 --run-time 1s --rounds 1 --closed";
    args.extend(readme::words(small));
    let output = run(&room, &args);
    let said = stderr(&output);
    assert_eq!(output.status.code(), INCONCLUSIVE, "{said}");
    let left_out = README
        .lines()
        .find(|line| line.starts_with("left out of the"));
    assert!(
        said.contains(left_out.expect("the README shows it")),
        "{said}"
    );
}

#[test]
fn the_study_of_the_reference_run_on_the_shop_is_one_that_the_tool_reads() {
    let (room, study) = (Room::new(), "../reports/shop.toml");
    let study = Path::new(env!("CARGO_MANIFEST_DIR")).join(study);
    fs::write(room.path().join("ids.jsonl"), "{\"id\":\"order-1\"}\n").expect("it can be written");
    let run = |token: bool| {
        let mut tool = room.bare_tool(&["study", &study.to_string_lossy()]);
        // Nobody listens there.
        tool.args(["--grpc", "127.0.0.1:1 shop.v1.Orders/GetOrder"]);
        tool.args(["--rest", "GET http://127.0.0.1:1/v1/orders/{id}"]);
        tool.args(["--data", "ids.jsonl"]);
        match token {
            true => tool.env("TOKEN", TOKEN),
            false => tool.env_remove("TOKEN"),
        };
        tool.output().expect("the tool was built")
    };
    let read = run(true);
    let text = stderr(&read);
    assert_eq!(read.status.code(), Some(5), "{text}");
    assert!(text.contains("refused the connection"), "{text}");
    let without = run(false);
    let text = stderr(&without);
    assert_eq!(without.status.code(), Some(2), "{text}");
    assert!(text.contains("TOKEN"), "{text}");
}
