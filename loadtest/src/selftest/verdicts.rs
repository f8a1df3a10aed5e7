//! The verdict itself, on REST under two names: where they are the same it may claim nothing, and
//! where one of them works more by a known amount, it must find that out. Each verdict is a run like
//! any other, with a report of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};

use super::Proof;
use crate::{
    cli::{Config, UsageError},
    machine,
    numbers::{decimals, range},
    record::{Purpose, Recording, Trial},
    run::{self, INTERRUPTED, Interrupted, Question},
    validity,
    verdict::{
        Verdict,
        claim::{Claim, Grade},
        metric::Metric,
        sentence,
    },
};

/// So many verdicts of each kind: without a difference, and with one. Runs are kept in `keep`, and
/// those that are there already are not made again.
///
/// # Errors
/// When a process cannot be started, the user stopped it, or `keep` holds runs of another build.
pub(super) async fn proofs(
    config: &Config,
    keep: Option<&Path>,
    (aa, more_work): (u32, u32),
) -> anyhow::Result<Vec<Proof>> {
    let scratch = std::env::temp_dir().join(format!("loadtest-selftest-{}", std::process::id()));
    let folder = keep.unwrap_or(&scratch);
    let made = campaign(config, folder, (aa, more_work)).await;
    if keep.is_none() {
        let _ = fs::remove_dir_all(&scratch);
    }
    made
}

async fn campaign(
    config: &Config,
    folder: &Path,
    (aa, more_work): (u32, u32),
) -> anyhow::Result<Vec<Proof>> {
    let mut proofs = Vec::new();
    let mut tally = Tally::default();
    for number in 1..=aa {
        let place = folder.join(format!("aa-{number:02}"));
        let recording = one(config, place, Question::Same, number).await?;
        let verdict = Verdict::of(&recording);
        tally.add(&verdict);
        proofs.push(told(nothing_is_claimed(&verdict), number, aa));
    }
    if aa > 1 {
        eprintln!("{aa} verdicts on REST under two names: {}", tally.said());
    }
    for number in 1..=more_work {
        let place = folder.join(format!("more-work-{number:02}"));
        let recording = one(config, place, Question::MoreWork, number).await?;
        let verdict = Verdict::of(&recording);
        for proof in more_work_is_found(verdict.first(), truth_of(&recording.trials)) {
            proofs.push(told(proof, number, more_work));
        }
    }
    Ok(proofs)
}

/// The run of one verdict: the one in `place`, or a new one.
async fn one(
    config: &Config,
    place: PathBuf,
    question: Question,
    number: u32,
) -> anyhow::Result<Recording> {
    // One that was killed takes its name here, and is no verdict.
    run::complete_killed(place.parent().unwrap_or(Path::new("")));
    if place.exists() {
        let recording = Recording::read(&place)
            .with_context(|| format!("{} cannot be gone on with", place.display()))?;
        if recording.run.cut_short.is_some() {
            fs::remove_dir_all(&place)?;
        }
    }
    if place.exists() {
        let recording = Recording::read(&place)?;
        ensure!(
            recording.run.tool == machine::tool(),
            UsageError(format!(
                "--keep: {} was made by another build ({}); a campaign is of one commit, name another folder",
                place.display(),
                recording.run.tool.commit.unwrap_or_default()
            ))
        );
        return Ok(recording);
    }
    let config = Config {
        output: Some(place),
        seed: config.seed.wrapping_add(number.into()),
        ..config.clone()
    };
    let finished = run::compare(config, question).await?;
    if let Some(reason) = &finished.recording.run.cut_short {
        // It would be taken for a verdict when the campaign goes on.
        fs::remove_dir_all(&finished.folder)?;
        ensure!(reason != INTERRUPTED, Interrupted);
        bail!("a run of the campaign broke off: {reason}");
    }
    Ok(finished.recording)
}

/// The same proof with its number, said at once: the next one takes minutes.
fn told(proof: Proof, number: u32, of: u32) -> Proof {
    let name = match of {
        1 => proof.name,
        _ => format!("{} ({number} of {of})", proof.name),
    };
    eprintln!("{name}: {}", proof.measured);
    Proof { name, ..proof }
}

/// Verdicts on the same under two names.
#[derive(Default)]
struct Tally {
    differ: u32,
    same: u32,
    inconclusive: u32,
}

impl Tally {
    fn add(&mut self, verdict: &Verdict) {
        let claims_a_difference = |claim: &Claim| claim.grade == Grade::Difference;
        let first = verdict.first().map(|claim| &claim.grade);
        if verdict.headline.iter().any(claims_a_difference) {
            self.differ += 1;
        } else if first == Some(&Grade::NoDifference) {
            self.same += 1;
        } else {
            self.inconclusive += 1;
        }
    }

    fn said(&self) -> String {
        format!(
            "{} claim a difference, {} say that there is none, {} are inconclusive",
            self.differ, self.same, self.inconclusive
        )
    }
}

/// By what ratio the candidate's server works more: what it added to its calls, as counted by itself, on
/// top of what the baseline's calls cost. Reading the clock costs both the same.
fn truth_of(trials: &[Trial]) -> Option<f64> {
    let of = |is_candidate: bool| {
        trials.iter().filter(move |trial| {
            trial.purpose == Purpose::Open
                && validity::is_usable(trial)
                && !trial.variant.is_twin
                && trial.variant.name.ends_with("more work") == is_candidate
        })
    };
    let cpu = of(false).filter_map(|trial| trial.measurement.server_cpu_us_per_request());
    let more = median(of(true).filter_map(|trial| trial.added_cpu_us))?;
    let base = median(of(false).filter_map(|trial| trial.added_cpu_us))?;
    Some(1.0 + (more - base) / median(cpu)?)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    stats::median(values.collect())
}

/// REST differs from itself in nothing.
fn nothing_is_claimed(verdict: &Verdict) -> Proof {
    let holds = verdict.first().is_some().then(|| {
        !verdict
            .headline
            .iter()
            .any(|one| one.grade == Grade::Difference)
    });
    Proof {
        name: "the verdict on REST under two names (A/A)".to_owned(),
        expected: "that no difference is claimed".to_owned(),
        measured: verdict.sentence(),
        holds,
    }
}

/// REST that works more by a known amount is told from itself, and by how much.
fn more_work_is_found(claim: Option<&Claim>, truth: Option<f64>) -> [Proof; 2] {
    let claim = claim.filter(|claim| claim.metric == Metric::ServerCpu);
    let estimate = claim.and_then(|claim| claim.estimate.as_ref());
    let name = "the verdict on REST and the same with more work";
    [
        Proof {
            name: format!("{name}: it is found"),
            expected: "that a difference is claimed".to_owned(),
            measured: claim.map_or("nothing".to_owned(), sentence::of),
            holds: claim.map(|claim| claim.grade == Grade::Difference),
        },
        Proof {
            name: format!("{name}: by how much"),
            expected: truth.map_or("an account by the server".to_owned(), |truth| {
                format!("an interval that holds {truth:.3}, as the server counted itself")
            }),
            measured: estimate.map_or("nothing".to_owned(), |estimate| {
                range(sentence::ends(estimate), " to ", |end| decimals(end, 3))
            }),
            holds: truth
                .zip(estimate)
                .map(|(truth, estimate)| estimate.interval.contains(truth)),
        },
    ]
}
