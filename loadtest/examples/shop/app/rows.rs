//! Made-up orders, the same for the same seed on any machine: rows of a data file.

use std::time::{Duration, SystemTime};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::orders::{Delivery, Item, NewOrder};

/// The seed if none is named, and that of the orders that the shop begins with.
pub(crate) const SEED: u64 = 1;

/// The first moment an order is wanted by, in seconds since 1970: 2026-03-01T12:00:00Z.
const FIRST_DAY: u64 = 1_772_366_400;

const NAMES: [&str; 8] = [
    "Ada", "Björn", "Chinwe", "Diego", "Emiko", "Fatima", "Grace", "Hari",
];

/// So many orders.
pub(crate) fn orders(count: u32, seed: u64) -> impl Iterator<Item = NewOrder> {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(move |_| order(&mut chance))
}

fn order(chance: &mut ChaCha8Rng) -> NewOrder {
    let items = (0..chance.random_range(1..=5)).map(|_| Item {
        sku: format!("sku-{:04}", chance.random_range(0..10_000)),
        quantity: chance.random_range(1..=9),
        cents: chance.random_range(99..=9_999),
    });
    NewOrder {
        items: items.collect(),
        customer: NAMES[chance.random_range(0..NAMES.len())].to_owned(),
        note: chance
            .random_bool(0.3)
            .then(|| "Please ring twice.".to_owned()),
        delivery: match chance.random_range(0..3) {
            0 => Delivery::Standard,
            1 => Delivery::Express,
            _ => Delivery::Pickup,
        },
        wanted_by: SystemTime::UNIX_EPOCH
            + Duration::from_secs(FIRST_DAY + chance.random_range(0..30) * 86_400),
    }
}
