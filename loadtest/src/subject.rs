//! The service that is measured: dual-mode, started afresh for each block, or one that runs already.

use std::net::SocketAddr;

use crate::{
    block,
    embedded::{self, Account, Embedded},
    record::{Arm, Service},
    target::{Target, TargetError},
    usage,
};

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
    address: SocketAddr,
    processes: Vec<u32>,
}

/// The service while a block is measured.
#[derive(Debug)]
pub struct Session {
    own: Option<Embedded>,
    /// Where the load goes.
    pub target: Target,
    /// The server's processes, where they are on this machine.
    pub processes: Vec<u32>,
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
    /// When it cannot be started.
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
                    address: None,
                });
            }
            Self::Running(sides) => sides,
        };
        let side = if arm == Arm::Grpc { grpc } else { rest };
        Ok(Session {
            own: None,
            target: side.target.clone(),
            processes: side.processes.clone(),
            address: Some(side.address),
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
        Ok(Self {
            target,
            address,
            processes: usage::listening_processes(address),
        })
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
