//! The limit: h2 and hyper alone, with one fixed answer each. Nothing is decoded, checked, bounded or
//! drained. Runtimes, allocator and sockets are those of dual-mode.
//!
//! Run with `cargo build --release -p dual-mode --example bare`, and then
//! `cargo bench -p dual-mode --bench against_stock -- --program "$PWD/target/release/examples/bare"`:
//! "ours" is then what these libraries take. It prints its two addresses, as dual-mode does.

use std::{convert::Infallible, io, net::TcpListener, thread};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use prost::Message;
use proto::rest_grpc_dual_mode::ResponseMessage;
use tokio::{net::TcpStream, runtime, sync::mpsc};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The answer over REST.
const JSON: &str = r#"{"greetings":"Here is your greetings --> Today is a special day! (Diwali, 2023)","messageReceived":true}"#;

/// The greeting in the answer over gRPC.
const GREETINGS: &str = "Here is your greetings --> Today is a special day! (Diwali, 2023)";

#[derive(Clone, Copy)]
enum Protocol {
    Rest,
    Grpc,
}

fn main() -> io::Result<()> {
    let cores = thread::available_parallelism()?.get();
    let workers: Vec<_> = (0..cores).map(|_| worker()).collect();
    let rest = TcpListener::bind("127.0.0.1:0")?;
    let grpc = TcpListener::bind("127.0.0.1:0")?;
    println!("REST on {}", rest.local_addr()?);
    println!("gRPC on {}", grpc.local_addr()?);
    let also = workers.clone();
    let accepting = thread::spawn(move || accept(&rest, Protocol::Rest, &also));
    accept(&grpc, Protocol::Grpc, &workers)?;
    accepting.join().expect("it does not panic")
}

type Worker = mpsc::UnboundedSender<(std::net::TcpStream, Protocol)>;

/// Hands each connection to the next worker.
fn accept(listener: &TcpListener, protocol: Protocol, workers: &[Worker]) -> io::Result<()> {
    for worker in workers.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let _ = worker.send((stream, protocol));
    }
    Ok(())
}

fn worker() -> Worker {
    let (connect, mut connections) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(thread::yield_now)
            .build()
            .expect("a runtime starts");
        runtime.block_on(async {
            while let Some((stream, protocol)) = connections.recv().await {
                let stream = TcpStream::from_std(stream).expect("it does not block");
                match protocol {
                    Protocol::Rest => tokio::spawn(rest(stream)),
                    Protocol::Grpc => tokio::spawn(grpc(stream)),
                };
            }
        });
    });
    connect
}

async fn rest(stream: TcpStream) {
    let service = service_fn(async |request: Request<Incoming>| {
        let _ = request.into_body().collect().await;
        let mut answer = Response::new(Full::<Bytes>::from(JSON));
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert("content-type", json);
        Ok::<_, Infallible>(answer)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

async fn grpc(stream: TcpStream) {
    let message = ResponseMessage {
        greetings: GREETINGS.to_owned(),
        message_received: true,
    };
    let length = u32::try_from(message.encoded_len()).expect("it is short");
    let frame = [&[0][..], &length.to_be_bytes(), &message.encode_to_vec()].concat();
    let frame = Bytes::from(frame);
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((mut request, mut respond))) = connection.accept().await {
        let frame = frame.clone();
        tokio::spawn(async move {
            let body = request.body_mut();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
            }
            let mut head = Response::new(());
            let grpc = HeaderValue::from_static("application/grpc");
            head.headers_mut().insert("content-type", grpc);
            if let Ok(mut answer) = respond.send_response(head, false) {
                let _ = answer.send_data(frame, false);
                let ok = HeaderValue::from_static("0");
                let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), ok)]);
                let _ = answer.send_trailers(trailers);
            }
        });
    }
}
