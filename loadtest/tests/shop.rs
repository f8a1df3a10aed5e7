//! The shop of `examples/shop`: both sides over real sockets.

#[path = "../examples/shop/app/mod.rs"]
mod app;

use std::{net::SocketAddr, time::Duration};

use app::{
    Options,
    orders::NewOrder,
    proto::{self, CreateOrderRequest, GetOrderRequest, orders_client::OrdersClient},
    rows,
};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use serving::CancellationToken;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tonic::{Code, transport::Channel};

const BOUND: &str = "loopback has a free port, and the shop listens";
const ANSWERS: &str = "the shop answers";

/// A running shop.
struct Running {
    rest: SocketAddr,
    grpc: OrdersClient<Channel>,
    channel: Channel,
    shutdown: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn with(options: Options) -> Self {
        let [rest, grpc] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0"));
        let (rest, grpc) = (rest.await.expect(BOUND), grpc.await.expect(BOUND));
        let address = rest.local_addr().expect(BOUND);
        let grpc_address = grpc.local_addr().expect(BOUND);
        let channel = Channel::from_shared(format!("http://{grpc_address}"));
        let channel = channel.expect("it is a URL").connect().await.expect(BOUND);
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(app::serve(rest, grpc, options, shutdown.clone()));
        Self {
            rest: address,
            grpc: OrdersClient::new(channel.clone()),
            channel,
            shutdown,
            served,
        }
    }

    /// The answer of REST.
    async fn rest(&self, request: Request<String>) -> (StatusCode, Value) {
        let stream = TcpStream::connect(self.rest).await.expect(BOUND);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect(ANSWERS);
        tokio::spawn(connection);
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let (head, body) = sender
            .send_request(request)
            .await
            .expect(ANSWERS)
            .into_parts();
        let body = body.collect().await.expect(ANSWERS).to_bytes();
        (
            head.status,
            serde_json::from_slice(&body).expect("it is JSON"),
        )
    }

    /// It ends when it is told to.
    async fn stop(self) {
        drop((self.grpc, self.channel));
        self.shutdown.cancel();
        let ended = timeout(Duration::from_secs(20), self.served).await;
        ended
            .expect("it ends")
            .expect("nothing panics")
            .expect("it ends well");
    }
}

fn post(body: &Value) -> Request<String> {
    Request::post("/v1/orders")
        .header("host", "shop")
        .header("content-type", "application/json")
        .body(body.to_string())
        .expect("it is a request")
}

fn get(path: &str) -> Request<String> {
    let request = Request::get(path).header("host", "shop");
    request.body(String::new()).expect("it is a request")
}

/// An order as JSON and as a message.
fn order() -> (Value, CreateOrderRequest) {
    let json = json!({
        "customer": "Ada",
        "items": [
            { "sku": "sku-1", "quantity": 2, "cents": 250 },
            { "sku": "sku-2", "quantity": 1, "cents": 99 },
        ],
        "note": "Please ring twice.",
        "delivery": "DELIVERY_EXPRESS",
        "wantedBy": "2026-03-01T12:00:00Z",
    });
    let item = |sku: &str, quantity, cents| proto::Item {
        sku: sku.to_owned(),
        quantity,
        cents,
    };
    let message = CreateOrderRequest {
        customer: "Ada".to_owned(),
        items: vec![item("sku-1", 2, 250), item("sku-2", 1, 99)],
        note: Some("Please ring twice.".to_owned()),
        delivery: proto::Delivery::Express.into(),
        wanted_by: Some(prost_types::Timestamp {
            seconds: 1_772_366_400,
            nanos: 0,
        }),
    };
    (json, message)
}

#[tokio::test]
async fn what_one_side_takes_in_the_other_gives_out() {
    let mut shop = Running::with(Options::default()).await;
    let (json, message) = order();

    let (status, created) = shop.rest(post(&json)).await;
    assert_eq!(status, StatusCode::CREATED);
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(created["totalCents"], 599);
    for (field, value) in json.as_object().unwrap() {
        assert_eq!(&created[field], value, "{field}");
    }
    let found = shop.grpc.get_order(GetOrderRequest { id: id.clone() });
    let found = found.await.unwrap().into_inner();
    assert_eq!(
        (found.id, found.items, found.note, found.wanted_by),
        (
            id,
            message.items.clone(),
            message.note.clone(),
            message.wanted_by
        )
    );

    let created = shop.grpc.create_order(message).await.unwrap().into_inner();
    let (status, found) = shop.rest(get(&format!("/v1/orders/{}", created.id))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["totalCents"], created.total_cents);
    assert_eq!(found["delivery"], json["delivery"]);
    shop.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_alike() {
    let mut shop = Running::with(Options::default()).await;
    let (mut json, mut message) = order();
    (json["items"], message.items) = (json!([]), Vec::new());
    let (status, problem) = shop.rest(post(&json)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let refused = shop.grpc.create_order(message).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(problem["error"], refused.message());

    let (status, problem) = shop.rest(get("/v1/orders/order-0")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let id = "order-0".to_owned();
    let refused = shop.grpc.get_order(GetOrderRequest { id }).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(problem["error"], refused.message());
    shop.stop().await;
}

#[tokio::test]
async fn without_the_token_nobody_is_let_in() {
    let mut shop = Running::with(Options {
        token: Some("secret".to_owned()),
        ..Options::default()
    })
    .await;
    let get_first = |token: Option<&str>| {
        let mut request = get("/v1/orders/order-1");
        if let Some(token) = token {
            let token = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", token);
        }
        request
    };
    for (token, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some("guessed"), StatusCode::UNAUTHORIZED),
        (Some("secret"), StatusCode::OK),
    ] {
        assert_eq!(shop.rest(get_first(token)).await.0, status, "{token:?}");
        let mut request = tonic::Request::new(GetOrderRequest {
            id: "order-1".to_owned(),
        });
        if let Some(token) = token {
            let token = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", token);
        }
        let answer = shop.grpc.get_order(request).await;
        let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        let is_let_in = status == StatusCode::OK;
        assert_eq!(code == Code::Ok, is_let_in, "{token:?}");
        assert_eq!(code == Code::Unauthenticated, !is_let_in, "{token:?}");
    }
    shop.stop().await;
}

#[tokio::test]
async fn the_work_of_each_side_is_counted() {
    let mut shop = Running::with(Options {
        grpc_work: Duration::from_millis(2),
        ..Options::default()
    })
    .await;
    for _ in 0..5 {
        let id = "order-1".to_owned();
        shop.grpc.get_order(GetOrderRequest { id }).await.unwrap();
    }
    shop.rest(get("/v1/orders/order-1")).await;
    let (status, cpu) = shop.rest(get("/debug/cpu")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(cpu["rest"], json!({ "calls": 1, "workCpuSeconds": 0.0 }));
    assert_eq!(cpu["grpc"]["calls"], 5);
    assert!(
        cpu["grpc"]["workCpuSeconds"].as_f64().unwrap() >= 0.01,
        "{cpu}"
    );
    shop.stop().await;
}

#[tokio::test]
async fn the_same_seed_makes_the_same_rows_and_the_shop_takes_them_all() {
    let rows: Vec<NewOrder> = rows::orders(50, 7).collect();
    assert_eq!(rows, rows::orders(50, 7).collect::<Vec<_>>());
    assert_ne!(rows, rows::orders(50, 8).collect::<Vec<_>>());
    let shop = Running::with(Options::default()).await;
    for row in &rows {
        let (status, answer) = shop.rest(post(&serde_json::to_value(row).unwrap())).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }
    shop.stop().await;
}

#[tokio::test]
async fn both_versions_of_reflection_tell_the_contract_with_its_http_annotations() {
    let shop = Running::with(Options::default()).await;
    // The two versions are the same messages in two packages.
    macro_rules! file {
        ($version:ident, $asked:expr) => {{
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest::*,
                server_reflection_response::MessageResponse,
            };
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some($asked),
            };
            let mut client = ServerReflectionClient::new(shop.channel.clone());
            let request = futures_util::stream::iter([request]);
            let answers = client.server_reflection_info(request).await;
            let answer = answers.unwrap().into_inner().message().await.unwrap();
            match answer.unwrap().message_response.unwrap() {
                MessageResponse::FileDescriptorResponse(files) => {
                    files.file_descriptor_proto.concat()
                }
                other => panic!("{other:?} is not a file"),
            }
        }};
    }
    let service = || "shop.v1.Orders".to_owned();
    let imported = || "google/api/annotations.proto".to_owned();
    for (contract, annotations) in [
        (
            file!(v1, FileContainingSymbol(service())),
            file!(v1, FileByFilename(imported())),
        ),
        (
            file!(v1alpha, FileContainingSymbol(service())),
            file!(v1alpha, FileByFilename(imported())),
        ),
    ] {
        let holds =
            |file: &[u8], text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(holds(&contract, "CreateOrder"));
        // Paths stand in the annotations alone.
        assert!(holds(&contract, "/v1/orders/{id}"));
        assert!(holds(&annotations, "HttpRule"));
    }
    shop.stop().await;
}
