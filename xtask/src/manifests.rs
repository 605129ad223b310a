//! `cargo xtask manifests`: what of `deploy` is made from the rest, written anew; and manifests as objects.

mod kinds;
mod kustomize;

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::kinds::round_trip;
use crate::{
    build,
    exec::{output, workspace},
};

/// What `kubectl apply -k` takes, below `deploy`.
pub const KUSTOMIZATIONS: [&str; 4] = [".", "overlays/privileged", "overlays/beside-metallb", "uninstall"];

/// Writes the CustomResourceDefinitions that the agent prints, and the one file that has everything.
///
/// # Errors
/// When the agent does not compile, or kustomize fails.
pub fn run() -> anyhow::Result<()> {
    let agent = build::agent()?;
    let definitions = output(std::process::Command::new(agent).arg("crds"))? + "\n";
    write("base/crds.yaml", &definitions)?;
    write(
        "install.yaml",
        &format!("# Made by `cargo xtask manifests` from kustomization.yaml.\n{}", render(".")?),
    )
}

fn write(path: &str, text: &str) -> anyhow::Result<()> {
    let path = deploy().join(path);
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

/// Where the manifests lie.
#[must_use]
pub fn deploy() -> PathBuf {
    workspace().join("deploy")
}

/// The YAML that a kustomization below `deploy` comes to.
///
/// # Errors
/// When there is no kustomize to be had, or it fails.
pub fn render(kustomization: &str) -> anyhow::Result<String> {
    Ok(output(kustomize::command()?.arg("build").arg(deploy().join(kustomization)))? + "\n")
}

/// The objects of a kustomization below `deploy`.
///
/// # Errors
/// As [`render`], and when it is no YAML.
pub fn objects(kustomization: &str) -> anyhow::Result<Vec<Value>> {
    parse(&render(kustomization)?)
}

/// The objects of a file below `deploy`.
///
/// # Errors
/// When the file cannot be read, or is no YAML.
pub fn objects_of_file(path: &str) -> anyhow::Result<Vec<Value>> {
    let path = deploy().join(path);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    parse(&text).with_context(|| format!("in {}", path.display()))
}

fn parse(yaml: &str) -> anyhow::Result<Vec<Value>> {
    Ok(serde_saphyr::from_multiple(yaml)?)
}

/// The only object of a kind and name.
///
/// # Errors
/// When there is none, or it is not what its kind should be.
pub fn find<T: DeserializeOwned>(objects: &[Value], kind: &str, name: &str) -> anyhow::Result<T> {
    let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    let found = objects.iter().find(is_it).with_context(|| format!("there is no {kind} {name}"))?;
    serde_json::from_value(found.clone()).with_context(|| format!("read {kind} {name}"))
}
