//! The services on `serving`, as a user of it would put them there.

use std::{convert, process::ExitCode};

use serving::{
    args::ServerArgs,
    connection::Protocol,
    grpc::WithOperations,
    listener, operations,
    process::{self, Process},
    refusal::GrpcStatus,
    server::Listener,
    status_mapping::StatusMappingLayer,
};
use tokio::sync::watch;
use tonic::{codec::CompressionEncoding::Gzip, service::Routes};
use tonic_web::GrpcWebLayer;
use tower::Layer;

use crate::{
    Suite, Wanted, conformance,
    flags::SeeFlags,
    load::{OpenRcaServiceServer, Reports},
    testing,
};

pub(crate) fn serve(suite: Suite, args: &ServerArgs, wanted: &Wanted) -> ExitCode {
    let mut limits = args.limits();
    limits.message = wanted.limit;
    process::run(args, limits, 1, async |process| {
        let socket = listener::bind("gRPC", args.grpc_address(), "--grpc-port").await?;
        let port = socket.local_addr()?.port();
        let mut listener = process.listener(socket);
        listener.tls = wanted.tls.start()?;
        wanted.announce(port)?;
        match suite {
            Suite::Testing => testing(&process, listener).await,
            Suite::Conformance => conformance(&process, listener).await,
        }
    })
}

/// Serves `$server` with its operations beside it, to browsers too. A macro, as generated servers have no
/// trait in common.
macro_rules! serve {
    ($server:expr, $name:expr, $descriptors:expr, $process:expr, $listener:expr, $wrap:expr, $beside:expr) => {{
        let shutdown = $process.shutdown.clone();
        let operations = operations::routes(&$process.health, &[$name], $descriptors);
        let operations = $beside(operations);
        let service = $server
            .max_decoding_message_size($listener.limits.message)
            .accept_compressed(Gzip)
            .send_compressed(Gzip);
        // The suites have their services fail, and want to hear of it.
        let mapping = StatusMappingLayer::new($listener.limits.message)
            .contract($descriptors)
            .pass_failures();
        let service = mapping.layer(WithOperations::new($wrap(service), operations));
        let service = GrpcWebLayer::new().layer(service);
        let served = $listener.serve("gRPC", Protocol::Either, service, GrpcStatus, shutdown);
        Ok(served.await?)
    }};
}

async fn testing(process: &Process, listener: Listener) -> anyhow::Result<()> {
    use testing::{DESCRIPTORS, SERVICE_NAME, TestServiceServer, Testing};
    let load = watch::Sender::default();
    let reports = OpenRcaServiceServer::new(Reports(load.subscribe()));
    let beside = |operations: Routes| operations.add_service(reports);
    let server = TestServiceServer::new(Testing { load });
    serve!(
        server,
        SERVICE_NAME,
        DESCRIPTORS,
        process,
        listener,
        SeeFlags,
        beside
    )
}

async fn conformance(process: &Process, listener: Listener) -> anyhow::Result<()> {
    use conformance::{Conformance, ConformanceServiceServer, DESCRIPTORS, SERVICE_NAME};
    let server = ConformanceServiceServer::new(Conformance);
    serve!(
        server,
        SERVICE_NAME,
        DESCRIPTORS,
        process,
        listener,
        convert::identity,
        convert::identity
    )
}
