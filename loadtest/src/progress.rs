//! What a person sees while a run goes on: one line that is rewritten on a terminal, and now and
//! then a line of its own elsewhere.

use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use crate::{block::Progress, result::Protocol};

/// How often a line is printed where standard error is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far a run is, on standard error.
#[derive(Debug)]
pub struct Display {
    terminal: bool,
    /// Seconds at full load for each arm, where that is known.
    run_time: Option<f64>,
    /// Arms after the one that runs.
    arms_left: usize,
    last_line: Option<Instant>,
}

impl Display {
    /// A display for `arms` arms of `run_time` seconds each.
    pub fn new(arms: usize, run_time: Option<f64>) -> Self {
        Self {
            terminal: stderr().is_terminal(),
            run_time,
            arms_left: arms,
            last_line: None,
        }
    }

    /// An arm begins.
    pub fn begin(&mut self) {
        self.arms_left = self.arms_left.saturating_sub(1);
        self.last_line = None;
    }

    /// Shows how far the arm is.
    pub fn show(&mut self, protocol: Protocol, users: usize, progress: &Progress) {
        let due = self
            .last_line
            .is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if !self.terminal && !due {
            return;
        }
        self.last_line = Some(Instant::now());
        let line = self.line(protocol, users, progress);
        if self.terminal {
            let _ = write!(stderr(), "\r\x1b[2K{line}");
        } else {
            let _ = writeln!(stderr(), "{line}");
        }
    }

    /// Ends the line that is rewritten, so that others can be printed.
    pub fn clear(&self) {
        if self.terminal {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }

    fn line(&self, protocol: Protocol, users: usize, progress: &Progress) -> String {
        let Progress {
            measured,
            users: started,
            answers,
            failures,
        } = *progress;
        let phase = match (measured, self.run_time) {
            (None, _) => format!("starting users, {started} of {users}"),
            (Some(now), Some(end)) => format!("measuring, {:.0} s of {end:.0} s", now.min(end)),
            (Some(now), None) => format!("measuring, {now:.0} s"),
        };
        let left = self.run_time.map_or_else(String::new, |end| {
            let this = end - measured.unwrap_or_default();
            let all = this.max(0.0) + self.arms_left as f64 * end;
            format!(", about {all:.0} s left in all")
        });
        format!(
            "{:<4}  {phase}: {answers} answers, {failures} bad{left}",
            protocol.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_happens_and_how_long_it_still_takes() {
        let mut display = Display::new(2, Some(15.0));
        display.begin();
        let mut progress = Progress {
            measured: None,
            users: 3,
            answers: 5,
            failures: 0,
        };
        let line = display.line(Protocol::Rest, 32, &progress);
        assert_eq!(
            line,
            "REST  starting users, 3 of 32: 5 answers, 0 bad, about 30 s left in all"
        );
        progress.measured = Some(5.0);
        display.begin();
        let line = display.line(Protocol::Grpc, 32, &progress);
        assert_eq!(
            line,
            "gRPC  measuring, 5 s of 15 s: 5 answers, 0 bad, about 10 s left in all"
        );
    }
}
