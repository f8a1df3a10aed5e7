//! `loadtest compare DIR DIR`: two runs side by side.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use crate::{
    folder::{self, Folder},
    record::Recording,
    report::side_by_side::render,
    verdict::{
        Verdict,
        claim::Claim,
        requirement::Outcome,
        sentence::{self, interval, ratio},
    },
};

use super::{gate, report::PAGE};

/// A run with its name and what it says.
#[derive(Clone, Debug)]
pub struct Side {
    /// The name of its folder.
    pub name: String,
    /// The run and its trials as they were recorded.
    pub recording: Recording,
    /// Verdict on the recording.
    pub verdict: Verdict,
}

/// The same claim of two runs.
#[derive(Clone, Copy, Debug)]
pub struct Twice<'a> {
    /// Of the first.
    pub first: &'a Claim,
    /// Of the second.
    pub second: &'a Claim,
}

impl Side {
    /// Reads the run in `directory`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let recording = Recording::read(directory)?;
        // The folder's own name, even of `.`.
        let full = directory.canonicalize();
        let name = full.as_deref().unwrap_or(directory).file_name();
        Ok(Self {
            name: name
                .unwrap_or(directory.as_os_str())
                .to_string_lossy()
                .into_owned(),
            verdict: Verdict::of(&recording),
            recording,
        })
    }
}

impl Twice<'_> {
    /// Returns true if the claim is conclusive in both runs.
    fn is_conclusive(&self) -> bool {
        self.first.grade.is_conclusive() && self.second.grade.is_conclusive()
    }

    /// Returns true if both runs conclude the same.
    fn says_the_same(&self) -> bool {
        self.is_conclusive() && self.first.grade == self.second.grade
    }

    /// Returns true if the intervals have a value in common; none if a run has no estimate.
    pub fn agree(&self) -> Option<bool> {
        let (first, second) = (
            self.first.estimate.as_ref()?,
            self.second.estimate.as_ref()?,
        );
        Some(first.interval.overlaps(second.interval))
    }
}

/// Two runs that were compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Text for the terminal.
    pub text: String,
    /// True if both runs are conclusive about the verdict of the first.
    pub is_conclusive: bool,
    /// The outcome of the gate, if there is one.
    pub gate: Option<Outcome>,
    /// Folder that holds the page.
    pub folder: PathBuf,
}

/// Compares the runs in two folders. With `allow` the second may take so many times of the first. The page goes
/// into a third, called `output`, or `output-2` and so on if that is taken.
///
/// # Errors
/// When a run cannot be read or the page not be written.
pub fn compare(
    first: &Path,
    second: &Path,
    allow: Option<f64>,
    output: &Path,
) -> anyhow::Result<Compared> {
    let sides = [Side::read(first)?, Side::read(second)?];
    let folder = Folder::begin(output)?;
    folder::write(&folder.path().join(PAGE), render(&sides))?;
    let gate = allow.map(|allow| (gate::changes(&sides, allow), allow));
    let said = gate
        .as_ref()
        .map(|(changes, allow)| gate::text(changes, *allow));
    Ok(Compared {
        text: text(&sides) + &said.unwrap_or_default(),
        gate: gate.map(|(changes, _)| gate::outcome(&changes)),
        is_conclusive: headline(&sides).is_some_and(|twice| twice.is_conclusive()),
        folder: folder.keep()?,
    })
}

/// The claims that both runs make: the same metric of the same variants in the same scenario. The offered rate
/// may differ if each run found its own.
pub fn both<'a>(first: &'a Verdict, second: &'a Verdict) -> Vec<Twice<'a>> {
    let place = |claim: &Claim| {
        let scenario = &claim.scenario;
        let variants = [&claim.baseline, &claim.candidate].map(|variant| variant.name.clone());
        (
            claim.metric,
            scenario.purpose,
            scenario.shape,
            scenario.batch,
            variants,
        )
    };
    let mut twice: Vec<Twice> = Vec::new();
    for first in first.claims() {
        let is_known = twice.iter().any(|known| place(known.first) == place(first));
        let mut others = second.claims();
        let second = others
            .find(|second| place(first) == place(second))
            .filter(|_| !is_known);
        twice.extend(second.map(|second| Twice { first, second }));
    }
    twice
}

/// The verdict of the first run, and the same of the second.
fn headline(sides: &[Side; 2]) -> Option<Twice<'_>> {
    let [first, second] = sides.each_ref().map(|side| &side.verdict);
    let claim = first.first()?;
    let mut claims = both(first, second).into_iter();
    claims.find(|twice| std::ptr::eq(twice.first, claim))
}

/// Returns a sentence that says if the two runs' verdicts agree.
pub fn agreement(sides: &[Side; 2]) -> String {
    let Some(twice) = headline(sides) else {
        return "The two runs did not compare the same: nothing can be set side by side."
            .to_owned();
    };
    let [one, other] = [twice.first, twice.second].map(|claim| claim.scenario.load);
    let mut noun = twice.first.metric.noun().to_owned();
    if one != other {
        let _ = write!(
            noun,
            ", at {} and {}",
            sentence::load(one),
            sentence::load(other)
        );
    }
    let figure = |claim: &Claim| {
        claim
            .estimate
            .as_ref()
            .map_or("no estimate".to_owned(), |estimate| {
                format!("{}× ({})", ratio(estimate.ratio), interval(estimate))
            })
    };
    let figures = format!("{} and {}", figure(twice.first), figure(twice.second));
    match twice.agree() {
        Some(true) if twice.says_the_same() => {
            format!("The two runs agree on {noun}: their intervals overlap, {figures}.")
        }
        Some(true) if twice.is_conclusive() => format!(
            "The two runs do not contradict each other on {noun}: their intervals overlap, {figures}, \
             but one finds a difference and the other none."
        ),
        Some(true) => format!(
            "The two runs do not contradict each other on {noun}: their intervals overlap, {figures}, \
             but not both are conclusive."
        ),
        Some(false) => format!("The two runs do not agree on {noun}: {figures} do not overlap."),
        None => format!("Inconclusive whether the two runs agree on {noun}: {figures}."),
    }
}

fn text(sides: &[Side; 2]) -> String {
    let mut text = agreement(sides) + "\n";
    if headline(sides).is_some_and(|twice| twice.first.scenario.load != twice.second.scenario.load)
    {
        text += "The rate changes such a ratio: give both runs the same --rate.\n";
    }
    for side in sides {
        let _ = writeln!(text, "{}: {}", side.name, side.verdict.sentence());
    }
    text
}
