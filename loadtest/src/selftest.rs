//! Proofs of the instrument: what it measures is held against what is known beforehand.

mod verdicts;

use std::fmt::Write;

use anyhow::ensure;
use engine::{Load, Shape};
use serving::process::shutdown_on_signal;

use crate::{
    ceiling,
    cli::{Config, SelftestArgs},
    executor::{Executor, Planned},
    folder::Folder,
    record::{Disturbance, Protocol, Purpose, Scenario, Trial},
    run::Interrupted,
    study,
    system::{
        System,
        embedded::{self, Kind},
        known::Known,
    },
    validity,
};

/// Delay of the service with the known delay, in microseconds: so long that 1% of it is more than a
/// round trip on this machine.
const DELAY_US: u64 = 20_000;

/// Calls per second of it: so many that the pacer never sleeps. A closed loop would do, but for this:
/// users whose answers once came together go on together, and wait for one another.
const DELAY_RATE: f64 = 1_200.0;

/// Its users, of whom 24 wait for an answer.
const DELAY_USERS: u32 = 32;

/// Its percentiles must be known to this part, or to [`CLOSE_US`] if that is more.
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

/// The most that the generator may cost on each protocol, in microseconds of CPU time per request.
const COSTS: [(Protocol, f64); 2] = [(Protocol::JsonHttp1, 18.0), (Protocol::Grpc, 26.0)];

/// One proof.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Subject of the proof.
    pub name: String,
    /// The known result, in words.
    pub expected: String,
    /// The measured result, in words.
    pub measured: String,
    /// True if the two results agree; none if that cannot be told here.
    pub holds: Option<bool>,
}

/// The command `selftest`: all proofs, or the verdicts alone that `args` counts.
///
/// # Errors
/// When a process cannot be started, or the user stopped it.
pub async fn command(args: &SelftestArgs) -> anyhow::Result<Vec<Proof>> {
    let config = Config::of_selftest(args)?;
    let alone = args.aa.is_some() || args.more_work.is_some();
    let once = u32::from(!alone);
    let mut proofs = Vec::new();
    if !alone {
        let folder = Folder::begin(&std::env::temp_dir().join("loadtest-selftest"))?;
        let executor = Executor::new(config.clone(), folder.path(), shutdown_on_signal()?);
        let mut bench = Bench { executor };
        for proof in [
            bench.known_delay().await?,
            bench.known_stall().await?,
            bench.own_limit().await?,
            vec![bench.too_much().await?],
        ] {
            proofs.extend(proof);
        }
    }
    let (aa, more_work) = (args.aa.unwrap_or(once), args.more_work.unwrap_or(once));
    proofs.extend(verdicts::proofs(&config, args.keep.as_deref(), (aa, more_work)).await?);
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

/// 0 if all proofs hold, 8 if one fails, 6 if one cannot be told.
pub fn exit_code(proofs: &[Proof]) -> u8 {
    if proofs.iter().any(|proof| proof.holds == Some(false)) {
        8
    } else if proofs.iter().any(|proof| proof.holds.is_none()) {
        6
    } else {
        0
    }
}

/// The executor that makes the trials of the proofs.
struct Bench {
    executor: Executor,
}

impl Bench {
    /// One trial of a server of `kind`, whatever disturbs it.
    async fn measure(
        &mut self,
        kind: Kind,
        protocol: Protocol,
        (connections, load): (u32, Load),
        window_us: Option<u64>,
    ) -> anyhow::Result<Trial> {
        let design = self.executor.config.design;
        let scenario = Scenario {
            shape: Shape {
                connections,
                in_flight: 1,
            },
            window_us: window_us.unwrap_or(design.window_us.max(3_000_000)),
            rounds: Some(1),
            ..study::scenario(
                &design,
                Purpose::Closed,
                &study::variants(&[protocol]),
                connections,
                load,
            )
        };
        let system = System::Fresh(embedded::Spec {
            cores: self.executor.config.cores.server.clone(),
            kind,
        });
        let planned = Planned {
            scenario: &scenario,
            variant: &scenario.variants[0],
            system: &system,
            round: 1,
        };
        let trial = self.executor.once(&planned, 1).await?.cloned();
        ensure!(!self.executor.stop.is_cancelled(), Interrupted);
        trial.ok_or_else(|| anyhow::anyhow!("the trial could not be made"))
    }

    async fn known_delay(&mut self) -> anyhow::Result<Vec<Proof>> {
        let known = Known {
            delay_us: DELAY_US,
            ..Known::default()
        };
        let mut proofs = Vec::new();
        for protocol in [Protocol::JsonHttp1, Protocol::Grpc] {
            let load = Load::Open {
                per_second: DELAY_RATE,
            };
            let trial = self
                .measure(Kind::Known(known), protocol, (DELAY_USERS, load), None)
                .await?;
            let Some(waited) = &trial.waited else {
                anyhow::bail!("the service does not say how long it kept its calls waiting");
            };
            for percentile in [50.0, 90.0] {
                let truth = waited.percentile_us(percentile);
                let found = known_percentile(&trial.measurement.service_time, percentile);
                let far = (CLOSE * truth).max(CLOSE_US);
                proofs.push(Proof {
                    name: format!("a known delay, {}, p{percentile}", protocol.name()),
                    expected: format!(
                        "{truth:.0} µs, as the server counted itself, give or take {far:.0}"
                    ),
                    measured: measured(&trial, found),
                    holds: found
                        .filter(|_| is_quiet(&trial))
                        .map(|found| (found - truth).abs() <= far),
                });
            }
        }
        Ok(proofs)
    }

    /// Response time shows a stall, service time hides it: a closed loop would have waited with the
    /// server.
    async fn known_stall(&mut self) -> anyhow::Result<Vec<Proof>> {
        let known = Known {
            stall_after_us: STALL_AFTER_US,
            stall_us: STALL_US,
            ..Known::default()
        };
        let load = Load::Open {
            per_second: STALL_RATE,
        };
        let trial = self
            .measure(
                Kind::Known(known),
                Protocol::JsonHttp1,
                (STALL_USERS, load),
                Some(STALL_WINDOW_US),
            )
            .await?;
        let response = trial.measurement.response_time.as_ref();
        let percentile = [99.9, 99.0, 95.0].into_iter().find(|percentile| {
            response.is_some_and(|times| known_percentile(times, *percentile).is_some())
        });
        let percentile = percentile.unwrap_or(95.0);
        let of = |times| known_percentile(times, percentile);
        let seen = SEEN * STALL_US as f64;
        let (shown, hidden) = (response.and_then(of), of(&trial.measurement.service_time));
        Ok(vec![
            Proof {
                name: format!("a known stall of 1 s, p{percentile} of the response time"),
                expected: format!("above {seen:.0} µs: it shows the stall"),
                measured: measured(&trial, shown),
                holds: shown.map(|found| found > seen),
            },
            Proof {
                name: format!("a known stall of 1 s, p{percentile} of the service time"),
                expected: format!("below {seen:.0} µs: it hides the stall"),
                measured: measured(&trial, hidden),
                holds: hidden.map(|found| found < seen),
            },
        ])
    }

    async fn own_limit(&mut self) -> anyhow::Result<Vec<Proof>> {
        let users = self.executor.config.users;
        let protocols = COSTS.map(|(protocol, _)| protocol);
        let found =
            ceiling::measure(&mut self.executor, &protocols, users, study::ROUGH_US).await?;
        ensure!(!self.executor.stop.is_cancelled(), Interrupted);
        let proof = |(protocol, bound): (Protocol, f64)| {
            let found = found.iter().find(|found| found.protocol == protocol);
            Proof {
                name: format!(
                    "the generator's own cost, {}, a null server",
                    protocol.name()
                ),
                expected: format!("at most {bound} µs of CPU per request in a release build"),
                measured: found.map_or("nothing".to_owned(), |found| {
                    format!(
                        "{:.1} µs at {:.0} requests/s",
                        found.generator_cpu_us_per_request, found.requests_per_second
                    )
                }),
                holds: found
                    .filter(|_| !cfg!(debug_assertions))
                    .map(|found| found.generator_cpu_us_per_request <= bound),
            }
        };
        Ok(COSTS.map(proof).into())
    }

    /// Asked for more than it can give, the generator says so.
    async fn too_much(&mut self) -> anyhow::Result<Proof> {
        let users = self.executor.config.users;
        let load = Load::Open {
            per_second: TOO_MUCH,
        };
        let kind = Kind::Known(Known::default());
        let trial = self
            .measure(kind, Protocol::JsonHttp1, (users, load), None)
            .await?;
        let is_behind = |one: &Disturbance| matches!(one, Disturbance::Queue { achieved_share } if *achieved_share < 1.0);
        Ok(Proof {
            name: format!("asked for {TOO_MUCH} calls/s, which it cannot give"),
            expected: "a trial that counts for nothing".to_owned(),
            measured: match reasons(&trial) {
                reasons if reasons.is_empty() => "a trial that counts".to_owned(),
                reasons => reasons,
            },
            holds: Some(trial.disturbances.iter().any(is_behind) && !validity::is_usable(&trial)),
        })
    }
}

/// A percentile that enough samples lie beyond.
fn known_percentile(times: &engine::Nanoseconds, percentile: f64) -> Option<f64> {
    let is_known = stats::is_known(times.count(), percentile);
    is_known.then(|| times.percentile_us(percentile))
}

/// Returns true if the trial is usable, and has no disturbance that would move its latency.
fn is_quiet(trial: &Trial) -> bool {
    validity::is_usable(trial)
        && !trial.disturbances.iter().any(|one| {
            matches!(
                one,
                Disturbance::Steal { .. }
                    | Disturbance::OtherPrograms { .. }
                    | Disturbance::GeneratorLimit { .. }
            )
        })
}

fn reasons(trial: &Trial) -> String {
    let reasons: Vec<_> = trial.disturbances.iter().map(ToString::to_string).collect();
    reasons.join("; ")
}

fn measured(trial: &Trial, found: Option<f64>) -> String {
    let disturbed = match reasons(trial) {
        reasons if reasons.is_empty() => String::new(),
        reasons => format!(" ({reasons})"),
    };
    found.map_or_else(
        || format!("too few calls{disturbed}"),
        |found| format!("{found:.0} µs{disturbed}"),
    )
}
