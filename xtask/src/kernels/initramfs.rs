//! The file system of a machine, as the archive that the kernel unpacks into memory (cpio, format newc).

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufWriter, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use anyhow::Context as _;
use cpio::newc;

use crate::exec::output;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// An archive in the making.
pub(super) struct Initramfs {
    file: BufWriter<File>,
    names: BTreeSet<String>,
}

impl Initramfs {
    /// Begins an archive.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), names: BTreeSet::new() })
    }

    /// Adds a file of the host that can be run, and the libraries it needs, at the places where it looks for them.
    pub(super) fn add_program(&mut self, name: &str, program: &Path) -> anyhow::Result<()> {
        self.add_copy(name, program)?;
        let Ok(libraries) = output(Command::new("ldd").arg(program)) else { return Ok(()) }; // it needs none
        let paths =
            libraries.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
        paths.map(Path::new).try_for_each(|path| self.add_copy(&path.to_string_lossy(), path))
    }

    /// Adds a file.
    pub(super) fn add_file(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.add(name, FILE, bytes)
    }

    /// Ends the archive.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        newc::trailer(self.file)?.flush().context("write the archive")
    }

    fn add_copy(&mut self, name: &str, path: &Path) -> anyhow::Result<()> {
        let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let is_program = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
        self.add(name, if is_program { PROGRAM } else { FILE }, &bytes)
    }

    fn add(&mut self, name: &str, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
        let name = name.trim_start_matches('/');
        if !self.names.insert(name.to_owned()) {
            return Ok(());
        }
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.add(parent, DIRECTORY, &[])?;
        }
        let len =
            u32::try_from(bytes.len()).with_context(|| format!("{name} is too large for an initramfs"))?;
        let mut entry = newc::Builder::new(name).mode(mode).write(&mut self.file, len);
        entry.write_all(bytes)?;
        entry.finish().with_context(|| format!("write {name}"))?;
        Ok(())
    }
}
