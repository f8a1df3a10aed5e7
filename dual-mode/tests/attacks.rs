//! The server under attack, on both of its ports.
#![cfg(target_os = "linux")]

#[path = "../../serving/tests/support/attacks/mod.rs"]
#[allow(dead_code, reason = "the attack by long answers has no target here")]
mod attacks;
#[path = "../../serving/tests/support/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;

use proto::rest_grpc_dual_mode::{
    RequestMessage, greetings_generator_client::GreetingsGeneratorClient,
};

const SERVER: attacks::Target = attacks::Target {
    program: env!("CARGO_BIN_EXE_dual-mode"),
    args: &["--grpc-port", "0", "--rest-port", "0"],
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
    // The year is 2021.
    request: |length| [attacks::text_field(2, length), vec![0x18, 0xe5, 0x0f]].concat(),
    get: "GET /v1/get_greetings?messageType=Diwali&year=2023 HTTP/1.1\r\nhost: localhost\r\n\r\n",
};

attacks::attack_grpc!(crate::SERVER);
attacks::attack_rest!(crate::SERVER);
