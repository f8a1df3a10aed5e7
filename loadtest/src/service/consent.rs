//! The consent to call a service beyond this machine.

use std::net::IpAddr;

use engine::Endpoint;

use super::{Options, ServiceError};
use crate::{cli::Config, record};

/// A load test makes real orders: a service beyond this machine is called only if the user said so.
pub(super) fn may_be_called(
    options: &Options,
    config: &Config,
    endpoints: &[Endpoint],
) -> Result<(), ServiceError> {
    let is_here = |address: IpAddr| address.to_canonical().is_loopback();
    let Some(beyond) = endpoints.iter().find(|one| !is_here(one.address.ip())) else {
        return Ok(());
    };
    let load = load(config);
    if options.yes {
        eprintln!("{} is beyond this machine: {load}", beyond.authority);
        return Ok(());
    }
    Err(ServiceError::input(format!(
        "{} ({}) is beyond this machine, and a load test makes real calls: {load}; --yes says that it may be \
         called so",
        beyond.authority,
        beyond.address.ip()
    )))
}

/// The calls of a run and their rate, in words.
fn load(config: &Config) -> String {
    let design = &config.design;
    let window_s = design.window_us as f64 / 1e6;
    let extent = match (design.budget, design.rounds) {
        (Some(budget), _) => format!("for up to {} s", budget.as_secs()),
        (None, rounds) => format!(
            "for {} rounds of trials of {window_s} s or more",
            rounds.unwrap_or_default()
        ),
    };
    let mut more = String::new();
    if config.rate.is_some() && design.mode == record::Mode::Thorough {
        more += "; for the map of --thorough it is called as fast as it answers, too";
    }
    if config.objective.is_some() {
        more += "; --slo then looks for the highest rate that it bears, beyond these calls and that time";
    }
    let said = match config.rate {
        Some(rate) => {
            let calls = design.budget.map_or_else(String::new, |budget| {
                format!(", up to {:.0} calls", rate * budget.as_secs_f64())
            });
            format!(
                "{rate} calls/s {extent}{calls}, and in turn with that one call after the other on one \
                 connection"
            )
        }
        None => format!(
            "{} connections call as fast as it answers to find a rate, and then at 40% of that rate, {extent}; \
             --rate names a lower one",
            config.users
        ),
    };
    said + &more
}
