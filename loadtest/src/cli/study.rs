//! Study files: the options of a comparison in TOML, to be kept in a repository.
//!
//! A key is an option without its dashes, `[[variant]]` is a `--rest` or a `--grpc` with an optional name.
//! Options on the command line stand for those of the file.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};
use toml::{Table, Value};

use super::{Comparison, UsageError};

/// Options whose values are files, which a study names as seen from its own folder.
const FILES: [&str; 7] = [
    "data", "proto", "include", "protoset", "cacert", "cert", "key",
];

/// Options that hold secrets, which a file that is kept may not.
const SECRET: [&str; 3] = ["header", "rest-header", "grpc-header"];

/// The option that a list of variants stands for.
const VARIANT: &str = "variant";

/// Options by their long names, with their values; none of a flag.
type Given = BTreeMap<String, Vec<String>>;

/// The options of the study in `file`, and those of the command line `matches`.
///
/// # Errors
/// When the file cannot be read, or holds what is no option: with its key.
pub(super) fn read(file: &Path, matches: &ArgMatches) -> Result<Comparison, UsageError> {
    let name = file.display();
    let wrong = |what: String| UsageError(format!("study {name} {what}"));
    let text =
        fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let table: Table =
        text.trim_start_matches('\u{feff}')
            .parse()
            .map_err(|error: toml::de::Error| {
                let line = error.span().map_or(1, |span| {
                    text[..span.start.min(text.len())].matches('\n').count() + 1
                });
                wrong(format!("is not TOML, line {line}: {}", error.message()))
            })?;
    let command = Comparison::augment_args(Command::new("loadtest"));
    let mut given = of_table(&table, &command, file).map_err(wrong)?;
    let mine = of_matches(&command, matches);
    if mine.contains_key("rest") || mine.contains_key("grpc") {
        given.remove("rest");
        given.remove("grpc");
    }
    given.extend(mine);
    let mut words = vec![OsString::from("loadtest")];
    for (option, values) in given {
        match values.is_empty() {
            true => words.push(format!("--{option}").into()),
            false => words.extend(
                values
                    .iter()
                    .map(|value| OsString::from(format!("--{option}={value}"))),
            ),
        }
    }
    let parsed = command
        .no_binary_name(false)
        .try_get_matches_from(words)
        .and_then(|matches| Comparison::from_arg_matches(&matches));
    parsed.map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        wrong(first.trim_start_matches("error: ").to_owned())
    })
}

/// The options that a table gives.
fn of_table(table: &Table, command: &Command, file: &Path) -> Result<Given, String> {
    let mut given = Given::new();
    for (key, value) in table {
        if key == VARIANT {
            variants(value, &mut given)?;
            continue;
        }
        let Some(option) = option(command, key) else {
            let known = command.get_arguments().filter_map(Arg::get_long);
            let near = crate::service::nearest(key, known)
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(format!("has the key {key:?}, which is no option{near}"));
        };
        let is_flag = matches!(option.get_action(), ArgAction::SetTrue);
        let values = match (value, is_flag) {
            (Value::Boolean(true), true) => Vec::new(),
            (Value::Boolean(false), true) => continue,
            (_, true) => return Err(format!("has {key:?}, which is true or false")),
            (Value::Array(items), _) => items
                .iter()
                .map(|item| scalar(key, item))
                .collect::<Result<_, _>>()?,
            (value, _) => vec![scalar(key, value)?],
        };
        let values = values
            .into_iter()
            .map(|value| match FILES.contains(&key.as_str()) {
                true => beside(file, &value),
                false => value,
            });
        given.insert(key.clone(), values.collect());
    }
    Ok(given)
}

fn option<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    let mut all = command.get_arguments();
    all.find(|arg| arg.get_long() == Some(key))
}

fn scalar(key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        _ => Err(format!("has {key:?}, which takes a string or a number")),
    }
}

fn variants(value: &Value, given: &mut Given) -> Result<(), String> {
    let shape = || {
        "needs [[variant]] with rest = \"POST http://…\" or grpc = \"HOST:PORT METHOD\"".to_owned()
    };
    for variant in value.as_array().ok_or_else(shape)? {
        let variant = variant.as_table().ok_or_else(shape)?;
        let text = |key: &str| variant.get(key).and_then(Value::as_str);
        if let Some(other) = variant
            .keys()
            .find(|key| !["name", "rest", "grpc"].contains(&key.as_str()))
        {
            return Err(format!(
                "has {other:?} in a variant, which takes name, rest and grpc"
            ));
        }
        let (option, call) = match (text("rest"), text("grpc")) {
            (Some(call), None) => ("rest", call),
            (None, Some(call)) => ("grpc", call),
            _ => return Err(shape()),
        };
        let call = match text("name") {
            Some(name) => format!("{name}={call}"),
            None => call.to_owned(),
        };
        given.entry(option.to_owned()).or_default().push(call);
    }
    Ok(())
}

/// `path` as seen from the folder of `file`.
fn beside(file: &Path, path: &str) -> String {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            folder.join(path).to_string_lossy().into_owned()
        }
        _ => path.to_owned(),
    }
}

/// The options that were given on the command line.
fn of_matches(command: &Command, matches: &ArgMatches) -> Given {
    let mut given = Given::new();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let is_given = matches!(
            matches.try_contains_id(id),
            Ok(true) if matches.value_source(id) == Some(ValueSource::CommandLine)
        );
        let (true, Some(long)) = (is_given, arg.get_long()) else {
            continue;
        };
        let values = match arg.get_action() {
            ArgAction::SetTrue => Vec::new(),
            _ => matches
                .get_raw(id)
                .into_iter()
                .flatten()
                .map(|value| value.to_string_lossy().into_owned())
                .collect(),
        };
        given.insert(long.to_owned(), values);
    }
    given
}

/// Writes the options of the command line as a study to `file`.
///
/// # Errors
/// When it is there already, or would hold a secret.
pub(super) fn init(file: &Path, matches: &ArgMatches) -> Result<PathBuf, UsageError> {
    let name = file.display();
    let command = Comparison::augment_args(Command::new("loadtest"));
    let mut given = of_matches(&command, matches);
    for option in FILES {
        for path in given.get_mut(option).into_iter().flatten() {
            *path = seen_from(file, path);
        }
    }
    for option in SECRET {
        let values = given.get(option).into_iter().flatten();
        for header in values {
            let (header, value) = header.split_once(':').unwrap_or((header, ""));
            if !value.contains("${env:") {
                return Err(UsageError(format!(
                    "study {name} would hold the value of {header} for all to read; give it as --{option} \
                     '{header}: ${{env:NAME}}'"
                )));
            }
        }
    }
    let text = written(&given, &command);
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).open(file);
    let mut opened = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            UsageError(format!("study {name} is there already; name another file"))
        }
        _ => UsageError(format!("study {name} cannot be written: {error}")),
    })?;
    std::io::Write::write_all(&mut opened, text.as_bytes())
        .map_err(|error| UsageError(format!("study {name} cannot be written: {error}")))?;
    Ok(file.to_owned())
}

/// `path`, which is seen from the working folder, as seen from the folder of `study`.
fn seen_from(study: &Path, path: &str) -> String {
    let folders = study.parent().into_iter().flat_map(Path::components);
    let folders: Vec<Component> = folders.filter(|part| *part != Component::CurDir).collect();
    let is_plain = folders
        .iter()
        .all(|part| matches!(part, Component::Normal(_)));
    match (Path::new(path).is_absolute(), is_plain) {
        (false, true) => "../".repeat(folders.len()) + path,
        (false, false) => std::path::absolute(path).map_or_else(
            |_| path.to_owned(),
            |whole| whole.to_string_lossy().into_owned(),
        ),
        (true, _) => path.to_owned(),
    }
}

fn written(given: &Given, command: &Command) -> String {
    let quoted = |text: &str| Value::String(text.to_owned()).to_string();
    let mut text = String::from(
        "# A study of loadtest: loadtest study FILE. A key is an option of loadtest --help without its\n\
         # dashes; files are named as seen from here.\n",
    );
    for (option, values) in given {
        if ["rest", "grpc"].contains(&option.as_str()) {
            continue;
        }
        let is_repeated = self::option(command, option)
            .is_some_and(|arg| matches!(arg.get_action(), ArgAction::Append));
        let value = match (&values[..], is_repeated) {
            ([], _) => "true".to_owned(),
            ([one], false) => quoted(one),
            (several, _) => {
                let several: Vec<String> = several.iter().map(|one| quoted(one)).collect();
                format!("[{}]", several.join(", "))
            }
        };
        text += &format!("{option} = {value}\n");
    }
    if given.is_empty() {
        text += "\ndata = \"orders.jsonl\"\nheader = [\"authorization: Bearer ${env:TOKEN}\"]\nbudget = \"3m\"\n";
        text += "\n[[variant]]\nrest = \"POST http://localhost:5000/v1/orders\"\n";
        text += "\n[[variant]]\ngrpc = \"localhost:50051 shop.v1.Orders/CreateOrder\"\n";
    }
    for option in ["rest", "grpc"] {
        for call in given.get(option).into_iter().flatten() {
            text += &format!("\n[[variant]]\n{option} = {}\n", quoted(call));
        }
    }
    text
}
