//! A fault as gRPC says it: a status with `google.rpc` details.

use std::collections::HashMap;

use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use http_body_util::Full;
use serving::{
    CallContext,
    refusal::{Refusal, Refuse},
    status_mapping::{Reject, Rejection},
    telemetry::codes::Transport,
};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    faults::{self, DOMAIN, Fault},
    rest::rendered,
};

/// The status of `call`, which met `fault`.
pub(crate) fn status(fault: &Fault, call: &CallContext) -> Status {
    let row = fault.row();
    let mut details = ErrorDetails::with_error_info(row.reason, DOMAIN, HashMap::new());
    for violation in fault.violations() {
        details.add_bad_request_violation(&violation.field, violation.rule);
    }
    if let Some(delay) = row.retry {
        details.set_retry_info(Some(delay));
    }
    if let Some(id) = faults::request_id(call) {
        details.set_request_info(id, "");
    }
    Status::with_error_details(row.code, fault.to_string(), details)
}

/// The wording over gRPC of the refusals of the server around the service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refused;

impl Refuse for Refused {
    const TRANSPORT: Transport = Transport::Grpc;

    fn answer(&self, refusal: Refusal, call: &CallContext) -> Response<Full<Bytes>> {
        status(&refusal.into(), call).into_http()
    }

    fn trailers(&self, refusal: Refusal, call: &CallContext) -> Option<HeaderMap> {
        let mut trailers = HeaderMap::new();
        let status = status(&refusal.into(), call);
        status.add_header(&mut trailers).ok()?;
        Some(trailers)
    }
}

/// The wording of the layer's findings over gRPC.
impl Reject for Refused {
    fn status(&self, rejection: &Rejection, call: &CallContext) -> Status {
        status(&rejection.clone().into(), call)
    }

    /// A request that is no call is answered as HTTP answers it.
    fn answer(&self, rejection: &Rejection, call: &CallContext) -> Response<Full<Bytes>> {
        rendered(&rejection.clone().into(), call).map(Full::from)
    }
}
