//! Compiles the contract with protox, so that no protoc is needed.

use std::{env, fs, path::PathBuf};

use prost::Message;

fn main() -> anyhow::Result<()> {
    let (file, folder) = ("rest_grpc_dual_mode.proto", "../../proto");
    println!("cargo::rerun-if-changed={folder}/{file}");
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("contract.bin");
    fs::write(
        &descriptors,
        protox::compile([file], [folder])?.encode_to_vec(),
    )?;
    connectrpc_build::Config::new()
        .descriptor_set(&descriptors)
        .files(&[file])
        .include_file("_connectrpc.rs")
        .compile()
}
