//! Commands on runs that were recorded already. Each takes run directories and says what it made.

pub mod compare;
pub mod gate;
pub mod merge;
pub mod report;
