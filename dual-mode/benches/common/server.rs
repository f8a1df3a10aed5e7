//! A server as a child process, and what the system says about it.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::{
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
};

/// A running server. It is killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) rest: SocketAddr,
    pub(crate) grpc: SocketAddr,
    /// True if both speak TLS.
    pub(crate) is_tls: bool,
}

impl Server {
    /// Ours, which is `program`, on free ports, with `more` arguments.
    pub(crate) fn ours(
        program: &Path,
        more: impl IntoIterator<Item: AsRef<OsStr>>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["--rest-port", "0", "--grpc-port", "0"]);
        command.args(["--admin-port", "0"]).args(more);
        Self::start(&mut command)
    }

    /// Starts the server of `command`, and returns it once it has printed its two addresses.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?} could not be started"))?;
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut address = |name: &str| -> anyhow::Result<SocketAddr> {
            let line = lines.next().context("it printed no address")??;
            let address = line.strip_prefix(name).context("it printed no address")?;
            Ok(address.parse()?)
        };
        let addresses = address("REST on ").and_then(|rest| Ok((rest, address("gRPC on ")?)));
        let server = |(rest, grpc)| Self {
            child,
            rest,
            grpc,
            is_tls: false,
        };
        addresses
            .map(server)
            .with_context(|| format!("{command:?} did not say where it listens"))
    }

    /// CPU time so far of its threads, none of which ends while it is measured. In nanoseconds, as the
    /// scheduler counts it; the ticks of `stat` are 10 ms.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
            let on_cpu = schedstat.split(' ').next().context("schedstat is empty")?;
            nanos += on_cpu.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Lets all of its threads run on `cores` only.
    pub(crate) fn keep_to(&self, cores: &CpuSet) -> anyhow::Result<()> {
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = task?.file_name().to_string_lossy().parse()?;
            sched_setaffinity(Pid::from_raw(thread), cores)?;
        }
        Ok(())
    }

    /// Its resident memory.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        for line in status.lines() {
            if let Some(size) = line.strip_prefix("VmRSS:") {
                return Ok(size.trim().trim_end_matches(" kB").parse()?);
            }
        }
        bail!("the system does not say how much memory a process has");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
