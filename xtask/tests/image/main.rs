//! The image, read by tools that we did not write. Needs root, as unpacking keeps owners.

use std::{fs, path::Path, process::Command};

use anyhow::Context as _;
use serde_json::{Value, json};
use xtask::{
    exec::{exec, output},
    image, manifests,
    testbed::require_root,
};

#[test]
fn umoci_unpacks_the_image_and_the_agent_in_it_runs_without_anything_else() -> anyhow::Result<()> {
    require_root("test")?;
    let archive = image::run()?;
    let directory = tempfile::tempdir()?;
    let (layout, bundle) = (directory.path().join("layout"), directory.path().join("bundle"));
    fs::create_dir(&layout)?;
    exec(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&layout))?;
    let (_, tag) = image::REFERENCE.rsplit_once(':').context("a name without tag")?;
    let image = format!("{}:{tag}", layout.display());
    exec(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle))?;

    let root = bundle.join("rootfs");
    assert_eq!(inside(&root, "--version")?, format!("lb-agent {tag}"));
    let definitions = fs::read_to_string(manifests::deploy().join("base/crds.yaml"))?;
    assert_eq!(inside(&root, "crds")?, definitions.trim());
    let runtime: Value = serde_json::from_slice(&fs::read(bundle.join("config.json"))?)?;
    assert_eq!(runtime["process"]["args"], json!(["/usr/bin/lb-agent"]));
    Ok(())
}

#[test]
fn skopeo_reads_the_archive_as_it_would_to_copy_it_into_a_registry() -> anyhow::Result<()> {
    let archive = tempfile::NamedTempFile::new()?;
    fs::write(archive.path(), image::pack(b"program", "localhost/lb-agent:1")?)?;
    let directory = tempfile::tempdir()?;
    let (source, copy) = (
        format!("oci-archive:{}:1", archive.path().display()),
        format!("dir:{}", directory.path().display()),
    );
    exec(Command::new("skopeo").args(["copy", "--insecure-policy", &source, &copy]))?;
    let config: Value =
        serde_json::from_str(&output(Command::new("skopeo").args(["inspect", "--config", &copy]))?)?;
    assert_eq!(
        (&config["os"], &config["config"]["Entrypoint"]),
        (&json!("linux"), &json!(["/usr/bin/lb-agent"]))
    );
    Ok(())
}

/// What the agent prints, run with the unpacked image as its whole file system.
fn inside(root: &Path, argument: &str) -> anyhow::Result<String> {
    output(Command::new("chroot").arg(root).arg("/usr/bin/lb-agent").arg(argument))
}
