//! What Debian's archive has for us: packages to install, and packages of other suites to unpack without installing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};

use crate::exec::{exec, is_there, output, show, workspace};

/// A program or file that a command needs, and the package that has it.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// Name of the program, or absolute path of a file.
    pub what: &'static str,
    /// Debian's package.
    pub package: &'static str,
}

/// Short form of [`Needed`].
#[must_use]
pub const fn needed(what: &'static str, package: &'static str) -> Needed {
    Needed { what, package }
}

/// Installs what is missing; without root, names it.
///
/// # Errors
/// When packages are missing and cannot be installed.
pub fn ensure_installed(all: &[Needed]) -> anyhow::Result<()> {
    let is_missing = |needed: &&Needed| match needed.what.starts_with('/') {
        true => !Path::new(needed.what).exists(),
        false => !is_there(needed.what),
    };
    let mut packages: Vec<&str> = all.iter().filter(is_missing).map(|needed| needed.package).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    ensure!(
        nix::unistd::geteuid().is_root() && is_there("apt-get"),
        "these packages are missing: {list}\ninstall them with: sudo apt-get install --no-install-recommends {list}"
    );
    eprintln!("installing {list}");
    // Old package lists are the usual reason for a failure, so a second try follows an update.
    if install(&mut Command::new("apt-get"), &packages).is_ok() {
        return Ok(());
    }
    show(Command::new("apt-get").args(["update", "-qq"]))?;
    let Err(error) = install(&mut Command::new("apt-get"), &packages) else { return Ok(()) };
    // Packages that the machine has from backports may not go together with the release's own.
    let release = release().with_context(|| format!("install {list}: {error:#}; then its backports"))?;
    let backports = Suite::open_beside(&format!("{release}-backports"))?;
    install(backports.apt("apt-get").args(["-t", &backports.name]), &packages)
        .with_context(|| format!("install {list}: {error:#}; and from {}", backports.name))
}

fn install(apt: &mut Command, packages: &[&str]) -> anyhow::Result<()> {
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    exec(apt.args(["install", "-qq", "-y", "--no-install-recommends"]).args(packages))
}

/// Code name of the machine's release.
fn release() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(str::to_owned).context("/etc/os-release has no VERSION_CODENAME")
}

/// A suite of the archive, with package lists of its own under `target`: the machine's are not touched.
#[derive(Debug)]
pub struct Suite {
    root: PathBuf,
    name: String,
    /// Whether the machine's own sources count too.
    is_beside: bool,
}

impl Suite {
    /// Reads the lists of a suite, such as `trixie-backports`, from the mirror that this machine uses.
    ///
    /// # Errors
    /// When the machine is no Debian or the mirror lacks the suite.
    pub fn open(name: &str) -> anyhow::Result<Self> {
        Self::open_with(name, false)
    }

    /// As [`Self::open`], with the machine's own sources beside it.
    fn open_beside(name: &str) -> anyhow::Result<Self> {
        Self::open_with(name, true)
    }

    fn open_with(name: &str, is_beside: bool) -> anyhow::Result<Self> {
        ensure!(is_there("apt-get"), "apt-get is missing: packages of {name} can be had on Debian only");
        let root = workspace().join("target/debian").join(name);
        fs::create_dir_all(root.join("lists/partial"))?;
        fs::create_dir_all(root.join("cache/archives/partial"))?;
        let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let source = format!("deb [signed-by={keys}] {} {name} main\n", mirror(name)?);
        fs::write(root.join("sources.list"), source)?;
        let suite = Self { root, name: name.to_owned(), is_beside };
        exec(suite.apt("apt-get").args(["update", "-qq"]))
            .with_context(|| format!("read the package lists of {name}"))?;
        Ok(suite)
    }

    /// Versions of a package, newest first.
    ///
    /// # Errors
    /// When apt-cache fails.
    pub fn versions(&self, package: &str) -> anyhow::Result<Vec<String>> {
        let table = output(self.apt("apt-cache").args(["madison", package]))?;
        Ok(table.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect())
    }

    /// Names of the packages that a package depends on, alternatives left out.
    ///
    /// # Errors
    /// When the suite does not have it.
    pub fn dependencies(&self, package: &str) -> anyhow::Result<Vec<String>> {
        let list = output(self.apt("apt-cache").args(["depends", package]))?;
        Ok(list.lines().filter_map(|line| Some(line.trim().strip_prefix("Depends: ")?.to_owned())).collect())
    }

    /// Downloads a package (`name`, or `name=version`) and unpacks it below `into`.
    ///
    /// # Errors
    /// When the package cannot be had.
    pub fn unpack(&self, package: &str, into: &Path) -> anyhow::Result<()> {
        let downloads = tempfile::tempdir_in(&self.root)?;
        let mut download = self.apt("apt-get");
        download.current_dir(downloads.path()).args(["download", "-qq", package]);
        exec(&mut download).with_context(|| format!("download {package} of {}", self.name))?;
        let archive = fs::read_dir(downloads.path())?.next().context("apt-get left no file")??.path();
        fs::create_dir_all(into)?;
        exec(Command::new("dpkg-deb").arg("-x").arg(archive).arg(into))
    }

    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        for (option, path) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            apt.arg("-o").arg(format!("{option}={}", self.root.join(path).display()));
        }
        if !self.is_beside {
            apt.args(["-o", "Dir::Etc::sourceparts=-"]);
        }
        apt.args(["-o", "APT::Sandbox::User=root"]);
        apt
    }
}

/// The mirror of this machine's own configuration; security suites lie beside the archive.
fn mirror(suite: &str) -> anyhow::Result<String> {
    let targets = || {
        output(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
        ]))
    };
    let mut found = targets()?;
    if found.is_empty() && nix::unistd::geteuid().is_root() {
        show(Command::new("apt-get").args(["update", "-qq"]))?;
        found = targets()?;
    }
    let is_wanted = |uri: &&str| uri.contains("security") == suite.ends_with("-security");
    match found.lines().find(is_wanted) {
        Some(uri) => Ok(uri.to_owned()),
        None => bail!("apt's configuration names no mirror for {suite}; add one, and run `apt-get update`"),
    }
}
