//! What is done with runs that were recorded already. Each takes folders and says what it made.

pub mod compare;
pub mod gate;
pub mod merge;
pub mod report;
