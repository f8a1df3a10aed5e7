//! The machine and the program that measured, for the report.

use crate::{
    cores::Split,
    record::{Machine, Pinned, Tool},
};

/// The version of goose this is built with, which its crate does not tell.
const GOOSE: &str = "0.19.0";

/// Returns the machine that this process runs on, with its cores shared out as `cores` says.
pub fn machine(cores: &Split) -> Machine {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    Machine {
        kernel: format!("{} {}", text(uname.sysname()), text(uname.release())),
        cpu: cpu_model(),
        cores: std::thread::available_parallelism()
            .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
        memory_kib: memory().map(|bytes| bytes / 1024),
        pinned: Some(Pinned {
            server: cores.server.clone(),
            generator: cores.generator.clone(),
        }),
    }
}

/// Returns this program's version and that of goose, its commit, and its build profile.
pub fn tool() -> Tool {
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        goose: GOOSE.to_owned(),
        commit: option_env!("LOADTEST_COMMIT").map(str::to_owned),
        release: !cfg!(debug_assertions),
    }
}

#[cfg(target_os = "linux")]
fn cpu_model() -> Option<String> {
    use procfs::Current;
    let cpus = procfs::CpuInfo::current().ok()?;
    cpus.model_name(0).map(str::to_owned)
}

#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    use procfs::Current;
    Some(procfs::Meminfo::current().ok()?.mem_total)
}

#[cfg(not(target_os = "linux"))]
fn cpu_model() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_of_goose_is_the_one_that_is_locked() {
        let lock = include_str!("../../Cargo.lock");
        let locked = format!("name = \"goose\"\nversion = \"{}\"", super::GOOSE);
        assert!(lock.contains(&locked));
    }
}
