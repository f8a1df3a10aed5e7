//! The server under attack.
#![cfg(target_os = "linux")]

#[path = "../../serving/tests/support/attacks/mod.rs"]
#[allow(dead_code, reason = "the attacks on REST have no target here")]
mod attacks;
#[path = "../../serving/tests/support/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;

use proto::unary::{Message, unary_client::UnaryClient};

const SERVER: attacks::Target = attacks::Target {
    program: env!("CARGO_BIN_EXE_server"),
    args: &["--grpc-port", "0"],
    call: |channel| {
        Box::pin(async {
            let message = "honest".to_owned();
            let mut client = UnaryClient::new(channel);
            let answer = client.get_server_response(Message { message }).await?;
            assert!(answer.into_inner().received);
            Ok(())
        })
    },
    path: "/unary.Unary/GetServerResponse",
    request: |length| attacks::text_field(1, length),
    get: "",
};

attacks::attack_grpc!(crate::SERVER);
attacks::attack_echo!(crate::SERVER);
