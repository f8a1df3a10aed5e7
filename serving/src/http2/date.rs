//! The Date of answers, which is the same for all of one second.

use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;

thread_local! {
    static WRITTEN: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// Returns the value of the Date header for now (RFC 9110 §6.6.1).
pub(super) fn now() -> HeaderValue {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    WRITTEN.with_borrow_mut(|written| match written {
        Some((at, date)) if *at == second => date.clone(),
        _ => {
            let date = HeaderValue::try_from(httpdate::fmt_http_date(now));
            let date = date.expect("it is ASCII");
            *written = Some((second, date.clone()));
            date
        }
    })
}
