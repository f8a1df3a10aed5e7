//! Tells the program which commit it is built from: a report names that, and not what the checkout holds
//! when it runs.

use std::process::Command;

fn main() {
    // A new commit, another branch, or a commit to the one that is checked out.
    for path in ["HEAD", "logs/HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=src");
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    if let (Some(commit), Some(changed)) = (commit, changed) {
        let mark = if changed.is_empty() { "" } else { "+" };
        println!("cargo::rustc-env=LOADTEST_COMMIT={commit}{mark}");
    }
}

/// What git says; nothing outside of a checkout.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
