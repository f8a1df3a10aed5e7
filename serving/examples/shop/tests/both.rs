//! The shop as its callers see it: over both transports, closed to strangers, ready as its database is.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use rusqlite::Connection;
use serving::{
    CancellationToken,
    authorization::{Authorization, Tokens},
    drain::ServeError,
    operations::Health,
    server::Listener,
    telemetry::{Telemetry, metrics::Metrics},
};
use shop_on_serving::{
    Store,
    proto::{
        CreateOrderRequest, GetOrderRequest, GetStockRequest, WatchOrdersRequest,
        orders_client::OrdersClient, stock_client::StockClient,
    },
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tonic::{Code, Request, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const PATIENCE: Duration = Duration::from_secs(120);
const TOKEN: &str = "eiShoh3oow6AhW4rohSh";

struct Served {
    rest: SocketAddr,
    channel: Channel,
    metrics: Metrics,
    database: PathBuf,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
    _folder: TempDir,
}

impl Served {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let database = folder.path().join("shop.db");
        let store = Arc::new(Store::open(&database).expect("it can be made"));
        let tokens = Tokens::new(&format!("till {TOKEN}")).expect("it is a token");
        let shutdown = CancellationToken::new();
        let metrics = Metrics::default();
        let listen = async || {
            let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let at = socket.local_addr().expect("it is bound");
            let telemetry = Some(Telemetry {
                metrics: Some(metrics.clone()),
                ..Telemetry::default()
            });
            (
                Listener {
                    telemetry,
                    ..Listener::from(socket)
                },
                at,
            )
        };
        let ((rest, rest_at), (grpc, grpc_at)) = (listen().await, listen().await);
        let health = Health::new(shutdown.clone());
        let authorization = Authorization::by_tokens(tokens);
        let server = shop_on_serving::serve(store, authorization, health, rest, grpc);
        let server = tokio::spawn(server);
        Self {
            rest: rest_at,
            channel: serving::client::connect(&grpc_at.to_string())
                .await
                .expect("it listens"),
            metrics,
            database,
            shutdown,
            server,
            _folder: folder,
        }
    }

    /// An HTTP/1.1 request, whose answer ends with its connection.
    async fn begin(&self, to: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.rest).await.expect("it listens");
        let request = format!(
            "{to} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        stream
    }

    async fn rest(&self, to: &str, body: &str) -> String {
        let headers =
            format!("authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n");
        whole(self.begin(to, &headers, body).await).await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        drop(self.channel);
        let ended = timeout(PATIENCE, self.server).await.expect("it ends");
        ended.expect("it does not panic").expect("nothing is cut");
    }
}

async fn whole(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("it ends").expect("it is whole");
    answer
}

/// Reads until `wanted` has come.
async fn until(stream: &mut TcpStream, wanted: &str) {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(wanted) {
        let byte = timeout(PATIENCE, stream.read_u8()).await;
        read.push(byte.expect("it goes on").expect("it is open"));
    }
}

fn known<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = format!("Bearer {TOKEN}").parse().expect("it is ASCII");
    request.metadata_mut().insert("authorization", token);
    request
}

fn order(customer: &str) -> CreateOrderRequest {
    CreateOrderRequest {
        customer: customer.to_owned(),
        sku: "tea".to_owned(),
        quantity: 2,
    }
}

#[tokio::test]
async fn an_order_over_one_transport_is_there_over_the_other() {
    let served = Served::start().await;
    let mut orders = OrdersClient::new(served.channel.clone());
    let mut stock = StockClient::new(served.channel.clone());
    let taken = orders
        .create_order(known(order("Ada")))
        .await
        .expect("it is taken")
        .into_inner();
    let got = served
        .rest(&format!("GET /v1/orders/{}", taken.id), "")
        .await;
    let json = format!(
        r#"{{"id":{},"customer":"Ada","sku":"tea","quantity":2}}"#,
        taken.id
    );
    assert!(
        got.starts_with("HTTP/1.1 200") && got.ends_with(&json),
        "{got}"
    );

    let made = served
        .rest(
            "POST /v1/orders",
            r#"{"customer":"Bo","sku":"cup","quantity":3}"#,
        )
        .await;
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    let id = taken.id + 1;
    let got = orders
        .get_order(known(GetOrderRequest { id }))
        .await
        .expect("it is there");
    assert_eq!(got.into_inner().customer, "Bo");
    let sku = "cup".to_owned();
    let left = stock
        .get_stock(known(GetStockRequest { sku }))
        .await
        .expect("it is there");
    assert_eq!(left.into_inner().pieces, 7);
    let left = served.rest("GET /v1/stock/tea", "").await;
    assert!(left.ends_with(r#"{"sku":"tea","pieces":98}"#), "{left}");

    for (json, grpc, status, code) in [
        (
            r#"{"customer":"Bo","sku":"cup","quantity":8}"#,
            ("cup", 8),
            409,
            Code::FailedPrecondition,
        ),
        (
            r#"{"customer":"Bo","sku":"tea","quantity":0}"#,
            ("tea", 0),
            400,
            Code::InvalidArgument,
        ),
    ] {
        let rest = served.rest("POST /v1/orders", json).await;
        assert!(rest.starts_with(&format!("HTTP/1.1 {status}")), "{rest}");
        let (sku, quantity) = (grpc.0.to_owned(), grpc.1);
        let wanted = CreateOrderRequest {
            sku,
            quantity,
            ..order("Bo")
        };
        let refused = orders
            .create_order(known(wanted))
            .await
            .expect_err("it breaks a rule");
        assert_eq!(refused.code(), code, "{refused:?}");
    }

    // Counted by route.
    let metrics = served.metrics.text().expect("they can be written");
    for line in [
        r#"server_calls_total{transport="gRPC",method="/shop.v1.Stock/GetStock",code="OK"} 1"#,
        r#"server_calls_total{transport="REST",method="/v1/orders",code="200"} 1"#,
        r#"server_calls_total{transport="REST",method="/v1/orders/{id}",code="200"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    drop((orders, stock));
    served.stop().await;
}

#[tokio::test]
async fn a_stranger_is_asked_for_a_token() {
    let served = Served::start().await;
    let mut orders = OrdersClient::new(served.channel.clone());
    let refused = orders
        .create_order(order("Eve"))
        .await
        .expect_err("nobody knows her");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    let answer = whole(served.begin("GET /v1/orders/1", "", "").await).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("www-authenticate: Bearer\r\n"), "{answer}");
    drop(orders);
    served.stop().await;
}

#[tokio::test]
async fn who_watches_sees_each_order_and_is_told_when_the_server_goes_away() {
    let served = Served::start().await;
    let mut orders = OrdersClient::new(served.channel.clone());
    let watched = orders.watch_orders(known(WatchOrdersRequest {})).await;
    let mut watched = watched.expect("it begins").into_inner();
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    let mut events = served.begin("GET /v1/orders:watch", &token, "").await;
    until(&mut events, "\r\n\r\n").await;

    orders
        .create_order(known(order("Ada")))
        .await
        .expect("it is taken");
    let seen = timeout(PATIENCE, watched.message())
        .await
        .expect("it comes");
    assert_eq!(
        seen.expect("it is open").expect("it goes on").customer,
        "Ada"
    );
    until(&mut events, r#"event: order"#).await;
    until(&mut events, r#""customer":"Ada""#).await;

    served.shutdown.cancel();
    let end = timeout(PATIENCE, watched.message()).await.expect("it ends");
    assert_eq!(end.expect_err("it is told").code(), Code::Unavailable);
    assert!(whole(events).await.contains("event: end"));
    drop(orders);
    served.stop().await;
}

#[tokio::test]
async fn it_is_ready_as_long_as_its_database_answers() {
    let served = Served::start().await;
    let mut health = HealthClient::new(served.channel.clone());
    let watch = health.watch(HealthCheckRequest::default()).await;
    let mut watch = watch.expect("it is open to all").into_inner();
    let mut next = async || {
        let news = timeout(PATIENCE, watch.message()).await.expect("news");
        news.expect("it is open").expect("it goes on").status()
    };
    assert_eq!(next().await, ServingStatus::Serving);
    let ready = async || whole(served.begin("GET /readyz", "", "").await).await;
    assert!(ready().await.starts_with("HTTP/1.1 200"));

    // Another process keeps the database to itself.
    let other = Connection::open(&served.database).expect("it is there");
    other
        .execute_batch("BEGIN EXCLUSIVE")
        .expect("nobody else is writing");
    assert_eq!(next().await, ServingStatus::NotServing);
    assert!(ready().await.starts_with("HTTP/1.1 503"));
    let refused = served.rest("GET /v1/stock/tea", "").await;
    assert!(
        refused.starts_with("HTTP/1.1 503") && !refused.contains("locked"),
        "{refused}"
    );

    other.execute_batch("COMMIT").expect("it holds the lock");
    assert_eq!(next().await, ServingStatus::Serving);
    assert!(ready().await.starts_with("HTTP/1.1 200"));
    drop(health);
    served.stop().await;
}
