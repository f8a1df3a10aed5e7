//! The greetings by actix-web over REST and by connectrpc over gRPC, as their guides serve them. It listens on free
//! ports, which it prints as dual-mode does, and ignores its arguments.

use std::{net::TcpListener, sync::Arc, thread};

use actix_web::{App, HttpServer, error::ErrorBadRequest, web};
use anyhow::Context;
use connectrpc::{
    ConnectError, RequestContext, Response, Router, Server, ServiceRequest, ServiceResult,
};
use dual_mode::greetings::{self, greet};
use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage, GreetingsGenerator, RequestMessage, ResponseMessage,
};
use serde::{Deserialize, Serialize};

#[allow(clippy::all, missing_docs, unused, reason = "generated")]
mod proto {
    connectrpc::include_generated!();
}

struct Greetings;

#[allow(refining_impl_trait, reason = "as connectrpc's guide has it")]
impl GreetingsGenerator for Greetings {
    async fn grpc_get_greetings(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, RequestMessage>,
    ) -> ServiceResult<ResponseMessage> {
        let asked = greetings::Request {
            data_comm_type: request.dataCommType.to_owned(),
            message_type: request.messageType.to_owned(),
            year: request.year,
        };
        let answer =
            greet(&asked).map_err(|fault| ConnectError::invalid_argument(fault.to_string()))?;
        Response::ok(ResponseMessage {
            greetings: answer.greetings,
            messageReceived: answer.message_received,
            ..Default::default()
        })
    }

    async fn grpc_get_greetings_batch(
        &self,
        _: RequestContext,
        _: ServiceRequest<'_, BatchRequestMessage>,
    ) -> ServiceResult<BatchResponseMessage> {
        Err(ConnectError::unimplemented(
            "the benchmark asks for no batch",
        ))
    }
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

async fn rest(question: web::Json<Question>) -> actix_web::Result<web::Json<Answer>> {
    let Question {
        data_comm_type,
        message_type,
        year,
    } = question.into_inner();
    let asked = greetings::Request {
        data_comm_type,
        message_type,
        year,
    };
    let answer = greet(&asked).map_err(|fault| ErrorBadRequest(fault.to_string()))?;
    Ok(web::Json(Answer {
        greetings: answer.greetings,
        message_received: answer.message_received,
    }))
}

/// Serves gRPC until the process ends.
fn grpc(listener: TcpListener) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let router = Router::new().add_service(Arc::new(Greetings));
        let served = Server::from_listener(listener).serve(router).await;
        served.map_err(|error| anyhow::anyhow!("{error}"))
    })
}

fn main() -> anyhow::Result<()> {
    let [rest_at, grpc_at] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0"));
    let (rest_at, grpc_at) = (rest_at.context("REST")?, grpc_at.context("gRPC")?);
    grpc_at.set_nonblocking(true)?;
    println!(
        "REST on {}\ngRPC on {}",
        rest_at.local_addr()?,
        grpc_at.local_addr()?
    );
    thread::spawn(|| grpc(grpc_at).expect("gRPC is served"));
    let app = || App::new().route("/v1/get_greetings", web::post().to(rest));
    let server = HttpServer::new(app).listen(rest_at)?.run();
    Ok(actix_web::rt::System::new().block_on(server)?)
}
