//! kustomize: the machine's, or Debian's, unpacked below `target`.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
};

use crate::{
    debian::Suite,
    exec::{find, workspace},
};

/// The first Debian that has it.
const SUITE: &str = "trixie";

/// kustomize, without arguments.
///
/// # Errors
/// When the machine has none and cannot get one.
pub fn command() -> anyhow::Result<Command> {
    /// Held while it is looked for, so that tests at the same time do not unpack it over each other.
    static PROGRAM: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut known = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    let program = match known.take().or_else(|| find("kustomize")) {
        Some(program) => program,
        None => unpacked()?,
    };
    Ok(Command::new(known.insert(program)))
}

fn unpacked() -> anyhow::Result<PathBuf> {
    let root = workspace().join("target/debian/kustomize");
    let program = root.join("usr/bin/kustomize");
    if !program.is_file() {
        Suite::open(SUITE)?.unpack("kustomize", &root)?;
    }
    Ok(program)
}
