//! Which cores the server and the generator run on. Where they share them, the one that works takes
//! time from the one that is measured, and calls start late.

use crate::usage;

/// The cores of each. None stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The server's, where the run starts it.
    pub server: Vec<usize>,
    /// The generator's.
    pub generator: Vec<usize>,
}

/// Half of the cores of this process for each, or all for both where they are to share them or
/// there is only one.
pub fn split(share: bool) -> Split {
    of(&usage::cores(), share)
}

fn of(cores: &[usize], share: bool) -> Split {
    if share || cores.len() < 2 {
        return Split::default();
    }
    let (server, generator) = cores.split_at(cores.len() / 2);
    Split {
        server: server.into(),
        generator: generator.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_half_and_one_core_is_shared() {
        let two = of(&[0, 1], false);
        assert_eq!((two.server, two.generator), (vec![0], vec![1]));
        let five = of(&[0, 1, 2, 3, 4], false);
        assert_eq!((five.server.len(), five.generator.len()), (2, 3));
        assert_eq!(of(&[3], false), Split::default());
        assert_eq!(of(&[0, 1], true), Split::default());
    }
}
