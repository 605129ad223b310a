//! Hears of a configuration file that changes, atomic replacement included.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::readable::Readable;

/// Watches one file by way of its directory, so that a file renamed over it, or a symbolic link that a Kubernetes
/// ConfigMap volume swaps, counts too.
pub struct FileWatch {
    inotify: Readable<Inotify>,
    file_name: PathBuf,
}

impl FileWatch {
    /// Begins to watch.
    ///
    /// # Errors
    /// When the directory does not exist, or inotify has no watch left.
    pub fn new(file: &Path) -> io::Result<Self> {
        let directory = match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let events = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ATTRIB;
        inotify.add_watch(directory, events)?;
        let file_name = file.file_name().map(PathBuf::from).unwrap_or_default();
        Ok(Self { inotify: Readable::new(inotify)?, file_name })
    }

    /// Waits until the file may have changed.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            self.inotify.wait().await?;
            if self.has_news() {
                return Ok(());
            }
        }
    }

    fn has_news(&self) -> bool {
        let mut has_news = false;
        while let Ok(events) = self.inotify.get_ref().read_events() {
            has_news |= events.iter().any(|event| self.concerns(event.name.as_deref()));
        }
        has_news
    }

    fn concerns(&self, name: Option<&OsStr>) -> bool {
        const CONFIG_MAP_LINK: &str = "..data";
        name.is_none_or(|name| name == self.file_name || name == CONFIG_MAP_LINK)
    }
}
