//! The statistics over numbers from outside, for comparing them with another implementation's.
//!
//! Run with `cargo run -p stats --example statistics`, and see `.ci/statistics`. It reads
//! `{"logs": [[…], …], "levels": [[…], …]}` from standard input, lists of log-ratios and the levels to
//! ask of each, and writes an answer for each list.

use std::io;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use stats::{Claim, Family, Look, Trimmed, clipped, median, quantile, sign_flip};

#[derive(Deserialize)]
struct Questions {
    logs: Vec<Vec<f64>>,
    /// Two-sided.
    levels: Vec<f64>,
}

#[derive(Serialize)]
struct Answer {
    mean: f64,
    error: f64,
    freedom: f64,
    /// One for each level.
    intervals: Vec<(f64, f64)>,
    sign_flip_p: f64,
    clipped_sign_flip_p: f64,
    median: f64,
    upper_quartile: f64,
    /// Of a claim at the first look: the ratio and its 95% interval.
    judged: (f64, f64, f64),
}

fn main() -> anyhow::Result<()> {
    let questions: Questions = serde_json::from_reader(io::stdin().lock())
        .context("standard input has no lists of log-ratios and levels")?;
    let answers: Vec<Answer> = questions
        .logs
        .iter()
        .map(|logs| answer(logs, &questions.levels))
        .collect::<Option<_>>()
        .context("a list has fewer than two log-ratios, or one that is not finite")?;
    serde_json::to_writer(io::stdout().lock(), &answers)?;
    Ok(())
}

fn answer(logs: &[f64], levels: &[f64]) -> Option<Answer> {
    let trimmed = Trimmed::of(logs)?;
    let interval = |level: &f64| {
        let interval = trimmed.interval(*level);
        (interval.low, interval.high)
    };
    let claim = Claim {
        ratios: logs,
        floor: &[],
    };
    let judged = claim.judge(Look::at(6), Family::Headline { claims: 1 });
    let estimate = judged.estimate?;
    let mut sorted = logs.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(Answer {
        mean: trimmed.mean,
        error: trimmed.error,
        freedom: trimmed.freedom,
        intervals: levels.iter().map(interval).collect(),
        sign_flip_p: sign_flip(logs),
        clipped_sign_flip_p: sign_flip(&clipped(logs)),
        median: median(sorted.clone())?,
        upper_quartile: quantile(&sorted, 0.75),
        judged: (
            estimate.ratio,
            estimate.interval.low,
            estimate.interval.high,
        ),
    })
}
