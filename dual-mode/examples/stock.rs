//! The same greeting as the READMEs of tonic and axum serve it: the partner of every benchmark here.
//!
//! Run with `cargo run --release -p dual-mode --example stock -- [REST_PORT [GRPC_PORT]]`. It prints
//! its two addresses, as dual-mode does.

use axum::{Json, Router, routing::post};
use dual_mode::greetings::{self, Fault, greet, greet_batch};
use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage, RequestMessage, ResponseMessage,
    greetings_generator_server::{GreetingsGenerator, GreetingsGeneratorServer},
};
use serde::{Deserialize, Serialize};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
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

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut ports = std::env::args().skip(1).map(|port| port.parse::<u16>());
    let rest_port = ports.next().transpose()?.unwrap_or(6000);
    let grpc_port = ports.next().transpose()?.unwrap_or(60051);
    let rest_listener = tokio::net::TcpListener::bind(("127.0.0.1", rest_port)).await?;
    let grpc_listener = tokio::net::TcpListener::bind(("127.0.0.1", grpc_port)).await?;
    println!("REST on {}", rest_listener.local_addr()?);
    println!("gRPC on {}", grpc_listener.local_addr()?);
    let app = Router::new().route("/v1/get_greetings", post(rest));
    tokio::spawn(async move { axum::serve(rest_listener, app).await });
    Server::builder()
        .add_service(GreetingsGeneratorServer::new(Greetings))
        .serve_with_incoming(TcpIncoming::from(grpc_listener).with_nodelay(Some(true)))
        .await?;
    Ok(())
}
