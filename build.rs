//! Tells `tessera bench` which commit a release build is of, where git is there to say. Debug builds are not measured,
//! and asking there would build the crate anew after every commit.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    let Some(head) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    // Moves with every commit, checkout and rebase; the sources move what "changed since" means.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    for sources in ["src", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={sources}");
    }
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
    println!("cargo:rustc-env=TESSERA_COMMIT={head}{}", if changed { ", changed since" } else { "" });
}

/// What git says; `None` without git, or outside of a repository.
fn git(args: &[&str]) -> Option<String> {
    let said = Command::new("git").args(args).output().ok()?;
    said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
