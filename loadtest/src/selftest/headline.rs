//! The verdict itself, on one arm under two names: where they are the same it may claim nothing, and
//! where one of them works more by a known amount, it must find that out.
//!
//! Each comparison is the headline of a run: an A/A cell for the floor, and a cell of an open loop at
//! the common rate, in the design that was asked for, judged as every run is. A rate is found once for
//! each kind.

use chrono::{SecondsFormat, Utc};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Bench, Proof};
use crate::{
    cli::{self, Options},
    cores,
    embedded::{Account, Kind},
    machine,
    plan::{self, AROUND_US, Extent, Planned},
    record::{Arm, BlockRecord, Cell, FORMAT, Mode, Plan, Purpose, Recording, Run, Service},
    run::ATTEMPTS,
    statistics::{Finding, geometric_mean},
    validity,
    verdict::{Verdict, claim::Claim, sentence},
};

/// How much more one name works than the other, as a part of the server's CPU per request.
const MORE_WORK: f64 = 0.2;

/// The CPU time that a call takes under both of these names before one works more, as the call of a
/// service that does something. Added work also makes a server sleep less often, and to wake an idle
/// core costs a virtual machine about 10 µs. Where a call took no more than that, 2 to 3% of all CPU
/// time came back in this way, and what the server had added was no truth to hold a ratio against.
const SERVICE_NS: u64 = 100_000;

/// The arm that is compared with itself: the one whose server can be given more work.
const ARM: Arm = Arm::JsonHttp1;

/// Its name.
const FIRST: &str = "A";
/// Its second name where it is the same.
const SAME: &str = "A′";
/// Its second name where it works more.
const MORE: &str = "A with more work";

/// So many comparisons of each kind: without a difference, and with one.
///
/// # Errors
/// When a process cannot be started, or the user stopped it.
pub(super) async fn proofs(
    bench: &mut Bench,
    options: &Options,
    (aa, more_work): (u32, u32),
) -> anyhow::Result<Vec<Proof>> {
    let seed = options.seed.unwrap_or_else(cli::random_seed);
    let mut trial = Trial {
        extent: options.extent(),
        users: options.users(),
        cores: cores::split(options.share_cores),
        seed,
        random: ChaCha8Rng::seed_from_u64(seed),
        bench,
    };
    trial.announce(aa, more_work);
    let mut proofs = Vec::new();
    if aa > 0 {
        proofs.extend(trial.without_a_difference(aa).await?);
    }
    if more_work > 0 {
        proofs.extend(trial.with_a_difference(more_work).await?);
    }
    Ok(proofs)
}

/// What comparisons need that they share.
struct Trial<'a> {
    bench: &'a mut Bench,
    extent: Extent,
    users: u32,
    cores: cores::Split,
    seed: u64,
    random: ChaCha8Rng,
}

/// A block and what its server added to each call, in microseconds.
type Worked = (BlockRecord, Option<f64>);

impl Trial<'_> {
    /// Says how long it takes, at the least.
    fn announce(&mut self, aa: u32, more_work: u32) {
        let Extent {
            aa_pairs,
            closed_pairs,
            open_pairs,
            window_us,
            warm_up_us,
            ..
        } = self.extent;
        let comparisons = aa + more_work;
        let arms_for_rates = 2 * aa.min(1) + more_work.min(1);
        let blocks = closed_pairs * arms_for_rates + comparisons * 2 * (aa_pairs + open_pairs);
        let lab = &mut self.bench.lab;
        (lab.window_us, lab.warm_up_us) = (window_us, warm_up_us);
        lab.plan(blocks as usize);
        let each_us = (window_us + warm_up_us + AROUND_US) as f64;
        lab.display.say(&format!(
            "{comparisons} verdicts on one arm, {blocks} blocks, about {:.0} min, seed {}",
            (f64::from(blocks) * each_us / 60e6).ceil(),
            self.seed
        ));
    }

    /// So many comparisons of the arm with itself, at the rate at which it is compared with gRPC.
    async fn without_a_difference(&mut self, aa: u32) -> anyhow::Result<Vec<Proof>> {
        let Some(rate) = self.rate(&[ARM, Arm::Grpc], Kind::DualMode).await? else {
            return Ok(vec![self.no_rate()]);
        };
        let mut proofs = Vec::new();
        for number in 1..=aa {
            let compared = self.with_itself(rate).await?;
            let found = nothing_is_claimed(compared.as_ref(), self.extent.mode);
            proofs.push(self.told(found, number, aa));
        }
        Ok(proofs)
    }

    /// So many comparisons of the arm with itself and more work, at a rate that the service can do.
    async fn with_a_difference(&mut self, more_work: u32) -> anyhow::Result<Vec<Proof>> {
        let service = Kind::AddedWork { cpu_ns: SERVICE_NS };
        let Some(rate) = self.rate(&[ARM], service).await? else {
            return Ok(vec![self.no_rate()]);
        };
        let mut proofs = Vec::new();
        for number in 1..=more_work {
            let (compared, truth) = self.with_more_work(rate).await?;
            for found in more_work_is_found(compared.as_ref(), truth) {
                proofs.push(self.told(found, number, more_work));
            }
        }
        Ok(proofs)
    }

    /// The common rate, as a comparison of `arms` on a server of that `kind` finds it.
    async fn rate(&mut self, arms: &[Arm], kind: Kind) -> anyhow::Result<Option<f64>> {
        let cell = plan::closed(&self.extent, arms, self.users).swap_remove(0);
        let blocks = self.cell(&cell, |_| kind).await?;
        let records: Vec<_> = blocks.into_iter().map(|(record, _)| record).collect();
        Ok(plan::common_rate(&records))
    }

    /// What is said where no closed block was valid.
    fn no_rate(&self) -> Proof {
        let proof = Proof {
            name: "one arm under two names".to_owned(),
            expected: "a rate that it can do".to_owned(),
            measured: "nothing valid, and no rate is known".to_owned(),
            holds: None,
        };
        self.told(proof, 1, 1)
    }

    /// The headline on the arm and itself; none where nothing was valid.
    async fn with_itself(&mut self, rate: f64) -> anyhow::Result<Option<Claim>> {
        let cells = self.cells(rate, SAME);
        let mut blocks = Vec::new();
        for cell in &cells {
            blocks.extend(self.cell(cell, |_| Kind::DualMode).await?);
        }
        Ok(self.headline(cells, blocks))
    }

    /// The headline on the arm and itself, where the second name works more, and by what ratio it
    /// does.
    async fn with_more_work(&mut self, rate: f64) -> anyhow::Result<(Option<Claim>, Option<f64>)> {
        let cells = self.cells(rate, MORE);
        let (mut blocks, mut more_ns, mut truth) = (Vec::new(), 0, None);
        for cell in &cells {
            let is_floor = cell.purpose == Purpose::Aa;
            let measured = self
                .cell(cell, |block| {
                    let more_ns = if block.label == MORE { more_ns } else { 0 };
                    let cpu_ns = SERVICE_NS + more_ns;
                    Kind::AddedWork { cpu_ns }
                })
                .await?;
            if is_floor {
                // How much is added is told beforehand, and not by what is compared.
                let base_us = mean(&measured, |_| true, server_us).unwrap_or_default();
                more_ns = (MORE_WORK * base_us * 1e3) as u64;
            } else {
                truth = truth_of(&measured);
            }
            blocks.extend(measured);
        }
        Ok((self.headline(cells, blocks), truth))
    }

    /// The floor, where there is one, and the arm under its name and a `second` one.
    fn cells(&self, rate: f64, second: &str) -> Vec<Cell> {
        let open = Cell {
            arms: [FIRST, second].map(|name| (ARM, name.to_owned())).into(),
            ..plan::open(&self.extent, &[ARM], self.users, rate)
        };
        plan::aa(&self.extent, &open)
            .into_iter()
            .chain([open])
            .collect()
    }

    /// Measures the blocks of `cell`, each on a server of its `kind`.
    async fn cell(
        &mut self,
        cell: &Cell,
        kind: impl Fn(&Planned) -> Kind,
    ) -> anyhow::Result<Vec<Worked>> {
        let mut blocks: Vec<Worked> = Vec::new();
        for block in plan::order(cell, &mut self.random) {
            if !validity::too_many_void(blocks.iter().map(|(record, _)| record)) {
                let kind = kind(&block);
                self.until_valid(block, kind, &mut blocks).await?;
            }
            self.bench.lab.done();
        }
        Ok(blocks)
    }

    /// Measures a block, again where it is VOID, up to a bound.
    async fn until_valid(
        &mut self,
        mut block: Planned,
        kind: Kind,
        blocks: &mut Vec<Worked>,
    ) -> anyhow::Result<()> {
        for attempt in 1..=ATTEMPTS {
            block.attempt = attempt;
            let outcome = self.bench.measure(kind, &block).await?;
            let void = outcome.void();
            let added = outcome
                .account
                .as_ref()
                .and_then(Account::added_us_per_call);
            blocks.push((outcome.record, added));
            let Some(reason) = void else { break };
            self.bench
                .lab
                .display
                .say(&format!("a block is VOID: {reason}"));
        }
        Ok(())
    }

    /// What a run of these blocks says first.
    fn headline(&self, cells: Vec<Cell>, blocks: Vec<Worked>) -> Option<Claim> {
        let recording = self.recording(cells, blocks);
        Verdict::of(&recording).headline.into_iter().next()
    }

    /// What a run of these blocks would have recorded.
    fn recording(&self, cells: Vec<Cell>, blocks: Vec<Worked>) -> Recording {
        Recording {
            run: Run {
                format: FORMAT,
                started_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
                command: cli::typed(),
                seed: self.seed,
                mode: self.extent.mode,
                plan: Plan { cells },
                objective: None,
                service: Service::Embedded,
                ceiling: Vec::new(),
                capacity: Vec::new(),
                listening: Default::default(),
                thresholds_missed: Vec::new(),
                cut_short: None,
                tool: machine::tool(),
                machines: vec![machine::machine(&self.cores)],
            },
            blocks: blocks.into_iter().map(|(record, _)| record).collect(),
        }
    }

    /// The same proof with its number, said at once: the next one takes a minute.
    fn told(&self, proof: Proof, number: u32, of: u32) -> Proof {
        let name = match of {
            1 => proof.name,
            _ => format!("{} ({number} of {of})", proof.name),
        };
        self.bench
            .lab
            .display
            .say(&format!("{name}: {}", proof.measured));
        Proof { name, ..proof }
    }
}

/// Server CPU per request of a block, in microseconds.
fn server_us((record, _): &Worked) -> Option<f64> {
    record.server_cpu_us_per_request()
}

/// What the server of a block added to each call, in microseconds.
fn added_us((_, added): &Worked) -> Option<f64> {
    *added
}

/// The geometric mean over the valid blocks that `are` meant; none where nothing is known of them.
fn mean(
    blocks: &[Worked],
    are: impl Fn(&BlockRecord) -> bool,
    of: fn(&Worked) -> Option<f64>,
) -> Option<f64> {
    let meant = blocks
        .iter()
        .filter(|(record, _)| record.is_valid() && are(record));
    let values: Vec<f64> = meant.filter_map(of).filter(|value| *value > 0.0).collect();
    (!values.is_empty()).then(|| geometric_mean(&values))
}

/// By what ratio the second name's server works more: what it added to its calls, as counted by
/// itself, on top of what the first name's calls cost. Reading the clock costs both the same.
fn truth_of(blocks: &[Worked]) -> Option<f64> {
    let [base, more] = [FIRST, MORE].map(|name| move |record: &BlockRecord| record.label == name);
    let added = mean(blocks, more, added_us)? - mean(blocks, base, added_us)?;
    Some(1.0 + added / mean(blocks, base, server_us)?)
}

/// One arm under two names differs from itself in nothing.
fn nothing_is_claimed(compared: Option<&Claim>, mode: Mode) -> Proof {
    let finding = compared.map(|claim| &claim.finding);
    let (expected, holds) = match (mode, finding) {
        (Mode::Thorough, finding) => (
            "no difference",
            match finding {
                Some(Finding::NoDifference) => Some(true),
                Some(Finding::Difference) => Some(false),
                _ => None,
            },
        ),
        (Mode::Quick, finding) => (
            "that no difference is claimed",
            finding
                .filter(|_| compared.is_some_and(|claim| claim.estimate.is_some()))
                .map(|finding| *finding != Finding::Difference),
        ),
    };
    Proof {
        name: "the verdict on one arm under two names (A/A), server CPU".to_owned(),
        expected: expected.to_owned(),
        measured: said(compared),
        holds,
    }
}

/// One arm that works more by a known amount is told from itself, and by how much.
fn more_work_is_found(compared: Option<&Claim>, truth: Option<f64>) -> [Proof; 2] {
    let estimate = compared.and_then(|claim| claim.estimate.as_ref());
    let contains = |truth| Some(estimate?.interval.contains(truth));
    let name = "the verdict on one arm and the same with more work, server CPU";
    [
        Proof {
            name: format!("{name}: it is found"),
            expected: "that a difference is claimed".to_owned(),
            measured: said(compared),
            holds: compared
                .filter(|claim| !claim.finding.is_without_ground())
                .map(|claim| claim.finding == Finding::Difference),
        },
        Proof {
            name: format!("{name}: by how much"),
            expected: truth.map_or("an account by the server".to_owned(), |truth| {
                format!("an interval that holds {truth:.3}, as the server counted itself")
            }),
            measured: estimate.map_or("nothing valid".to_owned(), |estimate| {
                format!(
                    "{:.3} to {:.3}",
                    estimate.interval.low, estimate.interval.high
                )
            }),
            holds: truth.and_then(contains),
        },
    ]
}

/// What is claimed, with its interval.
fn said(claim: Option<&Claim>) -> String {
    claim.map_or("nothing valid".to_owned(), sentence::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::{Spec, blank},
        record::{CpuSource, ServerCost, Void},
        statistics::Floor,
        verdict::{cells::Measured, claim::judge_family, metric::Metric},
    };

    /// A block of a hundred requests that cost so much each, with so much added to each.
    fn worked(label: &str, cpu_us: u64, added_us: f64) -> Worked {
        let mut record = blank(&Spec::example(1));
        record.label = label.to_owned();
        record.requests = 100;
        record.server = Some(ServerCost {
            cpu_us: 100 * cpu_us,
            cpu_source: Some(CpuSource::Scheduler),
            memory_at_rest_kib: 1,
            memory_under_load_kib: 1,
        });
        (record, Some(added_us))
    }

    #[test]
    fn the_truth_is_what_was_added_to_what_a_call_costs_without_it() {
        let mut void = worked(FIRST, 1_000_000, 1.0);
        void.0.void.push(Void::ServerRestarted);
        let blocks = [
            worked(FIRST, 20, 1.0),
            worked(FIRST, 80, 1.0),
            // What the second name's calls cost is what is measured, and no part of the truth.
            worked(MORE, 500, 9.0),
            void,
        ];
        let truth = truth_of(&blocks).unwrap();
        assert!((truth - 1.2).abs() < 1e-9, "{truth}");
        assert_eq!(truth_of(&blocks[..2]), None);
    }

    #[test]
    fn a_claim_about_one_arm_fails_and_a_thorough_verdict_must_say_that_there_is_none() {
        let claim = |candidate: u64| {
            let mut blocks = Vec::new();
            for pair in 1..=10 {
                for (label, cpu_us) in [(FIRST, 100), (MORE, candidate)] {
                    let (mut record, _) = worked(label, cpu_us, 0.0);
                    record.pair = pair;
                    blocks.push(record);
                }
            }
            let floor = Floor { part: 0.01 };
            let cell = Cell {
                arms: [FIRST, MORE].map(|name| (ARM, name.to_owned())).into(),
                ..plan::closed(&Extent::QUICK, &[ARM], 1).swap_remove(0)
            };
            let measured = Measured {
                cell: &cell,
                blocks: blocks.iter().collect(),
            };
            let mut claims = [Claim::of(&measured, Metric::ServerCpu, Some(floor), 1).unwrap()];
            judge_family(&mut claims);
            let [claim] = claims;
            claim
        };
        let holds = |candidate, mode| nothing_is_claimed(Some(&claim(candidate)), mode).holds;
        for (candidate, quick, thorough) in [(100, true, true), (120, false, false)] {
            assert_eq!(holds(candidate, Mode::Quick), Some(quick));
            assert_eq!(holds(candidate, Mode::Thorough), Some(thorough));
        }
        assert_eq!(nothing_is_claimed(None, Mode::Quick).holds, None);

        let found = |truth| more_work_is_found(Some(&claim(120)), Some(truth)).map(|p| p.holds);
        assert_eq!(found(1.2), [Some(true), Some(true)]);
        assert_eq!(found(1.3), [Some(true), Some(false)]);
        let same = more_work_is_found(Some(&claim(100)), Some(1.2));
        assert_eq!(same.map(|p| p.holds), [Some(false), Some(false)]);
    }
}
