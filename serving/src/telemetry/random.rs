//! Numbers that nobody can guess and no two calls share, cheap enough to make for each: SipHash of a
//! counter, under a key that the system chose for the thread.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

thread_local! {
    static KEY: RandomState = RandomState::new();
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Another 64 bits.
pub(crate) fn bits() -> u64 {
    let count = COUNT.get();
    COUNT.set(count.wrapping_add(1));
    KEY.with(|key| key.hash_one(count))
}
