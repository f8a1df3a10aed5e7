//! What a person sees while a run goes on: one line that is rewritten on a terminal, and now and
//! then a line of its own elsewhere.

use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use crate::{
    block::Progress,
    plan::{AROUND_US, Planned},
    record::Purpose,
};

/// How often a line is printed where standard error is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far a run is, on standard error.
#[derive(Debug)]
pub struct Display {
    terminal: bool,
    /// Blocks that are planned, without repeats.
    planned: usize,
    done: usize,
    /// How long those take that have not ended.
    left: Duration,
    last_line: Option<Instant>,
}

/// A display of a run of which nothing is planned yet.
impl Default for Display {
    fn default() -> Self {
        Self {
            terminal: stderr().is_terminal(),
            planned: 0,
            done: 0,
            left: Duration::ZERO,
            last_line: None,
        }
    }
}

impl Display {
    /// So many more blocks are planned, each of which is warmed up and measured for so many
    /// microseconds.
    pub fn plan(&mut self, blocks: usize, each_us: u64) {
        self.planned += blocks;
        self.left += Duration::from_micros(each_us + AROUND_US).saturating_mul(blocks as u32);
    }

    /// A block of that length has ended that is not repeated.
    pub fn done(&mut self, each_us: u64) {
        self.done += 1;
        let took = Duration::from_micros(each_us + AROUND_US);
        self.left = self.left.saturating_sub(took);
    }

    /// Shows how far the block is, whose window is so many microseconds long.
    pub fn show(&mut self, block: &Planned, window_us: u64, progress: &Progress) {
        let due = self
            .last_line
            .is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if !self.terminal && !due {
            return;
        }
        self.last_line = Some(Instant::now());
        let line = self.line(block, window_us, progress);
        if self.terminal {
            let _ = write!(stderr(), "\r\x1b[2K{line}");
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

    fn line(&self, block: &Planned, window_us: u64, progress: &Progress) -> String {
        let Progress {
            measured,
            users: started,
            answers,
            failures,
        } = *progress;
        let end = window_us as f64 / 1e6;
        let phase = match measured {
            None => format!("starting users, {started} of {}", block.users()),
            Some(now) => format!("measuring, {:.1} s of {end:.1} s", now.min(end)),
        };
        let again = match block.attempt {
            1 => String::new(),
            attempt => format!(" (attempt {attempt})"),
        };
        let left = (self.left.as_secs_f64() - measured.unwrap_or_default()).max(0.0);
        let left = match left {
            seconds if seconds < 120.0 => format!("{seconds:.0} s"),
            seconds => format!("{:.0} min", seconds / 60.0),
        };
        let name = block.arm.name();
        let (name, of) = match block.purpose {
            // What comes after it is not planned yet.
            Purpose::Ceiling => (
                format!("the generator's own limit with {name}"),
                " of this part",
            ),
            _ => (name.to_owned(), ""),
        };
        format!(
            "block {} of {}, {name}{again}: {phase}: {answers} answers, {failures} bad, about {left} left{of}",
            self.done + 1,
            self.planned,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Spec;

    #[test]
    fn the_line_says_what_happens_and_how_long_it_still_takes() {
        let mut display = Display::default();
        display.plan(1, 7_500_000);
        display.plan(1, 4_000_000);
        let mut block = Spec::example(32).planned;
        let mut progress = Progress {
            measured: None,
            users: 3,
            answers: 5,
            failures: 0,
        };
        assert_eq!(
            display.line(&block, 6_500_000, &progress),
            "block 1 of 2, JSON over HTTP/1.1: starting users, 3 of 32: 5 answers, 0 bad, about 12 s left"
        );
        display.done(7_500_000);
        (progress.measured, block.attempt) = (Some(2.0), 2);
        assert_eq!(
            display.line(&block, 3_000_000, &progress),
            "block 2 of 2, JSON over HTTP/1.1 (attempt 2): measuring, 2.0 s of 3.0 s: 5 answers, 0 bad, about 2 s left"
        );
        display.plan(195, 10_000_000);
        let line = display.line(&block, 3_000_000, &progress);
        assert!(line.ends_with("about 33 min left"), "{line}");
        block.purpose = Purpose::Ceiling;
        let line = display.line(&block, 3_000_000, &progress);
        assert!(
            line.contains(", the generator's own limit with JSON over HTTP/1.1 (")
                && line.ends_with("about 33 min left of this part"),
            "{line}"
        );
    }
}
