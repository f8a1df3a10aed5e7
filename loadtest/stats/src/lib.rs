//! Estimates, intervals and decisions from paired rounds. No I/O, no clock, no state.
//!
//! The round is the unit, never the request: requests of one trial share its luck. A round holds one
//! trial of each variant and an A/A twin of the baseline, in a random order that is drawn anew for
//! each round. If two variants do not differ, each log-ratio of theirs could therefore as well have
//! had the other sign, however much one trial resembles the next (Fisher, The Design of Experiments,
//! 1935, §21). Everything here stands on that symmetry.
//!
//! In the order to read: [`Trimmed`] is the estimate and its interval, [`Look`] the price of looking
//! repeatedly, [`Family`] the price of many claims, [`Claim`] what a caller brings, [`Decision`] what
//! may be said of it.
//!
//! ```
//! use stats::{Claim, Decision, Family, Look};
//!
//! let ratios: Vec<f64> = [1.21_f64, 1.19, 1.20, 1.22, 1.18, 1.20].map(f64::ln).to_vec();
//! let twin: Vec<f64> = [1.01_f64, 0.99, 1.00, 1.01, 0.99, 1.00].map(f64::ln).to_vec();
//! let claim = Claim { ratios: &ratios, floor: &twin };
//! let judged = claim.judge(Look::at(6), Family::Headline { claims: 2 });
//! assert_eq!(judged.decision, Decision::Difference);
//! assert!(judged.estimate.is_some_and(|estimate| (estimate.ratio - 1.2).abs() < 1e-3));
//! ```
//!
//! `tests/pages.rs` has the results of the method on made-up pages whose truth is known.

mod claim;
mod decision;
mod family;
mod floor;
mod interval;
mod look;
mod percentile;
mod permutation;
mod quantile;
mod trimmed;

pub use claim::{CONFIDENCE, Claim, Estimate, Judgement};
pub use decision::{AGREEMENT, Decision, EQUIVALENCE, LEAST_ROUNDS, Reason};
pub use family::{Family, HEADLINE_LEVEL, REST_LEVEL};
pub use floor::Floor;
pub use interval::Interval;
pub use look::Look;
pub use percentile::{SAMPLES_BEYOND, is_known};
pub use permutation::{EXACT_UP_TO, clipped, sign_flip};
pub use quantile::{median, quantile};
pub use trimmed::{Trimmed, trimmed_geometric_mean};
