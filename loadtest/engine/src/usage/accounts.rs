//! Whose use of this machine is the server's: processes, processes with all that they start, and control
//! groups, summed.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Usage, control_group, family, of_processes};

/// Whose CPU time and memory are the server's. Empty if it is on another machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// Processes, without their children.
    pub processes: Vec<u32>,
    /// Processes that count with their children, and with the children of these.
    pub families: Vec<u32>,
    /// Folders of control groups of version 2, such as `/sys/fs/cgroup/system.slice/orders.service`.
    pub control_groups: Vec<PathBuf>,
}

impl Accounts {
    /// Those of `processes` alone.
    pub fn of_processes(processes: Vec<u32>) -> Self {
        Self {
            processes,
            ..Self::default()
        }
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.families.is_empty() && self.control_groups.is_empty()
    }

    /// Every process that counts now.
    pub fn members(&self) -> Vec<u32> {
        let mut all = self.processes.clone();
        all.extend(self.families.iter().flat_map(|root| family(*root)));
        let groups = self.control_groups.iter();
        all.extend(groups.flat_map(|group| control_group::members(group)));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The use of all of them until now; none if there are none, one is gone, or the system does not
    /// tell. A process that several of them hold counts once, except that a control group counts apart
    /// from processes.
    pub fn read(&self) -> Option<Usage> {
        let mut processes = self.processes.clone();
        for root in &self.families {
            let members = family(*root);
            if members.is_empty() {
                return None;
            }
            processes.extend(members);
        }
        processes.sort_unstable();
        processes.dedup();
        let mut usage = match processes.is_empty() {
            true => Usage::default(),
            false => of_processes(&processes)?,
        };
        // A child that has ended is in the account of its parent.
        usage.ticks += self.families_ended()?;
        let mut counted = Duration::ZERO;
        for group in &self.control_groups {
            let group = control_group::read(group)?;
            counted += group.cpu;
            usage.memory_kib += group.memory_kib;
        }
        usage.counted = (!self.control_groups.is_empty()).then_some(counted);
        (!self.is_empty()).then_some(usage)
    }

    /// CPU time of children that ended, as all members of the families together have it.
    fn families_ended(&self) -> Option<Duration> {
        let mut members: Vec<u32> = self
            .families
            .iter()
            .flat_map(|root| family(*root))
            .collect();
        members.sort_unstable();
        members.dedup();
        // One that ends just now is in its parent's account at the next look.
        Some(
            members
                .into_iter()
                .filter_map(super::of_ended_children)
                .sum(),
        )
    }
}
