//! Measures REST and gRPC on one service and sets the two side by side.

pub mod report;
pub mod result;
