//! The original's comparison, made again and taken apart: gRPC was 4.3 times as fast as a REST that
//! closed the connection after every answer, with one user, in whole milliseconds. Here is one change
//! at a time, on our own server.

use crate::{
    embedded::Kind,
    plan::{Extent, Planned},
    record::{Arm, Cell, Load, Purpose},
};

/// The label of a REST that closes each connection, as the original's did.
const AS_THE_ORIGINAL: &str = "REST as the original had it";
/// The same where it is compared with [`KEEPS`].
const CLOSES: &str = "REST that closes each connection";
/// The same server, told to keep connections.
const KEEPS: &str = "REST that keeps it";

/// The cells: the comparison as it was, then connections that are kept, one user, and `users`.
pub fn cells(extent: &Extent, users: u32) -> Vec<Cell> {
    let cell = |connections, base: (Arm, String), other: (Arm, String)| Cell {
        purpose: Purpose::Seed,
        connections,
        in_flight: 1,
        batch: 1,
        load: Load::Closed,
        arms: vec![base, other],
        pairs: extent.open_pairs,
        window_us: extent.window_us,
        warm_up_us: extent.warm_up_us,
    };
    let (rest, grpc) = (Arm::JsonHttp1, Arm::Grpc);
    let text = str::to_owned;
    let mut cells = vec![
        cell(
            1,
            (rest, text(AS_THE_ORIGINAL)),
            (grpc, text("gRPC beside it")),
        ),
        cell(1, (rest, text(CLOSES)), (rest, text(KEEPS))),
        cell(
            1,
            (rest, text("REST, one user")),
            (grpc, text("gRPC, one user")),
        ),
    ];
    if users > 1 {
        let of = |name: &str| format!("{name}, {users} users");
        cells.push(cell(users, (rest, of("REST")), (grpc, of("gRPC"))));
    }
    cells
}

/// The server that `block` is measured on.
pub fn kind(block: &Planned) -> Kind {
    match block.label.as_str() {
        AS_THE_ORIGINAL | CLOSES => Kind::BareRest { keeps: false },
        KEEPS => Kind::BareRest { keeps: true },
        _ => Kind::DualMode,
    }
}

/// Answers per second of REST and of gRPC in the original's committed reports, one user each.
pub const REPORTED_PER_SECOND: [f64; 2] = [329.2, 1414.8];

/// Median times there, in milliseconds: Locust rounds them to whole ones.
pub const REPORTED_MEDIAN_MS: [f64; 2] = [3.0, 1.0];

/// What whole milliseconds make of a time in microseconds.
pub fn whole_milliseconds(us: f64) -> f64 {
    (us / 1e3).round()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::plan;

    #[test]
    fn no_block_belongs_to_two_cells_and_only_the_first_two_cells_close_connections() {
        let cells = cells(&Extent::QUICK, 8);
        let mut labels: Vec<_> = cells
            .iter()
            .flat_map(|cell| cell.arms.iter().map(|(_, label)| label.clone()))
            .collect();
        labels.sort();
        let all = labels.len();
        labels.dedup();
        assert_eq!(labels.len(), all);
        let closing = |cell| {
            let blocks = plan::order(cell, &mut ChaCha8Rng::seed_from_u64(1));
            let mut kinds = blocks.iter().map(kind);
            kinds.any(|kind| matches!(kind, Kind::BareRest { keeps: false }))
        };
        let closing: Vec<bool> = cells.iter().map(closing).collect();
        assert_eq!(closing, [true, true, false, false]);
    }

    #[test]
    fn whole_milliseconds_hide_what_is_quick() {
        assert_eq!(whole_milliseconds(120.0), 0.0);
        assert_eq!(whole_milliseconds(1_700.0), 2.0);
    }
}
