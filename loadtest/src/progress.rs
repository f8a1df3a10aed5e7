//! What a person sees while a run goes on: one line that is rewritten on a terminal, and now and
//! then a line of its own elsewhere.

use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use crate::{block::Progress, plan::Planned};

/// How often a line is printed where standard error is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What a block takes besides its warm-up and its window: two processes start and end.
const AROUND: Duration = Duration::from_secs(1);

/// Shows how far a run is, on standard error.
#[derive(Debug)]
pub struct Display {
    terminal: bool,
    /// Length of a block's window and of the warm-up before it.
    window: Duration,
    warm_up: Duration,
    /// Blocks that are planned, without repeats.
    planned: usize,
    done: usize,
    last_line: Option<Instant>,
}

impl Display {
    /// A display for blocks of these lengths, in microseconds.
    pub fn new(window_us: u64, warm_up_us: u64) -> Self {
        Self {
            terminal: stderr().is_terminal(),
            window: Duration::from_micros(window_us),
            warm_up: Duration::from_micros(warm_up_us),
            planned: 0,
            done: 0,
            last_line: None,
        }
    }

    /// So many more blocks are planned.
    pub fn plan(&mut self, blocks: usize) {
        self.planned += blocks;
    }

    /// So many fewer are.
    pub fn unplan(&mut self, blocks: usize) {
        self.planned = self.planned.saturating_sub(blocks);
    }

    /// A block has ended that is not repeated.
    pub fn done(&mut self) {
        self.done += 1;
    }

    /// Shows how far the block is.
    pub fn show(&mut self, block: &Planned, progress: &Progress) {
        let due = self
            .last_line
            .is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if !self.terminal && !due {
            return;
        }
        self.last_line = Some(Instant::now());
        let line = self.line(block, progress);
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

    fn line(&self, block: &Planned, progress: &Progress) -> String {
        let Progress {
            measured,
            users: started,
            answers,
            failures,
        } = *progress;
        let end = self.window.as_secs_f64();
        let phase = match measured {
            None => format!("starting users, {started} of {}", block.users()),
            Some(now) => format!("measuring, {:.1} s of {end:.1} s", now.min(end)),
        };
        let again = match block.attempt {
            1 => String::new(),
            attempt => format!(" (attempt {attempt})"),
        };
        let each = (self.window + self.warm_up + AROUND).as_secs_f64();
        let left = (self.planned.saturating_sub(self.done) as f64 * each
            - measured.unwrap_or_default())
        .max(0.0);
        format!(
            "block {} of {}, {}{again}: {phase}: {answers} answers, {failures} bad, about {left:.0} s left",
            self.done + 1,
            self.planned,
            block.arm.name(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Spec;

    #[test]
    fn the_line_says_what_happens_and_how_long_it_still_takes() {
        let mut display = Display::new(3_000_000, 1_000_000);
        display.plan(2);
        let mut block = Spec::example(32).planned;
        let mut progress = Progress {
            measured: None,
            users: 3,
            answers: 5,
            failures: 0,
        };
        assert_eq!(
            display.line(&block, &progress),
            "block 1 of 2, JSON over HTTP/1.1: starting users, 3 of 32: 5 answers, 0 bad, about 10 s left"
        );
        display.done();
        (progress.measured, block.attempt) = (Some(2.0), 2);
        assert_eq!(
            display.line(&block, &progress),
            "block 2 of 2, JSON over HTTP/1.1 (attempt 2): measuring, 2.0 s of 3.0 s: 5 answers, 0 bad, about 3 s left"
        );
    }
}
