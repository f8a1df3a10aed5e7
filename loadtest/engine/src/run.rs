//! The run of one attack: goose's users on one variant, and what was measured of them.

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use goose::{GooseAttack, GooseError, threshold::ThresholdResult};
use tokio::task::spawn_blocking;

use crate::{
    Nanoseconds,
    attack::Attack,
    configuration::{self, Refused},
    measurement::{Dispatch, Measurement},
    scenario,
    snapshot::{Between, micros},
    spec::{Load, TrialSpec},
    timekeeper::{Heard, INTERRUPTED, Kept, Timekeeper},
    trial::blank,
    window::Window,
};

/// Runs one attack and returns what it measured.
pub(crate) async fn run(spec: &TrialSpec, window: Arc<Window>) -> anyhow::Result<Measurement> {
    anyhow::ensure!(
        !spec.workload.requests.is_empty() && spec.shape.users() > 0,
        "a trial needs a request and a user"
    );
    let attack = Arc::new(Attack::new(spec, &window)?);
    let timekeeper = Timekeeper::start(&window, spec).context("no thread can be started")?;
    let mut kept = pin!(spawn_blocking(|| timekeeper.join()));
    let mut goose = pin!(execute(spec, &attack));
    // goose looks for the end twice a second. If it has nothing to write and nothing to judge then, the
    // trial has ended before.
    let (kept, missed) = tokio::select! {
        kept = &mut kept, if configuration::leaves_nothing(&spec.goose) => (kept, Vec::new()),
        missed = &mut goose => {
            window.set_over();
            (kept.await, missed?)
        }
    };
    let kept = kept?.map_err(|_| anyhow::anyhow!("the timekeeper failed"))?;
    Ok(measurement(spec, &window, &kept, &missed))
}

/// Runs goose to its end, and returns the thresholds that were missed.
async fn execute(spec: &TrialSpec, attack: &Arc<Attack>) -> anyhow::Result<Vec<ThresholdResult>> {
    let options = configuration::adapt(spec);
    let result = async {
        GooseAttack::initialize_with_config(options)?
            .register_scenario(scenario::scenario(attack, &spec.name)?)
            .execute()
            .await
    };
    match result.await {
        Ok(_) => Ok(Vec::new()),
        Err(GooseError::ThresholdsFailed { failed, .. }) => Ok(failed),
        Err(GooseError::InvalidOption {
            option,
            value,
            detail,
        }) => bail!(Refused::new(&option, &value, &detail)),
        Err(error) => Err(error.into()),
    }
}

fn measurement(
    spec: &TrialSpec,
    window: &Window,
    kept: &Kept,
    missed: &[ThresholdResult],
) -> Measurement {
    let mut all = blank(spec);
    all.warm_up_us = micros(kept.warm_up);
    all.steady = kept.steady;
    let aborted = missed.iter().find(|result| result.aborted);
    all.aborted = aborted.is_some();
    all.cut_short = match aborted {
        Some(result) => Some(format!("the threshold {} failed", result.rule)),
        None if kept.is_whole => None,
        None if window.is_told_to_end() => Some(INTERRUPTED.to_owned()),
        None if kept.is_late => Some("calls went on beyond the end of a turn".to_owned()),
        None => Some("its users stopped before the window had closed".to_owned()),
    };
    let observed =
        |result: &ThresholdResult| format!("{}, observed {}", result.rule, result.observed);
    all.thresholds_missed = missed.iter().map(observed).collect();
    let mut recorded = window.tally.recorded();
    (all.completed_in_all, _) = window.tally.replies();
    let in_turns = spec.timing.parts > 1;
    if !kept.parts.is_empty() {
        let between = Between(&kept.parts);
        if let Some(offered) = kept.offered {
            if kept.is_whole {
                recorded.record_unanswered(offered.saturating_sub(recorded.counted));
            }
            let growth = between.growth(offered).filter(|_| in_turns);
            all.dispatch = Some(dispatch(offered, growth, kept, &between));
        }
        all.completed = match in_turns {
            // Of an open loop: as many as were due, wherever the ends fell.
            true => recorded.counted - recorded.unanswered,
            false => between.replies(),
        };
        within(&mut all, kept, &between);
    }
    all.counted = recorded.counted;
    all.unanswered = recorded.unanswered;
    all.errors = recorded.bad();
    all.errors_in_all = recorded.bad_in_all();
    all.service_time = Nanoseconds(recorded.service);
    all.response_time = recorded.response.map(Nanoseconds);
    all
}

/// Fills in everything that lies between snapshots, of the replies that count.
fn within(all: &mut Measurement, kept: &Kept, between: &Between<'_>) {
    let opened = between.opened().map(|opened| opened.since_1970);
    all.opened_unix_us = micros(opened.unwrap_or_default());
    all.window_us = micros(between.time());
    all.server = between.server(all.completed, kept.at_rest_kib);
    all.server_lost = between.is_server_lost();
    all.server_asked = kept.asked.as_ref().map(Heard::asked);
    all.generator = between.generator(all.completed);
    all.wire = between.wire();
    all.steal_share = between.steal_share();
    all.others_share = between.others_share(kept.cores.len());
}

fn dispatch(offered: u64, growth: Option<f64>, kept: &Kept, between: &Between<'_>) -> Dispatch {
    let delay = |quantile| {
        let delays = kept.delays.as_ref();
        let nanos = delays.map(|delays| delays.value_at_quantile(quantile));
        Duration::from_nanos(nanos.unwrap_or_default()).as_secs_f64() * 1e6
    };
    let [unanswered_at_open, unanswered_at_close] = between.unanswered();
    Dispatch {
        offered,
        unanswered_at_open,
        unanswered_at_close,
        growth,
        delay_p50_us: Some(delay(0.5)),
        delay_p99_us: delay(0.99),
    }
}

/// Returns true if `spec` is an open loop.
pub(crate) fn is_open_loop(spec: &TrialSpec) -> bool {
    matches!(spec.load, Load::Open { .. })
}
