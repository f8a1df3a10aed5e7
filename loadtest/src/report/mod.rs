//! What a run leaves behind for people to read.

pub mod goose;
pub mod page;
pub mod side_by_side;
pub mod verdict;

mod charts;
mod comparison;
pub(crate) mod figures;
mod headline;
mod method;

use crate::result::{Arm, Protocol, Run};

/// The two columns of the page. A run cut short may lack one.
#[derive(Clone, Copy)]
struct Sides<'a> {
    rest: Option<&'a Arm>,
    grpc: Option<&'a Arm>,
}

impl<'a> Sides<'a> {
    fn of(run: &'a Run) -> Self {
        let arm = |protocol| run.arms.iter().find(|arm| arm.protocol == protocol);
        Self {
            rest: arm(Protocol::Rest),
            grpc: arm(Protocol::Grpc),
        }
    }

    /// What `get` finds in each arm, REST first.
    fn map<T>(self, get: impl Fn(&'a Arm) -> T) -> [Option<T>; 2] {
        [self.rest.map(&get), self.grpc.map(&get)]
    }

    /// The arms there are, REST first.
    fn present(self) -> impl Iterator<Item = &'a Arm> {
        [self.rest, self.grpc].into_iter().flatten()
    }
}
