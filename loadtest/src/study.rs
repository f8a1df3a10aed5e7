//! The study that a run makes: its scenarios, and the system that each variant runs on.
//!
//! Trials of a scenario come in rounds. A round holds one trial of every variant, and one of the
//! baseline's twin, in an order that is drawn for each round: what the machine does to one minute and
//! not to another then favours no variant (Fisher, The Design of Experiments, 1935), and sets the
//! twin apart from the baseline as much as it does the others.

use std::time::Duration;

use engine::{Load, Shape};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use stats::{LEAST_ROUNDS, SAMPLES_BEYOND};

use crate::{
    record::{Mode, Protocol, Purpose, Scenario, Trial, Variant},
    system::System,
    validity,
};

/// The extent of a run: its budget or rounds, and the lengths of windows and warm-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// The report's name for it.
    pub mode: Mode,
    /// Time that measuring may take; none if rounds are counted instead.
    pub budget: Option<Duration>,
    /// Rounds, if they are counted.
    pub rounds: Option<u32>,
    /// Rounds that are measured at least, although the headline is decided and the budget not spent.
    pub least_rounds: u32,
    /// Length of what is measured of each trial, in microseconds.
    pub window_us: u64,
    /// The longest that it may be, so that a p99 is known.
    pub longest_us: u64,
    /// The shortest warm-up.
    pub warm_up_us: u64,
    /// Time that the warm-up may take beyond `warm_up_us` until the service is steady, in
    /// microseconds.
    pub patience_us: u64,
    /// Length of what is measured of each trial of the map.
    pub map_window_us: u64,
}

impl Design {
    /// Until the headline is known well enough. Six rounds of two seconds take four fifths of the budget, and their
    /// interval is narrower than that of as many rounds of one: ARCHITECTURE.md has the figures.
    pub const QUICK: Self = Self {
        mode: Mode::Quick,
        budget: Some(Duration::from_secs(180)),
        rounds: None,
        least_rounds: 0,
        window_us: 2_000_000,
        longest_us: 3_000_000,
        warm_up_us: 300_000,
        patience_us: 1_700_000,
        map_window_us: 1_000_000,
    };

    /// The original's comparison, which has four scenarios where a quick run has two. Rates of closed loops are known
    /// after a second.
    pub const ORIGINAL: Self = Self {
        budget: Some(Duration::from_secs(300)),
        window_us: 1_000_000,
        ..Self::QUICK
    };

    /// All scenarios. A verdict to publish takes ten rounds or more of long trials. In turns, a round with trials of
    /// five seconds took 270 s on two cores, so that nine of them filled the budget; four seconds leave room for ten.
    pub const THOROUGH: Self = Self {
        mode: Mode::Thorough,
        budget: Some(Duration::from_secs(45 * 60)),
        rounds: None,
        least_rounds: 10,
        window_us: 4_000_000,
        longest_us: 10_000_000,
        warm_up_us: 1_000_000,
        patience_us: 4_000_000,
        map_window_us: 2_000_000,
    };

    /// The same with windows of `length` and no others.
    #[must_use]
    pub fn with_window(self, length: Duration) -> Self {
        let window_us = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        Self {
            window_us,
            longest_us: window_us,
            map_window_us: self.map_window_us.min(window_us),
            ..self
        }
    }
}

/// The length of a window that finds a rate or a limit, in microseconds: neither has to be known to a percent.
pub const ROUGH_US: u64 = 1_000_000;

/// A scenario and the systems of its variants.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// The scenario.
    pub scenario: Scenario,
    /// A system for each of its variants, in their order.
    pub systems: Vec<System>,
}

impl Experiment {
    /// `scenario` with all variants on one `system`.
    pub fn on(system: &System, scenario: Scenario) -> Self {
        Self {
            systems: vec![system.clone(); scenario.variants.len()],
            scenario,
        }
    }

    /// The variants and their systems in the order of a round.
    pub fn round(&self, random: &mut ChaCha8Rng) -> Vec<(&Variant, &System)> {
        let mut order: Vec<_> = self.scenario.variants.iter().zip(&self.systems).collect();
        order.shuffle(random);
        order
    }
}

/// Of the rate that the slowest variant reached in a closed loop, how much is offered to all: well below
/// half, where queues begin to grow, and CPU per request falls as they do.
const SHARE_OF_SLOWEST: f64 = 0.4;

/// Greetings in a call, down the map: as many as a batch may hold, in steps of ten.
const BATCHES: [u32; 4] = [1, 10, 100, 1000];

/// Connections across it, besides as many as there are users.
const CONNECTIONS: [u32; 2] = [1, 8];

/// The most calls in flight on one connection: what every server should take (RFC 9113 §6.5.2); many take
/// no more.
const STREAMS: u32 = 100;

/// Variants of `protocols` under their names.
pub fn variants(protocols: &[Protocol]) -> Vec<Variant> {
    let variant = |protocol: &Protocol| Variant {
        protocol: *protocol,
        name: protocol.name().to_owned(),
        is_twin: false,
    };
    protocols.iter().map(variant).collect()
}

/// The twin of `baseline`.
pub fn twin(baseline: &Variant) -> Variant {
    Variant {
        name: format!("{} twin", baseline.name),
        is_twin: true,
        ..baseline.clone()
    }
}

/// A scenario of `compared` in `design`, with one call in flight on each of `connections`.
pub fn scenario(
    design: &Design,
    purpose: Purpose,
    compared: &[Variant],
    connections: u32,
    load: Load,
) -> Scenario {
    let mut variants = compared.to_vec();
    // Of so few rounds nothing can be said, with a floor or without, and of one variant neither.
    let is_compared = design
        .rounds
        .is_none_or(|rounds| rounds as usize >= LEAST_ROUNDS);
    if let [baseline, _, ..] = &variants[..]
        && is_compared
    {
        variants.push(twin(baseline));
    }
    Scenario {
        purpose,
        shape: Shape {
            connections,
            in_flight: 1,
        },
        batch: 1,
        load,
        variants,
        rounds: design.rounds,
        window_us: design.window_us,
        warm_up_us: design.warm_up_us,
    }
}

/// The headline: server CPU at a common rate, and latency with one call in flight.
pub fn headline(
    design: &Design,
    compared: &[Variant],
    users: u32,
    per_second: f64,
) -> Vec<Scenario> {
    let open = Load::Open { per_second };
    vec![
        scenario(design, Purpose::Open, compared, users, open),
        scenario(design, Purpose::Single, compared, 1, Load::Closed),
    ]
}

/// A trial that finds the rate `like` can be measured at: the same without a twin, in a closed loop.
pub fn pilot(like: &Scenario) -> Scenario {
    let variants = like.variants.iter().filter(|variant| !variant.is_twin);
    Scenario {
        purpose: Purpose::Pilot,
        load: Load::Closed,
        variants: variants.cloned().collect(),
        rounds: Some(1),
        window_us: like.window_us.min(ROUGH_US),
        ..like.clone()
    }
}

/// The rate to offer every variant of the scenario that `pilots` were made for, in whole hundreds if it
/// is large; none if a variant has no pilot that measured anything.
pub fn common_rate<'a>(pilots: impl IntoIterator<Item = &'a Trial>) -> Option<f64> {
    let rates = pilots.into_iter().map(|trial| {
        let rate = trial.measurement.requests_per_second();
        (validity::is_usable(trial) && rate > 0.0).then_some(rate)
    });
    let rates: Vec<f64> = rates.collect::<Option<_>>()?;
    let slowest = rates.into_iter().min_by(f64::total_cmp)?;
    let rate = slowest * SHARE_OF_SLOWEST;
    let step = if rate >= 1000.0 { 100.0 } else { 1.0 };
    Some(((rate / step).floor() * step).max(1.0))
}

/// The length of the window of `scenario` at its rate in `design`: such that a p99 is known, with a tenth to
/// spare, unless that takes too long.
pub fn window(design: &Design, scenario: &Scenario, per_second: f64) -> u64 {
    let needed = (1.1 * SAMPLES_BEYOND * 100.0 / per_second * 1e6) as u64;
    match needed <= design.longest_us {
        true => scenario.window_us.max(needed),
        false => scenario.window_us,
    }
}

/// The largest error of CPU time by the ticks that it is counted in.
const CPU_ERROR: f64 = 0.01;

/// The longest window that is opened for that, in microseconds: a service that takes a fifth of a core is
/// known to a percent by then.
const LONGEST_FOR_CPU_US: f64 = 10e6;

/// The length of a window in `design` at which ticks leave the server's CPU time uncertain by a hundredth, at
/// a rate; 0 if it is not counted in ticks, or the length of windows was named. `pilots` tell who counts, and
/// what a call takes.
pub fn window_for_cpu<'a>(
    design: &Design,
    pilots: impl IntoIterator<Item = &'a Trial>,
    per_second: f64,
) -> u64 {
    let is_named = design.longest_us == design.window_us;
    let needed = pilots.into_iter().filter_map(|trial| {
        let error_us = trial.measurement.server?.cpu_source?.tick_error_us();
        let cpu_us = trial.measurement.server_cpu_us_per_request()? * per_second;
        (error_us > 0 && cpu_us > 0.0).then(|| error_us as f64 / CPU_ERROR / cpu_us * 1e6)
    });
    let longest = needed.fold(0.0, f64::max).min(LONGEST_FOR_CPU_US);
    if is_named { 0 } else { longest as u64 }
}

/// The places of the map, each still without its rate: the first of `compared` and the last, items
/// in a call by connections; and all calls in flight on a single connection, of those that can. Without
/// `batches` a call asks for one item. `known` is in the map too, and is not measured twice.
pub fn map(
    design: &Design,
    compared: &[Variant],
    users: u32,
    batches: bool,
    known: &[Scenario],
) -> Vec<Scenario> {
    let [first, .., last] = compared else {
        return Vec::new();
    };
    let place = |compared: &[Variant], batch: u32, shape: Shape| Scenario {
        shape,
        batch,
        window_us: design.map_window_us,
        warm_up_us: Design::QUICK.warm_up_us.min(design.warm_up_us),
        ..scenario(design, Purpose::Map, compared, 1, Load::Closed)
    };
    let mut columns: Vec<u32> = CONNECTIONS.into_iter().filter(|n| *n < users).collect();
    columns.push(users);
    let rows = BATCHES.into_iter().filter(|batch| batches || *batch == 1);
    let places = rows.flat_map(|batch| {
        columns.iter().map(move |connections| {
            let shape = Shape {
                connections: *connections,
                in_flight: 1,
            };
            (batch, shape)
        })
    });
    let is_new = |(batch, shape): &(u32, Shape)| {
        !known.iter().any(|known| {
            (known.purpose, known.batch, known.shape) == (Purpose::Open, *batch, *shape)
        })
    };
    let mut map: Vec<Scenario> = places
        .filter(is_new)
        .map(|(batch, shape)| place(&[first.clone(), last.clone()], batch, shape))
        .collect();
    let multiplexing: Vec<&Variant> = compared
        .iter()
        .filter(|variant| variant.protocol.multiplexes())
        .collect();
    if let [first, .., last] = multiplexing[..]
        && users > 1
    {
        let shape = Shape {
            connections: 1,
            in_flight: users.min(STREAMS),
        };
        map.push(place(&[first.clone(), last.clone()], 1, shape));
    }
    map
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::system::embedded;

    const THOROUGH: Design = Design::THOROUGH;

    #[test]
    fn a_round_has_every_variant_once_and_the_seed_alone_decides_the_order() {
        let system = System::Fresh(embedded::Spec::default());
        let [open, _] = &headline(&THOROUGH, &variants(&Protocol::STEPS), 32, 1000.0)[..] else {
            panic!("two scenarios");
        };
        let experiment = Experiment::on(&system, open.clone());
        let rounds = |seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut round = || {
                let order = experiment.round(&mut random).into_iter();
                order.map(|(variant, _)| variant.name.clone()).collect()
            };
            let rounds: Vec<Vec<String>> = (0..20).map(|_| round()).collect();
            rounds
        };
        assert_eq!(rounds(1), rounds(1));
        assert_ne!(rounds(1), rounds(2));
        for mut round in rounds(3) {
            round.sort_unstable();
            round.dedup();
            assert_eq!(round.len(), 6, "five protocols and the twin");
        }
        let firsts = rounds(3).into_iter().map(|round| round[0].clone());
        let firsts: std::collections::BTreeSet<_> = firsts.collect();
        assert!(firsts.len() > 3, "{firsts:?}");
    }

    #[test]
    fn a_window_is_as_long_as_ticks_need_for_a_hundredth_unless_its_length_was_named() {
        let pilot = |cpu_source, cpu_us: u64| -> Trial {
            let trial = serde_json::json!({
                "format": 4, "number": 1, "round": 1, "attempt": 1, "purpose": "pilot",
                "shape": {"connections": 1, "in_flight": 1}, "batch": 1, "load": "closed",
                "variant": {"protocol": "grpc", "name": "gRPC"}, "disturbances": [],
                "measurement": {
                    "opened_unix_us": 0, "window_us": 1_000_000, "completed": 1000, "counted": 1000,
                    "errors": {}, "service_time": engine::Nanoseconds::default(),
                    "response_time": null, "wire": null, "dispatch": null, "steal_share": null,
                    "server": {
                        "cpu_us": cpu_us, "cpu_source": cpu_source,
                        "memory_at_rest_kib": 1, "memory_under_load_kib": 1,
                    },
                    "generator": {"cpu_us": 1, "busiest_core_share": null},
                },
            });
            serde_json::from_value(trial).unwrap()
        };
        // At 500 calls per second half of what 1,000 took.
        for (source, cpu_us, window_us) in [
            ("scheduler", 1_000_000, 0),
            ("control_group", 1_000_000, 0),
            ("ticks", 1_000_000, 4_000_000),
            ("metrics", 2_000_000, 2_000_000),
            ("ticks", 10_000, 10_000_000),
        ] {
            let pilot = [pilot(source, cpu_us)];
            assert_eq!(window_for_cpu(&Design::QUICK, &pilot, 500.0), window_us);
            let named = Design::QUICK.with_window(Duration::from_secs(1));
            assert_eq!(window_for_cpu(&named, &pilot, 500.0), 0, "{source}");
        }
    }

    #[test]
    fn the_twin_is_the_baseline_and_the_last_is_compared_with_the_first() {
        let scenario = scenario(
            &THOROUGH,
            Purpose::Single,
            &variants(&[Protocol::Grpc, Protocol::JsonHttp1]),
            1,
            Load::Closed,
        );
        let name = |variant: Option<&Variant>| variant.unwrap().name.clone();
        assert_eq!(name(scenario.baseline()), "gRPC");
        assert_eq!(name(scenario.candidate()), "REST");
        assert_eq!(name(scenario.twin()), "gRPC twin");
        assert_eq!(scenario.twin().unwrap().protocol, Protocol::Grpc);
    }

    #[test]
    fn the_map_has_every_size_at_every_number_of_connections_once() {
        let places = |users, batches| {
            let known = headline(&THOROUGH, &variants(&Protocol::STEPS), users, 100.0);
            let mut map = map(
                &THOROUGH,
                &variants(&Protocol::STEPS),
                users,
                batches,
                &known,
            );
            map.retain(|place| place.shape.in_flight == 1);
            let all = known.iter().filter(|known| known.purpose == Purpose::Open);
            let mut places: Vec<_> = all
                .chain(&map)
                .map(|place| (place.batch, place.shape.connections))
                .collect();
            places.sort_unstable();
            places
        };
        let expected = |columns: &[u32], rows: &[u32]| -> Vec<(u32, u32)> {
            let row = |batch: &u32| columns.iter().map(|n| (*batch, *n)).collect::<Vec<_>>();
            rows.iter().flat_map(row).collect()
        };
        assert_eq!(places(32, true), expected(&[1, 8, 32], &BATCHES));
        assert_eq!(places(4, true), expected(&[1, 4], &BATCHES));
        assert_eq!(places(1, true), expected(&[1], &BATCHES));
        assert_eq!(places(32, false), expected(&[1, 8, 32], &[1]));
    }

    #[test]
    fn one_connection_has_every_call_in_flight_of_the_protocols_that_can() {
        let shared = |protocols: &[Protocol], users| {
            let map = map(&THOROUGH, &variants(protocols), users, true, &[]);
            let shared = map.into_iter().filter(|place| place.shape.in_flight > 1);
            shared
                .map(|place| {
                    let first = place.baseline().unwrap().protocol;
                    let last = place.candidate().unwrap().protocol;
                    (place.shape.connections, place.shape.in_flight, first, last)
                })
                .collect::<Vec<_>>()
        };
        let both = (1, 32, Protocol::JsonHttp2, Protocol::Grpc);
        assert_eq!(shared(&Protocol::STEPS, 32), [both]);
        assert!(shared(&[Protocol::JsonHttp1, Protocol::Grpc], 32).is_empty());
        assert!(shared(&Protocol::STEPS, 1).is_empty());
        assert!(map(&THOROUGH, &variants(&[Protocol::Grpc]), 32, true, &[]).is_empty());
    }
}
