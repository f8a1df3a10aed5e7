//! Compiles the contract with protox, so that no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

const ATTRIBUTES: &str = "#[derive(serde::Serialize, serde::Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = \"camelCase\")]";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_source_info(true)
        .open_file("shop/v1/shop.proto")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("shop.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .type_attribute(".", ATTRIBUTES)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
