//! What the BPF target needs beyond rustc: the library's source, and bpf-linker built against rustc's own LLVM. Both
//! are kept under `target/tools`.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::{
    debian::{Suite, ensure_installed, needed},
    exec::{cargo, exec, is_there, output, rustc, show, workspace},
};

const BPF_LINKER_VERSION: &str = "0.13.0";
/// Debian's suite that has `rust-src` of recent versions.
const RUST_SRC_SUITE: &str = "trixie-backports";

/// The tools, as paths.
pub(super) struct Toolchain {
    library: PathBuf,
    linker: PathBuf,
    sysroot: PathBuf,
}

impl Toolchain {
    /// Finds the tools, or brings them.
    pub(super) fn ensure() -> anyhow::Result<Self> {
        let sysroot = PathBuf::from(output(rustc().args(["--print", "sysroot"]))?);
        let version = rustc_version()?;
        let tools = workspace().join("target/tools");
        fs::create_dir_all(&tools)?;
        let library = library_source(&sysroot, &version, &tools)?;
        let linker = bpf_linker(&sysroot, &version, &tools)?;
        Ok(Self { library, linker, sysroot })
    }

    /// A cargo that builds for the BPF target.
    ///
    /// Paths of this machine do not get into the object, so that two builds give the same bytes.
    pub(super) fn cargo(&self) -> Command {
        let Self { library, linker, sysroot } = self;
        let home = std::env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
            .unwrap_or_default();
        // Of two that match, rustc takes the later.
        let remaps = [
            (home.as_path(), "/cargo"),
            (workspace(), "/lb"),
            (sysroot.as_path(), "/rustc"),
            (library.as_path(), "/rust-src"),
        ];
        let flags =
            ["-Cdebuginfo=2".into(), "-Clink-arg=--btf".into(), format!("-Clinker={}", linker.display())]
                .into_iter()
                .chain(remaps.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
        let mut command = cargo();
        command
            .env("RUSTC_BOOTSTRAP", "1") // -Zbuild-std and asm for BPF, on a stable toolchain
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", library) // where -Zbuild-std finds a library outside the sysroot
            .env("CARGO_ENCODED_RUSTFLAGS", flags.collect::<Vec<_>>().join("\u{1f}"))
            .env_remove("RUSTFLAGS");
        command
    }
}

fn rustc_version() -> anyhow::Result<String> {
    let text = output(rustc().arg("--version"))?;
    text.split_whitespace()
        .nth(1)
        .map(str::to_owned)
        .with_context(|| format!("`{text}` names no version of rustc"))
}

/// The source of core, from the toolchain, from rustup, or from Debian.
fn library_source(sysroot: &Path, version: &str, tools: &Path) -> anyhow::Result<PathBuf> {
    let in_sysroot = sysroot.join("lib/rustlib/src/rust/library");
    let from_debian = tools.join(format!("rust-src-{version}"));
    let in_debian = from_debian.join(format!("usr/src/rustc-{version}/library"));
    for library in [&in_sysroot, &in_debian] {
        if library.join("core/Cargo.toml").is_file() {
            return Ok(library.clone());
        }
    }
    eprintln!("bringing the library source of Rust {version}");
    let by_rustup = add_component(version);
    if by_rustup.is_ok() && in_sysroot.is_dir() {
        return Ok(in_sysroot);
    }
    match unpack_rust_src(version, &from_debian) {
        Ok(()) if in_debian.is_dir() => Ok(in_debian),
        by_debian => bail!(
            "the source of Rust's library {version} is missing, and could not be brought.\nrustup: {:#}\nDebian: {}\n\
             get it with `rustup component add rust-src --toolchain {version}`",
            by_rustup.err().unwrap_or_else(|| anyhow::anyhow!("added, but not in the sysroot")),
            by_debian.map_or_else(
                |error| format!("{error:#}"),
                |()| "unpacked, but not where expected".to_owned()
            )
        ),
    }
}

fn add_component(version: &str) -> anyhow::Result<()> {
    anyhow::ensure!(is_there("rustup"), "rustup is not installed");
    exec(Command::new("rustup").args(["component", "add", "rust-src", "--toolchain", version]))
}

fn unpack_rust_src(version: &str, into: &Path) -> anyhow::Result<()> {
    let suite = Suite::open(RUST_SRC_SUITE)?;
    let versions = suite.versions("rust-src")?;
    let of_ours = versions.iter().find(|debian| debian.starts_with(&format!("{version}+")));
    let found =
        of_ours.with_context(|| format!("{RUST_SRC_SUITE} has rust-src only of {}", versions.join(", ")))?;
    suite.unpack(&format!("rust-src={found}"), into)
}

/// bpf-linker, linked against the LLVM that rustc itself uses: no LLVM package, and no mismatch.
fn bpf_linker(sysroot: &Path, version: &str, tools: &Path) -> anyhow::Result<PathBuf> {
    let root = tools.join(format!("bpf-linker-{BPF_LINKER_VERSION}-rust-{version}"));
    let linker = root.join("bin/bpf-linker");
    if linker.is_file() {
        return Ok(linker);
    }
    let prefix = tools.join(format!("llvm-rust-{version}"));
    let llvm_major = lay_out_llvm(sysroot, &prefix)?;
    ensure_installed(&[needed("g++", "g++")]).context("bpf-linker needs libstdc++")?;
    eprintln!("building bpf-linker {BPF_LINKER_VERSION} against rustc's LLVM {llvm_major} (about a minute)");
    let mut install = cargo();
    install.env("LLVM_PREFIX", &prefix).env_remove("RUSTFLAGS").args([
        "install",
        "bpf-linker",
        "--locked",
        "--quiet",
    ]);
    install.args([
        "--version",
        BPF_LINKER_VERSION,
        "--no-default-features",
        "--features",
        &format!("llvm-{llvm_major}"),
    ]);
    install.arg("--root").arg(&root).arg("--target-dir").arg(tools.join("bpf-linker-build"));
    show(&mut install).context("build bpf-linker; it needs crates.io, g++ and Debian's libstdc++ headers")?;
    Ok(linker)
}

/// A folder that looks like an LLVM installation: `lib/libLLVM.so`, and the library under its own name. Says which
/// major version it is.
fn lay_out_llvm(sysroot: &Path, prefix: &Path) -> anyhow::Result<String> {
    let lib = sysroot.join("lib");
    let entries = fs::read_dir(&lib).with_context(|| format!("look into {}", lib.display()))?;
    let library = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with("libLLVM.so."))
        .with_context(|| {
            format!("{} has no libLLVM.so: this needs the rustc of rust-lang.org", lib.display())
        })?;
    fs::create_dir_all(prefix.join("lib"))?;
    for name in ["libLLVM.so", &library] {
        let link = prefix.join("lib").join(name);
        let _ = fs::remove_file(&link);
        symlink(lib.join(&library), &link).with_context(|| format!("create {}", link.display()))?;
    }
    let major = library.trim_start_matches("libLLVM.so.").split('.').next().unwrap_or_default();
    Ok(major.to_owned())
}
