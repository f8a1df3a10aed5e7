//! Memory that calls share: so many bytes at most, counted where they lie.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The bytes of one message, or of one piece of an answer, that are not counted: with a cap on calls, they bound
/// themselves.
const FREE: usize = 4 * 1024;

/// The share of `bytes` that counts.
pub(crate) fn counted(bytes: usize) -> usize {
    if bytes > FREE { bytes } else { 0 }
}

/// The bytes that are held, and may be.
#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    most: usize,
}

impl Budget {
    /// For `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        let held = AtomicUsize::new(0);
        Self { held, most }
    }

    /// The bytes that are held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }
}

/// Bytes of a budget, which has them back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// None of `budget` yet.
    pub(crate) fn none(budget: &Arc<Budget>) -> Self {
        let budget = Arc::clone(budget);
        Self { budget, bytes: 0 }
    }

    /// Holds `bytes` in all from now on, if there is room for them. It holds no more than that already.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let Budget { held, most } = &*self.budget;
        let more = bytes - self.bytes;
        if more == 0 {
            return true;
        }
        if held.fetch_add(more, Relaxed) + more > *most {
            held.fetch_sub(more, Relaxed);
            return false;
        }
        self.bytes = bytes;
        true
    }

    /// Holds `more`, unless the limit is reached already: what is let in last may go beyond it.
    pub(crate) fn add(&mut self, more: usize) -> bool {
        let Budget { held, most } = &*self.budget;
        if more > 0 && held.fetch_add(more, Relaxed) >= *most {
            held.fetch_sub(more, Relaxed);
            return false;
        }
        self.bytes += more;
        true
    }

    /// Holds no more than `bytes` from now on.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if let Some(less) = self.bytes.checked_sub(bytes).filter(|less| *less > 0) {
            self.budget.held.fetch_sub(less, Relaxed);
            self.bytes = bytes;
        }
    }

    /// Takes `most` of them, or as many as there are.
    pub(crate) fn split(&mut self, most: usize) -> Self {
        let bytes = self.bytes.min(most);
        self.bytes -= bytes;
        let budget = Arc::clone(&self.budget);
        Self { budget, bytes }
    }

    /// The bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(0);
    }
}
