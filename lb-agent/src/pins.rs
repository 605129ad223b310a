//! The pin directory: what outlives the agent, whose it is, and the marks that commands leave there for the agent.
//!
//! ```text
//! owner         -> "node=n1 netns=4026531840 boot=..."   (a symbolic link: bpffs has no regular files)
//! maps-v2/      LB_VIPS_V4 LB_STATS_V4 ...               one directory for each schema version
//! links/        2-xdp, 3-tcx-ingress, 3-clsact-egress    <ifindex>-<slot>
//! drained/      there while the node is drained
//! config-stale  -> why the last change of the configuration was not taken
//! source        -> "kubernetes up-to-date"              what the agent follows, and how good its view is
//! ```

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use lb_common::maps::SCHEMA_VERSION;
use nix::{
    fcntl::{Flock, FlockArg},
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use crate::file_error::FileError;

/// Where pins lie unless told otherwise.
pub const DEFAULT_PATH: &str = "/sys/fs/bpf/lb";
const CONFIG_STALE: &str = "config-stale";
const SOURCE: &str = "source";

/// What went wrong with the pin directory.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// An agent holds the lock.
    #[error(
        "pin directory {} is in use by a running agent ({owner}); stop that one first, or give this one its own \
         directory with --pin-dir", path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Its owner record.
        owner: String,
    },
    /// The pins are another node's.
    #[error(
        "pin directory {} belongs to {owner}, this is node {node}; give this agent its own directory with --pin-dir, \
         or remove what the other one left with `lb-agent cleanup --pin-dir {}`", path.display(), path.display()
    )]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// Its owner record.
        owner: String,
        /// This node's name.
        node: String,
    },
}

/// A pin directory that may be read by anyone; see [`LockedPins`] for the agent's own.
#[derive(Clone, Debug)]
pub struct Pins {
    path: PathBuf,
}

impl Pins {
    /// The pins at `path`, which need not exist.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Directory of this schema's maps.
    #[must_use]
    pub fn maps(&self) -> PathBuf {
        self.path.join(format!("maps-v{SCHEMA_VERSION}"))
    }

    /// Directories of maps of other schema versions.
    #[must_use]
    pub fn foreign_maps(&self) -> Vec<PathBuf> {
        let ours = self.maps();
        entries(&self.path)
            .into_iter()
            .filter(|path| name(path).starts_with("maps-v") && *path != ours)
            .collect()
    }

    /// Directory of the links.
    #[must_use]
    pub fn links(&self) -> PathBuf {
        self.path.join("links")
    }

    /// The owner record, or `None` where no agent has been.
    #[must_use]
    pub fn owner(&self) -> Option<String> {
        self.mark("owner")
    }

    /// Whether an agent runs on these pins now.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        File::open(&self.path)
            .is_ok_and(|directory| Flock::lock(directory, FlockArg::LockExclusiveNonblock).is_err())
    }

    /// Whether the node is drained.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.path.join("drained").is_dir()
    }

    /// Sets or takes off the mark of a drained node; says whether that changed anything.
    ///
    /// # Errors
    /// When the directory does not exist or may not be written.
    pub fn mark_drained(&self, drained: bool) -> Result<bool, PinError> {
        let path = self.path.join("drained");
        let (operation, result, unchanged) = match drained {
            true => ("create", fs::create_dir(&path), io::ErrorKind::AlreadyExists),
            false => ("remove", fs::remove_dir(&path), io::ErrorKind::NotFound),
        };
        match result {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == unchanged && self.path.is_dir() => Ok(false),
            Err(error) => Err(FileError::of(operation, &path)(error).into()),
        }
    }

    /// Why the configuration in use is not the one on disk, if so.
    #[must_use]
    pub fn staleness(&self) -> Option<String> {
        self.mark(CONFIG_STALE)
    }

    /// Records why the configuration on disk was not taken, or that it was.
    ///
    /// # Errors
    /// When the directory may not be written.
    pub fn mark_stale(&self, problem: Option<&str>) -> Result<(), PinError> {
        self.set_mark(CONFIG_STALE, problem)
    }

    /// What the agent that runs, or ran last, follows; see [`crate::source::Followed`].
    #[must_use]
    pub fn source(&self) -> Option<String> {
        self.mark(SOURCE)
    }

    /// Records what the agent follows.
    ///
    /// # Errors
    /// When the directory may not be written.
    pub fn mark_source(&self, source: &str) -> Result<(), PinError> {
        self.set_mark(SOURCE, Some(source))
    }

    fn mark(&self, name: &str) -> Option<String> {
        fs::read_link(self.path.join(name)).ok().map(|target| target.to_string_lossy().into_owned())
    }

    /// Sets a mark at once, or takes it away: whoever reads meanwhile sees the old one or the new one.
    fn set_mark(&self, name: &str, text: Option<&str>) -> Result<(), PinError> {
        const MAX_TARGET: usize = 4000; // a symbolic link's target ends at 4095 bytes
        let path = self.path.join(name);
        let Some(text) = text else {
            return Ok(remove_if_there(&path).map_err(FileError::of("remove", &path))?);
        };
        let mut end = text.len().min(MAX_TARGET);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let new = self.path.join(format!("{name}-new")); // bpffs takes no dots
        remove_if_there(&new).map_err(FileError::of("remove", &new))?;
        symlink(&text[..end], &new).map_err(FileError::of("create", &new))?;
        Ok(fs::rename(&new, &path).map_err(FileError::of("replace", &path))?)
    }
}

/// The agent's own pins, locked against any other agent for as long as this lives.
#[derive(Debug)]
pub struct LockedPins {
    pins: Pins,
    _lock: Flock<File>,
}

impl std::ops::Deref for LockedPins {
    type Target = Pins;

    fn deref(&self) -> &Pins {
        &self.pins
    }
}

impl LockedPins {
    /// Makes the directory (mounting bpffs where there is none), locks it and sees to it that it is this node's.
    /// Pins that the same node left in another network namespace or boot are removed: they serve nobody.
    ///
    /// # Errors
    /// [`PinError::Locked`] beside a running agent, [`PinError::ForeignOwner`] with another node's pins.
    pub fn open(path: &Path, node: &str) -> Result<Self, PinError> {
        ensure_bpffs(path)?;
        fs::create_dir_all(path).map_err(FileError::of("create the pin directory", path))?;
        let locked = Self::lock(path)?;
        let own = format!("node={node} netns={} boot={}", netns_id(), boot_id());
        match locked.owner() {
            Some(owner) if owner == own => {}
            Some(owner) if !owner.starts_with(&format!("node={node} ")) => {
                return Err(PinError::ForeignOwner { path: path.to_owned(), owner, node: node.to_owned() });
            }
            _ => {
                locked.remove_pins()?;
                let record = path.join("owner");
                symlink(&own, &record).map_err(FileError::of("create", &record))?;
            }
        }
        for directory in [locked.maps(), locked.links()] {
            fs::create_dir_all(&directory).map_err(FileError::of("create", &directory))?;
        }
        Ok(locked)
    }

    /// Locks an existing directory, whoever's it is.
    ///
    /// # Errors
    /// [`PinError::Locked`] beside a running agent.
    pub fn lock(path: &Path) -> Result<Self, PinError> {
        let pins = Pins::at(path);
        let directory = File::open(path).map_err(FileError::of("open the pin directory", path))?;
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { pins, _lock: lock }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                let owner = pins.owner().unwrap_or_else(|| "no owner record".to_owned());
                Err(PinError::Locked { path: path.to_owned(), owner })
            }
            Err((_, errno)) => Err(FileError::of("lock the pin directory", path)(errno.into()).into()),
        }
    }

    /// Removes every pin: programs without another reference leave the kernel with it. The filters of clsact are
    /// not pins; see [`crate::attach`].
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_pins(&self) -> Result<(), PinError> {
        for path in entries(&self.path) {
            remove_tree(&path)?;
        }
        Ok(())
    }

    /// Removes the maps of other schema versions.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_foreign_maps(&self) -> Result<(), PinError> {
        Ok(self.foreign_maps().iter().try_for_each(|path| remove_tree(path))?)
    }

    /// Removes the directory with everything in it.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove(self) -> Result<(), PinError> {
        self.remove_pins()?;
        Ok(fs::remove_dir(&self.path).map_err(FileError::of("remove", &self.path))?)
    }
}

fn remove_tree(path: &Path) -> Result<(), FileError> {
    let result =
        if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    result.map_err(FileError::of("remove", path))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What lies in a directory, in order of names; nothing where it cannot be read.
#[must_use]
pub fn entries(path: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries
}

/// The last part of a path, for people and comparisons.
#[must_use]
pub fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Mounts bpffs at the usual place when the pin directory would lie on another file system.
fn ensure_bpffs(path: &Path) -> Result<(), FileError> {
    const MOUNT_POINT: &str = "/sys/fs/bpf";
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let found = statfs(existing).map_err(|errno| FileError::of("look at", existing)(errno.into()))?;
    if found.filesystem_type() == BPF_FS_MAGIC {
        return Ok(());
    }
    let mount_point = if path.starts_with(MOUNT_POINT) { Path::new(MOUNT_POINT) } else { path };
    if mount_point == path {
        fs::create_dir_all(path).map_err(FileError::of("create the pin directory", path))?;
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), mount_point, Some("bpf"), flags, Some("mode=0700"))
        .map_err(|errno| FileError::of("mount bpffs on", mount_point)(errno.into()))?;
    tracing::info!(path = %mount_point.display(), "bpffs mounted");
    Ok(())
}

/// Names this machine, or the part of one that a network namespace makes of it, until it boots: for people as well.
#[must_use]
pub fn machine() -> String {
    let host = nix::unistd::gethostname()
        .map_or_else(|_| "unknown".into(), |name| name.to_string_lossy().into_owned());
    format!("{host}/{}/{}", boot_id().get(..8).unwrap_or("unknown"), netns_id())
}

/// Names this network namespace: device and inode of its file.
fn netns_id() -> String {
    fs::metadata("/proc/self/ns/net")
        .map_or_else(|_| "unknown".to_owned(), |file| format!("{}:{}", file.dev(), file.ino()))
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}
