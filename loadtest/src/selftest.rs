//! Proofs of the instrument: what it measures is held against what is known beforehand.

mod headline;

use std::fmt::Write;

use anyhow::{bail, ensure};

use crate::{
    ceiling,
    cli::Selftest,
    embedded::{self, Account, Kind},
    folder::Folder,
    known::Known,
    lab::{Lab, Outcome},
    plan::Planned,
    record::{Arm, BlockRecord, Load, Purpose, Void},
    run::Interrupted,
    statistics::percentile_us,
    subject::Subject,
};

/// How long the service with the known delay takes: so long that 1% of it is more than a round trip
/// of this machine.
const DELAY_US: u64 = 20_000;

/// Calls per second of it: so many that the pacer never sleeps. A closed loop would do, but for this:
/// users whose answers once came together go on together, and wait for one another.
const DELAY_RATE: f64 = 1_200.0;

/// Its users, of whom 24 wait for an answer.
const DELAY_USERS: u32 = 32;

/// Its percentiles must be known to this part, or to [`CLOSE_US`] where that is more.
const CLOSE: f64 = 0.01;

/// See [`CLOSE`].
const CLOSE_US: f64 = 50.0;

/// When after its first call the other service stalls, and for how long.
const STALL_AFTER_US: u64 = 4_000_000;
/// See [`STALL_AFTER_US`].
const STALL_US: u64 = 1_000_000;

/// Length of the window around the stall.
const STALL_WINDOW_US: u64 = 10_000_000;

/// Calls per second while it stalls: enough for a p99.9 in a release build. A debug build is slower.
const STALL_RATE: f64 = if cfg!(debug_assertions) {
    500.0
} else {
    11_000.0
};

/// Users during the stall: fewer than one call in a thousand waits for an answer when it begins.
const STALL_USERS: u32 = 8;

/// From what share of the stall on it is seen.
const SEEN: f64 = 0.5;

/// Calls per second that no generator gives.
const TOO_MUCH: f64 = 1e6;

/// What the generator may cost, in microseconds of CPU per request.
const COSTS: [(Arm, f64); 2] = [(Arm::JsonHttp1, 18.0), (Arm::Grpc, 26.0)];

/// One proof.
#[derive(Clone, Debug)]
pub struct Proof {
    /// What is proved.
    pub name: String,
    /// What is known.
    pub expected: String,
    /// What was measured.
    pub measured: String,
    /// Whether they agree; none where it cannot be told here.
    pub holds: Option<bool>,
}

/// The command `selftest`: all proofs, or the comparisons alone that `asked` counts.
///
/// # Errors
/// When a process cannot be started, or the user stopped it.
pub async fn command(asked: &Selftest) -> anyhow::Result<Vec<Proof>> {
    let options = &asked.options;
    let folder = Folder::begin(&std::env::temp_dir().join("loadtest-selftest"))?;
    let (lab, server) = ceiling::lab(options, &folder)?;
    let mut bench = Bench { lab, server };
    let alone = asked.aa.is_some() || asked.more_work.is_some();
    let once = u32::from(!alone);
    let (aa, more_work) = (asked.aa.unwrap_or(once), asked.more_work.unwrap_or(once));
    let mut proofs = Vec::new();
    if !alone {
        proofs.extend(bench.known_delay().await?);
        proofs.extend(bench.known_stall().await?);
        proofs.extend(bench.own_limit(options.users()).await?);
        proofs.push(bench.too_much(options.users()).await?);
    }
    proofs.extend(headline::proofs(&mut bench, options, (aa, more_work)).await?);
    Ok(proofs)
}

/// The proofs as a table.
pub fn table(proofs: &[Proof]) -> String {
    let mut text = String::new();
    for proof in proofs {
        let holds = match proof.holds {
            Some(true) => "holds",
            Some(false) => "FAILS",
            None => "can't tell",
        };
        let Proof {
            name,
            expected,
            measured,
            ..
        } = proof;
        let _ = writeln!(
            text,
            "{holds:<11} {name}\n{0:<11} expected {expected}\n{0:<11} measured {measured}",
            ""
        );
    }
    text
}

/// 0 where all proofs hold, 8 where one fails, 6 where one cannot be told.
pub fn exit_code(proofs: &[Proof]) -> u8 {
    if proofs.iter().any(|proof| proof.holds == Some(false)) {
        8
    } else if proofs.iter().any(|proof| proof.holds.is_none()) {
        6
    } else {
        0
    }
}

/// Where the proofs are made.
struct Bench {
    lab: Lab,
    server: Vec<usize>,
}

impl Bench {
    /// Measures a block of a service of `kind`.
    async fn measure(&mut self, kind: Kind, block: &Planned) -> anyhow::Result<Outcome> {
        self.lab.subject = Subject::Fresh(embedded::Spec {
            cores: self.server.clone(),
            kind,
        });
        let outcome = self.lab.measure(block, None).await?;
        ensure!(!self.lab.stop.is_cancelled(), Interrupted);
        Ok(outcome)
    }

    /// The same, where it is the only block.
    async fn measure_one(&mut self, kind: Kind, block: &Planned) -> anyhow::Result<Outcome> {
        self.lab.plan(1);
        let outcome = self.measure(kind, block).await;
        self.lab.done();
        outcome
    }

    async fn known_delay(&mut self) -> anyhow::Result<Vec<Proof>> {
        let known = Known {
            delay_us: DELAY_US,
            ..Known::default()
        };
        let mut proofs = Vec::new();
        for arm in [Arm::JsonHttp1, Arm::Grpc] {
            let load = Load::Open {
                per_second: DELAY_RATE,
            };
            let block = block(arm, DELAY_USERS, load);
            let Outcome {
                record, account, ..
            } = self.measure_one(Kind::Known(known), &block).await?;
            let Some(Account::Waited(waited)) = account else {
                bail!("the service does not say how long it kept its calls waiting");
            };
            for percentile in [50.0, 90.0] {
                let truth = waited.percentile_us(percentile);
                let found = percentile_us(&record.latency.uncorrected, percentile);
                let far = (CLOSE * truth).max(CLOSE_US);
                proofs.push(Proof {
                    name: format!("a known delay, {}, p{percentile}", arm.name()),
                    expected: format!(
                        "{truth:.0} µs, as the server counted itself, give or take {far:.0}"
                    ),
                    measured: measured(&record, found),
                    holds: found
                        .filter(|_| record.is_valid())
                        .map(|found| (found - truth).abs() <= far),
                });
            }
        }
        Ok(proofs)
    }

    /// The corrected percentile shows a stall, the uncorrected one hides it: a closed loop would
    /// have waited with the server.
    async fn known_stall(&mut self) -> anyhow::Result<Vec<Proof>> {
        let known = Known {
            stall_after_us: STALL_AFTER_US,
            stall_us: STALL_US,
            ..Known::default()
        };
        let load = Load::Open {
            per_second: STALL_RATE,
        };
        let window_us = std::mem::replace(&mut self.lab.window_us, STALL_WINDOW_US);
        let record = self
            .measure_one(
                Kind::Known(known),
                &block(Arm::JsonHttp1, STALL_USERS, load),
            )
            .await;
        self.lab.window_us = window_us;
        let record = record?.record;
        let corrected = record.latency.corrected.as_ref();
        let percentile = [99.9, 99.0, 95.0].into_iter().find(|percentile| {
            corrected.is_some_and(|times| percentile_us(times, *percentile).is_some())
        });
        let percentile = percentile.unwrap_or(95.0);
        let of = |times| percentile_us(times, percentile);
        let seen = SEEN * STALL_US as f64;
        // Only what was lost to other programs makes a block of this kind useless.
        let told = |found: Option<f64>| found.filter(|_| record.requests > 0);
        let (shown, hidden) = (corrected.and_then(of), of(&record.latency.uncorrected));
        Ok(vec![
            Proof {
                name: format!("a known stall of 1 s, p{percentile} from the intended start"),
                expected: format!("above {seen:.0} µs: it shows the stall"),
                measured: measured(&record, shown),
                holds: told(shown).map(|found| found > seen),
            },
            Proof {
                name: format!("a known stall of 1 s, p{percentile} uncorrected"),
                expected: format!("below {seen:.0} µs: it hides the stall"),
                measured: measured(&record, hidden),
                holds: told(hidden).map(|found| found < seen),
            },
        ])
    }

    async fn own_limit(&mut self, users: u32) -> anyhow::Result<Vec<Proof>> {
        let mut proofs = Vec::new();
        for (arm, bound) in COSTS {
            let server = self.server.clone();
            let block = &ceiling::blocks(&[arm], users)[0];
            self.lab.plan(1);
            let found = ceiling::measure(&mut self.lab, block, &server).await?;
            ensure!(!self.lab.stop.is_cancelled(), Interrupted);
            proofs.push(Proof {
                name: format!("the generator's own cost, {}, a null server", arm.name()),
                expected: format!("at most {bound} µs of CPU per request in a release build"),
                measured: found.map_or("nothing valid".to_owned(), |found| {
                    format!(
                        "{:.1} µs at {:.0} requests/s",
                        found.generator_cpu_us_per_request, found.requests_per_second
                    )
                }),
                holds: found
                    .filter(|_| !cfg!(debug_assertions))
                    .map(|found| found.generator_cpu_us_per_request <= bound),
            });
        }
        Ok(proofs)
    }

    /// Asked for more than it can give, the generator says so.
    async fn too_much(&mut self, users: u32) -> anyhow::Result<Proof> {
        let load = Load::Open {
            per_second: TOO_MUCH,
        };
        let block = block(Arm::JsonHttp1, users, load);
        let outcome = self.measure_one(Kind::Known(Known::default()), &block);
        let record = outcome.await?.record;
        let is_behind = |void: &Void| matches!(void, Void::Behind { .. });
        let reasons: Vec<_> = record.void.iter().map(ToString::to_string).collect();
        Ok(Proof {
            name: format!("asked for {TOO_MUCH} calls/s, which it cannot give"),
            expected: "VOID".to_owned(),
            measured: match &reasons[..] {
                [] => "a block that counts".to_owned(),
                reasons => format!("VOID: {}", reasons.join("; ")),
            },
            holds: Some(record.void.iter().any(is_behind)),
        })
    }
}

fn block(arm: Arm, connections: u32, load: Load) -> Planned {
    Planned {
        purpose: Purpose::Primary,
        load,
        ..ceiling::blocks(&[arm], connections).remove(0)
    }
}

fn measured(record: &BlockRecord, found: Option<f64>) -> String {
    let void: Vec<_> = record.void.iter().map(ToString::to_string).collect();
    let void = if void.is_empty() {
        String::new()
    } else {
        format!(" (VOID: {})", void.join("; "))
    };
    found.map_or_else(
        || format!("too few calls{void}"),
        |found| format!("{found:.0} µs{void}"),
    )
}
