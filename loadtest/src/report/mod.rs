//! What a run leaves behind for people to read.

pub(crate) mod figures;
pub mod goose;
pub mod side_by_side;
pub mod verdict;
