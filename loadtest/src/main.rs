//! The load test.
//!
//! Run with `cargo run --release -p loadtest`. It starts dual-mode, puts the same load on REST and on
//! gRPC in turn, and leaves a report in `reports/`. With `-- --host http://localhost:5000` it
//! tests a service that runs already.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use loadtest::{
    block, ceiling,
    cli::{
        Cli, Command, Options, UNREAD_BY_CEILING, UNREAD_BY_ORIGINAL, UNREAD_BY_SELFTEST,
        UsageError,
    },
    commands, embedded,
    run::{self, Design, INTERRUPTED, Interrupted},
    selftest, summary,
    target::TargetError,
};

/// The one of dual-mode, which runs in a process of this program where no service is named.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli {
        command,
        mut options,
    } = Cli::read();
    let result = match command {
        Some(Command::Server) => embedded::main().map(|()| 0),
        Some(Command::Report { directory }) => report(&directory),
        Some(Command::Compare {
            first,
            second,
            output_dir,
        }) => compare_runs(&first, &second, &output_dir),
        Some(Command::Merge {
            directories,
            output_dir,
        }) => merge(&directories, &output_dir),
        Some(Command::Block(mut block)) => block
            .options
            .complete()
            .map_err(Into::into)
            .and_then(|()| block::main(block.options.goose))
            .map(|()| 0),
        Some(Command::Ceiling(mut options)) => options
            .complete_for("ceiling", &UNREAD_BY_CEILING)
            .map_err(Into::into)
            .and_then(|()| serving::client::block_on(ceiling::command(&options)))
            .and_then(|table| say(&table)),
        Some(Command::Selftest(mut asked)) => asked
            .options
            .complete_for("selftest", &UNREAD_BY_SELFTEST)
            .map_err(Into::into)
            .and_then(|()| serving::client::block_on(selftest::command(&asked)))
            .and_then(|proofs| {
                say(&selftest::table(&proofs))?;
                Ok(selftest::exit_code(&proofs))
            }),
        None => options
            .complete()
            .map_err(Into::into)
            .and_then(|()| compare(options, Design::Arms)),
        Some(Command::Original(mut options)) => options
            .complete_for("original", &UNREAD_BY_ORIGINAL)
            .map_err(Into::into)
            .and_then(|()| compare(*options, Design::Original)),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        code_of(&error)
    }))
}

fn compare(options: Options, design: Design) -> anyhow::Result<u8> {
    let finished = serving::client::block_on(run::compare(options, design))?;
    let page = finished.folder.join("index.html");
    say(&format!(
        "{}Report: {}",
        summary::of(&finished),
        page.display()
    ))?;
    let run = &finished.recording.run;
    Ok(match &run.cut_short {
        Some(reason) if reason == INTERRUPTED => 130,
        _ if !run.thresholds_missed.is_empty() => 4,
        Some(_) => 7,
        None if finished.has_bad_answers => 3,
        None => told(finished.verdict.is_told()),
    })
}

fn report(directory: &Path) -> anyhow::Result<u8> {
    let (verdict, page) = commands::report::report(directory)?;
    say(&format!(
        "{}\nReport: {}",
        verdict.sentence(),
        page.display()
    ))?;
    Ok(told(verdict.is_told()))
}

fn compare_runs(first: &Path, second: &Path, output: &Path) -> anyhow::Result<u8> {
    let compared = commands::compare::compare(first, second, output)?;
    let page = compared.folder.join("index.html");
    say(&format!("{}Report: {}", compared.text, page.display()))?;
    Ok(told(compared.is_told))
}

fn merge(directories: &[PathBuf], output: &Path) -> anyhow::Result<u8> {
    let folder = commands::merge::merge(directories, output)?;
    report(&folder)
}

/// The exit code of a report that has an answer, or can't tell.
fn told(is_told: bool) -> u8 {
    if is_told { 0 } else { 6 }
}

/// A reader who has gone makes nothing fail.
fn say(text: &str) -> anyhow::Result<u8> {
    let _ = writeln!(io::stdout(), "{text}");
    Ok(0)
}

/// The exit code of a comparison that has no report, as `--help` lists them.
fn code_of(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(TargetError::Unreachable { .. }) => 5,
        Some(TargetError::Unreadable { .. }) => 2,
        None if error.is::<UsageError>() => 2,
        None if error.is::<Interrupted>() => 130,
        None => 1,
    }
}
