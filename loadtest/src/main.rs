//! The load test.
//!
//! Run with `cargo run --release -p loadtest`. It starts dual-mode, puts the same load on REST and on
//! gRPC in turn, and leaves a report in `reports/`. With `-- --host http://localhost:5000` it
//! tests a service that runs already.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use loadtest::{
    ceiling,
    cli::{Cli, Command, Config, ContractArgs, UsageError},
    commands,
    run::{self, INTERRUPTED, Interrupted, Question},
    selftest,
    service::{
        ServiceError,
        describe::{self, Asked},
    },
    summary,
    system::embedded,
    target::TargetError,
    verdict::{Verdict, requirement::Outcome},
};

/// That of dual-mode, which runs in a process of this program if no service is named.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli {
        command,
        comparison,
    } = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let result = match command {
        None => Config::of_comparison(comparison)
            .map_err(Into::into)
            .and_then(|config| compare(config, Question::Protocols)),
        Some(command) => carry_out(command),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        code_of(&error)
    }))
}

fn carry_out(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Server => embedded::main().map(|()| 0),
        Command::Trial => engine::worker::main().map(|()| 0),
        Command::Report { directory } => report(&directory),
        Command::Study {
            file, init: true, ..
        } => {
            say(&format!(
                "{0} says it all: loadtest study {0}",
                file.display()
            ));
            Ok(0)
        }
        Command::Study { options, .. } => {
            compare(Config::of_comparison(*options)?, Question::Protocols)
        }
        Command::List { address, contract } => {
            let asked = asked(address, &contract)?;
            say(serving::client::block_on(describe::list(&asked))?.trim_end());
            Ok(0)
        }
        Command::Describe {
            address,
            method,
            contract,
        } => {
            let asked = asked(address, &contract)?;
            say(serving::client::block_on(describe::describe(&asked, &method))?.trim_end());
            Ok(0)
        }
        Command::Compare {
            first,
            second,
            allow,
            output_dir,
        } => compare_runs(&first, &second, allow, &output_dir),
        Command::Merge {
            directories,
            output_dir,
        } => merge(&directories, &output_dir),
        Command::Original(args) => compare(Config::of_original(args)?, Question::Original),
        Command::Ceiling(args) => {
            let config = Config::of_ceiling(args)?;
            say(&serving::client::block_on(ceiling::command(config))?);
            Ok(0)
        }
        Command::Selftest(args) => {
            let proofs = serving::client::block_on(selftest::command(&args))?;
            say(&selftest::table(&proofs));
            Ok(selftest::exit_code(&proofs))
        }
    }
}

fn asked(address: String, contract: &ContractArgs) -> Result<Asked, ServiceError> {
    Ok(Asked {
        address,
        source: contract.source(),
        tls: contract.tls()?,
        headers: contract.header.clone(),
    })
}

fn compare(config: Config, question: Question) -> anyhow::Result<u8> {
    let finished = serving::client::block_on(run::compare(config, question))?;
    let page = finished.folder.join("index.html");
    say(&format!(
        "{}Report: {}",
        summary::of(&finished.recording, &finished.verdict),
        page.display()
    ));
    tell_github(&finished.folder);
    let run = &finished.recording.run;
    Ok(match &run.cut_short {
        Some(reason) if reason == INTERRUPTED => 130,
        _ if !run.thresholds_missed.is_empty() => 4,
        Some(_) => 7,
        None if finished.has_bad_replies => 3,
        None => answered(&finished.verdict),
    })
}

fn report(directory: &Path) -> anyhow::Result<u8> {
    let (verdict, page) = commands::report::report(directory)?;
    say(&format!(
        "{}\nReport: {}",
        verdict.sentence(),
        page.display()
    ));
    Ok(answered(&verdict))
}

fn compare_runs(
    first: &Path,
    second: &Path,
    allow: Option<f64>,
    output: &Path,
) -> anyhow::Result<u8> {
    let compared = commands::compare::compare(first, second, allow, output)?;
    let page = compared.folder.join("index.html");
    say(&format!("{}Report: {}", compared.text, page.display()));
    Ok(compared
        .gate
        .map_or(conclusive(compared.is_conclusive), required))
}

fn merge(directories: &[PathBuf], output: &Path) -> anyhow::Result<u8> {
    let folder = commands::merge::merge(directories, output)?;
    report(&folder)
}

/// The exit code of a verdict: that of its requirements, if it has any.
fn answered(verdict: &Verdict) -> u8 {
    verdict
        .required()
        .map_or(conclusive(verdict.is_conclusive()), required)
}

fn required(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Met => 0,
        Outcome::Missed => 4,
        Outcome::CannotTell => 6,
    }
}

/// Adds the summary to the page that GitHub shows of a job, if this is one.
fn tell_github(folder: &Path) {
    let Some(page) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|page| !page.is_empty()) else {
        return;
    };
    let added = fs::read_to_string(folder.join(commands::report::SUMMARY)).and_then(|summary| {
        let mut page = OpenOptions::new().append(true).create(true).open(&page)?;
        writeln!(page, "{summary}")
    });
    if let Err(error) = added {
        eprintln!("warning: the summary is not in $GITHUB_STEP_SUMMARY: {error}");
    }
}

/// The exit code of a report that has an answer, or is inconclusive.
fn conclusive(is_conclusive: bool) -> u8 {
    if is_conclusive { 0 } else { 6 }
}

/// A reader who has gone makes nothing fail.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// The exit code of a command that failed, as `--help` lists them.
fn code_of(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref() {
        return match error {
            ServiceError::Input(_) => 2,
            ServiceError::Service(_) => 5,
        };
    }
    match error.downcast_ref() {
        Some(TargetError::Unreachable { .. } | TargetError::NoMetrics(_)) => 5,
        Some(TargetError::Unreadable { .. }) => 2,
        None if error.is::<UsageError>() => 2,
        None if error.is::<Interrupted>() => 130,
        None => 1,
    }
}
