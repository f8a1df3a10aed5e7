//! The statistics over numbers from outside, for comparing them with another implementation's.
//!
//! Run with `cargo run -p loadtest --example statistics`, and see `.ci/statistics`. It reads
//! `{"ratios": [[…], …], "ps": [[…], …]}` from standard input and writes an answer for each list.

use std::io;

use anyhow::Context;
use loadtest::statistics::{Estimate, RESAMPLES, bootstrap, geometric_mean, holm, student};
use serde::{Deserialize, Serialize};

/// Any: the answers must not depend on it by more than chance allows.
const SEED: u64 = 20_261_122;

#[derive(Deserialize)]
struct Questions {
    ratios: Vec<Vec<f64>>,
    ps: Vec<Vec<f64>>,
}

#[derive(Serialize)]
struct Answers {
    ratios: Vec<Answer>,
    ps: Vec<Vec<f64>>,
}

#[derive(Serialize)]
struct Answer {
    geometric_mean: f64,
    /// Of the logarithms.
    bootstrap: (f64, f64),
    /// Of the logarithms.
    student: (f64, f64),
    p: f64,
    sign_flip_p: f64,
    interval: (f64, f64),
}

fn main() -> anyhow::Result<()> {
    let questions: Questions = serde_json::from_reader(io::stdin().lock())
        .context("standard input is no list of ratios")?;
    let answers = Answers {
        ratios: questions
            .ratios
            .iter()
            .map(|ratios| answer(ratios))
            .collect::<Option<_>>()
            .context("fewer than two ratios, or one that is not above zero")?,
        ps: questions.ps.iter().map(|ps| holm(ps)).collect(),
    };
    serde_json::to_writer(io::stdout().lock(), &answers)?;
    Ok(())
}

fn answer(ratios: &[f64]) -> Option<Answer> {
    let estimate = Estimate::of(ratios, SEED)?;
    let logs: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
    let (resampled, normal) = (bootstrap(&logs, RESAMPLES, SEED), student(&logs));
    Some(Answer {
        geometric_mean: geometric_mean(ratios),
        bootstrap: (resampled.low, resampled.high),
        student: (normal.low, normal.high),
        p: estimate.p,
        sign_flip_p: estimate.permutation.p,
        interval: (estimate.interval.low, estimate.interval.high),
    })
}
