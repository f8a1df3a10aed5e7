//! Health, one truth behind `grpc.health.v1` and `/readyz`. A service says through its [`Health`] that it cannot
//! serve, for as long as what it needs is away:
//!
//! ```
//! use serving::{CancellationToken, operations::{self, Health}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let shutdown = CancellationToken::new();
//! let health = Health::new(shutdown.clone());
//! let routes = operations::routes(&health, &["shop.v1.Orders"], tonic_health::pb::FILE_DESCRIPTOR_SET);
//!
//! // The task that watches the database has lost it.
//! health.set_not_serving("shop.v1.Orders");
//! assert!(!health.is_serving("shop.v1.Orders"));
//! assert!(!health.is_serving(""), "no other service is left");
//!
//! health.set_serving("shop.v1.Orders");
//! assert!(health.is_serving(""));
//!
//! shutdown.cancel();
//! assert!(!health.is_serving("shop.v1.Orders"), "a drain overrides what was said");
//! # drop(routes);
//! # }
//! ```

use std::collections::BTreeMap;

use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health as Contract,
};

/// The state of a server and of each of its services. Clones share it.
///
/// A service serves unless it said otherwise. The server as a whole, whose name is `""`, serves if one of its
/// services does, or if it has none. Nothing serves once the server was told to go away.
#[derive(Clone, Debug, Default)]
pub struct Health {
    said: watch::Sender<Said>,
    shutdown: CancellationToken,
}

/// All that was said of them.
#[derive(Debug, Default)]
struct Said {
    /// Of the server as a whole.
    is_away: bool,
    /// Of each service by name: whether it serves.
    services: BTreeMap<String, bool>,
}

impl Health {
    /// Of a server that serves until `shutdown` is cancelled.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self {
            said: watch::Sender::default(),
            shutdown,
        }
    }

    /// The same health, for listeners that serve until `shutdown` is cancelled.
    #[must_use]
    pub fn until(&self, shutdown: CancellationToken) -> Self {
        let said = self.said.clone();
        Self { said, shutdown }
    }

    /// The token that ends it.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Says that `service` serves (again), and makes it known if it was not. With `""` it is said of the server as
    /// a whole, and what was said of each service holds.
    pub fn set_serving(&self, service: &str) {
        self.set(service, true);
    }

    /// Says that `service` does not serve, and makes it known if it was not; with `""` that none does.
    pub fn set_not_serving(&self, service: &str) {
        self.set(service, false);
    }

    /// Returns true if `service` is known and serves, or with `""` the server as a whole.
    pub fn is_serving(&self, service: &str) -> bool {
        self.status(service) == ServingStatus::Serving
    }

    fn set(&self, service: &str, serves: bool) {
        self.said.send_if_modified(|said| match service {
            "" => std::mem::replace(&mut said.is_away, !serves) == serves,
            _ => said.services.insert(service.to_owned(), serves) != Some(serves),
        });
    }

    /// Makes `service` known, whatever was said of it.
    pub(super) fn add(&self, service: &str) {
        self.said.send_if_modified(|said| {
            let is_new = !said.services.contains_key(service);
            if is_new {
                said.services.insert(service.to_owned(), true);
            }
            is_new
        });
    }

    fn status(&self, service: &str) -> ServingStatus {
        let said = self.said.borrow();
        let serves = match service {
            "" => said.services.is_empty() || said.services.values().any(|serves| *serves),
            _ => match said.services.get(service) {
                Some(serves) => *serves,
                None => return ServingStatus::ServiceUnknown,
            },
        };
        match serves && !said.is_away && !self.shutdown.is_cancelled() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        }
    }

    /// The status of `service`, and every other one that it gets.
    fn news(self, service: String) -> impl Stream<Item = ServingStatus> {
        let said = self.said.subscribe();
        stream::unfold((said, None), move |(mut said, last)| {
            let (health, service) = (self.clone(), service.clone());
            async move {
                loop {
                    said.mark_unchanged();
                    let was_told = health.shutdown.is_cancelled();
                    let now = health.status(&service);
                    if last != Some(now) {
                        return Some((now, (said, Some(now))));
                    }
                    tokio::select! {
                        changed = said.changed() => changed.ok()?,
                        () = health.shutdown.cancelled(), if !was_told => {}
                    }
                }
            }
        })
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

/// A Watch goes on, whatever it asks for, as the contract has it.
#[async_trait]
impl Contract for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.status(&request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("service not registered")),
            status => Ok(Response::new(answer(status))),
        }
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let news = self.clone().news(request.into_inner().service);
        let answers = news.map(|status| Ok(answer(status)));
        Ok(Response::new(answers.boxed()))
    }
}
