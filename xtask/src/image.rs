//! `cargo xtask image`: the agent as an OCI image, made without a daemon: one static executable in one layer.
//!
//! The archive is an OCI image layout as a tar file, which `ctr images import`, `podman load`, `skopeo copy` and
//! `kind load image-archive` take. The same executable gives the same bytes.

mod archive;
mod blob;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

pub use self::archive::pack;
use crate::{build, exec::workspace};

/// The image's name, as the manifests have it.
pub const REFERENCE: &str = concat!("localhost/lb-agent:", env!("CARGO_PKG_VERSION"));

/// Builds the executable and writes the archive; says where it lies.
///
/// # Errors
/// When the agent does not compile, or the file cannot be written.
pub fn run() -> anyhow::Result<PathBuf> {
    let binary = build::agent()?;
    let path = workspace().join("target/image/lb-agent.tar");
    write(&binary, &path)?;
    Ok(path)
}

fn write(binary: &Path, path: &Path) -> anyhow::Result<()> {
    let executable = fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    let archive = pack(&executable, REFERENCE)?;
    fs::create_dir_all(path.parent().context("a file without directory")?)?;
    fs::write(path, archive).with_context(|| format!("write {}", path.display()))
}
