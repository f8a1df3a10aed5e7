//! REST of dual-mode on bare HTTP/1.1 connections, which can be told to close after each answer, as
//! the original's server did.

use std::{convert::Infallible, sync::Arc};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower::Service;

use super::work::Work;

/// Serves on `listener` for as long as it is polled, and keeps connections or closes them. `work` is
/// added to each call.
pub(crate) async fn serve(listener: TcpListener, keeps: bool, work: Option<Arc<Work>>) {
    let app = dual_mode::rest::app();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely no file is left; the load test misses the connection and says so.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (app, work) = (app.clone(), work.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let mut app = app.clone();
            if let Some(work) = &work {
                work.add();
            }
            async move {
                Ok::<_, Infallible>(
                    app.call(request)
                        .await
                        .unwrap_or_else(|never| match never {}),
                )
            }
        });
        tokio::spawn(async move {
            let mut http1 = http1::Builder::new();
            // How a connection ends is the load test's business.
            let _ = http1
                .keep_alive(keeps)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
