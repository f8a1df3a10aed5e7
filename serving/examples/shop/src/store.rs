//! The business: orders and stock, in SQLite. It knows neither REST nor gRPC.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{Stream, stream};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
use thiserror::Error;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    task::spawn_blocking,
};

use crate::proto::{CreateOrderRequest, Order, StockLevel};

/// Time that another process may lock the database for, before calls fail.
const BUSY: Duration = Duration::from_millis(200);

/// Orders that wait for whoever watches slowly.
const WATCHED: usize = 64;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, pieces INTEGER NOT NULL);
    INSERT OR IGNORE INTO stock VALUES ('tea', 100), ('cup', 10);
    CREATE TABLE IF NOT EXISTS orders
        (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, sku TEXT NOT NULL, quantity INTEGER NOT NULL);
";

/// Reason for giving no answer. The text is for the caller.
#[derive(Debug, Error)]
pub enum Failure {
    /// A field breaks a rule.
    #[error("{0}")]
    Invalid(&'static str),
    /// There is no such order or article.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// There is too little of it.
    #[error("there is too little in stock")]
    TooLittle,
    /// Whoever watches reads too slowly.
    #[error("orders were missed; read faster, or watch again")]
    Missed,
    /// The database did not answer. The log alone says why.
    #[error("the shop cannot look it up now; try again later")]
    Away,
}

/// The database.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
    taken: broadcast::Sender<Order>,
}

impl Store {
    /// Opens the database in `file`, and makes it if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(file: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection: Mutex::new(connection),
            taken: broadcast::Sender::new(WATCHED),
        })
    }

    /// Takes an order in.
    pub(crate) async fn create(
        self: &Arc<Self>,
        wanted: CreateOrderRequest,
    ) -> Result<Order, Failure> {
        if !(1..=100).contains(&wanted.customer.len()) {
            return Err(Failure::Invalid("customer must have 1 to 100 bytes"));
        }
        if !(1..=100).contains(&wanted.quantity) {
            return Err(Failure::Invalid("quantity must be 1 to 100"));
        }
        let order = self.ask(move |db| {
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let less = "UPDATE stock SET pieces = pieces - ?2 WHERE sku = ?1 AND pieces >= ?2";
            if change.execute(less, (&wanted.sku, wanted.quantity))? == 0 {
                return Ok(None);
            }
            let insert =
                "INSERT INTO orders (customer, sku, quantity) VALUES (?, ?, ?) RETURNING *";
            let row = (&wanted.customer, &wanted.sku, wanted.quantity);
            let order = change.query_row(insert, row, order)?;
            change.commit()?;
            Ok(Some(order))
        });
        let order = order.await?.ok_or(Failure::TooLittle)?;
        // Nobody may be watching.
        let _ = self.taken.send(order.clone());
        Ok(order)
    }

    /// The order of this id.
    pub(crate) async fn get(self: &Arc<Self>, id: u32) -> Result<Order, Failure> {
        let select = "SELECT * FROM orders WHERE id = ?";
        let order = self.ask(move |db| db.query_row(select, [id], order).optional());
        order.await?.ok_or(Failure::NotFound("order"))
    }

    /// The stock of `sku`.
    pub(crate) async fn stock(self: &Arc<Self>, sku: String) -> Result<StockLevel, Failure> {
        let level = self.ask(move |db| {
            let select = "SELECT pieces FROM stock WHERE sku = ?1";
            let pieces = db.query_row(select, [&sku], |row| row.get(0)).optional()?;
            Ok(pieces.map(|pieces| StockLevel { sku, pieces }))
        });
        level.await?.ok_or(Failure::NotFound("article"))
    }

    /// Every order that is taken in from now on. The last item is [`Failure::Missed`] if they are read too slowly.
    pub(crate) fn watch(&self) -> impl Stream<Item = Result<Order, Failure>> + Send + use<> {
        stream::unfold(Some(self.taken.subscribe()), |orders| async {
            let mut orders = orders?;
            match orders.recv().await {
                Ok(order) => Some((Ok(order), Some(orders))),
                Err(RecvError::Lagged(_)) => Some((Err(Failure::Missed), None)),
                Err(RecvError::Closed) => None,
            }
        })
    }

    /// Returns true if the database answers.
    pub(crate) async fn is_there(self: &Arc<Self>) -> bool {
        let asked = self.ask(|db| db.execute_batch("SELECT count(*) FROM stock"));
        asked.await.is_ok()
    }

    /// Asks the database on a thread where that may take its time: a worker serves all connections of its core.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = Arc::clone(self);
        let asked = spawn_blocking(move || {
            let connection = store.connection.lock();
            question(&mut connection.unwrap_or_else(PoisonError::into_inner))
        });
        let answer = asked.await.map_err(anyhow::Error::from);
        let answer = answer.and_then(|answer| Ok(answer?));
        answer.map_err(|error| {
            eprintln!("the database does not answer: {error}");
            Failure::Away
        })
    }
}

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        id: row.get("id")?,
        customer: row.get("customer")?,
        sku: row.get("sku")?,
        quantity: row.get("quantity")?,
    })
}
