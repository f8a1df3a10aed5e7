//! The generator's own limit: what it can do against a null server. A rate near it says more about the
//! generator than about the service that was measured.

use std::fmt::Write;

use engine::Load;
use serving::process::shutdown_on_signal;

use crate::{
    cli::Config,
    executor::{Executor, Planned},
    folder::Folder,
    record::{Ceiling, Protocol, Purpose},
    run::Interrupted,
    study::{self, Design},
    system::{System, embedded, known::Known},
    validity,
};

/// Measures the limit of each of `protocols` with so many users, in windows of `window_us`. One whose trial measures nothing is
/// left out, which the executor says.
///
/// # Errors
/// When a process cannot be started or an option cannot be carried out.
pub async fn measure(
    executor: &mut Executor,
    protocols: &[Protocol],
    users: u32,
    window_us: u64,
) -> anyhow::Result<Vec<Ceiling>> {
    let system = null_server(&executor.config);
    let design = Design {
        window_us,
        rounds: Some(1),
        ..Design::QUICK
    };
    let variants = study::variants(protocols);
    let scenario = study::scenario(&design, Purpose::Ceiling, &variants, users, Load::Closed);
    let mut found = Vec::new();
    for variant in &scenario.variants {
        let planned = Planned {
            scenario: &scenario,
            variant,
            system: &system,
            round: 1,
        };
        let Some(trial) = executor.trial(&planned).await? else {
            continue;
        };
        let measurement = &trial.measurement;
        let cpu = measurement.generator_cpu_us_per_request();
        if let Some(cpu) = cpu.filter(|_| validity::is_usable(trial)) {
            found.push(Ceiling {
                protocol: variant.protocol,
                shape: scenario.shape,
                requests_per_second: measurement.requests_per_second(),
                generator_cpu_us_per_request: cpu,
            });
        }
    }
    Ok(found)
}

/// A server that answers every call with the same bytes, at once.
fn null_server(config: &Config) -> System {
    System::Fresh(embedded::Spec {
        cores: config.cores.server.clone(),
        kind: embedded::Kind::Known(Known::default()),
    })
}

/// The command `ceiling`: measures the protocols that `config` names, and returns the table.
///
/// # Errors
/// When nothing could be measured, or the user stopped it.
pub async fn command(config: Config) -> anyhow::Result<String> {
    let folder = Folder::begin(&std::env::temp_dir().join("loadtest-ceiling"))?;
    let protocols = match &config.protocols[..] {
        [] => Protocol::STEPS.to_vec(),
        named => named.to_vec(),
    };
    let (users, window_us) = (config.users, config.design.window_us);
    let mut executor = Executor::new(config, folder.path(), shutdown_on_signal()?);
    let found = measure(&mut executor, &protocols, users, window_us).await?;
    anyhow::ensure!(!executor.stop.is_cancelled(), Interrupted);
    anyhow::ensure!(
        !found.is_empty(),
        "no trial measured anything; the reasons stand above"
    );
    Ok(table(&found))
}

fn table(found: &[Ceiling]) -> String {
    let mut text = format!(
        "{:<24} {:>12} {:>22}\n",
        "", "requests/s", "generator CPU, µs each"
    );
    for ceiling in found {
        let _ = writeln!(
            text,
            "{:<24} {:>12.0} {:>22.1}",
            ceiling.protocol.name(),
            ceiling.requests_per_second,
            ceiling.generator_cpu_us_per_request
        );
    }
    let _ = writeln!(
        text,
        "{} connections × 1 in flight, closed loop, against a null server",
        found.first().map_or(0, |ceiling| ceiling.shape.connections)
    );
    text
}
