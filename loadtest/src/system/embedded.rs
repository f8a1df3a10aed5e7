//! A service of our own as a child process: dual-mode where the user names none, or one whose
//! behaviour is known.

use std::{
    io::{self, BufRead, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context;
use engine::{
    Endpoint, Nanoseconds,
    process::{Child, Program},
    usage,
};
use serde::{Deserialize, Serialize};
use serving::{CancellationToken, limits::Limits, server::Listener, workers::Workers};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    time::timeout,
};

use super::{
    bare,
    known::{self, Known},
    work::Work,
};
use crate::cli::MOST_USERS;

/// Longest time that a child process may take to listen. It takes dual-mode milliseconds, or a second on a
/// machine that swaps.
const START: Duration = Duration::from_secs(15);

/// Longest time that it may take to end, drain included.
const STOP: Duration = Duration::from_secs(15);

/// Description of the service to run: the one message that the child process gets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The cores to run on; none stands for all.
    pub cores: Vec<usize>,
    /// The service.
    pub kind: Kind,
}

/// A service of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// dual-mode as it is.
    #[default]
    DualMode,
    /// dual-mode, but its REST on bare connections of HTTP/1.1.
    BareRest {
        /// True if connections are kept open after an answer.
        keeps: bool,
    },
    /// One whose behaviour is known beforehand, with fixed answers.
    Known(Known),
    /// dual-mode's REST on bare connections of HTTP/1.1, with so much CPU time added to each call.
    AddedWork {
        /// Nanoseconds for each call.
        cpu_ns: u64,
    },
}

/// The account that a service whose behaviour is known gives of itself at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Account {
    /// Times for which it kept calls waiting.
    Waited(Nanoseconds),
    /// Work that it added to its calls.
    Added {
        /// Calls.
        calls: u64,
        /// CPU time in nanoseconds, all calls together.
        cpu_ns: u64,
    },
}

impl Account {
    /// Returns the times for which calls were kept waiting; none if the server kept none waiting on purpose.
    pub fn waited(self) -> Option<Nanoseconds> {
        match self {
            Self::Waited(waited) => Some(waited),
            Self::Added { .. } => None,
        }
    }

    /// CPU time added to each call, in microseconds; none where no work was to be added.
    pub fn added_us_per_call(&self) -> Option<f64> {
        match self {
            Self::Added { calls, cpu_ns } if *calls > 0 => {
                Some(*cpu_ns as f64 / 1e3 / *calls as f64)
            }
            _ => None,
        }
    }
}

/// Addresses of the two listeners: the first message that the child process sends. The other one is an
/// [`Account`].
#[derive(Debug, Serialize, Deserialize)]
struct Addresses {
    rest: SocketAddr,
    grpc: SocketAddr,
}

/// A running service of our own.
#[derive(Debug)]
pub struct Embedded {
    child: Child,
    /// Endpoint of its REST listener.
    pub rest: Endpoint,
    /// Endpoint of its gRPC listener.
    pub grpc: Endpoint,
}

impl Embedded {
    /// Starts it on free ports.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(spec: &Spec) -> anyhow::Result<Self> {
        Self::start_program(&Program::this(["server"])?, spec).await
    }

    /// The same by another `program` than this one.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_program(program: &Program, spec: &Spec) -> anyhow::Result<Self> {
        let mut child = Child::start(program)?;
        child.tell(spec).await?;
        let Addresses { rest, grpc } = timeout(START, child.hear())
            .await
            .context("the service did not start to listen in time")??
            .context("the service ended before it listened; its message stands above")?;
        let endpoint = |address: SocketAddr| Endpoint {
            address,
            authority: address.to_string(),
            tls: None,
        };
        Ok(Self {
            child,
            rest: endpoint(rest),
            grpc: endpoint(grpc),
        })
    }

    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops it, and hears what it says of itself.
    ///
    /// # Errors
    /// When it had to be killed, or failed.
    pub async fn stop(mut self) -> anyhow::Result<Option<Account>> {
        self.child.tell_to_end();
        // One that says nothing in time is killed below.
        let account = timeout(STOP, self.child.hear()).await;
        self.child
            .end()
            .await
            .context("the service did not stop well")?;
        Ok(account.ok().transpose()?.flatten())
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
    usage::raise_file_limit();
    match spec.kind {
        Kind::DualMode => dual_mode(None),
        Kind::BareRest { keeps } => dual_mode(Some(Bare { keeps, work: None })),
        Kind::AddedWork { cpu_ns } => {
            let work = Arc::new(Work::new(cpu_ns));
            dual_mode(Some(Bare {
                keeps: true,
                work: Some(Arc::clone(&work)),
            }))?;
            let (calls, cpu_ns) = work.done();
            tell(&Account::Added { calls, cpu_ns })
        }
        Kind::Known(known) => {
            let service = Arc::new(known::Service::new(known));
            let runtime = Runtime::new().context("the runtime could not be started")?;
            runtime.block_on(async {
                let (rest, grpc) = listen().await?;
                let end = until_told_to_end();
                tokio::select! {
                    () = known::serve(rest, Arc::clone(&service)) => {}
                    () = known::serve(grpc, Arc::clone(&service)) => {}
                    () = end.cancelled() => {}
                }
                anyhow::Ok(())
            })?;
            tell(&Account::Waited(service.waited()))
        }
    }
}

/// Settings of REST on bare connections.
struct Bare {
    /// True if connections are kept open after an answer.
    keeps: bool,
    /// Work that is added to each call, if any.
    work: Option<Arc<Work>>,
}

/// Serves dual-mode, laid out as the program lays itself out: see serving::process. If `bare` is given,
/// REST is served on bare connections, as it says.
fn dual_mode(bare: Option<Bare>) -> anyhow::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = Workers::start(cores)?;
    let listener = |socket| Listener {
        // A user holds a connection, and has a call on it.
        limits: Limits {
            connections: MOST_USERS,
            calls: MOST_USERS,
            ..Limits::default()
        },
        workers: workers.clone(),
        ..Listener::from(socket)
    };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    runtime.block_on(async {
        let (rest, grpc) = listen().await?;
        let end = until_told_to_end();
        let Some(Bare { keeps, work }) = bare else {
            return Ok(dual_mode::serve(listener(rest), listener(grpc), end).await?);
        };
        // dual-mode's own REST listens where nobody asks.
        let unasked = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        tokio::select! {
            served = dual_mode::serve(listener(unasked), listener(grpc), end) => Ok(served?),
            () = bare::serve(rest, keeps, work) => Ok(()),
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
    tell(&addresses)?;
    Ok((rest, grpc))
}

/// Writes a message to the parent.
fn tell(message: &impl Serialize) -> anyhow::Result<()> {
    // Where the parent is gone there is nobody to tell, and to print would panic.
    let mut out = io::stdout();
    writeln!(out, "{}", serde_json::to_string(message)?)?;
    Ok(out.flush()?)
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
