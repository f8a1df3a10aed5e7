//! `loadtest compare DIR DIR`: two runs side by side.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use crate::{
    folder::{self, Folder},
    record::{Purpose, Recording},
    report::side_by_side::render,
    verdict::{
        Verdict,
        claim::Claim,
        metric::Metric,
        sentence::{self, interval, ratio},
    },
};

use super::report::PAGE;

/// A run with its name and what it says.
#[derive(Clone, Debug)]
pub struct Side {
    /// The name of its folder.
    pub name: String,
    /// What was recorded.
    pub recording: Recording,
    /// What it says.
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
    /// Whether both runs can tell.
    fn is_told(&self) -> bool {
        [self.first, self.second]
            .iter()
            .all(|claim| claim.finding.is_told())
    }

    /// Whether both runs say the same.
    fn says_the_same(&self) -> bool {
        self.is_told() && self.first.finding == self.second.finding
    }

    /// Whether the intervals have a value in common; none where a run has no estimate.
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
    /// What the terminal shows.
    pub text: String,
    /// Whether both runs can tell what the verdict of the first is about.
    pub is_told: bool,
    /// What holds the page.
    pub folder: PathBuf,
}

/// Compares the runs in two folders. The page goes into a third, called `output`, or `output-2` and so on
/// where that is taken.
///
/// # Errors
/// When a run cannot be read or the page not be written.
pub fn compare(first: &Path, second: &Path, output: &Path) -> anyhow::Result<Compared> {
    let sides = [Side::read(first)?, Side::read(second)?];
    let folder = Folder::begin(output)?;
    folder::write(&folder.path().join(PAGE), render(&sides))?;
    Ok(Compared {
        text: text(&sides),
        is_told: headline(&sides).is_some_and(|twice| twice.is_told()),
        folder: folder.keep()?,
    })
}

/// The claims that both runs make: the same metric of the same arms in the same shape. The offered
/// rate may differ where each run found its own.
pub fn both<'a>(first: &'a Verdict, second: &'a Verdict) -> Vec<Twice<'a>> {
    let all = |verdict: &'a Verdict| {
        let map = verdict
            .map
            .iter()
            // The headline has this one already.
            .filter(|claim| {
                (claim.cell.purpose, claim.metric) != (Purpose::Primary, Metric::MedianLatency)
            });
        verdict
            .headline
            .iter()
            .chain(&verdict.others)
            .chain(map)
            .chain(&verdict.seed)
    };
    let alike = |one: &Claim, other: &Claim| {
        let shape = |c: &Claim| {
            (
                c.metric,
                c.cell.purpose,
                c.cell.connections,
                c.cell.in_flight,
                c.cell.batch,
            )
        };
        shape(one) == shape(other) && one.base == other.base && one.candidate == other.candidate
    };
    all(first)
        .filter_map(|first| {
            let second = all(second).find(|second| alike(first, second))?;
            Some(Twice { first, second })
        })
        .collect()
}

/// The verdict of the first run, and the same of the second.
fn headline(sides: &[Side; 2]) -> Option<Twice<'_>> {
    let [first, second] = sides.each_ref().map(|side| &side.verdict);
    let claim = first.first()?;
    let mut claims = both(first, second).into_iter();
    claims.find(|twice| std::ptr::eq(twice.first, claim))
}

/// Whether the two runs' verdicts agree, in a sentence.
pub fn agreement(sides: &[Side; 2]) -> String {
    let Some(twice) = headline(sides) else {
        return "The two runs did not compare the same: nothing can be set side by side."
            .to_owned();
    };
    let [one, other] = [twice.first, twice.second].map(|claim| claim.cell.load);
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
        Some(true) if twice.is_told() => format!(
            "The two runs do not contradict each other on {noun}: their intervals overlap, {figures}, \
             but one tells a difference and the other that there is none to speak of."
        ),
        Some(true) => format!(
            "The two runs do not contradict each other on {noun}: their intervals overlap, {figures}, \
             but not both tell a difference, or that there is none."
        ),
        Some(false) => format!("The two runs do not agree on {noun}: {figures} do not overlap."),
        None => format!("Whether the two runs agree on {noun} can't be told: {figures}."),
    }
}

fn text(sides: &[Side; 2]) -> String {
    let mut text = agreement(sides) + "\n";
    if headline(sides).is_some_and(|twice| twice.first.cell.load != twice.second.cell.load) {
        text += "The rate changes such a ratio: give both runs the same --rate.\n";
    }
    for side in sides {
        let _ = writeln!(text, "{}: {}", side.name, side.verdict.sentence());
    }
    text
}
