//! A service of a contract that loadtest has never seen: the shop, from its data to its report.

#[path = "support/shop.rs"]
mod shop;
mod support;

use std::{fs, net::SocketAddr, path::Path, process::Command, sync::Arc};

use loadtest::record::{Protocol, Service};
use shop::{Shop, app};
use support::{INCONCLUSIVE, Room, compared, names, stderr};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::TlsAcceptor;

const TOKEN: &str = "s3cret-t0ken-of-the-shop";

/// Rows as the shop itself makes them.
fn rows(room: &Room, count: u32) {
    let rows = app::rows::orders(count, app::rows::SEED);
    let lines: Vec<String> = rows
        .map(|row| serde_json::to_string(&row).expect("a row is JSON"))
        .collect();
    fs::write(room.path().join("orders.jsonl"), lines.join("\n")).expect("it can be written");
}

/// The tool with `users` and one trial of each variant, to be started.
fn one_round(room: &Room, users: &str) -> Command {
    let mut tool = room.bare_tool(&["--users", users, "--run-time", "1s"]);
    tool.args(["--rounds", "1", "--closed"]);
    tool
}

/// All that the files under `folder` hold.
fn contents(folder: &Path, into: &mut Vec<u8>) {
    for name in names(folder) {
        let path = folder.join(name);
        match path.is_dir() {
            true => contents(&path, into),
            false => into.extend(fs::read(path).expect("it can be read")),
        }
    }
}

#[test]
fn a_service_is_measured_by_its_method_its_endpoint_and_its_data() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    rows(&room, 20);
    let mut tool = one_round(&room, "2");
    tool.args([
        "--grpc",
        &format!("{} shop.v1.Orders/CreateOrder", shop.grpc),
    ]);
    tool.args(["--rest", &format!("POST http://{}/v1/orders", shop.rest)]);
    tool.args(["--data", "orders.jsonl"]);
    tool.args(["--header", "authorization: Bearer ${env:SHOP_TEST_TOKEN}"]);
    tool.args(["--rest-header", &format!("x-key: {TOKEN}")]);
    let output = tool.env("SHOP_TEST_TOKEN", TOKEN).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), INCONCLUSIVE, "{text}");
    assert!(
        text.contains("two calls of one variant differ in it: createdAt, id"),
        "{text}"
    );

    let recording = room.recording();
    let Service::Foreign {
        variants,
        rows,
        left_out,
        differences,
    } = &recording.run.service
    else {
        panic!("{:?}", recording.run.service);
    };
    let called: Vec<&str> = variants.iter().map(|one| one.call.as_str()).collect();
    assert_eq!(called, ["POST /v1/orders", "shop.v1.Orders/CreateOrder"]);
    assert_eq!((*rows, differences.len()), (20, 0));
    assert_eq!(left_out, &["createdAt", "id"]);
    let measured: Vec<Protocol> = compared(&recording)
        .map(|one| one.variant.protocol)
        .collect();
    assert_eq!(measured.len(), 2);
    for trial in compared(&recording) {
        assert!(trial.measurement.completed > 0, "{}", trial.variant.name);
        assert!(
            trial.measurement.errors_in_all.is_empty(),
            "{:?}",
            trial.measurement.errors_in_all
        );
    }
    assert!(
        recording.run.command.contains("'authorization: ***'"),
        "{}",
        recording.run.command
    );

    // Nobody can read the token anywhere, and no page speaks of another contract.
    let mut written = output.stdout.clone();
    written.extend(&output.stderr);
    contents(room.path(), &mut written);
    let written = String::from_utf8_lossy(&written);
    assert!(!written.contains(TOKEN) && written.contains("***"));
    let page = fs::read_to_string(room.report().join("index.html")).unwrap();
    assert!(!page.to_lowercase().contains("greeting"));
    assert!(page.contains("shop.v1.Orders/CreateOrder"));
}

#[test]
fn a_base_address_is_enough_where_the_contract_says_how_http_does_it() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    // A CSV with a byte order mark.
    fs::write(
        room.path().join("ids.csv"),
        "\u{feff}id\norder-1\norder-2\n",
    )
    .unwrap();
    let mut tool = one_round(&room, "1");
    tool.args(["--grpc", &format!("{} GetOrder", shop.grpc)]);
    tool.args([
        "--rest",
        &format!("http://{}", shop.rest),
        "--data",
        "ids.csv",
    ]);
    tool.args(["--header", &format!("authorization: Bearer {TOKEN}")]);
    let output = tool.output().unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let Service::Foreign { variants, .. } = room.recording().run.service else {
        panic!("it is another contract");
    };
    assert_eq!(variants[0].call, "GET /v1/orders/{id}");
    for trial in compared(&room.recording()) {
        assert!(trial.measurement.errors_in_all.is_empty());
    }
}

#[test]
fn grpc_web_is_measured_beside_grpc() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    let mut tool = one_round(&room, "2");
    for scheme in ["", "web+http://"] {
        let call = format!("{scheme}{} shop.v1.Orders/GetOrder", shop.grpc);
        tool.args(["--grpc", &call]);
    }
    tool.args(["--body", r#"{"id":"order-1"}"#]);
    tool.args(["--header", &format!("authorization: Bearer {TOKEN}")]);
    let output = tool.output().unwrap();
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(&output));
    let recording = room.recording();
    assert_eq!(recording.run.service.names(), ["gRPC", "gRPC-Web"]);
    let ceilings = recording.run.ceiling.iter().map(|one| one.protocol);
    assert_eq!(
        ceilings.collect::<Vec<_>>(),
        [Protocol::Grpc, Protocol::GrpcWeb]
    );
    for trial in compared(&recording) {
        let measured = &trial.measurement;
        assert!(
            measured.completed > 0 && measured.errors_in_all.is_empty(),
            "{}",
            trial.variant.name
        );
    }
}

/// A proxy that ends TLS before `backend`, and the root of its certificate as PEM.
fn tls_before(backend: SocketAddr, runtime: &Runtime) -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec!["shop.test".to_owned()]);
    let made = made.expect("a certificate can be made");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("the key is that of the certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .expect("there is a free port");
    let address = listener.local_addr().expect("it listens");
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A peer that trusts nobody goes away.
                if let (Ok(mut outside), Ok(mut inside)) = (
                    acceptor.accept(stream).await,
                    TcpStream::connect(backend).await,
                ) {
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    (address, made.cert.pem())
}

#[test]
fn tls_is_spoken_to_https_and_its_certificate_is_looked_at() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    let (rest, root_of_rest) = tls_before(shop.rest, &shop.runtime);
    let (grpc, root_of_grpc) = tls_before(shop.grpc, &shop.runtime);
    fs::write(room.path().join("roots.pem"), root_of_rest + &root_of_grpc).unwrap();
    let run = |args: &[&str]| {
        let mut tool = one_round(&room, "1");
        tool.args(["--grpc", &format!("https://{grpc} shop.v1.Orders/GetOrder")]);
        tool.args(["--rest", &format!("GET https://{rest}/v1/orders/{{id}}")]);
        tool.args(["--body", r#"{"id":"order-1"}"#]);
        tool.args(["--header", &format!("authorization: Bearer {TOKEN}")]);
        tool.args(args).output().unwrap()
    };
    let trusted = run(&["--cacert", "roots.pem", "--server-name", "shop.test"]);
    assert_eq!(trusted.status.code(), INCONCLUSIVE, "{}", stderr(&trusted));
    for trial in compared(&room.recording()) {
        assert!(trial.measurement.completed > 0 && trial.measurement.errors_in_all.is_empty());
    }
    for (args, says) in [
        (&["--server-name", "shop.test"][..], "--cacert"),
        (
            &["--cacert", "roots.pem", "--server-name", "other.test"],
            "--server-name",
        ),
    ] {
        let refused = run(args);
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(5), "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn calls_are_unique_where_rows_say_so_and_outcomes_may_be_accepted() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    let row = r#"{"customer":"${uuid}","items":[{"sku":"s-${seq}","quantity":1,"cents":2}],"delivery":"DELIVERY_PICKUP","wantedBy":"2026-03-03T12:00:00Z"}"#;
    let mut tool = one_round(&room, "2");
    tool.args([
        "--rest",
        &format!("old=POST http://{}/v1/orders", shop.rest),
    ]);
    tool.args([
        "--rest",
        &format!("new=POST h2c://{}/v1/orders", shop.rest),
        "--body",
        row,
    ]);
    tool.args(["--header", &format!("authorization: Bearer {TOKEN}")]);
    let output = tool.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), INCONCLUSIVE, "{text}");
    assert!(
        text.contains("createdAt, customer, id, items.sku"),
        "{text}"
    );
    let recording = room.recording();
    let names: Vec<&str> = compared(&recording)
        .map(|one| one.variant.name.as_str())
        .collect();
    assert!(
        names.contains(&"old") && names.contains(&"new"),
        "{names:?}"
    );
    assert_eq!(recording.run.service.names(), ["old", "new"]);
}
