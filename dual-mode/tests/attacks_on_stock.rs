//! The stock server under some of the same attacks: what the bounds are for. Run with
//! `cargo test -p dual-mode --test attacks_on_stock -- --ignored`.
//!
//! Measured where this was written, in two runs: of 20,000 streams whose window was made to overflow
//! it reset 19,724 and 18,670 and kept the connection; without file descriptors its gRPC listener took
//! 1.06 s and 1.45 s of a processor in 2 s. It ends rapid resets, and its REST listener pauses without
//! descriptors, as ours do.
#![cfg(target_os = "linux")]

#[path = "../../serving/tests/support/attacks/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only some attacks are tried")]
mod attacks;
#[path = "../../serving/tests/support/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;

use std::{env::current_exe, future::Future, sync::LazyLock};

use attacks::Target;
use proto::rest_grpc_dual_mode::{
    RequestMessage, greetings_generator_client::GreetingsGeneratorClient,
};

/// Cargo builds the examples with the tests, and puts them beside them.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    let test = current_exe().expect("a test is a program");
    let folder = test.ancestors().nth(2).expect("it lies in deps");
    folder.join("examples/stock").display().to_string()
});

/// It takes two ports, and ignores every option.
static STOCK: LazyLock<Target> = LazyLock::new(|| Target {
    program: &PROGRAM,
    args: &["0", "0"],
    call: |channel| {
        Box::pin(async {
            let request = RequestMessage {
                data_comm_type: String::new(),
                message_type: "Holi".to_owned(),
                year: 2021,
            };
            let mut client = GreetingsGeneratorClient::new(channel);
            let answer = client.grpc_get_greetings(request).await?;
            assert!(answer.into_inner().message_received);
            Ok(())
        })
    },
    path: "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings",
    request: |length| [attacks::text_field(2, length), vec![0x18, 0xe5, 0x0f]].concat(),
    get: "POST /v1/get_greetings HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
          content-length: 52\r\n\r\n{\"dataCommType\":\"\",\"messageType\":\"Holi\",\"year\":2021}",
});

/// Asserts that `attack` finds what it looks for, and not any other failure.
async fn falls(attack: impl Future<Output = ()> + Send + 'static, found: &str) {
    let fell = tokio::spawn(attack).await;
    let panic = fell.expect_err("the attack should succeed").into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let text = text.expect("a panic has a text");
    assert!(text.contains(found), "{text}");
    println!("{text}");
}

macro_rules! fall {
    ($($name:ident: $attack:ident, $found:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "waits half a minute for what never comes, and tests another server"]
        async fn $name() {
            falls(attacks::$attack(&STOCK), $found).await;
        }
    )*};
}

fall! {
    it_keeps_silent_connections: silent_connections_are_cut, "every connection should be cut";
    it_keeps_silent_connections_to_rest: silent_connections_to_rest_are_cut, "every connection should be cut";
    it_keeps_half_a_preface: half_a_preface_is_cut, "a slow preface should be cut";
    it_keeps_streams_without_a_window: streams_without_a_window_are_reset, "another frame";
    it_keeps_peers_that_do_not_read: pings_whose_answers_are_not_read_are_cut, "does not read";
    it_keeps_peers_that_do_not_read_from_rest: pipelined_requests_whose_answers_are_not_read_are_cut, "does not read";
    it_can_be_made_to_reset_without_an_end: provoked_resets_end_their_connection, "resets";
    it_spins_without_descriptors: descriptors_that_run_out_on_grpc_stop_nobody, "of 2s";
    it_keeps_slow_heads: slow_heads_are_cut, "a peer should be cut";
}
