//! What one connection has open, down to the bytes that its peer has not yet taken.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::time::{Instant, sleep};

use crate::{intake::counted, limits::Limits, telemetry::metrics::locked};

/// A piece that is there when so many turns have begun since it was made is there for the time of all
/// but the first of them at least.
const TURNS: usize = 3;

/// What all connections of one listener have open, and may.
#[derive(Debug)]
pub(crate) struct Account {
    calls: AtomicUsize,
    most_calls: usize,
    /// Bytes of answers that are made, and not yet handed to the kernel.
    answers: AtomicUsize,
    most_answers: usize,
}

impl Account {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            calls: AtomicUsize::new(0),
            most_calls: limits.calls,
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

/// What one connection has open.
#[derive(Debug)]
pub(crate) struct Open {
    state: Mutex<State>,
    account: Arc<Account>,
    /// Whether its peer sent anything since somebody asked.
    heard: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Whether there was a call.
    begun: bool,
    /// Calls whose answers are not yet made.
    calls: usize,
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
    /// Answers are written one after the other, as HTTP/1 has it.
    one_by_one: bool,
    /// When the call ends whose answer they are at.
    end: Option<Instant>,
}

impl Open {
    pub(crate) fn new(account: &Arc<Account>) -> Self {
        Self {
            state: Mutex::default(),
            account: Arc::clone(account),
            heard: AtomicBool::new(false),
        }
    }

    /// Notes that its peer sent something.
    pub(crate) fn heard(&self) {
        self.heard.store(true, Relaxed);
    }

    /// Whether its peer sent anything since this was last asked.
    pub(crate) fn was_heard(&self) -> bool {
        self.heard.swap(false, Relaxed)
    }

    /// Whether an answer of `length` bytes may be held. It is bounded by itself already; all together may
    /// be above their limit by the last one.
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

    /// Says that answers are written one after the other.
    pub(crate) fn one_by_one(&self) {
        self.state().one_by_one = true;
    }

    /// A call begins, which counts for the listener already, and ends at `end` at the latest.
    pub(crate) fn begin(&self, end: Instant) {
        let mut state = self.state();
        state.begun = true;
        state.calls += 1;
        state.end = state.one_by_one.then_some(end);
    }

    /// Its answer is made. While the peer leaves it unread it still takes memory, and counts.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.calls -= 1;
        if state.unwritten < state.chunks {
            state.unwritten += 1;
        } else {
            self.account.calls.fetch_sub(1, Relaxed);
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

    /// How many calls are lost if the connection is cut now. Answers that only have to be written
    /// count as one, as their bytes do not tell how many they are.
    pub(crate) fn calls(&self) -> usize {
        let state = self.state();
        let unwritten = state.chunks > 0 || (state.begun && state.full);
        state.calls.max(usize::from(unwritten))
    }

    /// Ends when the peer has left a piece unread for `limit`, or half as long again. What it reads of others
    /// does not help: it could hold as many calls as it has streams by reading of one.
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
    /// What counts of it.
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
