//! A goose user: one call in flight, on a connection of its own or on one that it shares. In a closed
//! loop the next call starts as soon as the answer has come, in an open loop when the pacer says so.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionFunction, TransactionResult},
};
use serving::CancellationToken;
use thiserror::Error;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    batch::Batch,
    grpc, http,
    recorder::{Outcome, Recorder, Times},
    window::Window,
};
use crate::{plan::Planned, record::Arm, target::Target};

/// The occasion that every call asks for, as the original's load test did.
pub(super) const MESSAGE_TYPE: &str = "Diwali";
/// The year that every call asks for.
pub(super) const YEAR: i32 = 2023;
/// The greeting that every call must get.
pub(crate) const GREETING: &str =
    "Here is your greetings --> Today is a special day! (Diwali, 2023)";

/// How long a user waits before it connects again: a refused connection fails within microseconds,
/// and a user that tried without a pause would keep a core busy with it.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// The outcome of a call that was given up.
const TOO_LATE: Outcome = Outcome::Broken("no answer in time");

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum ConnectError {
    /// TCP failed.
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// HTTP failed.
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// What every user of an attack shares.
pub(super) struct Attack {
    pub(super) arm: Arm,
    /// What a call asks for where it is not one greeting.
    pub(super) batch: Option<Arc<Batch>>,
    pub(super) target: Target,
    /// Which connections users share.
    pub(super) connections: Connections,
    /// How long a call, or connecting, may take.
    pub(super) time_limit: Duration,
    pub(super) window: Arc<Window>,
    /// Cancelled when open calls are to be broken off.
    pub(super) stop: CancellationToken,
}

/// What calls of `size` greetings ask for; none where that is one.
pub(super) fn batch(arm: Arm, size: u32) -> Option<Arc<Batch>> {
    let data_comm_type = match arm {
        Arm::Grpc => grpc::DATA_COMM_TYPE,
        _ => http::DATA_COMM_TYPE,
    };
    (size > 1).then(|| Arc::new(Batch::new(size, data_comm_type)))
}

/// Connections that several users share; none where each has its own.
pub(super) struct Connections {
    shared: Vec<Mutex<Option<Connection>>>,
    /// Users so far.
    users: AtomicUsize,
}

impl Connections {
    /// Those that `planned` asks for.
    pub(super) fn of(planned: &Planned) -> Self {
        let shared = match planned.in_flight {
            1 => 0,
            _ => planned.connections,
        };
        Self {
            shared: (0..shared).map(|_| Mutex::default()).collect(),
            users: AtomicUsize::new(0),
        }
    }

    /// The place of a new user's connection among those that are shared.
    fn place(&self) -> Option<usize> {
        let user = self.users.fetch_add(1, Relaxed);
        user.checked_rem(self.shared.len())
    }
}

enum Connection {
    Http(http::Connection),
    Grpc(grpc::Connection),
}

/// What belongs to one user.
struct User {
    attack: Arc<Attack>,
    connection: Option<Connection>,
    /// Where its connection is shared: which one it is.
    place: Option<usize>,
    recorder: Recorder,
}

/// Goose asks that a user's data can be cloned, and does not clone it. A copy would start afresh.
impl Clone for User {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.attack))
    }
}

impl User {
    fn new(attack: Arc<Attack>) -> Self {
        let is_open_loop = attack.window.pacer.is_some();
        Self {
            place: attack.connections.place(),
            attack,
            connection: None,
            recorder: Recorder::new(is_open_loop),
        }
    }

    /// Waits until a call is due, connects if need be, makes the call, and records it. Connecting is
    /// part of the corrected time alone. None where no call was due for a while.
    async fn call(&mut self) -> Option<(Outcome, Duration)> {
        let due = match &self.attack.window.pacer {
            Some(pacer) => Some(pacer.turn().await?),
            None => None,
        };
        let begun = Instant::now();
        let mut connection = match self.open_connection().await {
            Ok(connection) => connection,
            Err(outcome) => {
                let time = self.record(outcome, begun, due);
                sleep(RECONNECT_PAUSE).await;
                return Some((outcome, time));
            }
        };
        connection.prepare();
        let begun = Instant::now();
        let outcome = connection.call(self.attack.time_limit).await;
        let time = self.record(outcome, begun, due);
        // The answer to a call that was given up may still come, and must not be taken for the next.
        if outcome != TOO_LATE {
            self.connection = Some(connection);
        }
        Some((outcome, time))
    }

    /// The connection of the last call, or a new one where that is closed.
    async fn open_connection(&mut self) -> Result<Connection, Outcome> {
        if let Some(connection) = self.connection.take().filter(Connection::is_open) {
            return Ok(connection);
        }
        let attack = &self.attack;
        match timeout(attack.time_limit, Connection::open_at(attack, self.place)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error.outcome()),
            Err(_) => Err(TOO_LATE),
        }
    }

    /// Records a call that has just ended, and says how long it took: since it was due, where calls are.
    /// Goose's own figures and thresholds stand on that.
    fn record(&mut self, outcome: Outcome, begun: Instant, due: Option<Instant>) -> Duration {
        let now = Instant::now();
        let times = Times {
            uncorrected: now - begun,
            corrected: due.map(|due| now - due),
        };
        let window = &self.attack.window;
        if !window.is_abandoned() {
            self.recorder.record(outcome, times, window.contains(now));
            window.count(outcome.is_ok());
        }
        times.corrected.unwrap_or(times.uncorrected)
    }
}

impl Connection {
    /// A connection of its own, or one more user's share of the one at `place`.
    async fn open_at(attack: &Attack, place: Option<usize>) -> Result<Self, ConnectError> {
        let Some(place) = place else {
            return Self::open(attack).await;
        };
        let mut shared = attack.connections.shared[place].lock().await;
        let open = shared.as_ref().filter(|connection| connection.is_open());
        if let Some(share) = open.and_then(Self::share) {
            return Ok(share);
        }
        let connection = Self::open(attack).await?;
        *shared = connection.share();
        Ok(connection)
    }

    /// The same connection for another user; none where it has one call at a time.
    fn share(&self) -> Option<Self> {
        Some(match self {
            Self::Http(connection) => Self::Http(connection.share()?),
            Self::Grpc(connection) => Self::Grpc(connection.share()),
        })
    }

    async fn open(attack: &Attack) -> Result<Self, ConnectError> {
        Ok(match attack.arm {
            Arm::Grpc => Self::Grpc(grpc::Connection::open(attack).await?),
            _ => Self::Http(http::Connection::open(attack).await?),
        })
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Http(connection) => connection.is_open(),
            Self::Grpc(connection) => connection.is_open(),
        }
    }

    /// Makes what the next call takes and its time does not include.
    fn prepare(&mut self) {
        match self {
            Self::Http(_) => {}
            Self::Grpc(connection) => connection.prepare(),
        }
    }

    async fn call(&mut self, time_limit: Duration) -> Outcome {
        let call = async {
            match self {
                Self::Http(connection) => connection.call().await,
                Self::Grpc(connection) => connection.call().await,
            }
        };
        timeout(time_limit, call).await.unwrap_or(TOO_LATE)
    }
}

impl ConnectError {
    fn outcome(&self) -> Outcome {
        Outcome::Broken(match self {
            Self::Socket(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "connection refused"
            }
            Self::Socket(error) if is_too_many_files(error) => "this machine: too many open files",
            Self::Socket(_) => "no connection",
            Self::Http(_) => "connection broken",
        })
    }
}

fn is_too_many_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}

/// Connects and makes one call.
pub(super) async fn once(attack: &Attack) -> Outcome {
    match timeout(attack.time_limit, Connection::open(attack)).await {
        Ok(Ok(mut connection)) => {
            connection.prepare();
            connection.call(attack.time_limit).await
        }
        Ok(Err(error)) => error.outcome(),
        Err(_) => TOO_LATE,
    }
}

/// The scenario of `attack`'s users: connect, call for ever, hand over what was recorded.
pub(super) fn scenario(attack: &Arc<Attack>) -> Result<Scenario, GooseError> {
    let starting = Arc::clone(attack);
    let start: TransactionFunction =
        Arc::new(move |goose| Box::pin(start(goose, Arc::clone(&starting))));
    let call: TransactionFunction = Arc::new(|goose| Box::pin(call(goose)));
    let stop: TransactionFunction = Arc::new(|goose| Box::pin(stop(goose)));
    Ok(Scenario::new(attack.arm.name())
        .register_transaction(Transaction::new(start).set_name("connect").set_on_start())
        .register_transaction(Transaction::new(call).set_name("call"))
        .register_transaction(Transaction::new(stop).set_name("hand over").set_on_stop()))
}

async fn start(goose: &mut GooseUser, attack: Arc<Attack>) -> TransactionResult {
    let mut user = User::new(attack);
    // Where it fails, the first call tries again and records why.
    user.connection = user.open_connection().await.ok();
    user.attack.window.user_started();
    goose.set_session_data(user);
    Ok(())
}

async fn call(goose: &mut GooseUser) -> TransactionResult {
    let user = goose.get_session_data_unchecked_mut::<User>();
    let (method, name) = match (user.attack.arm, &user.attack.batch) {
        (Arm::Grpc, None) => ("gRPC", grpc::PATH),
        (Arm::Grpc, Some(_)) => ("gRPC", grpc::BATCH_PATH),
        (_, None) => ("POST", http::PATH),
        (_, Some(_)) => ("POST", http::BATCH_PATH),
    };
    let Some((outcome, time)) = user.call().await else {
        return Ok(());
    };
    let error = (!outcome.is_ok()).then(|| outcome.to_string());
    goose
        .record_custom_request_duration(
            method,
            name,
            time,
            outcome.is_ok(),
            outcome.http_status(),
            error.as_deref(),
        )
        .await
}

async fn stop(goose: &mut GooseUser) -> TransactionResult {
    let user = goose.get_session_data_unchecked_mut::<User>();
    user.attack.window.user_stopped(&user.recorder);
    Ok(())
}
