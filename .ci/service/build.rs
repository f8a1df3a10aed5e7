//! Compiles the contracts that build.sh takes out of the suites' packages.

use std::{env, fs, path::PathBuf};

use anyhow::Context;
use prost::Message;
use prost_types::FileDescriptorSet;

const SERVICES: [&str; 3] = ["TestService", "OpenRcaService", "ConformanceService"];

fn main() -> anyhow::Result<()> {
    let testing = fs::read(path("TESTING_CONTRACT")?)?;
    let testing = FileDescriptorSet::decode(&testing[..])?;
    let files = ["service", "server_compat", "client_compat"];
    let files = files.map(|file| format!("connectrpc/conformance/v1/{file}.proto"));
    let conformance = protox::compile(files, [path("CONFORMANCE_PROTOS")?])?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("testing.bin"), testing.encode_to_vec())?;
    fs::write(out.join("conformance.bin"), conformance.encode_to_vec())?;

    let mut all = testing;
    for file in conformance.file {
        if all.file.iter().all(|known| known.name != file.name) {
            all.file.push(file);
        }
    }
    // tonic sends no trailers of a service after the answer of a unary call. So every answer is a stream to
    // it, which is the same on the wire. What the suites want to be unimplemented is left out.
    for file in &mut all.file {
        let services = &mut file.service;
        services.retain(|service| SERVICES.contains(&service.name()));
        for service in services {
            let methods = &mut service.method;
            methods.retain(|method| !method.name().starts_with("Unimplemented"));
            for method in methods {
                method.server_streaming = Some(true);
            }
        }
    }
    tonic_prost_build::configure()
        .build_client(false)
        .include_file("contracts.rs")
        .compile_fds(all)?;
    Ok(())
}

/// The path that an environment variable has, which is looked at again if it changes.
fn path(variable: &str) -> anyhow::Result<PathBuf> {
    println!("cargo::rerun-if-env-changed={variable}");
    let path =
        env::var_os(variable).with_context(|| format!("{variable} is not set: use build.sh"))?;
    println!("cargo::rerun-if-changed={}", path.display());
    Ok(PathBuf::from(path))
}
