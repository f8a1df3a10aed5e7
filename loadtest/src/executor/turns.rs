//! The trials of a round, in turns: one at a time is under load, for a part of its window.

use std::time::Duration;

use engine::{Load, PARTS_OF_A_LEAD, Progress};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{Executor, Planned, of_engine, this_worker};
use crate::{
    record::{Purpose, Scenario, Trial, Variant},
    study,
    system::System,
    validity,
};

/// The length of a part of a window where trials take turns: much shorter than what comes and goes on a shared
/// machine, and much longer than what a turn takes to begin.
const PART: Duration = Duration::from_millis(200);

/// The least calls in a part: one that is under way at an end of it is then a small share.
const CALLS_IN_A_PART: f64 = 50.0;

impl Executor {
    /// Makes the trials of a round. They take turns if they can. If they cannot, or one measured nothing so, as parts
    /// are short on a machine that is busy for long, one follows the other, in their order, each again while it
    /// measures nothing.
    ///
    /// # Errors
    /// As [`Self::trial`].
    pub async fn round(&mut self, planned: &[Planned<'_>]) -> anyhow::Result<()> {
        let parts = planned.iter().map(|one| self.parts(one)).min();
        // One alone has nobody to take turns with.
        let parts = parts.filter(|parts| *parts > 1 && planned.len() > 1);
        if let Some(parts) = parts {
            let before = self.trials.len();
            let made = self.in_turns(planned, parts).await;
            let names: Vec<_> = planned
                .iter()
                .map(|one| one.variant.name.as_str())
                .collect();
            self.keep(made, || names.join(", "))?;
            let mut made = self.trials[before..].iter();
            if self.is_over() || made.all(validity::is_usable) {
                for one in planned {
                    self.display.done(one.scenario);
                }
                return Ok(());
            }
            // What it bears of one variant, it may not bear of all that rest beside it.
            self.takes_turns &= planned
                .iter()
                .all(|one| matches!(one.system, System::Fresh(_)));
            self.display.say(
                "a trial of a round measured nothing that counts, and the round is made again, one trial after the other",
            );
        }
        for one in planned {
            self.trial(one).await?;
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// The parts that a window of `planned` may have where trials take turns; 1 if it cannot be divided.
    fn parts(&self, planned: &Planned<'_>) -> u32 {
        let is_it = |one: &Variant| one == planned.variant || study::twin(one) == *planned.variant;
        let known = self
            .trials
            .iter()
            .filter(|trial| trial.purpose != Purpose::Ceiling && is_it(&trial.variant));
        let known: Vec<_> = known.collect();
        if !self.can_take_turns(&known) {
            return 1;
        }
        let window_us = planned.scenario.window_us as f64;
        ((window_us / self.part_us(planned.scenario, &known)) as u32).max(1)
    }

    /// By the last of the trials that are `known` of a variant, the server's CPU time has to be known exactly at any
    /// moment. goose's dashboard has one port, and goose's thresholds and reports count the rests as time. Where
    /// rounds are counted, several machines may measure at once, and none waits for another.
    fn can_take_turns(&self, known: &[&Trial]) -> bool {
        let goose = &self.config.goose;
        let is_exact = |trial: &&Trial| {
            let source = trial
                .measurement
                .server
                .and_then(|server| server.cpu_source);
            source.is_some_and(|source| source.tick_error_us() == 0)
        };
        self.takes_turns
            && !goose.dashboard
            && goose.threshold.is_empty()
            && goose.report_file.is_empty()
            && self.config.design.rounds.is_none()
            && known.last().is_some_and(is_exact)
    }

    /// The shortest part of a trial of `scenario`, in microseconds: it has enough calls, and is much longer than they
    /// take, by the trials that are `known` of its variant.
    fn part_us(&self, scenario: &Scenario, known: &[&Trial]) -> f64 {
        let known = known.iter();
        // Fewer calls in flight keep each other waiting less.
        let at_least = |trial: &&Trial| {
            let of = scenario.shape.users() as f64 / trial.shape.users() as f64;
            trial.measurement.requests_per_second() * of.min(1.0)
        };
        let per_second = match scenario.load {
            Load::Open { per_second } => per_second,
            Load::Closed => known.clone().map(at_least).fold(0.0, f64::max),
        };
        // Nine in ten, of the trial that was disturbed least: noise makes calls longer, and no shorter.
        let answered = known.filter(|trial| trial.measurement.latency().count() > 0);
        let is_like =
            |trial: &&&Trial| (trial.shape, trial.batch) == (scenario.shape, scenario.batch);
        let p90_us = |trial: &&Trial| trial.measurement.latency().percentile_us(90.0);
        let like_us = answered.clone().filter(is_like).map(p90_us);
        let lead_us = like_us
            .reduce(f64::min)
            .or_else(|| answered.map(p90_us).reduce(f64::max))
            .unwrap_or(f64::INFINITY);
        (CALLS_IN_A_PART / per_second * 1e6)
            .max(lead_us * f64::from(PARTS_OF_A_LEAD))
            .max(self.config.turn.unwrap_or(PART).as_micros() as f64)
    }

    /// Makes trials that take turns.
    async fn in_turns(
        &mut self,
        planned: &[Planned<'_>],
        parts: u32,
    ) -> anyhow::Result<Vec<Trial>> {
        let (mut sessions, mut specs) = (Vec::new(), Vec::new());
        let first = self.next_number();
        for (number, one) in (first..).zip(planned) {
            let (session, spec) = self.prepare(one, number, parts).await?;
            sessions.push(session);
            specs.push(spec);
        }
        let display = &mut self.display;
        let show = |place: usize, progress: &Progress| display.show(&planned[place], progress);
        // From the seed, whatever was drawn before.
        let mut random = ChaCha8Rng::seed_from_u64(self.config.seed);
        random.set_stream(first.into());
        let order = |places: &mut [usize]| places.shuffle(&mut random);
        let stop = self.stop.clone();
        let measured = engine::run_in_turns(&this_worker()?, &specs, order, show, stop).await;
        self.display.clear();
        let mut ended = Vec::new();
        for session in sessions {
            ended.push(session.end().await);
        }
        let measured = measured.map_err(of_engine)?;
        let mut made = Vec::new();
        let all = planned.iter().zip(&specs).zip(measured).zip(ended);
        for (number, (((one, spec), measured), ended)) in (first..).zip(all) {
            made.push(self.recorded(one, spec, (number, 1), measured, ended));
        }
        Ok(made)
    }
}
