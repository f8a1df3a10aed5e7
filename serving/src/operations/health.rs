//! Health (`grpc.health.v1`), as its contract has it: a Watch goes on, whatever it asks for.

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::watch;
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

/// Tells how the server as a whole (`""`) and its one service are.
#[derive(Debug)]
pub(super) struct OneService {
    pub(super) name: &'static str,
    pub(super) status: watch::Sender<ServingStatus>,
}

impl OneService {
    fn knows(&self, name: &str) -> bool {
        name.is_empty() || name == self.name
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[async_trait]
impl Health for OneService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.knows(&request.get_ref().service) {
            true => Ok(Response::new(answer(*self.status.borrow()))),
            false => Err(Status::not_found("service not registered")),
        }
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if !self.knows(&request.get_ref().service) {
            // It may be known one day, says the contract; here the listener ends the stream.
            let unknown = stream::once(async { Ok(answer(ServingStatus::ServiceUnknown)) });
            return Ok(Response::new(unknown.chain(stream::pending()).boxed()));
        }
        let mut status = self.status.subscribe();
        status.mark_changed();
        let changes = stream::unfold(status, |mut status| async {
            status.changed().await.ok()?;
            let now = *status.borrow_and_update();
            Some((Ok(answer(now)), status))
        });
        Ok(Response::new(changes.boxed()))
    }
}
