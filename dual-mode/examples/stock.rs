//! The same greeting as the READMEs of tonic and axum serve it: the partner of every benchmark here.
//!
//! Run with `cargo run --release -p dual-mode --example stock -- [REST_PORT [GRPC_PORT [CERT KEY]]]`; CERT
//! and KEY are PEM files, with which both sides speak TLS. It prints its two addresses, as dual-mode does.

use std::{error::Error, fs, sync::Arc};

use axum::{Json, Router, routing::post};
use dual_mode::greetings::{self, Fault, greet, greet_batch};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage, RequestMessage, ResponseMessage,
    greetings_generator_server::{GreetingsGenerator, GreetingsGeneratorServer},
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

struct Greetings;

#[tonic::async_trait]
impl GreetingsGenerator for Greetings {
    async fn grpc_get_greetings(
        &self,
        request: Request<RequestMessage>,
    ) -> Result<Response<ResponseMessage>, Status> {
        let answer = greet(&read(request.into_inner())).map_err(|fault| refused(&fault))?;
        Ok(Response::new(written(answer)))
    }

    async fn grpc_get_greetings_batch(
        &self,
        request: Request<BatchRequestMessage>,
    ) -> Result<Response<BatchResponseMessage>, Status> {
        let requests: Vec<_> = request
            .into_inner()
            .requests
            .into_iter()
            .map(read)
            .collect();
        let answers = greet_batch(&requests).map_err(|fault| refused(&fault))?;
        let responses = answers.into_iter().map(written).collect();
        Ok(Response::new(BatchResponseMessage { responses }))
    }
}

fn read(message: RequestMessage) -> greetings::Request {
    greetings::Request {
        data_comm_type: message.data_comm_type,
        message_type: message.message_type,
        year: message.year,
    }
}

fn written(answer: greetings::Answer) -> ResponseMessage {
    ResponseMessage {
        greetings: answer.greetings,
        message_received: answer.message_received,
    }
}

fn refused(fault: &Fault) -> Status {
    Status::invalid_argument(fault.to_string())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    data_comm_type: String,
    message_type: String,
    year: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    greetings: String,
    message_received: bool,
}

async fn rest(Json(question): Json<Question>) -> Result<Json<Answer>, String> {
    let Question {
        data_comm_type,
        message_type,
        year,
    } = question;
    let request = greetings::Request {
        data_comm_type,
        message_type,
        year,
    };
    let answer = greet(&request).map_err(|fault| fault.to_string())?;
    Ok(Json(Answer {
        greetings: answer.greetings,
        message_received: answer.message_received,
    }))
}

/// Serves `app` over TLS, much as axum's example of rustls does.
async fn serve_tls(listener: TcpListener, app: Router, acceptor: TlsAcceptor) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(app.clone()));
        tokio::spawn(async move {
            // A peer that breaks off is served no more.
            if let Ok(stream) = acceptor.accept(stream).await {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        });
    }
}

/// The certificate and the key in these files, for REST.
fn acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let port = |place: usize, default| {
        let given = args.get(place);
        given.map_or(Ok(default), |port| port.parse::<u16>())
    };
    let rest_listener = TcpListener::bind(("127.0.0.1", port(0, 6000)?)).await?;
    let grpc_listener = TcpListener::bind(("127.0.0.1", port(1, 60051)?)).await?;
    println!("REST on {}", rest_listener.local_addr()?);
    println!("gRPC on {}", grpc_listener.local_addr()?);
    let app = Router::new().route("/v1/get_greetings", post(rest));
    let mut server = Server::builder();
    match args.get(2).zip(args.get(3)) {
        None => {
            tokio::spawn(async move { axum::serve(rest_listener, app).await });
        }
        Some((certificate, key)) => {
            tokio::spawn(serve_tls(rest_listener, app, acceptor(certificate, key)?));
            let identity = Identity::from_pem(fs::read(certificate)?, fs::read(key)?);
            server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
        }
    }
    server
        .add_service(GreetingsGeneratorServer::new(Greetings))
        .serve_with_incoming(TcpIncoming::from(grpc_listener).with_nodelay(Some(true)))
        .await?;
    Ok(())
}
