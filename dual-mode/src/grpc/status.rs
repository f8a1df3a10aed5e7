//! A fault as gRPC says it: a status with `google.rpc` details.

use std::collections::HashMap;

use axum::http::HeaderMap;
use bytes::Bytes;
use http_body_util::Full;
use serving::refusal::{Refusal, Refuse};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::faults::{DOMAIN, Fault};

/// The status of `fault`, in the call that the log knows by `request_id`.
pub(crate) fn status(fault: &Fault, request_id: Option<&str>) -> Status {
    let row = fault.row();
    let mut details = ErrorDetails::with_error_info(row.reason, DOMAIN, HashMap::new());
    for violation in fault.violations() {
        details.add_bad_request_violation(&violation.field, violation.rule);
    }
    if let Some(delay) = row.retry {
        details.set_retry_info(Some(delay));
    }
    if let Some(id) = request_id {
        details.set_request_info(id, "");
    }
    Status::with_error_details(row.code, fault.to_string(), details)
}

/// How gRPC words what the server around the service refuses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refused;

impl Refuse for Refused {
    fn answer(&self, refusal: Refusal) -> axum::http::Response<Full<Bytes>> {
        status(&refusal.into(), None).into_http()
    }

    fn trailers(&self, refusal: Refusal) -> Option<HeaderMap> {
        let mut trailers = HeaderMap::new();
        let status = status(&refusal.into(), None);
        status.add_header(&mut trailers).ok()?;
        Some(trailers)
    }
}
