//! The business stays free of every transport.

/// What `greetings.rs` must not know: transports, formats, I/O and clocks.
const FOREIGN: [&str; 16] = [
    "axum",
    "chrono",
    "http",
    "hyper",
    "proto::",
    "prost",
    "serde",
    "serving",
    "tokio",
    "tonic",
    "tracing",
    "print",
    "std::fs",
    "std::io",
    "std::net",
    "std::time",
];

#[test]
fn the_business_knows_no_transport_no_format_no_io_and_no_clock() {
    let source = include_str!("../src/greetings.rs");
    for (number, line) in (1..).zip(source.lines()) {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in FOREIGN {
            assert!(!line.contains(word), "greetings.rs:{number}: {line}");
        }
    }
}
