//! Tells the program which commit it is built from: a report names that, and not what the checkout holds
//! when it runs. And compiles the contract of examples/shop with protox, so that no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf, process::Command};

use protox::Compiler;

fn main() -> Result<(), Box<dyn Error>> {
    compile_shop()?;
    // A new commit, another branch, or a commit to the one that is checked out. Not the index: git writes that
    // when it is only asked, and this program takes minutes to build.
    for path in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    for sources in [
        "src",
        "engine/src",
        "stats/src",
        "../dual-mode/src",
        "../serving/src",
        "../proto",
    ] {
        println!("cargo::rerun-if-changed={sources}");
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    if let (Some(commit), Some(changed)) = (commit, changed) {
        let mark = if changed.is_empty() { "" } else { "+" };
        println!("cargo::rustc-env=LOADTEST_COMMIT={commit}{mark}");
    }
    Ok(())
}

/// The code and the descriptors of the shop's contract. The descriptors keep what the compiler itself does
/// not know: the HTTP annotations.
fn compile_shop() -> Result<(), Box<dyn Error>> {
    const CONTRACT: &str = "examples/shop/proto";
    println!("cargo::rerun-if-changed={CONTRACT}");
    let mut compiler = Compiler::new([CONTRACT])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file("shop/v1/orders.proto")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("shop.bin"), compiler.encode_file_descriptor_set())?;
    let mut descriptors = compiler.file_descriptor_set();
    // What describes HTTP and descriptors themselves needs no code.
    descriptors.file.retain(|file| file.package() == "shop.v1");
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}

/// Returns the trimmed output of `git` with `args`; none if git fails, as it does outside of a
/// checkout.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
