//! The service that is measured: dual-mode, started afresh for each block, or one that runs already.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use tokio::time::{Instant, sleep};

use crate::{
    block::{self, CONNECTING_US},
    embedded::{self, Account, Embedded},
    record::{Arm, Service},
    target::{Target, TargetError},
    usage,
};

/// How long a service that runs already may be away before a block: long enough for one that is started
/// again by a supervisor.
const AWAY: Duration = Duration::from_secs(5);

/// How often it is asked for meanwhile.
const AGAIN: Duration = Duration::from_millis(200);

/// How many times longer than the connection before the block those of its users may take.
const LIKE_THE_FIRST: u32 = 4;

/// The service that is measured.
#[derive(Debug)]
pub enum Subject {
    /// dual-mode as a child process, a fresh one for each block, so that none inherits another's
    /// memory.
    Fresh(embedded::Spec),
    /// A service that runs already: its REST and its gRPC.
    Running([Side; 2]),
}

/// One side of a service that runs already.
#[derive(Debug)]
pub struct Side {
    target: Target,
    /// The processes that listened there, by name, where they are on this machine.
    listening: Vec<String>,
}

/// The service while a block is measured.
#[derive(Debug)]
pub struct Session {
    own: Option<Embedded>,
    /// Where the load goes.
    pub target: Target,
    /// The server's processes, where they are on this machine.
    pub processes: Vec<u32>,
    /// How long users may take to connect, in microseconds.
    pub connecting_us: u64,
    address: Option<SocketAddr>,
}

/// How a session ended.
#[derive(Debug)]
pub struct Ended {
    /// Whether the server's processes are others than at the beginning.
    pub restarted: bool,
    /// What a service of our own says it did on purpose.
    pub account: Option<Account>,
}

impl Subject {
    /// The service at these targets, REST and gRPC.
    ///
    /// # Errors
    /// When one does not answer, or as another service does.
    pub async fn running(rest: Target, grpc: Target) -> Result<Self, TargetError> {
        Ok(Self::Running([
            Side::reach(rest, Arm::JsonHttp1).await?,
            Side::reach(grpc, Arm::Grpc).await?,
        ]))
    }

    /// What the report says it is.
    pub fn service(&self) -> Service {
        match self {
            Self::Fresh(_) => Service::Embedded,
            Self::Running([rest, grpc]) => Service::Host {
                rest: rest.target.url(),
                grpc: grpc.target.url(),
            },
        }
    }

    /// The processes that listened where REST and gRPC are when they were first asked; none for those of our
    /// own.
    pub fn listening(&self) -> [Vec<String>; 2] {
        match self {
            Self::Fresh(_) => Default::default(),
            Self::Running(sides) => sides.each_ref().map(|side| side.listening.clone()),
        }
    }

    /// Why `arm` cannot be compared, if so: the service that runs already does not answer it. REST
    /// and gRPC as people have them are measured in any case.
    pub async fn lacks(&self, arm: Arm) -> Option<String> {
        match (self, arm) {
            (Self::Fresh(_), _) | (_, Arm::JsonHttp1 | Arm::Grpc) => None,
            (Self::Running([rest, _]), _) => block::probe(arm, &rest.target, 1).await,
        }
    }

    /// Why `arm` cannot be asked for several greetings at once, if so.
    pub async fn lacks_batches(&self, arm: Arm) -> Option<String> {
        match (self, arm) {
            (Self::Fresh(_), _) => None,
            (Self::Running([_, grpc]), Arm::Grpc) => block::probe(arm, &grpc.target, 2).await,
            (Self::Running([rest, _]), _) => block::probe(arm, &rest.target, 2).await,
        }
    }

    /// Makes the service ready for a block of `arm`.
    ///
    /// # Errors
    /// When it cannot be started, or went away.
    pub async fn begin(&self, arm: Arm) -> anyhow::Result<Session> {
        let [rest, grpc] = match self {
            Self::Fresh(spec) => {
                let own = Embedded::start(spec).await?;
                return Ok(Session {
                    target: match arm {
                        Arm::Grpc => own.grpc.clone(),
                        _ => own.rest.clone(),
                    },
                    processes: own.id().into_iter().collect(),
                    own: Some(own),
                    connecting_us: CONNECTING_US,
                    address: None,
                });
            }
            Self::Running(sides) => sides,
        };
        let Side { target, .. } = if arm == Arm::Grpc { grpc } else { rest };
        let reached = still_there(target, arm).await;
        let (address, took) = reached.context("the service went away")?;
        let connecting_us = u64::try_from((took * LIKE_THE_FIRST).as_micros()).unwrap_or(u64::MAX);
        Ok(Session {
            own: None,
            target: target.clone(),
            // Others than those of the last block where it was started again since.
            processes: usage::listening_processes(address),
            connecting_us: connecting_us.max(CONNECTING_US),
            address: Some(address),
        })
    }
}

impl Side {
    async fn reach(target: Target, arm: Arm) -> Result<Self, TargetError> {
        let address = target.reach(arm).await?;
        if let Some(what) = block::misfit(arm, &target).await {
            let reason = format!(
                "answers a call for a greeting with: {what}; is it another port or service, or one with TLS?"
            );
            return Err(target.unreachable(arm, reason));
        }
        let listening = usage::listening_processes(address).into_iter();
        Ok(Self {
            target,
            listening: listening.filter_map(usage::name_of).collect(),
        })
    }
}

/// Where `target` listens, if it does now or soon, and how long it took to connect.
async fn still_there(target: &Target, arm: Arm) -> Result<(SocketAddr, Duration), TargetError> {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        match target.reach(arm).await {
            Ok(address) => return Ok((address, asked.elapsed())),
            Err(error) if begun.elapsed() > AWAY => return Err(error),
            Err(_) => sleep(AGAIN).await,
        }
    }
}

impl Session {
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
        let now = self.address.map(usage::listening_processes);
        Ended {
            restarted: now.is_some_and(|now| now != self.processes),
            account: None,
        }
    }
}
