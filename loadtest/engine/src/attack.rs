//! Things that the users of a trial share: requests, connections and the window.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::Mutex;

use crate::{
    client::{Client, ConnectError, Sharing, Use},
    configuration,
    prepared::Prepared,
    spec::{Accepted, Endpoint, Transport, TrialSpec},
    tls::Connector,
    window::Window,
};

/// Time that a user makes calls for before goose is asked whether it should stop.
const TRANSACTION: Duration = Duration::from_millis(10);

/// Shared by the users of one trial.
pub(crate) struct Attack {
    transport: Transport,
    endpoint: Endpoint,
    connector: Connector,
    requests: Vec<Prepared>,
    /// Outcomes that are good besides success.
    pub(crate) accept: Vec<Accepted>,
    /// Calls so far, of all users.
    calls: AtomicUsize,
    longest_body: usize,
    /// Method and name of the requests in goose's figures.
    pub(crate) method: String,
    pub(crate) name: String,
    /// Connections that several users share; none where each has its own.
    shared: Vec<Mutex<Option<Client>>>,
    /// Users so far.
    users: AtomicUsize,
    pub(crate) window: Arc<Window>,
    /// Time that a user makes calls for before goose is asked whether it should stop.
    pub(crate) transaction: Duration,
}

impl Attack {
    /// The attack that `spec` describes.
    pub(crate) fn new(spec: &TrialSpec, window: &Arc<Window>) -> anyhow::Result<Self> {
        let prepare = |request| Prepared::new(spec.transport, &spec.endpoint, request);
        let requests = &spec.workload.requests;
        let shared = match spec.shape.in_flight {
            1 => 0,
            _ => spec.shape.connections,
        };
        let (method, name) = names(spec);
        Ok(Self {
            transport: spec.transport,
            endpoint: spec.endpoint.clone(),
            connector: Connector::new(spec.transport, &spec.endpoint)?,
            requests: requests.iter().map(prepare).collect::<Result<_, _>>()?,
            accept: spec.workload.accept.clone(),
            calls: AtomicUsize::new(0),
            longest_body: requests
                .iter()
                .map(|request| request.body.len())
                .max()
                .unwrap_or_default(),
            method,
            name,
            shared: (0..shared).map(|_| Mutex::default()).collect(),
            users: AtomicUsize::new(0),
            window: Arc::clone(window),
            transaction: match configuration::wants_transactions(&spec.goose) {
                true => Duration::ZERO,
                false => TRANSACTION,
            },
        })
    }

    /// A connection of its own for user `number`, or its share of one.
    pub(crate) async fn open(&self, number: usize) -> Result<Client, ConnectError> {
        let Some(place) = number.checked_rem(self.shared.len()) else {
            return self.connect(Sharing::Exclusive).await;
        };
        let mut shared = self.shared[place].lock().await;
        let share = |client: &mut Client| client.is_open().then(|| client.share()).flatten();
        if let Some(share) = shared.as_mut().and_then(share) {
            return Ok(share);
        }
        let client = self.connect(Sharing::Shared).await?;
        *shared = client.share();
        Ok(client)
    }

    /// The request of the next call. All users take them in turn: each is sent as often as any other, however
    /// long it takes, and none again before all were.
    pub(crate) fn next_request(&self) -> &Prepared {
        let call = self.calls.fetch_add(1, Relaxed);
        &self.requests[call % self.requests.len()]
    }

    /// The number of a new user.
    pub(crate) fn next_user(&self) -> usize {
        self.users.fetch_add(1, Relaxed)
    }

    async fn connect(&self, sharing: Sharing) -> Result<Client, ConnectError> {
        let purpose = Use {
            sharing,
            longest_body: self.longest_body,
        };
        Client::open(
            self.transport,
            &self.connector,
            &self.endpoint,
            &self.window.bytes,
            purpose,
        )
        .await
    }
}

/// One method and one name for all requests, as goose keeps a row of figures for each.
fn names(spec: &TrialSpec) -> (String, String) {
    let mut requests = spec.workload.requests.iter();
    let path = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
    let Some(first) = requests.next() else {
        return (spec.name.clone(), spec.name.clone());
    };
    let name = match requests.all(|request| path(&request.path) == path(&first.path)) {
        true => path(&first.path),
        false => spec.name.clone(),
    };
    let method = match spec.transport {
        Transport::Grpc | Transport::GrpcWeb => "gRPC".to_owned(),
        Transport::Http1 | Transport::Http2 => first.method.clone(),
    };
    (method, name)
}
