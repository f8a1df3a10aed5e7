//! Ways to reach a service while it is measured: with a certificate of the client's own, past one that nobody
//! vouches for, over IPv6; and outcomes that are good although they are errors.

#[path = "support/shop.rs"]
mod shop;
mod support;

use std::{
    fs,
    net::SocketAddr,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use shop::Shop;
use support::{INCONCLUSIVE, Room, compared, stderr};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const TOKEN: &str = "t0ken";

/// One trial of each variant, of GetOrder, at these addresses.
fn measure(room: &Room, grpc: &str, rest: &str, args: &[&str]) -> Output {
    let mut tool = room.bare_tool(&["--users", "2", "--run-time", "1s"]);
    tool.args(["--rounds", "1", "--closed"]);
    tool.args(["--grpc", &format!("{grpc} shop.v1.Orders/GetOrder")]);
    tool.args(["--rest", &format!("GET {rest}/v1/orders/{{id}}")]);
    tool.args(["--header", &format!("authorization: Bearer {TOKEN}")]);
    tool.args(args).output().expect("the tool was built")
}

/// Sees that both sides were measured, and no reply was bad.
fn assert_measured(room: &Room, output: &Output) {
    assert_eq!(output.status.code(), INCONCLUSIVE, "{}", stderr(output));
    let recording = room.recording();
    assert_eq!(compared(&recording).count(), 2);
    for trial in compared(&recording) {
        let measurement = &trial.measurement;
        assert!(measurement.completed > 0, "{}", trial.variant.name);
        let errors = &measurement.errors_in_all;
        assert!(errors.is_empty(), "{}: {errors:?}", trial.variant.name);
    }
}

const KNOWN: [&str; 2] = ["--body", r#"{"id":"order-1"}"#];

/// A certificate for no name that is asked for, and its key.
fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec!["shop.test".to_owned()]).expect("one can be made")
}

/// A proxy before `backend` that ends TLS, and asks for a certificate if it knows a `client`. Returns its
/// address, and how many connections came in.
fn tls_before(
    backend: SocketAddr,
    shop: &Shop,
    client: Option<&CertifiedKey<KeyPair>>,
) -> (String, Arc<AtomicU32>) {
    let own = certificate();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("there are versions");
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.cert.der().clone()).expect("it is a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().expect("it has a root"))
        }
    };
    let mut config = builder
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .expect("the key is that of the certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = shop.runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("there is a free port");
    let address = listener.local_addr().expect("it listens");
    let accepted = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&accepted);
    shop.runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else {
                    return;
                };
                count.fetch_add(1, Relaxed);
                if let Ok(mut inside) = TcpStream::connect(backend).await {
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    (format!("https://{address}"), accepted)
}

#[test]
fn a_service_that_asks_for_a_certificate_is_measured_with_one_and_explained_without() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    let client = certificate();
    for (file, pem) in [
        ("client.pem", client.cert.pem()),
        ("client.key", client.signing_key.serialize_pem()),
    ] {
        fs::write(room.path().join(file), pem).unwrap();
    }
    let (rest, rest_accepted) = tls_before(shop.rest, &shop, Some(&client));
    let (grpc, grpc_accepted) = tls_before(shop.grpc, &shop, Some(&client));
    let without = measure(&room, &grpc, &rest, &[&KNOWN[..], &["--insecure"]].concat());
    let text = stderr(&without);
    assert_eq!(without.status.code(), Some(5), "{text}");
    assert!(text.contains("--cert"), "{text}");
    assert!(!room.path().join("reports").exists(), "nothing is written");
    assert_eq!(
        (rest_accepted.load(Relaxed), grpc_accepted.load(Relaxed)),
        (0, 0)
    );

    let identity = ["--insecure", "--cert", "client.pem", "--key", "client.key"];
    let with = measure(&room, &grpc, &rest, &[&KNOWN[..], &identity].concat());
    assert_measured(&room, &with);
    // Users of a trial connect each for itself.
    for accepted in [rest_accepted, grpc_accepted] {
        assert!(accepted.load(Relaxed) > 2);
    }
}

#[test]
fn insecure_takes_a_certificate_that_nobody_vouches_for_and_that_is_for_another_name() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    let (rest, _) = tls_before(shop.rest, &shop, None);
    let (grpc, _) = tls_before(shop.grpc, &shop, None);
    let trusting = measure(&room, &grpc, &rest, &[&KNOWN[..], &["--insecure"]].concat());
    assert_measured(&room, &trusting);
    let looking = measure(&room, &grpc, &rest, &KNOWN);
    assert_eq!(looking.status.code(), Some(5), "{}", stderr(&looking));
}

#[test]
fn a_service_is_measured_over_ipv6_by_its_address_in_brackets() {
    let (shop, room) = (Shop::start_at("[::1]:0", TOKEN), Room::new());
    let (grpc, rest) = (shop.grpc.to_string(), format!("http://{}", shop.rest));
    assert!(grpc.starts_with("[::1]:"), "{grpc}");
    let output = measure(&room, &grpc, &rest, &KNOWN);
    assert_measured(&room, &output);
    // The shop is this process: its CPU time is found by the port.
    let text = stderr(&output);
    let own = format!("({})", std::process::id());
    assert!(
        text.contains("server CPU is that of") && text.contains(&own),
        "{text}"
    );
    for trial in compared(&room.recording()) {
        assert!(trial.measurement.server.is_some(), "{}", trial.variant.name);
    }
}

#[test]
fn outcomes_that_were_accepted_are_good_replies_and_others_are_bad() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    let rows = "{\"id\":\"order-1\"}\n{\"id\":\"nowhere\"}\n";
    fs::write(room.path().join("ids.jsonl"), rows).unwrap();
    let (grpc, rest) = (shop.grpc.to_string(), format!("http://{}", shop.rest));
    let data = ["--data", "ids.jsonl"];
    let refused = measure(&room, &grpc, &rest, &data);
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    let accepting = [&data[..], &["--accept", "404,NOT_FOUND"]].concat();
    let output = measure(&room, &grpc, &rest, &accepting);
    assert_measured(&room, &output);
}
