//! Compiles the contracts with protox, a protobuf compiler in Rust, so that no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const CONTRACTS: [&str; 3] = ["unary", "bidirectional", "rest_grpc_dual_mode"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for contract in CONTRACTS {
        let file = format!("{contract}.proto");
        println!("cargo::rerun-if-changed={file}");
        let descriptors = protox::compile([file], ["."])?;
        fs::write(
            out.join(format!("{contract}.bin")),
            descriptors.encode_to_vec(),
        )?;
        tonic_prost_build::configure().compile_fds(descriptors)?;
    }
    Ok(())
}
