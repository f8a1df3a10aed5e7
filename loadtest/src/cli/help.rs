//! What `--help` says: goose's options in the words of this tool.

use clap::CommandFactory;

use super::{Cli, NO_MEANING, UNREAD_BY_CEILING, UNREAD_BY_ORIGINAL, UNREAD_BY_SELFTEST, Unread};

/// The command line. A block is given the same options as the comparison it belongs to.
pub(super) fn command() -> clap::Command {
    let unread: [(&str, &[Unread]); 4] = [
        ("block", &[]),
        ("ceiling", &UNREAD_BY_CEILING),
        ("original", &UNREAD_BY_ORIGINAL),
        ("selftest", &UNREAD_BY_SELFTEST),
    ];
    unread
        .into_iter()
        .fold(with_our_words(Cli::command()), |command, (name, unread)| {
            command.mut_subcommand(name, |command| {
                let options = unread.iter().map(|(option, _)| option.replace('-', "_"));
                hidden(with_our_words(command), options)
            })
        })
}

/// Goose's options, with help that says what is different here.
fn with_our_words(command: clap::Command) -> clap::Command {
    const WORDS: [(&str, &str, &str); 8] = [
        (
            "host",
            "Where REST listens [default: dual-mode, started by this run]",
            "gRPC is tested at port 50051 of the same host, or at --grpc-host. Without --host, dual-mode \
             is started on free ports of this machine, a fresh one for each block, and stopped \
             afterwards.\n\nExample: --host http://localhost:5000",
        ),
        (
            "users",
            "Users, each with one connection and one call in flight [default: 32]",
            "The same number on every arm. At most 28000: an address has not more \
             ports for connections to one server.\n\nExample: --users 64",
        ),
        (
            "increase_rate",
            "Users started per second [default: 320, or all within a second]",
            "A decimal is allowed. What is called while users start does not count, and neither does the warm-up after \
             it.\n\nExample: --spawn-rate 10",
        ),
        (
            "run_time",
            "How long each arm is measured, in all of its blocks [default: 14s; thorough: 4m]",
            "It is shared out evenly among the blocks. Warm-up, which takes 0.4 s of each block (thorough: 2 s), \
             repetitions, A/A runs, the map and the search for the generator's limit come on top.\n\n\
             Example: --run-time 30s",
        ),
        (
            "output_dir",
            "Folder of the report [default: reports/<start time>]",
            "Where it holds files already, DIR-2, DIR-3 and so on are taken.\n\n\
             Example: --output-dir reports/before-the-change",
        ),
        (
            "report_file",
            "Write goose's own report to FILE too; repeatable",
            "Each block writes one, with its name in it: report.html becomes report-1-grpc.html, and so \
             on. The extension picks the type: .html, .md or .json. Without FILE, a JSON \
             report is written into the report's folder. No file is overwritten.\n\n\
             Example: --report-file report.json",
        ),
        (
            "timeout",
            "How long a call may take, in seconds [default: 10]",
            "A call that takes longer is given up and counts as a bad answer. A decimal is allowed.\n\n\
             Example: --timeout 0.5",
        ),
        (
            "version",
            "Print the versions of this tool and of goose",
            "Print the versions of this tool and of goose, and exit.",
        ),
    ];
    let command = WORDS
        .into_iter()
        .fold(command, |command, (option, short, long)| {
            let long = format!("{short}\n\n{long}");
            command.mut_arg(option, |arg| arg.help(short).long_help(long))
        });
    let command = command.mut_arg("increase_rate", |arg| arg.visible_alias("spawn-rate"));
    let command = command.mut_args(without_what_is_not_here);
    let options = NO_MEANING.into_iter().map(|(option, _)| option);
    // Nothing listens for telnet anyway.
    let options = options.chain(["no_telnet"]);
    hidden(command, options.map(str::to_owned))
}

fn hidden(command: clap::Command, options: impl Iterator<Item = String>) -> clap::Command {
    options.fold(command, |command, option| {
        command.mut_arg(option, |arg| arg.hide(true))
    })
}

/// Goose's long help ends with how to set the option in code, and speaks of options that have no meaning
/// here.
fn without_what_is_not_here(arg: clap::Arg) -> clap::Arg {
    const NOT_HERE: [&str; 11] = [
        " Not allowed with --test-plan or --iterations.",
        ", --iterations or --test-plan",
        " or --test-plan",
        " Not allowed with --no-metrics.",
        ", so a report rendered from it with --render-report has its graphs",
        " and with --dashboard-control,",
        ", and with --dashboard-control start, stop and redirect it",
        " Needs Goose built with the dashboard feature.",
        " Needs neither Chrome nor the pdf-reports feature.",
        ": execute() returns GooseError::ThresholdsFailed, so a main that passes it up with ? exits nonzero",
        "; they replace any set in code",
    ];
    let Some(long) = arg.get_long_help().map(ToString::to_string) else {
        return arg;
    };
    let long = long.split("Set in code").next().unwrap_or_default();
    let long = NOT_HERE
        .into_iter()
        .fold(long.trim_end().to_owned(), |long, phrase| {
            long.replace(phrase, "")
        });
    arg.long_help(long)
}
