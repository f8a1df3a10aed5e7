//! The original's comparison, made again and taken apart: gRPC was 4.3 times as fast as a REST that
//! closed the connection after every answer, with one user, in whole milliseconds. Here is one change
//! at a time, on our own server.

use engine::{Load, Shape};

use crate::{
    record::{Protocol, Purpose, Scenario, Variant},
    study::{self, Design, Experiment},
    system::{
        System,
        embedded::{self, Kind},
    },
};

/// The steps: the comparison as it was, then connections that are kept, one user, and `users`. Servers
/// run on `cores`.
pub fn experiments(design: &Design, users: u32, cores: &[usize]) -> Vec<Experiment> {
    let step = |connections, base: Side<'_>, other: Side<'_>| {
        let sides = [&base, &other, &base];
        let mut variants: Vec<Variant> = sides.iter().map(|side| side.variant()).collect();
        variants[2] = study::twin(&variants[0]);
        Experiment {
            systems: sides.iter().map(|side| side.system(cores)).collect(),
            scenario: Scenario {
                purpose: Purpose::Original,
                shape: Shape {
                    connections,
                    in_flight: 1,
                },
                batch: 1,
                load: Load::Closed,
                variants,
                rounds: design.rounds,
                window_us: design.window_us,
                warm_up_us: design.warm_up_us,
            },
        }
    };
    let rest = |name, kind| Side {
        protocol: Protocol::JsonHttp1,
        name,
        kind,
    };
    let grpc = |name| Side {
        protocol: Protocol::Grpc,
        name,
        kind: Kind::DualMode,
    };
    let (closes, keeps) = (
        Kind::BareRest { keeps: false },
        Kind::BareRest { keeps: true },
    );
    let mut steps = vec![
        step(
            1,
            rest("REST as the original had it", closes),
            grpc("gRPC beside it"),
        ),
        step(
            1,
            rest("REST that closes each connection", closes),
            rest("REST that keeps it", keeps),
        ),
        step(
            1,
            rest("REST, one user", Kind::DualMode),
            grpc("gRPC, one user"),
        ),
    ];
    if users > 1 {
        let [of_rest, of_grpc] = ["REST", "gRPC"].map(|name| format!("{name}, {users} users"));
        steps.push(step(users, rest(&of_rest, Kind::DualMode), grpc(&of_grpc)));
    }
    steps
}

/// One side of a step.
struct Side<'a> {
    protocol: Protocol,
    name: &'a str,
    kind: Kind,
}

impl Side<'_> {
    fn variant(&self) -> Variant {
        Variant {
            protocol: self.protocol,
            name: self.name.to_owned(),
            is_twin: false,
        }
    }

    fn system(&self, cores: &[usize]) -> System {
        System::Fresh(embedded::Spec {
            cores: cores.to_vec(),
            kind: self.kind,
        })
    }
}

/// Answers per second of REST and of gRPC in the original's committed reports, one user each.
pub const REPORTED_PER_SECOND: [f64; 2] = [329.2, 1414.8];

/// Median times there, in milliseconds: Locust rounds them to whole ones.
pub const REPORTED_MEDIAN_MS: [f64; 2] = [3.0, 1.0];

/// A time in microseconds as whole milliseconds show it.
pub fn whole_milliseconds(us: f64) -> f64 {
    (us / 1e3).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variant_belongs_to_two_steps_and_only_the_first_two_close_connections() {
        let steps = experiments(&Design::QUICK, 8, &[]);
        let mut names: Vec<_> = steps
            .iter()
            .flat_map(|step| step.scenario.variants.iter().map(|one| one.name.clone()))
            .collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        let closing = |step: &Experiment| {
            let closes = |system: &System| {
                let closes = Kind::BareRest { keeps: false };
                matches!(system, System::Fresh(spec) if spec.kind == closes)
            };
            step.systems.iter().any(closes)
        };
        let closing: Vec<bool> = steps.iter().map(closing).collect();
        assert_eq!(closing, [true, true, false, false]);
    }

    #[test]
    fn whole_milliseconds_hide_what_is_quick() {
        assert_eq!(whole_milliseconds(120.0), 0.0);
        assert_eq!(whole_milliseconds(1_700.0), 2.0);
    }
}
