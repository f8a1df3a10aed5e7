//! TLS on both ports of the server as a user runs it, with certificates made for each test.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn, header::HeaderMap};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use rustix::process::Signal;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[allow(dead_code, reason = "the other tests use the rest of it")]
#[path = "../../serving/tests/support/program.rs"]
mod program;
#[path = "common/started.rs"]
mod started;
use common::PATIENCE;
use program::{Running, program, run};
use started::start;

const DUAL_MODE: &str = env!("CARGO_BIN_EXE_dual-mode");
const GREETING: &str = "Here is your greetings --> Today is a special day! (Holi, 2021)";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).expect("no name is wrong");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("there is randomness");
    CertifiedIssuer::self_signed(params, key).expect("a key can sign")
}

/// A certificate of `authority` for `localhost`, and its key, as PEM.
fn issue(authority: &Authority) -> (String, String) {
    issue_for(
        authority,
        SanType::DnsName("localhost".try_into().expect("it is a name")),
    )
}

/// The same for `name`.
fn issue_for(authority: &Authority, name: SanType) -> (String, String) {
    let key = KeyPair::generate().expect("there is randomness");
    let mut params = CertificateParams::new([]).expect("no name is wrong");
    params
        .distinguished_name
        .push(DnType::CommonName, "common.internal");
    params.subject_alt_names = vec![name];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = params.signed_by(&key, authority).expect("a key can sign");
    (certificate.pem(), key.serialize_pem())
}

/// The files of a server.
struct Files(TempDir);

impl Files {
    fn new(authority: &Authority) -> Self {
        let files = Self(tempfile::tempdir().expect("there is room"));
        files.replace(issue(authority));
        files
    }

    fn path(&self, name: &str) -> String {
        self.0
            .path()
            .join(name)
            .to_str()
            .expect("it is text")
            .to_owned()
    }

    /// Writes each file whole beside the old one, as whoever replaces certificates does it.
    fn replace(&self, (cert, key): (String, String)) {
        for (name, text) in [("cert.pem", cert), ("key.pem", key)] {
            self.write(name, &text);
        }
    }

    fn write(&self, name: &str, text: &str) {
        let beside = self.path("new");
        fs::write(&beside, text).expect("there is room");
        fs::rename(beside, Path::new(&self.path(name))).expect("it is there");
    }
}

struct Server {
    running: Running,
    rest: SocketAddr,
    grpc: SocketAddr,
}

impl Server {
    async fn start(files: &Files, more: &[&str]) -> Self {
        let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
        let tls = [
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
            "--tls-reload",
            "50ms",
        ];
        let (running, rest, grpc) = start(&[&tls, more].concat()).await;
        Self {
            running,
            rest,
            grpc,
        }
    }

    async fn stop(self) -> String {
        self.running.signal(Signal::TERM);
        let ended = self.running.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stderr
    }
}

/// A client that trusts `authority`, speaks `alpn`, and shows a certificate if it has one.
fn client(authority: &Authority, alpn: &str, own: Option<(String, String)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("it is a root");
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain =
                vec![CertificateDer::from_pem_slice(cert.as_bytes()).expect("it was issued here")];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("it was issued here");
            builder
                .with_client_auth_cert(chain, key)
                .expect("it was issued here")
        }
    };
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    config
}

async fn connect(at: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(at).await?;
    let name = ServerName::try_from("localhost").expect("it is a name");
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    timeout(PATIENCE, handshake)
        .await
        .expect("a handshake ends")
}

/// The greeting over REST on HTTP/1.1.
async fn greet_rest(at: SocketAddr, config: ClientConfig) -> io::Result<String> {
    let mut stream = connect(at, config).await?;
    let head = "GET /v1/get_greetings?messageType=Holi&year=2021 HTTP/1.1\r\nhost: localhost\r\n\
                connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("an answer should come")?;
    Ok(answer)
}

/// The greeting over gRPC, and its trailers, or the head where there are none.
async fn greet_grpc(
    at: SocketAddr,
    config: ClientConfig,
) -> Result<(Bytes, HeaderMap), Box<dyn std::error::Error>> {
    let stream = connect(at, config).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let handshake = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, driver) = handshake.await?;
    tokio::spawn(driver);
    let message = b"\0\0\0\0\x09\x12\x04Holi\x18\xe5\x0f";
    let path = "rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";
    let request = Request::post(format!("https://localhost/{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(message)))?;
    let answer = timeout(PATIENCE, client.send_request(request)).await??;
    let head = answer.headers().clone();
    let body = answer.into_body().collect().await?;
    let trailers = body.trailers().cloned().unwrap_or(head);
    Ok((body.to_bytes(), trailers))
}

#[tokio::test]
async fn both_ports_speak_tls_and_choose_the_protocol_by_alpn() {
    let ours = authority();
    let files = Files::new(&ours);
    let server = Server::start(&files, &[]).await;
    for at in [server.rest, server.grpc] {
        for alpn in ["h2", "http/1.1"] {
            let stream = connect(at, client(&ours, alpn, None)).await.unwrap();
            let chosen = stream.get_ref().1.alpn_protocol();
            assert_eq!(chosen, Some(alpn.as_bytes()));
        }
    }
    let rest = greet_rest(server.rest, client(&ours, "http/1.1", None)).await;
    let rest = rest.unwrap();
    assert!(
        rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.contains(GREETING),
        "{rest}"
    );
    let (body, trailers) = greet_grpc(server.grpc, client(&ours, "h2", None))
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&body).contains(GREETING));
    assert_eq!(trailers["grpc-status"], "0");
    server.stop().await;
}

#[tokio::test]
async fn cleartext_gets_no_answer_and_a_stranger_certificate_is_not_trusted() {
    let (ours, another) = (authority(), authority());
    let files = Files::new(&ours);
    let server = Server::start(&files, &[]).await;
    for at in [server.rest, server.grpc] {
        let refused = connect(at, client(&another, "h2", None)).await.unwrap_err();
        let said = refused.to_string();
        assert!(said.starts_with("invalid peer certificate"), "{said}");
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        let _ = read.expect("it should be cut");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn mutual_tls_lets_in_only_whom_the_clients_authority_vouches_for() {
    let (ours, clients, another) = (authority(), authority(), authority());
    let files = Files::new(&ours);
    files.write("clients.pem", &clients.pem());
    let server = Server::start(&files, &["--tls-client-ca", &files.path("clients.pem")]).await;
    let known = || Some(issue(&clients));
    let rest = greet_rest(server.rest, client(&ours, "http/1.1", known())).await;
    assert!(rest.unwrap().contains(GREETING));
    let grpc = greet_grpc(server.grpc, client(&ours, "h2", known())).await;
    assert_eq!(grpc.unwrap().1["grpc-status"], "0");
    for own in [None, Some(issue(&another)), Some(issue(&ours))] {
        let rest = greet_rest(server.rest, client(&ours, "http/1.1", own.clone())).await;
        assert!(rest.is_err(), "{rest:?}");
        let grpc = greet_grpc(server.grpc, client(&ours, "h2", own)).await;
        assert!(grpc.is_err(), "{grpc:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_lets_in_whom_it_names_and_nobody_else() {
    let (ours, clients) = (authority(), authority());
    let files = Files::new(&ours);
    files.write("clients.pem", &clients.pem());
    let names = "shop.internal, spiffe://example/cart,common.internal";
    let clients_pem = files.path("clients.pem");
    let args = ["--tls-client-ca", &clients_pem, "--auth-client-name", names];
    let server = Server::start(&files, &args).await;
    let dns = |name: &str| SanType::DnsName(name.try_into().expect("it is a name"));
    let uri = |name: &str| SanType::URI(name.try_into().expect("it is a name"));
    for (name, status, code) in [
        (dns("shop.internal"), "200", "0"),
        (uri("spiffe://example/cart"), "200", "0"),
        (dns("shop.internal.example"), "403", "7"),
        (uri("spiffe://example/cart/2"), "403", "7"),
        // Each has that common name.
        (dns("localhost"), "403", "7"),
    ] {
        let own = || Some(issue_for(&clients, name.clone()));
        let rest = greet_rest(server.rest, client(&ours, "http/1.1", own())).await;
        let rest = rest.expect("the authority vouches for it");
        assert!(
            rest.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name:?}: {rest}"
        );
        let grpc = greet_grpc(server.grpc, client(&ours, "h2", own())).await;
        let grpc = grpc.expect("the authority vouches for it");
        assert_eq!(grpc.1["grpc-status"], code, "{name:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn names_of_clients_are_taken_only_where_certificates_are_asked_for() {
    for (names, wanted) in [
        (
            "shop.internal",
            "--auth-client-name without --tls-client-ca",
        ),
        // Nobody must be let in because a variable was empty.
        (" , ", "--auth-client-name holds no name"),
    ] {
        let args = [&started::FREE[..], &["--auth-client-name", names]].concat();
        let ended = run(program(DUAL_MODE, &args)).await;
        let line = ended.one_line_of_error();
        assert!(line.contains(wanted), "{line}");
        assert_eq!(ended.code, Some(1));
    }
}

#[tokio::test]
async fn files_that_change_are_read_again_and_broken_ones_are_said_and_not_used() {
    let (old, new) = (authority(), authority());
    let files = Files::new(&old);
    let server = Server::start(&files, &[]).await;
    let trusts = async |authority: &Authority| {
        let tries = [server.rest, server.grpc].map(|at| connect(at, client(authority, "h2", None)));
        let [rest, grpc] = tries;
        (rest.await.is_ok(), grpc.await.is_ok())
    };
    assert_eq!(trusts(&old).await, (true, true));
    // A connection from before goes on with what it was greeted with.
    let mut before = connect(server.rest, client(&old, "http/1.1", None))
        .await
        .unwrap();

    files.replace(issue(&new));
    let both = async { while trusts(&new).await != (true, true) {} };
    timeout(PATIENCE, both)
        .await
        .expect("the new files should be used");
    assert_eq!(trusts(&old).await, (false, false));
    let head = b"GET /v1/get_greetings?messageType=Holi&year=2021 HTTP/1.1\r\nhost: x\r\n\r\n";
    before.write_all(head).await.unwrap();
    assert_eq!(
        timeout(PATIENCE, before.read_u8()).await.unwrap().unwrap(),
        b'H'
    );
    drop(before);

    files.write("cert.pem", "not a certificate");
    // Many looks at the files later, what was good is still in use.
    for _ in 0..60 {
        assert_eq!(trusts(&new).await, (true, true));
        sleep(Duration::from_millis(50)).await;
    }
    files.replace(issue(&old));
    let both = async { while trusts(&old).await != (true, true) {} };
    timeout(PATIENCE, both)
        .await
        .expect("it should go on reading");
    let log = server.stop().await;
    assert!(log.contains("holds no certificate"), "{log}");
    assert!(log.contains("those from before stay in use"), "{log}");
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_cut() {
    let ours = authority();
    let files = Files::new(&ours);
    let server = Server::start(&files, &["--first-bytes", "1s"]).await;
    for at in [server.rest, server.grpc] {
        // Nothing, and the beginning of a hello.
        for first in [&b""[..], b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"] {
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(first).await.unwrap();
            let read = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
            let _ = read.expect("it should be cut");
        }
        // And after the handshake the same limit holds for the first bytes of HTTP.
        let mut stream = loop {
            // On a busy machine the handshake itself may take longer.
            if let Ok(stream) = connect(at, client(&ours, "h2", None)).await {
                break stream;
            }
        };
        let read = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        let _ = read.expect("it should be cut");
    }
    server.stop().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_at_the_start_are_an_error_that_names_them() {
    let ours = authority();
    let files = Files::new(&ours);
    files.write("other.pem", &issue(&ours).1);
    files.write("empty.pem", "");
    let [cert, key, other, empty, none] =
        ["cert.pem", "key.pem", "other.pem", "empty.pem", "none.pem"].map(|name| files.path(name));
    for (cert, key, ca, said) in [
        (
            &none,
            &key,
            None,
            format!("--tls-cert {none} cannot be read: "),
        ),
        (
            &empty,
            &key,
            None,
            format!("--tls-cert {empty} holds no certificate: "),
        ),
        (
            &cert,
            &empty,
            None,
            format!("--tls-key {empty} holds no key: "),
        ),
        (
            &cert,
            &other,
            None,
            format!("--tls-cert {cert} and --tls-key {other} cannot be used together: "),
        ),
        (
            &cert,
            &key,
            Some(&empty),
            format!("--tls-client-ca {empty} cannot be used: "),
        ),
    ] {
        let mut args = vec![
            "--rest-port",
            "0",
            "--grpc-port",
            "0",
            "--tls-cert",
            cert,
            "--tls-key",
            key,
        ];
        args.extend(ca.iter().flat_map(|ca| ["--tls-client-ca", ca]));
        let ended = run(program(DUAL_MODE, &args)).await;
        let line = ended.one_line_of_error();
        assert!(line.starts_with(&format!("error: {said}")), "{line}");
        assert_eq!(ended.stdout, "");
    }
}
