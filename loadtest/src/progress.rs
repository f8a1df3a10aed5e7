//! The display of a run: one line that is rewritten on a terminal, and now and then a line of its own
//! elsewhere.

use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use engine::Progress;

use crate::{
    executor::{AROUND, Planned},
    record::{Purpose, Scenario},
};

/// Shortest time between two lines if standard error is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

/// The progress of a run, on standard error.
#[derive(Debug)]
pub struct Display {
    terminal: bool,
    begun: Instant,
    /// When the run is to end at the latest, if it has a budget.
    budget: Option<Duration>,
    /// Time needed for the planned trials that have not ended; zero if rounds are not counted.
    left: Duration,
    last_line: Option<Instant>,
}

impl Default for Display {
    fn default() -> Self {
        Self {
            terminal: stderr().is_terminal(),
            begun: Instant::now(),
            budget: None,
            left: Duration::ZERO,
            last_line: None,
        }
    }
}

impl Display {
    /// Measuring ends after `budget` at the latest.
    pub fn bound(&mut self, budget: Duration) {
        self.budget = Some(budget);
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// `rounds` more of `scenario` are planned.
    pub fn plan(&mut self, scenario: &Scenario, rounds: u32) {
        let trials = scenario.variants.len() as u32 * rounds;
        self.left += length(scenario).saturating_mul(trials);
    }

    /// A trial of `scenario` has ended.
    pub fn done(&mut self, scenario: &Scenario) {
        self.left = self.left.saturating_sub(length(scenario));
    }

    /// Shows how far a trial is.
    pub fn show(&mut self, planned: &Planned<'_>, progress: &Progress) {
        let due = self
            .last_line
            .is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if !self.terminal && !due {
            return;
        }
        self.last_line = Some(Instant::now());
        let line = self.line(planned, progress);
        if self.terminal {
            let fitting: String = line.chars().take(columns().saturating_sub(1)).collect();
            let _ = write!(stderr(), "\r\x1b[2K{fitting}");
        } else {
            let _ = writeln!(stderr(), "{line}");
        }
    }

    /// Says something that stays.
    pub fn say(&self, line: &str) {
        self.clear();
        let _ = writeln!(stderr(), "{line}");
    }

    /// Ends the line that is rewritten, so that others can be printed.
    pub fn clear(&self) {
        if self.terminal {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }

    /// Returns the line to show, with what matters most first: a narrow terminal cuts the rest.
    fn line(&self, planned: &Planned<'_>, progress: &Progress) -> String {
        let Planned {
            scenario,
            variant,
            round,
            ..
        } = planned;
        let what = match scenario.purpose {
            Purpose::Ceiling => "generator's limit".to_owned(),
            Purpose::Pilot => "finding the rate".to_owned(),
            Purpose::Capacity => "capacity".to_owned(),
            _ => format!("round {round}"),
        };
        let time = match self.budget {
            Some(budget) => format!(
                "{} of {} s",
                self.begun.elapsed().min(budget).as_secs(),
                budget.as_secs()
            ),
            None => format!("about {} left", written(self.left)),
        };
        let phase = match progress.measured_s {
            None => format!("{} of {} users", progress.users, scenario.shape.users()),
            Some(now) => {
                let end = scenario.window_us as f64 / 1e6;
                format!("{:.1} of {end:.1} s", now.min(end))
            }
        };
        let bad = match progress.failures {
            0 => String::new(),
            some => format!(", {some} bad"),
        };
        format!(
            "{time} · {what} · {}: {phase}, {} replies{bad}",
            variant.name, progress.replies
        )
    }
}

fn length(scenario: &Scenario) -> Duration {
    Duration::from_micros(scenario.warm_up_us + scenario.window_us) + AROUND
}

fn written(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

/// Columns of the terminal behind standard error.
fn columns() -> usize {
    rustix::termios::tcgetwinsize(stderr())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .unwrap_or(COLUMNS)
}

#[cfg(test)]
mod tests {
    use engine::Load;

    use super::*;
    use crate::{
        record::Protocol,
        study::{Design, scenario, variants},
        system::{System, embedded},
    };

    #[test]
    fn the_line_says_first_how_long_it_still_takes() {
        let scenario = scenario(
            &Design::QUICK,
            Purpose::Open,
            &variants(&[Protocol::JsonHttp1]),
            32,
            Load::Closed,
        );
        let system = System::Fresh(embedded::Spec::default());
        let planned = Planned {
            scenario: &scenario,
            variant: &scenario.variants[0],
            system: &system,
            round: 3,
        };
        let progress = Progress {
            measured_s: None,
            users: 3,
            replies: 5,
            failures: 0,
        };
        let mut display = Display::default();
        display.plan(&scenario, 2);
        assert_eq!(
            display.line(&planned, &progress),
            "about 5 s left · round 3 · REST: 3 of 32 users, 5 replies"
        );
        display.bound(Duration::from_secs(180));
        let measuring = Progress {
            measured_s: Some(4.0),
            failures: 1,
            ..progress
        };
        assert_eq!(
            display.line(&planned, &measuring),
            "0 of 180 s · round 3 · REST: 2.0 of 2.0 s, 5 replies, 1 bad"
        );
    }
}
