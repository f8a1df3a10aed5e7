//! The generator's own limit: what it can do against a service that answers with fixed bytes. A
//! result near it says more about the generator than about the service that was measured.

use std::fmt::Write;

use serving::process::shutdown_on_signal;

use crate::{
    cli::{self, Options},
    cores,
    embedded::{self, Kind},
    folder::Folder,
    known::Known,
    lab::{Lab, Outcome},
    plan::{self, Planned},
    progress::Display,
    record::{Arm, Ceiling, Load, Purpose, store},
    run::{ATTEMPTS, Interrupted},
    subject::Subject,
};

/// One block for each of `arms`, of `users` in a closed loop.
pub fn blocks(arms: &[Arm], users: u32) -> Vec<Planned> {
    let block = |(number, arm): (usize, &Arm)| Planned {
        number: u32::try_from(number + 1).unwrap_or(u32::MAX),
        pair: 1,
        attempt: 1,
        arm: *arm,
        label: arm.letter().to_owned(),
        purpose: Purpose::Ceiling,
        connections: users,
        in_flight: 1,
        batch: 1,
        load: Load::Closed,
    };
    arms.iter().enumerate().map(block).collect()
}

/// Measures one block against the service that does nothing, on the cores `server`, again where it
/// is VOID. None where it was so each time, which it says.
///
/// # Errors
/// When a process cannot be started or an option cannot be carried out.
pub async fn measure(
    lab: &mut Lab,
    block: &Planned,
    server: &[usize],
) -> anyhow::Result<Option<Ceiling>> {
    let nothing = Subject::Fresh(embedded::Spec {
        cores: server.into(),
        kind: Kind::Known(Known::default()),
    });
    let measured = std::mem::replace(&mut lab.subject, nothing);
    let outcome = until_valid(lab, block).await;
    lab.done();
    lab.subject = measured;
    let outcome = outcome?;
    store::write_block(&lab.folder, &outcome.record)?;
    if let Some(reason) = outcome.void() {
        let name = block.arm.name();
        lab.display.say(&format!(
            "the generator's limit with {name} is not known: {reason}"
        ));
        return Ok(None);
    }
    let record = outcome.record;
    Ok(record.generator_cpu_us_per_request().map(|cpu| Ceiling {
        arm: record.arm,
        connections: record.connections,
        in_flight: record.in_flight,
        requests_per_second: record.requests_per_second(),
        generator_cpu_us_per_request: cpu,
    }))
}

/// The first valid outcome of `block`, or the last.
async fn until_valid(lab: &mut Lab, block: &Planned) -> anyhow::Result<Outcome> {
    let mut block = block.clone();
    loop {
        let outcome = lab.measure(&block, None).await?;
        let is_last = block.attempt == ATTEMPTS || lab.stop.is_cancelled();
        if is_last || outcome.void().is_none() {
            return Ok(outcome);
        }
        block.attempt += 1;
    }
}

/// The command `ceiling`: measures the arms that `options` name, and returns the table.
///
/// # Errors
/// When nothing could be measured, or the user stopped it.
pub async fn command(options: &Options) -> anyhow::Result<String> {
    let folder = Folder::begin(&std::env::temp_dir().join("loadtest-ceiling"))?;
    let (mut lab, server) = lab(options, &folder)?;
    let arms = match &options.arms[..] {
        [] => &Arm::ALL,
        named => named,
    };
    let mut found = Vec::new();
    lab.plan(arms.len());
    for block in blocks(arms, options.users()) {
        found.extend(measure(&mut lab, &block, &server).await?);
        anyhow::ensure!(!lab.stop.is_cancelled(), Interrupted);
    }
    anyhow::ensure!(
        !found.is_empty(),
        "no block was valid; the reasons stand above"
    );
    Ok(table(&found))
}

/// What blocks against services of our own need, and the cores of these services.
///
/// # Errors
/// When signals cannot be waited for.
pub fn lab(options: &Options, folder: &Folder) -> anyhow::Result<(Lab, Vec<usize>)> {
    let cores = cores::split(options.share_cores);
    let extent = plan::Extent {
        window_us: options.extent().window_us.max(3_000_000),
        ..options.extent()
    };
    let lab = Lab {
        subject: Subject::Fresh(embedded::Spec {
            cores: cores.server.clone(),
            kind: Kind::DualMode,
        }),
        cores: cores.generator,
        window_us: extent.window_us,
        warm_up_us: extent.warm_up_us,
        folder: folder.path().to_owned(),
        display: Display::default(),
        stop: shutdown_on_signal()?,
        options: cli::options_of_blocks(),
    };
    Ok((lab, cores.server))
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
            ceiling.arm.name(),
            ceiling.requests_per_second,
            ceiling.generator_cpu_us_per_request
        );
    }
    let _ = writeln!(
        text,
        "{} connections × 1 in flight, closed loop, against a service that answers with fixed bytes",
        found.first().map_or(0, |ceiling| ceiling.connections)
    );
    text
}
