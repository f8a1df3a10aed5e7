//! A user: one call in flight, on a connection of its own or on one that it shares. In a closed loop the
//! next call starts as soon as the reply has come, in an open loop when the pacer says so.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    attack::Attack,
    client::{CallError, Client, Received},
    outcome::Outcome,
    prepared::Ready,
    slot::Slot,
    window::{Call, End},
};

/// Pause before a user connects again: a refused connection fails within microseconds,
/// and a user that tried without a pause would keep a core busy with it.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Rest of a user that is to make no call any more, and that goose has not stopped yet.
const REST: Duration = Duration::from_millis(5);

/// Of so many replies of a user one is looked at closely: its cost is then below a hundredth of a call's.
const SAMPLED: usize = 64;

/// A user.
pub(crate) struct User {
    pub(crate) attack: Arc<Attack>,
    number: usize,
    /// Calls so far.
    calls: usize,
    client: Option<Client>,
}

/// A call that has ended, as goose wants to know it.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) latency: Duration,
    pub(crate) at: Instant,
}

/// A call that is under way.
struct Begun {
    /// When it was due; none in a closed loop.
    due: Option<Instant>,
    /// When the user turned to it.
    from: Instant,
}

/// A reply, or why there is none.
type Result = std::result::Result<std::result::Result<Received, CallError>, Outcome>;

impl User {
    /// The next user of `attack`.
    pub(crate) fn new(attack: Arc<Attack>) -> Self {
        Self {
            number: attack.next_user(),
            attack,
            calls: 0,
            client: None,
        }
    }

    /// Connects before the first call. If that fails, the first call tries again and records why.
    pub(crate) async fn start(&mut self) {
        let from = Instant::now();
        let window = Arc::clone(&self.attack.window);
        let slot = &window.slots[self.number % window.slots.len()];
        slot.begin(window.stamp(from), window.stamp(from));
        let _ = self.connect(slot, from).await;
        slot.end();
        window.user_started();
    }

    /// Waits until a call is due, makes it, and records it. None if no call was due for a while, or
    /// none is to be made any more.
    pub(crate) async fn call(&mut self) -> Option<Ended> {
        let attack = Arc::clone(&self.attack);
        let window = &attack.window;
        if window.end() != End::NotYet {
            sleep(REST).await;
            return None;
        }
        let due = self.turn().await?;
        let request = attack.next_request();
        let is_sample = self.calls.is_multiple_of(SAMPLED);
        self.calls = self.calls.wrapping_add(1);
        let ready = request.ready();

        let slot = &window.slots[self.number % window.slots.len()];
        slot.announce();
        if due.is_none() && window.is_resting() {
            // Its turn has just ended.
            slot.end();
            return None;
        }
        let from = Instant::now();
        let (result, begun) = self.exchange(slot, ready, &Begun { due, from }).await;
        let ended = Instant::now();
        // The clock has stopped. The call is open until it is recorded: nobody may take it for one without
        // a reply.
        let outcome = match &result {
            Ok(received) => Outcome::of(received, &request.expect, &attack.accept, is_sample),
            Err(outcome) => *outcome,
        };
        let latency = window.record(&Call {
            outcome,
            due,
            from,
            begun,
            ended,
        });
        slot.end();
        if self.client.is_none() && window.end() == End::NotYet {
            sleep(RECONNECT_PAUSE).await;
        } else if result.is_err() && !self.client.as_ref().is_some_and(Client::outlives_calls) {
            self.client = None;
        }
        Some(Ended {
            outcome,
            latency,
            at: ended,
        })
    }

    /// Waits until a call is due in an open loop, and says when that was; in a closed loop, while others
    /// have their turn. The connection is attended to meanwhile. The outer none: there was nothing to do for a
    /// while.
    async fn turn(&mut self) -> Option<Option<Instant>> {
        let window = &self.attack.window;
        if window.pacer.is_none() && !window.is_resting() {
            return Some(None);
        }
        let turn = async {
            match &window.pacer {
                Some(pacer) => pacer.turn().await.map(Some),
                None => window.turn().await.map(|()| None),
            }
        };
        match &mut self.client {
            Some(client) => client.attend(pin!(turn)).await,
            None => turn.await,
        }
    }

    /// Connects if need be, and makes a call. Returns when its first byte was about to be written:
    /// connecting is part of the response time alone.
    async fn exchange(&mut self, slot: &Slot, ready: Ready, call: &Begun) -> (Result, Instant) {
        let attack = Arc::clone(&self.attack);
        let window = &attack.window;
        let stamp = window.stamp(call.due.unwrap_or(call.from));
        let mut begun = call.from;
        slot.begin(stamp, window.stamp(begun));
        if !self.client.as_mut().is_some_and(Client::is_open) {
            if let Err(outcome) = self.connect(slot, begun).await {
                return (Err(outcome), begun);
            }
            begun = Instant::now();
            slot.begin(stamp, window.stamp(begun));
        }
        let Some(client) = &mut self.client else {
            return (Err(Outcome::TOO_LATE), begun);
        };
        let received = slot
            .guard(window.stamp(begun), pin!(client.call(ready)))
            .await;
        (received.ok_or(Outcome::TOO_LATE), begun)
    }

    /// Connects, within the time limit of the call that `slot` tells of, which counts since `since`.
    async fn connect(&mut self, slot: &Slot, since: Instant) -> std::result::Result<(), Outcome> {
        self.client = None;
        let attack = Arc::clone(&self.attack);
        let opening = pin!(attack.open(self.number));
        match slot.guard(attack.window.stamp(since), opening).await {
            Some(Ok(client)) => {
                self.client = Some(client);
                Ok(())
            }
            Some(Err(error)) => Err(Outcome::Broken(error.text())),
            None => Err(Outcome::TOO_LATE),
        }
    }
}
