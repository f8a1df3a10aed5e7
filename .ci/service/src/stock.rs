//! The services on tonic's own server, as its documentation shows it: what `serving` stands beside.

use std::{fs, net::Ipv4Addr};

use serving::args::ServerArgs;
use tokio::{net::TcpListener, sync::watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    codec::CompressionEncoding::Gzip,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};
use tonic_web::GrpcWebLayer;

use crate::{
    Suite, Wanted,
    conformance::{Conformance, ConformanceServiceServer},
    flags::SeeFlags,
    load::{OpenRcaServiceServer, Reports},
    testing::{TestServiceServer, Testing},
};

#[tokio::main]
pub(crate) async fn serve(suite: Suite, args: &ServerArgs, wanted: &Wanted) -> anyhow::Result<()> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, args.grpc_port)).await?;
    let mut server = Server::builder();
    if let Some(tls) = tls(wanted)? {
        server = server.tls_config(tls)?;
    }
    wanted.announce(socket.local_addr()?.port())?;
    let connections = TcpListenerStream::new(socket);
    let mut server = server.accept_http1(true).layer(GrpcWebLayer::new());
    let router = match suite {
        Suite::Testing => {
            let load = watch::Sender::default();
            let reports = OpenRcaServiceServer::new(Reports(load.subscribe()));
            let testing = TestServiceServer::new(Testing { load })
                .accept_compressed(Gzip)
                .send_compressed(Gzip);
            server.add_service(SeeFlags(testing)).add_service(reports)
        }
        Suite::Conformance => server.add_service(
            ConformanceServiceServer::new(Conformance)
                .max_decoding_message_size(wanted.limit)
                .accept_compressed(Gzip)
                .send_compressed(Gzip),
        ),
    };
    Ok(router.serve_with_incoming(connections).await?)
}

fn tls(wanted: &Wanted) -> anyhow::Result<Option<ServerTlsConfig>> {
    let (Some(cert), Some(key)) = (&wanted.tls.tls_cert, &wanted.tls.tls_key) else {
        return Ok(None);
    };
    let identity = Identity::from_pem(fs::read(cert)?, fs::read(key)?);
    let mut config = ServerTlsConfig::new().identity(identity);
    if let Some(ca) = &wanted.tls.tls_client_ca {
        config = config.client_ca_root(Certificate::from_pem(fs::read(ca)?));
    }
    Ok(Some(config))
}
