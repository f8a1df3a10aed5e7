//! A service's word on its health, as `/readyz` of the admin port, gRPC's Check and its Watch tell it.

#![cfg(feature = "admin")]

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use serving::{
    admin::{Admin, AdminArgs},
    args::ServerArgs,
    connection::Protocol,
    operations::{Health, routes},
    process,
    refusal::GrpcStatus,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tonic::{Code, Streaming, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

/// The status line and the body of `/readyz`.
async fn ready(admin: std::net::SocketAddr) -> (String, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(admin).await?;
        let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(PATIENCE, exchange)
        .await
        .expect("it answers")
        .expect("and whole");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends");
    (head[9..12].to_owned(), body.trim_end().to_owned())
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn check(client: &mut HealthClient<Channel>, service: &str) -> Result<ServingStatus, Code> {
    let answer = client.check(about(service)).await;
    answer
        .map(|answer| answer.into_inner().status())
        .map_err(|status| status.code())
}

async fn next(watch: &mut Streaming<HealthCheckResponse>) -> ServingStatus {
    let news = timeout(PATIENCE, watch.message()).await.expect("news");
    let news = news.expect("the stream should not break");
    news.expect("a Watch goes on").status()
}

#[test]
fn a_service_says_how_it_is_and_every_port_tells_it() {
    use ServingStatus::{NotServing, ServiceUnknown, Serving};
    let args = Args::parse_from(["test", "--admin-port", "0"]);
    let limits = args.server.limits();
    let code = process::run(&args.server, limits, 1, async |mut process| {
        let admin = Admin::start(&args.admin, "test", &mut process).await?;
        let port = admin.address.expect("a port was asked for");
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let address = socket.local_addr()?;
        let health = process.health.clone();
        let services = ["a.Service", "another.Service"];
        let operations = routes(&health, &services, tonic_health::pb::FILE_DESCRIPTOR_SET);
        let listener = process.listener(socket);
        let shutdown = process.shutdown.clone();
        let server = tokio::spawn(listener.serve(
            "gRPC",
            Protocol::Http2,
            operations,
            GrpcStatus,
            shutdown.clone(),
        ));
        let channel = serving::client::connect(&address.to_string()).await?;
        let mut client = HealthClient::new(channel);
        let mut watches = Vec::new();
        for (service, first) in [
            ("", Serving),
            ("a.Service", Serving),
            ("late.Service", ServiceUnknown),
        ] {
            let mut watch = client.watch(about(service)).await?.into_inner();
            assert_eq!(next(&mut watch).await, first, "{service}");
            watches.push(watch);
        }
        let [whole, one, late] = &mut watches[..] else {
            unreachable!("three were begun");
        };
        let yes = ("200".to_owned(), "ready".to_owned());
        let no = ("503".to_owned(), "not serving".to_owned());
        assert_eq!(ready(port).await, yes);

        // One of two is away: the server as a whole still serves.
        health.set_not_serving("a.Service");
        assert_eq!(next(one).await, NotServing);
        assert_eq!(check(&mut client, "a.Service").await, Ok(NotServing));
        assert_eq!(check(&mut client, "another.Service").await, Ok(Serving));
        assert_eq!(check(&mut client, "").await, Ok(Serving));
        assert_eq!(ready(port).await, yes);

        // Both are.
        health.set_not_serving("another.Service");
        assert_eq!(next(whole).await, NotServing);
        assert_eq!(check(&mut client, "").await, Ok(NotServing));
        assert_eq!(ready(port).await, no);
        health.set_serving("another.Service");
        assert_eq!(next(whole).await, Serving);
        assert_eq!(ready(port).await, yes);

        // It is said of all, and does not change what was said of each.
        health.set_not_serving("");
        assert_eq!(next(whole).await, NotServing);
        assert_eq!(check(&mut client, "another.Service").await, Ok(NotServing));
        assert_eq!(ready(port).await, no);
        health.set_serving("");
        assert_eq!(next(whole).await, Serving);
        assert_eq!(check(&mut client, "another.Service").await, Ok(Serving));
        assert_eq!(check(&mut client, "a.Service").await, Ok(NotServing));
        health.set_serving("a.Service");
        assert_eq!(next(one).await, Serving);

        // One that comes later is told to who asked for it.
        assert_eq!(
            check(&mut client, "late.Service").await,
            Err(Code::NotFound)
        );
        health.set_serving("late.Service");
        assert_eq!(next(late).await, Serving);

        // The drain has the last word.
        shutdown.cancel();
        for watch in [&mut *whole, &mut *one, &mut *late] {
            assert_eq!(next(watch).await, NotServing);
            let end = timeout(PATIENCE, watch.message()).await.expect("it ends");
            assert_eq!(end.unwrap_err().code(), Code::Unavailable);
        }
        health.set_serving("a.Service");
        assert!(!health.is_serving("a.Service"));
        let going = ("503".to_owned(), "going away".to_owned());
        assert_eq!(ready(port).await, going);
        drop(client);
        server.await??;
        admin.end().await;
        Ok(())
    });
    assert_eq!(code, ExitCode::SUCCESS);
}

#[test]
fn clones_share_what_was_said_and_each_ends_with_its_own_shutdown() {
    let health = Health::default();
    let mine = serving::CancellationToken::new();
    let until = health.until(mine.clone());
    health.set_not_serving("a");
    assert!(!until.is_serving("a") && !until.is_serving("unknown"));
    until.set_serving("a");
    assert!(health.is_serving("a"));
    mine.cancel();
    assert!(!until.is_serving("a") && !until.is_serving(""));
    assert!(health.is_serving("a") && health.is_serving(""));
}
