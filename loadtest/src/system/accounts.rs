//! Whose CPU time and memory are the server's, as the options name it: what listens on its port, and with it
//! the processes, control groups and metrics that were named.

use std::{collections::BTreeSet, path::PathBuf};

use engine::usage::{self, Accounts, control_group};

use super::metrics::{self, Metrics};
use crate::{cli::UsageError, record::Protocol, target::TargetError};

/// A value of an option, for one side or variant, written `rest=VALUE`, `grpc=VALUE` or `NAME=VALUE`, or for
/// all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfVariant {
    /// The side or the variant; none stands for all.
    pub name: Option<String>,
    /// The value.
    pub value: String,
}

impl OfVariant {
    /// Reads it. The part before `=` is a name, unless it has a `/` or `:` and so belongs to a path or
    /// a URL.
    ///
    /// # Errors
    /// Never; a wrong value is found where its kind is known.
    pub fn parse(given: &str) -> Result<Self, std::convert::Infallible> {
        let named = given.split_once('=');
        let (name, value) = match named.filter(|(name, _)| !name.contains(['/', ':'])) {
            Some((name, value)) => (Some(name.to_owned()), value),
            None => (None, given),
        };
        Ok(Self {
            name,
            value: value.to_owned(),
        })
    }

    fn is_of(&self, variant: &str, protocol: Protocol) -> bool {
        let Some(name) = &self.name else { return true };
        [protocol.side(), variant]
            .iter()
            .any(|one| one.eq_ignore_ascii_case(name))
    }
}

/// The servers of all variants, as the options name them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerOptions {
    /// Values of --server-pid.
    pub pids: Vec<OfVariant>,
    /// Values of --server-cgroup.
    pub groups: Vec<OfVariant>,
    /// Values of --server-metrics.
    pub metrics: Vec<OfVariant>,
}

impl ServerOptions {
    /// The server of each of `variants`, in their order.
    ///
    /// # Errors
    /// A sentence that names the option and what is wrong.
    pub fn of(&self, variants: &[(&str, Protocol)]) -> Result<Vec<Named>, UsageError> {
        let options = [
            ("--server-pid", &self.pids),
            ("--server-cgroup", &self.groups),
            ("--server-metrics", &self.metrics),
        ];
        for (option, values) in options {
            let is_known = |value: &&OfVariant| {
                let mut all = variants.iter();
                all.any(|(name, protocol)| value.is_of(name, *protocol))
            };
            if let Some(OfVariant {
                name: Some(name), ..
            }) = values.iter().find(|value| !is_known(value))
            {
                let names: Vec<_> = variants.iter().map(|(name, _)| *name).collect();
                return Err(UsageError(format!(
                    "{option} is for {name:?}, and there is no such variant; there are {}",
                    names.join(" and ")
                )));
            }
        }
        let each = variants.iter();
        each.map(|(name, protocol)| {
            let values = options.map(|(_, values)| {
                let mine = values.iter().filter(|one| one.is_of(name, *protocol));
                mine.map(|one| one.value.as_str()).collect::<Vec<_>>()
            });
            Named::of(&values)
        })
        .collect()
    }

    /// Returns true if nothing was named.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// The server of one variant, as it was named.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Named {
    families: Vec<u32>,
    control_groups: Vec<PathBuf>,
    /// The addresses of the server's metrics.
    pub(crate) metrics: Vec<Metrics>,
}

impl Named {
    /// Of the values of --server-pid, --server-cgroup and --server-metrics.
    fn of([pids, groups, metrics]: &[Vec<&str>; 3]) -> Result<Self, UsageError> {
        let all = groups
            .iter()
            .map(|path| group(path))
            .collect::<Result<BTreeSet<PathBuf>, _>>()?;
        // A group counts with all that are in it.
        let is_within = |one: &PathBuf| {
            all.iter()
                .any(|other| other != one && one.starts_with(other))
        };
        Ok(Self {
            families: pids
                .iter()
                .map(|pid| family(pid))
                .collect::<Result<_, _>>()?,
            control_groups: all.iter().filter(|one| !is_within(one)).cloned().collect(),
            metrics: metrics
                .iter()
                .map(|url| Metrics::parse(url))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Returns true if nothing was named.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// Sees that the metrics that were named can be read.
    ///
    /// # Errors
    /// [`TargetError::NoMetrics`].
    pub async fn are_told(&self) -> Result<(), TargetError> {
        match metrics::scrape(&self.metrics).await {
            Ok(_) => Ok(()),
            Err(error) => Err(TargetError::NoMetrics(format!("{error:#}"))),
        }
    }

    /// The accounts of a server whose port `listening` hold. They count too, unless they are in what was
    /// named, or the server tells of itself.
    pub fn accounts(&self, listening: &[u32]) -> Accounts {
        let in_group = |pid: &u32| {
            let mut groups = self.control_groups.iter();
            groups.any(|folder| control_group::holds(folder, *pid))
        };
        let families: Vec<u32> = self
            .families
            .iter()
            .copied()
            .filter(|pid| !in_group(pid))
            .collect();
        let members: BTreeSet<u32> = families
            .iter()
            .flat_map(|pid| usage::family(*pid))
            .collect();
        let mut processes = match self.metrics.is_empty() {
            true => listening.to_vec(),
            false => Vec::new(),
        };
        processes.retain(|pid| !members.contains(pid) && !in_group(pid));
        Accounts {
            processes,
            families,
            control_groups: self.control_groups.clone(),
        }
    }

    /// Whose CPU time it is, a name each, where `listening` hold the port.
    pub fn names(&self, listening: &[u32]) -> Vec<String> {
        let accounts = self.accounts(listening);
        let name = |pid: &u32| usage::name_of(*pid);
        let processes = accounts.processes.iter().filter_map(name);
        let families = accounts.families.iter().filter_map(name);
        processes
            .chain(families.map(|name| format!("{name} with its children")))
            .chain(
                accounts
                    .control_groups
                    .iter()
                    .map(|group| group.display().to_string()),
            )
            .chain(self.metrics.iter().map(|metrics| metrics.url.clone()))
            .collect()
    }
}

fn family(given: &str) -> Result<u32, UsageError> {
    let pid = given.parse().map_err(|_| {
        UsageError(format!(
            "--server-pid {given:?} is not the number of a process; write it like 4711, or rest=4711"
        ))
    })?;
    match usage::family(pid).is_empty() {
        false => Ok(pid),
        true => Err(UsageError(format!(
            "--server-pid {pid}: there is no such process on this machine"
        ))),
    }
}

fn group(given: &str) -> Result<PathBuf, UsageError> {
    control_group::find(given.as_ref()).ok_or_else(|| {
        UsageError(format!(
            "--server-cgroup {given:?} is not a control group of version 2 whose cpu.stat can be read; give \
             its folder, such as /sys/fs/cgroup/system.slice/orders.service"
        ))
    })
}
