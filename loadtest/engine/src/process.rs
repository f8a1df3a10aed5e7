//! Processes that are told what to be by their first argument, and spoken to in lines of JSON.
//!
//! Each runs in a process group of its own, so that Ctrl-C reaches only the parent, and each ends by
//! itself when its standard input closes, so that none outlives a parent that was killed.

use std::{ffi::OsString, io, path::PathBuf, process::Stdio, time::Duration};

use anyhow::Context;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// Time that a process has to end after it was told to; then it is killed.
pub const END: Duration = Duration::from_secs(15);

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Program {
    /// The running program with other arguments.
    ///
    /// # Errors
    /// When the system does not tell its file.
    pub fn this(args: impl IntoIterator<Item = impl Into<OsString>>) -> io::Result<Self> {
        Ok(Self {
            path: std::env::current_exe()?,
            args: args.into_iter().map(Into::into).collect(),
        })
    }
}

/// A running process. Dropped, it is killed.
#[derive(Debug)]
pub struct Child {
    process: Process,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts `program`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &Program) -> io::Result<Self> {
        let mut process = Command::new(&program.path)
            .args(&program.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take().expect("it was asked for a pipe");
        Ok(Self {
            process,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    /// Process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Writes one line of JSON to it.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn tell(&mut self, message: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let input = self.input.as_mut().context("it was told to end")?;
        input
            .write_all(&line)
            .await
            .context("the process does not listen")
    }

    /// Reads the next line of JSON from it; none when it has ended. A line that is not such a message
    /// was printed by a library, and is passed on to standard error.
    ///
    /// # Errors
    /// When its output cannot be read.
    pub async fn hear<T: DeserializeOwned>(&mut self) -> anyhow::Result<Option<T>> {
        while let Some(line) = self
            .output
            .next_line()
            .await
            .context("the output of a process is broken")?
        {
            match serde_json::from_str(&line) {
                Ok(message) => return Ok(Some(message)),
                Err(_) => eprintln!("{line}"),
            }
        }
        Ok(None)
    }

    /// Tells it to end, by closing its standard input. Its last messages can still be heard.
    pub fn tell_to_end(&mut self) {
        self.input = None;
    }

    /// Tells it to end and waits until it has; kills it after [`END`].
    ///
    /// # Errors
    /// When it had to be killed or failed.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        self.tell_to_end();
        match timeout(END, self.process.wait()).await {
            Ok(status) => {
                let status = status.context("a process is lost")?;
                anyhow::ensure!(status.success(), "a process failed: {status}");
                Ok(())
            }
            Err(_) => {
                self.kill().await;
                anyhow::bail!(
                    "a process did not end within {} s and was killed",
                    END.as_secs()
                )
            }
        }
    }

    /// Kills it.
    pub async fn kill(&mut self) {
        // One that has ended meanwhile cannot be killed.
        let _ = self.process.kill().await;
    }
}
