//! The open calls of one connection, down to the bytes that its peer has not yet taken.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body_util::{Either, Empty};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{budget::counted, limits::Limits, telemetry::metrics::locked};

/// A piece that is there when so many turns have begun since it was made is there for the time of all
/// but the first of them at least.
const TURNS: usize = 3;

/// The most calls of a connection that have no end of their own. A client watches its server and a service or
/// two; whoever watches more takes the calls of others.
const MOST_WATCHES: usize = 8;

/// The open calls and unwritten bytes of all connections of one listener, and the limits of both.
#[derive(Debug)]
pub(crate) struct Account {
    calls: AtomicUsize,
    most_calls: usize,
    /// Calls without an end of their own.
    watches: AtomicUsize,
    /// Bytes of answers that are made, and not yet handed to the kernel.
    answers: AtomicUsize,
    most_answers: usize,
}

impl Account {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            calls: AtomicUsize::new(0),
            most_calls: limits.calls,
            watches: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            most_answers: limits.answers,
        }
    }

    /// Counts one more call, if it may be open.
    pub(crate) fn take_call(&self) -> bool {
        let taken = self.calls.fetch_add(1, Relaxed) < self.most_calls;
        if !taken {
            self.calls.fetch_sub(1, Relaxed);
        }
        taken
    }

    fn hold(&self, bytes: usize) {
        if bytes > 0 {
            self.answers.fetch_add(bytes, Relaxed);
        }
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.answers.fetch_sub(bytes, Relaxed);
        }
    }
}

/// An answer whose end is known while it is written.
pub(crate) trait Bounded {
    /// When its call ends at the latest.
    fn end(&self) -> Option<Instant>;
}

impl<A: Bounded, B: Bounded> Bounded for Either<A, B> {
    fn end(&self) -> Option<Instant> {
        match self {
            Self::Left(body) => body.end(),
            Self::Right(body) => body.end(),
        }
    }
}

impl<D> Bounded for Empty<D> {
    fn end(&self) -> Option<Instant> {
        None
    }
}

/// Bytes of an answer that count for the listener until they are dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: usize,
    open: Arc<Open>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open.account.give_back(self.bytes);
    }
}

/// The open calls and unwritten bytes of one connection.
#[derive(Debug)]
pub(crate) struct Open {
    state: Mutex<State>,
    account: Arc<Account>,
    /// True if its peer sent anything since somebody asked.
    heard: AtomicBool,
    /// Answers are written one after the other, as HTTP/1 has it.
    one_by_one: AtomicBool,
    /// It has to make room for another connection.
    making_room: Notify,
    /// It was asked to, and was not seen to be busy since.
    is_going: AtomicBool,
    /// Cancelled when it takes no more calls. Made when somebody waits for it: few do.
    leaving: OnceLock<CancellationToken>,
}

#[derive(Debug)]
struct State {
    /// When the last call ended, or the connection was accepted.
    idle_since: Instant,
    /// When the first byte came of a head that is not whole, as HTTP/1 has it.
    head_since: Option<Instant>,
    /// True if there was a call.
    begun: bool,
    /// Calls whose answers are not yet made.
    calls: usize,
    /// Those of them that have no end of their own.
    watches: usize,
    /// Pieces of answers that are made, and not yet handed to the kernel.
    chunks: usize,
    /// The same, by the turn they were made in.
    by_turn: [usize; TURNS],
    /// The turn that is.
    turn: usize,
    /// Calls whose answers are made, and that count for the listener until their pieces are written: never
    /// more than there are pieces.
    unwritten: usize,
    /// The kernel has no room for what is to be written.
    full: bool,
    /// When the call ends whose answer they are at.
    end: Option<Instant>,
}

impl Open {
    pub(crate) fn new(account: &Arc<Account>) -> Self {
        Self {
            state: Mutex::new(State {
                idle_since: Instant::now(),
                head_since: None,
                begun: false,
                calls: 0,
                watches: 0,
                chunks: 0,
                by_turn: [0; TURNS],
                turn: 0,
                unwritten: 0,
                full: false,
                end: None,
            }),
            account: Arc::clone(account),
            heard: AtomicBool::new(false),
            one_by_one: AtomicBool::new(false),
            making_room: Notify::new(),
            is_going: AtomicBool::new(false),
            leaving: OnceLock::new(),
        }
    }

    /// Notes that its peer sent something.
    pub(crate) fn heard(&self) {
        self.heard.store(true, Relaxed);
        if self.one_by_one.load(Relaxed) {
            let mut state = self.state();
            if state.calls == 0 && state.head_since.is_none() {
                state.head_since = Some(Instant::now());
            }
        }
    }

    /// Notes that its peer asked something, which may have been refused at once.
    pub(crate) fn asked(&self) {
        let mut state = self.state();
        state.head_since = None;
        state.idle_since = Instant::now();
    }

    /// Since when it has had no call open, if it has none.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        let is_idle = state.calls == 0 && state.chunks == 0;
        is_idle.then_some(state.idle_since)
    }

    /// Since when it has had nothing open but calls without an end of their own, which give way to newcomers.
    pub(crate) fn gives_way_since(&self) -> Option<Instant> {
        let state = self.state();
        let gives_way = state.calls == state.watches && state.chunks == 0;
        gives_way.then_some(state.idle_since)
    }

    /// Says that it takes no more calls.
    pub(crate) fn leave(&self) {
        self.leaving.get_or_init(CancellationToken::new).cancel();
    }

    /// Cancelled when it takes no more calls.
    pub(crate) fn leaving(&self) -> CancellationToken {
        self.leaving.get_or_init(CancellationToken::new).clone()
    }

    /// Counts one more call without an end of its own, if the connection may have it.
    pub(crate) fn begin_watch(&self) -> bool {
        let account = &self.account;
        // Half of all calls stay for those that end.
        let may = account.watches.fetch_add(1, Relaxed) < account.most_calls.div_ceil(2) && {
            let mut state = self.state();
            let may = state.watches < MOST_WATCHES;
            state.watches += usize::from(may);
            may
        };
        if !may {
            account.watches.fetch_sub(1, Relaxed);
        }
        may
    }

    /// Notes that such a call has ended.
    pub(crate) fn end_watch(&self) {
        self.state().watches -= 1;
        self.account.watches.fetch_sub(1, Relaxed);
    }

    /// Asks it to make room for another connection, if it is idle.
    pub(crate) fn make_room(&self) {
        self.is_going.store(true, Relaxed);
        self.making_room.notify_one();
    }

    /// Returns true if it was asked to make room, and may be about to.
    pub(crate) fn is_going(&self) -> bool {
        self.is_going.load(Relaxed)
    }

    /// Ends when it has to make room, and is idle.
    pub(crate) async fn has_to_go(&self) {
        loop {
            self.making_room.notified().await;
            if self.gives_way_since().is_some() {
                return;
            }
            self.is_going.store(false, Relaxed);
        }
    }

    /// Ends when it has been idle for `limit`. A head that has begun has a limit of its own.
    pub(crate) async fn idle(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let has_begun = self.state().head_since.is_some();
            let since = self.idle_since().filter(|_| !has_begun);
            let end = since.unwrap_or(now) + limit;
            if end <= now {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Ends when a head has not come whole within `limit` of its first byte.
    pub(crate) async fn slow_head(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let end = self.state().head_since.unwrap_or(now) + limit;
            if end <= now {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Returns true if its peer sent anything since this was last asked.
    pub(crate) fn was_heard(&self) -> bool {
        self.heard.swap(false, Relaxed)
    }

    /// Returns true if an answer of `length` bytes may be held. Each answer is bounded by itself already; all
    /// together may exceed their limit by the last one.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        let account = &self.account;
        counted(length) == 0 || account.answers.load(Relaxed) < account.most_answers
    }

    /// Holds an answer of `length` bytes that waits to be cut into pieces.
    pub(crate) fn hold(self: &Arc<Self>, length: usize) -> Option<Held> {
        let bytes = counted(length);
        (bytes > 0).then(|| {
            self.account.hold(bytes);
            let open = Arc::clone(self);
            Held { bytes, open }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Says that answers are written one after the other, and that the first head has begun.
    pub(crate) fn one_by_one(&self) {
        self.one_by_one.store(true, Relaxed);
        let mut state = self.state();
        state.head_since = Some(state.idle_since);
    }

    /// A call begins, which counts for the listener already, and ends at `end` at the latest.
    pub(crate) fn begin(&self, end: Instant) {
        let mut state = self.state();
        state.begun = true;
        state.calls += 1;
        state.head_since = None;
        state.end = self.one_by_one.load(Relaxed).then_some(end);
    }

    /// Its answer is made. While the peer leaves it unread it still takes memory, and counts.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.calls -= 1;
        if state.calls == 0 {
            state.idle_since = Instant::now();
        }
        if state.unwritten < state.chunks {
            state.unwritten += 1;
        } else {
            self.account.calls.fetch_sub(1, Relaxed);
        }
    }

    /// Notes that the one call whose answer is being written goes on, until `end` at the latest.
    pub(crate) fn goes_on(&self, end: Instant) {
        if self.one_by_one.load(Relaxed) {
            self.state().end = Some(end);
        }
    }

    /// When the one call ends whose answer is being written, where that is known.
    pub(crate) fn last_moment(&self) -> Option<Instant> {
        self.state().end
    }

    /// Says whether the kernel has no room for what is to be written.
    pub(crate) fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// Returns the number of calls that are lost if the connection is cut now. Answers that only have to be
    /// written count as one, as their bytes do not tell how many they are.
    pub(crate) fn calls(&self) -> usize {
        let state = self.state();
        let unwritten = state.chunks > 0 || (state.begun && state.full);
        state.calls.max(usize::from(unwritten))
    }

    /// Ends when the peer has left a piece unread for `limit`, or half as long again. Reading others does not
    /// help it: by reading of one stream it could otherwise hold as many calls as it has streams.
    pub(crate) async fn unread(&self, limit: Duration) {
        loop {
            sleep(limit / 2).await;
            let mut state = self.state();
            state.turn = (state.turn + 1) % TURNS;
            if state.by_turn[state.turn] > 0 {
                return;
            }
        }
    }

    fn made(&self) -> u32 {
        let mut state = self.state();
        let turn = state.turn;
        state.chunks += 1;
        state.by_turn[turn] += 1;
        turn as u32
    }

    fn taken(&self, turn: u32) {
        let mut state = self.state();
        state.chunks -= 1;
        state.by_turn[turn as usize] -= 1;
        let written = state.unwritten.saturating_sub(state.chunks);
        if written > 0 {
            state.unwritten -= written;
            self.account.calls.fetch_sub(written, Relaxed);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let unwritten = self.state().unwritten;
        self.account.calls.fetch_sub(unwritten, Relaxed);
    }
}

/// A piece of an answer, counted until it is written.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Bytes,
    open: Arc<Open>,
    turn: u32,
    /// Bytes of it that count for the listener.
    held: u32,
}

impl Chunk {
    pub(crate) fn new(bytes: Bytes, open: &Arc<Open>) -> Self {
        let held = counted(bytes.len());
        open.account.hold(held);
        Self {
            bytes,
            open: Arc::clone(open),
            turn: open.made(),
            // No piece is longer than 64 KiB.
            held: held as u32,
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.open.taken(self.turn);
        self.open.account.give_back(self.held as usize);
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.bytes.copy_to_bytes(length)
    }
}
