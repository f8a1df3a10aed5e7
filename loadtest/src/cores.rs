//! Which cores the server and the generator run on. Where they share them, the one that works takes
//! time from the one that is measured, and calls start late.

use std::{collections::BTreeMap, fs};

use engine::usage;

/// The cores of each. None stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The server's, where the run starts it.
    pub server: Vec<usize>,
    /// The generator's.
    pub generator: Vec<usize>,
}

/// Half of the cores of this process for each, or all for both where they are to share them or
/// there is only one. The threads of a physical core go together, as one is slower while the other works;
/// where there is only one such core, each gets half of its threads.
pub fn split(share: bool) -> Split {
    of(&usage::cores(), share, first_thread)
}

fn of(cores: &[usize], share: bool, physical: impl Fn(usize) -> usize) -> Split {
    if share || cores.len() < 2 {
        return Split::default();
    }
    let mut together: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &core in cores {
        together.entry(physical(core)).or_default().push(core);
    }
    let together: Vec<Vec<usize>> = match together.len() {
        1 => cores.iter().map(|&core| vec![core]).collect(),
        _ => together.into_values().collect(),
    };
    let (server, generator) = together.split_at(together.len() / 2);
    Split {
        server: server.concat(),
        generator: generator.concat(),
    }
}

/// The first thread of the physical core that `core` is a thread of: itself where the system does not
/// tell.
fn first_thread(core: usize) -> usize {
    let list = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let threads = fs::read_to_string(list).unwrap_or_default();
    // Such as 0,8 or 0-1.
    let first = threads.split(|c: char| !c.is_ascii_digit()).next();
    first.and_then(|first| first.parse().ok()).unwrap_or(core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_half_and_one_core_is_shared() {
        let single = |core| core;
        let two = of(&[0, 1], false, single);
        assert_eq!((two.server, two.generator), (vec![0], vec![1]));
        let five = of(&[0, 1, 2, 3, 4], false, single);
        assert_eq!((five.server.len(), five.generator.len()), (2, 3));
        assert_eq!(of(&[3], false, single), Split::default());
        assert_eq!(of(&[0, 1], true, single), Split::default());
    }

    #[test]
    fn no_physical_core_is_divided_unless_it_is_the_only_one() {
        let four = of(&[0, 1, 2, 3, 4, 5, 6, 7], false, |core| core % 4);
        assert_eq!(
            (four.server, four.generator),
            (vec![0, 4, 1, 5], vec![2, 6, 3, 7])
        );
        let one = of(&[0, 1], false, |_| 0);
        assert_eq!((one.server, one.generator), (vec![0], vec![1]));
    }
}
