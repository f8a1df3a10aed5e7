//! Runs the programs of this workspace as a user does. The test files of other crates include it by
//! path, so that it stands once without a crate of its own.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Split},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// The end of every wait: long enough for a busy machine, and reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A program with nothing in its environment or on its standard input, and killed with the test.
pub(crate) fn program(path: &str, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    command
        .args(args)
        .env_clear()
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The exit code and the output of a program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` when a signal killed it.
    pub(crate) code: Option<i32>,
    /// The part of its standard output that nobody had read.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Asserts that the program failed with exactly one line on standard error, and returns it.
    #[track_caller]
    pub(crate) fn one_line_of_error(&self) -> &str {
        assert!(!matches!(self.code, None | Some(0)), "{self:?}");
        let (line, rest) = self.stderr.split_once('\n').expect("a line on stderr");
        assert_eq!(rest, "", "more than one line: {self:?}");
        line
    }
}

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    lines: Split<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("cargo built the program");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let lines = BufReader::new(stdout).split(b'\n');
        Self { child, lines }
    }

    /// The next line that it prints, as it stands before the line feed.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_segment()).await;
        let line = line.expect("the program should print another line");
        let line = line.expect("a pipe can be read");
        text(line.expect("the program should not have ended"))
    }

    /// The address at the end of the next line, which is `{name} on {address}`.
    pub(crate) async fn address(&mut self, name: &str) -> SocketAddr {
        let line = self.line().await;
        let address = line.strip_prefix(&format!("{name} on "));
        address
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("{line:?} should name the {name} address"))
    }

    /// The number of its process.
    #[allow(dead_code, reason = "few tests look at the process")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it should still run")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw).expect("it should still run");
        kill_process(pid, signal).expect("a child can be signalled");
    }

    /// Signals it again and again until it ends: a program may take signals that come close together
    /// for one.
    #[allow(dead_code, reason = "not every program is tested for it")]
    pub(crate) async fn end_by(mut self, signal: Signal) -> Ended {
        let insist = async {
            while self
                .child
                .try_wait()
                .expect("a child can be awaited")
                .is_none()
            {
                self.signal(signal);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, insist).await.expect("it should end");
        self.end().await
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let mut log = self.child.stderr.take().expect("stderr is a pipe");
        let end = async {
            let print = async {
                let mut stdout = String::new();
                while let Ok(Some(line)) = self.lines.next_segment().await {
                    stdout.push_str(&text(line));
                    stdout.push('\n');
                }
                stdout
            };
            // At once: a program whose log is not read may wait for that before it ends.
            let mut stderr = Vec::new();
            let (stdout, read) = tokio::join!(print, log.read_to_end(&mut stderr));
            read.expect("a pipe can be read");
            let status = self.child.wait().await.expect("a child can be awaited");
            Ended {
                code: status.code(),
                stdout,
                stderr: text(stderr),
            }
        };
        timeout(PATIENCE, end).await.expect("it should end")
    }
}

fn text(output: Vec<u8>) -> String {
    String::from_utf8(output).expect("programs print UTF-8")
}

/// Runs `command` to its end.
pub(crate) async fn run(command: Command) -> Ended {
    Running::start(command).end().await
}
