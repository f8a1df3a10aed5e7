//! Reports of load (ORCA): in the trailers of a call, and as a stream of their own.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, stream};
use prost::Message;
use tokio::{sync::watch, time::sleep};
use tonic::{Request, Response, Status, metadata::BinaryMetadataValue};

use crate::contracts::xds::service::orca::v3::{
    OrcaLoadReportRequest, open_rca_service_server::OpenRcaService,
};
pub(crate) use crate::contracts::xds::{
    data::orca::v3::OrcaLoadReport,
    service::orca::v3::open_rca_service_server::OpenRcaServiceServer,
};

/// The trailer with the load of a call.
pub(crate) const TRAILER: &str = "endpoint-load-metrics-bin";

/// The least time between two reports, for whoever asks for none.
const LEAST: Duration = Duration::from_millis(100);

/// `report` as the value of [`TRAILER`].
pub(crate) fn metadata(report: &OrcaLoadReport) -> BinaryMetadataValue {
    BinaryMetadataValue::from_bytes(&report.encode_to_vec())
}

/// The load that was last reported, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Reports(pub(crate) watch::Receiver<OrcaLoadReport>);

#[tonic::async_trait]
impl OpenRcaService for Reports {
    type StreamCoreMetricsStream =
        Pin<Box<dyn Stream<Item = Result<OrcaLoadReport, Status>> + Send>>;

    async fn stream_core_metrics(
        &self,
        request: Request<OrcaLoadReportRequest>,
    ) -> Result<Response<Self::StreamCoreMetricsStream>, Status> {
        let interval = request.into_inner().report_interval.unwrap_or_default();
        let interval = Duration::try_from(interval).unwrap_or(LEAST).max(LEAST);
        let reports = stream::unfold(self.0.clone(), move |load| async move {
            sleep(interval).await;
            let report = load.borrow().clone();
            Some((Ok(report), load))
        });
        Ok(Response::new(Box::pin(reports)))
    }
}
