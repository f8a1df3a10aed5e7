//! REST against itself: the same twice, of which nothing may be claimed, and the same with more work,
//! which must be found. The headline is that of every run.

use super::Comparison;
use crate::{
    executor::Planned,
    record::{Scenario, Variant},
    study::{self, Experiment},
    system::{
        System,
        embedded::{self, Kind},
    },
};
use engine::Load;

/// Additional work of the candidate, as a share of the server's CPU time per request.
const MORE_WORK: f64 = 0.2;

/// The CPU time in nanoseconds that a call takes on both sides before one works more, as the call of a
/// service that does something. Added work also makes a server sleep less often, and to wake an idle
/// core costs a virtual machine about 10 µs. Where a call took no more than that, 2 to 3% of all CPU
/// time came back in this way, and what the server had added was no truth to hold a ratio against.
const SERVICE_NS: u64 = 100_000;

/// Compares the baseline of each of `experiments` with itself under another name.
pub(super) fn twice(experiments: &mut [Experiment]) {
    for Experiment { scenario, systems } in experiments {
        let (Some(baseline), Some(system)) = (scenario.baseline().cloned(), systems.first()) else {
            continue;
        };
        let again = Variant {
            name: format!("{} again", baseline.name),
            ..baseline.clone()
        };
        *systems = vec![system.clone(); 3];
        scenario.variants = vec![baseline.clone(), again, study::twin(&baseline)];
    }
}

/// The headline's first scenario, of REST and of the same with a fifth more work.
pub(super) async fn with_more_work(comparison: &mut Comparison) -> anyhow::Result<Vec<Experiment>> {
    let config = &comparison.executor.config;
    let cores = config.cores.server.clone();
    let worked = |cpu_ns| {
        System::Fresh(embedded::Spec {
            cores: cores.clone(),
            kind: Kind::AddedWork { cpu_ns },
        })
    };
    let [open, _] = &study::headline(&config.design, &comparison.variants, config.users, 1.0)[..]
    else {
        return Ok(Vec::new());
    };
    let mut experiment = Experiment::on(&worked(SERVICE_NS), open.clone());
    let Some(per_second) = comparison.pilot(&experiment).await? else {
        return Ok(Vec::new());
    };
    experiment.scenario.load = Load::Open { per_second };
    let Some(base_us) = calibrate(comparison, &experiment).await? else {
        return Ok(Vec::new());
    };
    twice(std::slice::from_mut(&mut experiment));
    // How much is added is told beforehand, and not by what is compared.
    let more_ns = (MORE_WORK * base_us * 1e3) as u64;
    experiment.scenario.variants[1].name = "REST with more work".to_owned();
    experiment.systems[1] = worked(SERVICE_NS + more_ns);
    Ok(vec![experiment])
}

/// Server CPU per request of the baseline of `like` at its rate, in microseconds.
async fn calibrate(comparison: &mut Comparison, like: &Experiment) -> anyhow::Result<Option<f64>> {
    let scenario = Scenario {
        load: like.scenario.load,
        ..study::pilot(&like.scenario)
    };
    comparison.run.plan.scenarios.push(scenario.clone());
    let planned = Planned {
        scenario: &scenario,
        variant: &scenario.variants[0],
        system: &like.systems[0],
        round: 1,
    };
    let trial = comparison.executor.trial(&planned).await?;
    Ok(trial.and_then(|trial| trial.measurement.server_cpu_us_per_request()))
}
