//! The name of a call in logs and answers: the caller's own `x-request-id`, or one made here.

use std::cell::{Cell, RefCell};

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::random;

/// The header that carries it, both ways, on both transports.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest one that is taken from a caller: every scheme in use fits, and a log line stays a line.
const LONGEST: usize = 128;

/// How many bytes of made ids share one allocation.
const SLAB: usize = 4096;

thread_local! {
    static CURRENT: Cell<Option<HeaderValue>> = const { Cell::new(None) };
    static MADE: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// The request id of the call that is being polled, for whoever answers it: inside a service's
/// future, not inside what it spawned.
pub fn current() -> Option<HeaderValue> {
    let id = CURRENT.take();
    CURRENT.set(id.clone());
    id
}

/// Does `work` while `id` is the current request id.
pub(crate) fn within<T>(id: &mut Option<HeaderValue>, work: impl FnOnce() -> T) -> T {
    CURRENT.set(id.take());
    let done = work();
    *id = CURRENT.take();
    done
}

/// The id that the caller sent, if it is one that may stand in a log, or a new one.
pub(crate) fn of(headers: &HeaderMap) -> HeaderValue {
    let mut sent = headers.get_all(HEADER).iter();
    match (sent.next(), sent.next()) {
        (Some(id), None) if is_valid(id.as_bytes()) => id.clone(),
        _ => make(),
    }
}

/// At most 128 visible ASCII characters.
fn is_valid(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// 128 random bits in hexadecimal.
fn make() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let id = MADE.with_borrow_mut(|slab| {
        if slab.capacity() < 32 {
            *slab = BytesMut::with_capacity(SLAB);
        }
        for byte in [random::bits(), random::bits()]
            .iter()
            .flat_map(|bits| bits.to_be_bytes())
        {
            slab.put_u8(DIGITS[usize::from(byte >> 4)]);
            slab.put_u8(DIGITS[usize::from(byte & 15)]);
        }
        slab.split().freeze()
    });
    HeaderValue::from_maybe_shared(id).expect("hexadecimal is visible ASCII")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{HEADER, HeaderMap, HeaderValue, make, of};

    #[test]
    fn a_callers_id_is_kept_if_it_may_stand_in_a_log_and_replaced_otherwise() {
        let longest = "x".repeat(128);
        for (sent, kept) in [
            ("7", true),
            ("req-42/a:b", true),
            (longest.as_str(), true),
            ("", false),
            ("two words", false),
            ("tab\there", false),
            (&"x".repeat(129), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(sent).unwrap());
            assert_eq!(of(&headers) == sent, kept, "{sent:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(b"caf\xc3\xa9").unwrap());
        assert_eq!(of(&headers).len(), 32);
        headers.insert(HEADER, HeaderValue::from_static("a"));
        headers.append(HEADER, HeaderValue::from_static("b"));
        assert_eq!(of(&headers).len(), 32, "two ids are none");
    }

    #[test]
    fn made_ids_differ_across_slabs_and_threads() {
        let make_many = || (0..1000).map(|_| make()).collect::<Vec<_>>();
        let other = std::thread::spawn(make_many);
        let all: HashSet<_> = make_many()
            .into_iter()
            .chain(other.join().unwrap())
            .collect();
        assert_eq!(all.len(), 2000);
        assert!(all.iter().all(|id| id.len() == 32));
    }
}
