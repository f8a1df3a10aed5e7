//! Child processes of this tool: the same program, told by its first argument what to be.
//!
//! Each runs in a process group of its own, so that Ctrl-C reaches only the parent, and each ends by
//! itself when its standard input closes, so that none outlives a parent that was killed.

use std::{ffi::OsString, process::Stdio, time::Duration};

use anyhow::Context;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// How long a child may take to end after it was told to, before it is killed.
const END: Duration = Duration::from_secs(15);

/// A running child. Dropped, it is killed.
#[derive(Debug)]
pub struct Child {
    process: Process,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this program with `args`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(args: impl IntoIterator<Item = OsString>) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own file is not known")?;
        let mut process = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("a child process could not be started")?;
        let input = process.stdin.take();
        let output = process
            .stdout
            .take()
            .context("a child process has no output")?;
        Ok(Self {
            process,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    /// Its process id, while it runs.
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
        let input = self.input.as_mut().context("the child was told to end")?;
        input
            .write_all(&line)
            .await
            .context("the child process does not listen")
    }

    /// Reads the next line of JSON from it; none when it has ended. A line that is not such a
    /// message is something a library printed, and is passed on to standard error.
    ///
    /// # Errors
    /// When its output cannot be read.
    pub async fn hear<T: DeserializeOwned>(&mut self) -> anyhow::Result<Option<T>> {
        while let Some(line) = self
            .output
            .next_line()
            .await
            .context("a child's output is broken")?
        {
            match serde_json::from_str(&line) {
                Ok(message) => return Ok(Some(message)),
                Err(_) => eprintln!("{line}"),
            }
        }
        Ok(None)
    }

    /// Tells it to end, by closing its standard input. What it still has to say can be heard.
    pub fn tell_to_end(&mut self) {
        self.input = None;
    }

    /// Tells it to end and waits until it has; kills it if it takes too long.
    ///
    /// # Errors
    /// When it had to be killed or failed.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.tell_to_end();
        match timeout(END, self.process.wait()).await {
            Ok(status) => {
                let status = status.context("a child process is lost")?;
                anyhow::ensure!(status.success(), "a child process failed: {status}");
                Ok(())
            }
            Err(_) => {
                self.process
                    .kill()
                    .await
                    .context("a child process cannot be killed")?;
                anyhow::bail!(
                    "a child process did not end within {} s and was killed",
                    END.as_secs()
                )
            }
        }
    }
}
