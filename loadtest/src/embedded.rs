//! A service of our own as a child process: dual-mode where the user names none, or one whose
//! behaviour is known.

use std::{
    io::{self, BufRead, Write},
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serving::{CancellationToken, limits::Limits, server::Listener, workers::Workers};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::{
    bare,
    child::Child,
    known::{self, Known},
    target::Target,
    usage,
};

/// How long dual-mode may take to listen: it takes milliseconds, on a machine that swaps a second.
const START: Duration = Duration::from_secs(15);

/// What the child is to be: the one message it gets.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Spec {
    /// The cores to run on; none stands for all.
    pub cores: Vec<usize>,
    /// The service.
    pub kind: Kind,
}

/// A service of our own.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub enum Kind {
    /// dual-mode as it is.
    #[default]
    DualMode,
    /// dual-mode, but its REST on bare connections of HTTP/1.1.
    BareRest {
        /// Whether connections are kept after an answer.
        keeps: bool,
    },
    /// One whose behaviour is known beforehand, with fixed answers.
    Known(Known),
}

/// Where the child listens: the one message it sends.
#[derive(Debug, Serialize, Deserialize)]
struct Addresses {
    rest: SocketAddr,
    grpc: SocketAddr,
}

/// A running service of our own.
#[derive(Debug)]
pub struct Embedded {
    child: Child,
    /// Where its REST listens.
    pub rest: Target,
    /// Where its gRPC listens.
    pub grpc: Target,
}

impl Embedded {
    /// Starts it on free ports.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(spec: &Spec) -> anyhow::Result<Self> {
        let mut child = Child::start(["server".into()])?;
        child.tell(spec).await?;
        let Addresses { rest, grpc } = timeout(START, child.hear())
            .await
            .context("the service did not start to listen in time")??
            .context("the service ended before it listened; its message stands above")?;
        let target = |address: SocketAddr| Target {
            host: address.ip().to_string(),
            port: address.port(),
        };
        Ok(Self {
            child,
            rest: target(rest),
            grpc: target(grpc),
        })
    }

    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it had to be killed, or failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.child
            .end()
            .await
            .context("the service did not stop well")
    }
}

/// The child: serves on free ports of this machine until standard input closes.
///
/// # Errors
/// When it cannot listen, or a listener fails.
pub fn main() -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let spec: Spec = serde_json::from_str(&line).context("standard input is no server to run")?;
    usage::pin(&spec.cores).context("the server cannot be kept on its cores")?;
    match spec.kind {
        Kind::DualMode => dual_mode(None),
        Kind::BareRest { keeps } => dual_mode(Some(keeps)),
        Kind::Known(known) => {
            let runtime = Runtime::new().context("the runtime could not be started")?;
            runtime.block_on(async {
                let (rest, grpc) = listen().await?;
                let end = until_told_to_end();
                tokio::select! {
                    () = known::serve(rest, known) => {}
                    () = known::serve(grpc, known) => {}
                    () = end.cancelled() => {}
                }
                anyhow::Ok(())
            })
        }
    }
}

/// Laid out as the program dual-mode lays itself out: see serving::process. Where `bare` says so, REST
/// is bare, and keeps its connections or closes them.
fn dual_mode(bare: Option<bool>) -> anyhow::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = Workers::start(cores)?;
    let listener = |socket| Listener {
        socket,
        limits: Limits::default(),
        workers: workers.clone(),
    };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    runtime.block_on(async {
        let (rest, grpc) = listen().await?;
        let end = until_told_to_end();
        let Some(keeps) = bare else {
            return Ok(dual_mode::serve(listener(rest), listener(grpc), end).await?);
        };
        // dual-mode's own REST listens where nobody asks.
        let unasked = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        tokio::select! {
            served = dual_mode::serve(listener(unasked), listener(grpc), end) => Ok(served?),
            () = bare::serve(rest, keeps) => Ok(()),
        }
    })
}

/// Listens on free ports and tells the parent which.
async fn listen() -> anyhow::Result<(TcpListener, TcpListener)> {
    let rest = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let grpc = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addresses = Addresses {
        rest: rest.local_addr()?,
        grpc: grpc.local_addr()?,
    };
    println!("{}", serde_json::to_string(&addresses)?);
    io::stdout().flush()?;
    Ok((rest, grpc))
}

/// Cancelled when standard input closes.
fn until_told_to_end() -> CancellationToken {
    let shutdown = CancellationToken::new();
    let end = shutdown.clone();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        end.cancel();
    });
    shutdown
}
