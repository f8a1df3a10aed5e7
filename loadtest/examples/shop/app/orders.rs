//! The business: orders of customers, kept in memory. It knows neither REST nor gRPC.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{rfc3339, rows};

/// Orders that are there from the beginning, `order-1` and so on, so that there is something to get.
pub(crate) const READY: u32 = 1_000;

/// Orders kept beyond those: a load test makes more than memory holds, and the oldest go.
const KEPT: u32 = 10_000;

/// The longest text of a customer, an article or a note, in bytes.
const LONGEST_TEXT: usize = 1_000;

/// Items of an order, and pieces of an item.
const MOST_ITEMS: usize = 100;
const MOST_PIECES: u32 = 100;

/// Price of a piece in cents. With the two above, a total fits into 32 bits.
const MOST_CENTS: u32 = 100_000;

/// An order as a customer asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewOrder {
    pub(crate) customer: String,
    pub(crate) items: Vec<Item>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    pub(crate) delivery: Delivery,
    #[serde(with = "rfc3339")]
    pub(crate) wanted_by: SystemTime,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Item {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) cents: u32,
}

/// The way in which an order reaches its customer. The names are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Delivery {
    #[serde(rename = "DELIVERY_STANDARD")]
    Standard,
    #[serde(rename = "DELIVERY_EXPRESS")]
    Express,
    #[serde(rename = "DELIVERY_PICKUP")]
    Pickup,
}

/// An order that was taken in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) wanted: NewOrder,
    pub(crate) total_cents: u32,
    #[serde(with = "rfc3339")]
    pub(crate) created_at: SystemTime,
}

/// Reason for the lack of an order: a new one is not valid, or no order has the id.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{field} {rule}")]
    Invalid {
        field: &'static str,
        rule: &'static str,
    },
    #[error("there is no order {0:?}; ids look like order-17")]
    NotFound(String),
}

/// All orders, by their numbers.
#[derive(Debug)]
pub(crate) struct Orders(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    last: u32,
    /// The first [`READY`] stay; the place of a later one is taken again after [`KEPT`] more.
    orders: Vec<(u32, Order)>,
}

impl Orders {
    /// With the first [`READY`] in it.
    pub(crate) fn new() -> Self {
        let mut kept = Kept {
            last: 0,
            orders: Vec::new(),
        };
        for row in rows::orders(READY, rows::SEED) {
            kept.add(row);
        }
        Self(Mutex::new(kept))
    }

    /// Takes an order in.
    pub(crate) fn create(&self, wanted: NewOrder) -> Result<Order, Refused> {
        check(&wanted)?;
        Ok(self.lock().add(wanted))
    }

    /// The order of this id.
    pub(crate) fn get(&self, id: &str) -> Result<Order, Refused> {
        let number = id.strip_prefix("order-").and_then(|n| n.parse().ok());
        let kept = self.lock();
        let found = number.and_then(|number: u32| {
            let (at, order) = kept.orders.get(place(number)?)?;
            (*at == number).then_some(order)
        });
        found
            .cloned()
            .ok_or_else(|| Refused::NotFound(id.to_owned()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn add(&mut self, wanted: NewOrder) -> Order {
        self.last += 1;
        let order = Order {
            id: format!("order-{}", self.last),
            total_cents: wanted
                .items
                .iter()
                .map(|item| item.quantity * item.cents)
                .sum(),
            wanted,
            created_at: SystemTime::now(),
        };
        let entry = (self.last, order.clone());
        match place(self.last).and_then(|place| self.orders.get_mut(place)) {
            Some(taken) => *taken = entry,
            None => self.orders.push(entry),
        }
        order
    }
}

/// The place of the order of this number; numbers begin at 1.
fn place(number: u32) -> Option<usize> {
    let index = number.checked_sub(1)?;
    let place = index
        .checked_sub(READY)
        .map_or(index, |later| READY + later % KEPT);
    usize::try_from(place).ok()
}

fn check(order: &NewOrder) -> Result<(), Refused> {
    let is_text = |text: &str| (1..=LONGEST_TEXT).contains(&text.len());
    let note = order.note.as_deref().unwrap_or_default();
    let items = &order.items;
    let rules = [
        (
            is_text(&order.customer),
            "customer",
            "must have 1 to 1000 bytes",
        ),
        (
            note.len() <= LONGEST_TEXT,
            "note",
            "must have at most 1000 bytes",
        ),
        (
            (1..=MOST_ITEMS).contains(&items.len()),
            "items",
            "must be 1 to 100",
        ),
        (
            items.iter().all(|item| is_text(&item.sku)),
            "items.sku",
            "must have 1 to 1000 bytes",
        ),
        (
            items
                .iter()
                .all(|item| (1..=MOST_PIECES).contains(&item.quantity)),
            "items.quantity",
            "must be 1 to 100",
        ),
        (
            items.iter().all(|item| item.cents <= MOST_CENTS),
            "items.cents",
            "must be at most 100000",
        ),
    ];
    match rules.into_iter().find(|(holds, ..)| !holds) {
        Some((_, field, rule)) => Err(Refused::Invalid { field, rule }),
        None => Ok(()),
    }
}
