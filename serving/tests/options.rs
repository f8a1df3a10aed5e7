//! Values on a command line: times and addresses, and the errors about wrong ones.

use std::time::Duration;

use serving::{args::duration, listener::bind};
use tokio::net::TcpListener;

#[test]
fn a_time_is_a_number_with_its_unit() {
    for (text, expected) in [
        ("1ns", Duration::from_nanos(1)),
        ("500ms", Duration::from_millis(500)),
        ("5s", Duration::from_secs(5)),
        ("1m 30s", Duration::from_secs(90)),
        ("2h", Duration::from_secs(7200)),
        ("365days", Duration::from_secs(365 * 24 * 3600)),
    ] {
        assert_eq!(duration(text), Ok(expected), "{text}");
    }
}

#[test]
fn a_time_that_cannot_be_waited_for_is_refused_with_an_example() {
    for text in ["", "5", "-5s", "5 parsecs", "soon", "99999999999999999999s"] {
        let error = duration(text).expect_err(text);
        assert!(
            error.ends_with("; write it like 500ms, 5s or 2m"),
            "{error}"
        );
    }
    for text in ["0s", "0ms", "0"] {
        let error = duration(text).expect_err(text);
        assert_eq!(error, "it must be longer than zero");
    }
    for text in ["365days 1ns", "500000000000years"] {
        let error = duration(text).expect_err(text);
        assert_eq!(error, "it must be at most 365 days");
    }
}

#[tokio::test]
async fn port_0_is_a_free_port() {
    let bound = bind("gRPC", "127.0.0.1:0".parse().unwrap(), "--grpc-port").await;
    assert_ne!(bound.unwrap().local_addr().unwrap().port(), 0);
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_wanted_it_and_the_option() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind("REST", address, "--rest-port").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "REST cannot listen on {address}: the port is taken; stop what uses it, or choose \
             another with --rest-port"
        )
    );
}

#[tokio::test]
async fn an_address_of_another_machine_is_named_with_the_reason_of_the_system() {
    // 192.0.2.0/24 is nobody's address (RFC 5737).
    let address = "192.0.2.1:0".parse().unwrap();
    let error = bind("gRPC", address, "--grpc-port").await.unwrap_err();
    let error = error.to_string();
    let start = "gRPC cannot listen on 192.0.2.1:0: ";
    let end = "; choose another address with --bind or port with --grpc-port";
    assert!(error.starts_with(start) && error.ends_with(end), "{error}");
    assert!(error.len() > start.len() + end.len(), "no reason: {error}");
}
