//! Debian's kernels for virtual machines, unpacked under `target/kernels`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::{
    debian::Suite,
    exec::{exec, workspace},
};

const META_PACKAGE: &str = "linux-image-cloud-amd64";
const IMAGE_PREFIX: &str = "linux-image-";
/// What the test bed makes: veth pairs and bridges; and what the agent attaches to where there is no tcx.
const MODULES: [&str; 5] = ["veth", "bridge", "sch_ingress", "cls_bpf", "tun"];

/// An unpacked kernel.
pub(super) struct Image {
    /// As `uname -r` has it.
    pub version: String,
    /// The kernel itself.
    pub vmlinuz: PathBuf,
    modules: PathBuf,
}

/// A kernel module, not compressed.
pub(super) struct Module {
    /// Name of its file.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Image {
    /// The newest kernel of a suite; brings it if need be.
    pub(super) fn ensure(suite_name: &'static str) -> anyhow::Result<Self> {
        let suite = Suite::open(suite_name)?;
        let dependencies = suite.dependencies(META_PACKAGE)?;
        let version = dependencies.iter().find_map(|package| version_of(package));
        let version =
            version.with_context(|| format!("{META_PACKAGE} of {suite_name} names no kernel"))?.to_owned();
        let package = format!("{IMAGE_PREFIX}{version}");
        let root = workspace().join("target/kernels").join(&version);
        if !root.is_dir() {
            unpack(&suite, &package, &version, &root)?;
        }
        let modules = root.join("lib/modules").join(&version);
        let places = [root.join(format!("boot/vmlinuz-{version}")), modules.join("vmlinuz")];
        let vmlinuz = places.into_iter().find(|path| path.is_file());
        let vmlinuz = vmlinuz.with_context(|| format!("{package} has no vmlinuz"))?;
        Ok(Self { version, vmlinuz, modules })
    }

    /// The modules that the tests need, dependencies first. What is built in is left out.
    pub(super) fn modules(&self) -> anyhow::Result<Vec<Module>> {
        let dependencies = fs::read_to_string(self.modules.join("modules.dep"))?;
        let built_in = fs::read_to_string(self.modules.join("modules.builtin"))?;
        let mut order: Vec<&str> = Vec::new();
        for name in MODULES {
            if built_in.lines().any(|path| is_module(path, name)) {
                continue;
            }
            let line = dependencies
                .lines()
                .find_map(|line| line.split_once(':').filter(|(path, _)| is_module(path, name)));
            let (path, needs) =
                line.with_context(|| format!("Linux {} has no module {name}", self.version))?;
            // modules.dep names what is needed most at the end.
            for path in needs.split_whitespace().rev().chain([path]) {
                if !order.contains(&path) {
                    order.push(path);
                }
            }
        }
        order.into_iter().map(|path| self.module(path)).collect()
    }

    fn module(&self, path: &str) -> anyhow::Result<Module> {
        let file = self.modules.join(path);
        let bytes = if path.ends_with(".xz") {
            let xz = Command::new("xz")
                .args(["--decompress", "--stdout"])
                .arg(&file)
                .output()
                .context("run xz")?;
            ensure!(
                xz.status.success(),
                "unpack {}: {}",
                file.display(),
                String::from_utf8_lossy(&xz.stderr)
            );
            xz.stdout
        } else {
            fs::read(&file).with_context(|| format!("read {}", file.display()))?
        };
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Module { name: format!("{}.ko", name.trim_end_matches(".ko")), bytes })
    }
}

/// `linux-image-6.1.0-9-cloud-amd64` is of version `6.1.0-9-cloud-amd64`; a metapackage is of none.
fn version_of(package: &str) -> Option<&str> {
    package
        .strip_prefix(IMAGE_PREFIX)
        .filter(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

fn is_module(path: &str, name: &str) -> bool {
    let file = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
    file.strip_prefix(name).is_some_and(|rest| rest == ".ko" || rest.starts_with(".ko."))
}

/// Newer kernels come in several packages, of which one depends on the others.
fn unpack(suite: &Suite, package: &str, version: &str, root: &Path) -> anyhow::Result<()> {
    eprintln!("bringing Linux {version}");
    let partial = root.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    let parts = suite
        .dependencies(package)?
        .into_iter()
        .filter(|name| name.starts_with("linux-") && name.ends_with(version));
    for part in parts.chain([package.to_owned()]) {
        suite.unpack(&part, &partial)?;
    }
    if !partial.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", partial.join("lib"))?;
    }
    exec(Command::new("depmod").arg("-b").arg(&partial).arg(version))?;
    fs::rename(&partial, root).with_context(|| format!("create {}", root.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metapackage_is_no_kernel() {
        assert_eq!(version_of("linux-image-7.3.4+deb13-cloud-amd64"), Some("7.3.4+deb13-cloud-amd64"));
        assert_eq!(version_of(META_PACKAGE), None);
    }

    #[test]
    fn modules_are_known_with_and_without_compression() {
        assert!(is_module("kernel/drivers/net/veth.ko", "veth"));
        assert!(is_module("kernel/drivers/net/veth.ko.xz", "veth"));
        assert!(!is_module("kernel/net/bridge/br_netfilter.ko", "bridge"));
        assert!(!is_module("kernel/net/802/bridges.ko", "bridge"));
    }
}
