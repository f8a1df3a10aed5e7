//! The system under test: a server of our own, started afresh for each trial, or a service that runs
//! already.

pub mod accounts;
mod bare;
pub mod embedded;
pub mod known;
pub(crate) mod metrics;
mod work;

use std::time::Duration;

use engine::{
    Endpoint, Failure, PreparedRequest, Reply, Status,
    usage::{self, Accounts},
};
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    greetings,
    record::{Measured, Protocol, Service},
    service::Served,
    target::{Target, TargetError},
};
use accounts::{Named, ServerOptions};
use embedded::{Account, Embedded};
use metrics::Metrics;

/// Longest time that a service that runs already may be away before a trial: enough for a supervisor to start
/// it again.
const AWAY: Duration = Duration::from_secs(5);

/// Pause between two attempts to reach it meanwhile.
const AGAIN: Duration = Duration::from_millis(200);

/// Time that users may need to connect, as a multiple of the time that the connection before the trial took.
const LIKE_THE_FIRST: u32 = 4;

/// Time limit of a probe. A call takes less than a thousandth of it, or else a round trip across the world.
const PROBE: Duration = Duration::from_secs(3);

/// The system under test.
#[derive(Clone, Debug, PartialEq)]
pub enum System {
    /// A server of our own as a child process, a fresh one for each trial, so that none inherits
    /// another's memory.
    Fresh(embedded::Spec),
    /// A service that runs already: its REST and its gRPC.
    Running([Side; 2]),
    /// One variant of a service of another contract, which runs already.
    Foreign(Served),
}

/// One side of a service that runs already.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    target: Target,
    /// The server's processes and metrics that were named besides.
    named: Named,
    /// Whose CPU time is the server's, by name, if it is known.
    counted: Vec<String>,
}

/// The system while a trial runs.
#[derive(Debug)]
pub struct Session {
    own: Option<Embedded>,
    /// Endpoint that the load goes to.
    pub endpoint: Endpoint,
    /// Whose CPU time and memory are the server's, if that is on this machine.
    pub accounts: Accounts,
    /// True if what was found by the port alone may be a proxy's process.
    pub may_forward: bool,
    /// The addresses of the server's metrics.
    metrics: Vec<Metrics>,
    /// The processes that listen there.
    listening: Vec<u32>,
    /// Time that users may need to connect.
    pub connecting: Duration,
}

/// The end of a session.
#[derive(Debug)]
pub struct Ended {
    /// True if the server's processes are others than at the beginning, or a server of our own did not stop
    /// well.
    pub restarted: bool,
    /// The account that a server of our own gives of what it did on purpose.
    pub account: Option<Account>,
}

impl System {
    /// The service at these targets, REST and gRPC, with what was `named` of each.
    ///
    /// # Errors
    /// When one does not answer, or as another service does.
    pub async fn running([rest, grpc]: [Target; 2], named: &ServerOptions) -> anyhow::Result<Self> {
        let both = [
            (Protocol::JsonHttp1.name(), Protocol::JsonHttp1),
            (Protocol::Grpc.name(), Protocol::Grpc),
        ];
        let mut named = named.of(&both)?.into_iter();
        let mut next = || named.next().unwrap_or_default();
        Ok(Self::Running([
            Side::reach(rest, Protocol::JsonHttp1, next()).await?,
            Side::reach(grpc, Protocol::Grpc, next()).await?,
        ]))
    }

    /// The record of it in a report.
    pub fn service(&self) -> Service {
        match self {
            Self::Fresh(_) => Service::Embedded,
            Self::Running([rest, grpc]) => Service::Host {
                rest: rest.target.url(),
                grpc: grpc.target.url(),
            },
            Self::Foreign(served) => Service::Foreign {
                variants: vec![Measured {
                    name: served.protocol().name().to_owned(),
                    address: served.target().url(),
                    call: String::new(),
                }],
                rows: 0,
                left_out: Vec::new(),
                differences: Vec::new(),
            },
        }
    }

    /// Whose CPU time is that of REST and that of gRPC, as it was when they were first asked; none for
    /// those of our own.
    pub fn counted(&self) -> [Vec<String>; 2] {
        match self {
            Self::Fresh(_) | Self::Foreign(_) => Default::default(),
            Self::Running(sides) => sides.each_ref().map(|side| side.counted.clone()),
        }
    }

    /// Returns true if all processes that answer are known: a service that forwards to another hides some.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Fresh(_))
    }

    /// Returns the reason for which calls of `protocol` for `batch` greetings cannot be compared, if there is
    /// one: a service that runs already does not answer them.
    pub async fn lacks(&self, protocol: Protocol, batch: u32) -> Option<String> {
        let Self::Running(sides) = self else {
            return None;
        };
        let [rest, grpc] = sides;
        let side = match protocol.is_grpc() {
            true => grpc,
            false => rest,
        };
        let endpoint = match side.target.reach(protocol).await {
            Ok(endpoint) => endpoint,
            Err(error) => return Some(error.to_string()),
        };
        match look(protocol, batch, &endpoint).await {
            Ok(_) => None,
            Err(misfit) => Some(misfit.what),
        }
    }

    /// Makes the system ready for a trial of `protocol`.
    ///
    /// # Errors
    /// When it cannot be started, or went away.
    pub async fn begin(&self, protocol: Protocol) -> anyhow::Result<Session> {
        let (target, named) = match self {
            Self::Fresh(spec) => {
                let own = Embedded::start(spec).await?;
                let endpoint = match protocol.is_grpc() {
                    true => own.grpc.clone(),
                    false => own.rest.clone(),
                };
                return Ok(Session {
                    endpoint,
                    accounts: Accounts::of_processes(own.id().into_iter().collect()),
                    may_forward: false,
                    metrics: Vec::new(),
                    listening: Vec::new(),
                    own: Some(own),
                    connecting: Duration::ZERO,
                });
            }
            Self::Running([_, grpc]) if protocol.is_grpc() => (&grpc.target, &grpc.named),
            Self::Running([rest, _]) => (&rest.target, &rest.named),
            Self::Foreign(served) => (served.target(), served.named()),
        };
        let (mut endpoint, took) = still_there(target).await.map_err(|reason| {
            anyhow::anyhow!("the service went away: {} {reason}", target.url())
        })?;
        if let Self::Foreign(served) = self {
            endpoint.tls = served.tls();
        }
        // Others than those of the last trial if it was started again since.
        let listening = usage::listening_processes(endpoint.address);
        Ok(Session {
            own: None,
            accounts: named.accounts(&listening),
            may_forward: named.is_empty() && !listening.is_empty(),
            metrics: named.metrics.clone(),
            listening,
            endpoint,
            connecting: took * LIKE_THE_FIRST,
        })
    }
}

impl Side {
    async fn reach(target: Target, protocol: Protocol, named: Named) -> Result<Self, TargetError> {
        let endpoint = target.reach(protocol).await?;
        if let Err(misfit) = look(protocol, 1, &endpoint).await
            && misfit.is_another_service
        {
            let reason = format!(
                "answers a call for a greeting with: {}; is it another port or service, or one with TLS?",
                misfit.what
            );
            return Err(target.unreachable(protocol, reason));
        }
        named.are_told().await?;
        Ok(Self {
            counted: named.names(&usage::listening_processes(endpoint.address)),
            target,
            named,
        })
    }
}

/// The outcome of a call that got no good reply.
pub(crate) struct Misfit {
    /// In words.
    pub(crate) what: String,
    /// True if it shows that something else is served there. Mere trouble of the service does not show that.
    pub(crate) is_another_service: bool,
    /// True if it is a reply with a good status, but not the one that was asked for.
    pub(crate) is_wrong_reply: bool,
}

/// Makes one call for `batch` greetings and looks at the reply.
pub(crate) async fn look(
    protocol: Protocol,
    batch: u32,
    endpoint: &Endpoint,
) -> Result<(PreparedRequest, Reply), Misfit> {
    let request = greetings::request(protocol, batch);
    match engine::probe(protocol.transport(), endpoint, &request, PROBE).await {
        Ok(reply) if greetings::is_answered(protocol, batch, &reply) => Ok((request, reply)),
        Ok(_) => Err(Misfit {
            what: "not the greeting asked for".to_owned(),
            is_another_service: false,
            is_wrong_reply: true,
        }),
        Err(failure) => Err(Misfit {
            what: failure.to_string(),
            is_another_service: is_another_service(&failure),
            is_wrong_reply: false,
        }),
    }
}

fn is_another_service(failure: &Failure) -> bool {
    let status = match failure {
        Failure::BadStatus(reply) => &reply.status,
        failure => return matches!(failure, Failure::Broken(_) | Failure::NoGrpc(_)),
    };
    match status {
        Status::Http(status) => {
            let trouble = [401, 403, 408, 425, 429, 499].contains(&status.as_u16());
            !trouble && (300..500).contains(&status.as_u16())
        }
        Status::Grpc(code, _) => *code == Code::Unimplemented,
    }
}

/// The endpoint of `target`, if it answers now or soon, and how long it took to connect.
async fn still_there(target: &Target) -> Result<(Endpoint, Duration), String> {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        match target.find().await {
            Ok(endpoint) => return Ok((endpoint, asked.elapsed())),
            Err(reason) if begun.elapsed() > AWAY => return Err(reason),
            Err(_) => sleep(AGAIN).await,
        }
    }
}

impl Session {
    /// The server's metrics, if their address was named.
    ///
    /// # Errors
    /// When it does not tell.
    pub(crate) async fn scrape(&self) -> anyhow::Result<Option<metrics::Scrape>> {
        match &self.metrics[..] {
            [] => Ok(None),
            some => metrics::scrape(some).await.map(Some),
        }
    }

    /// Ends it.
    pub async fn end(self) -> Ended {
        if let Some(own) = self.own {
            return match own.stop().await {
                Ok(account) => Ended {
                    restarted: false,
                    account,
                },
                Err(error) => {
                    eprintln!("warning: {error:#}");
                    Ended {
                        restarted: true,
                        account: None,
                    }
                }
            };
        }
        let now = usage::listening_processes(self.endpoint.address);
        Ended {
            restarted: now != self.listening,
            account: None,
        }
    }
}
