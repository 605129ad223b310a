//! The file beside the Kubernetes source, which need not be there.

use std::{
    future, io,
    path::{Path, PathBuf},
};

use tracing::info;

use crate::{
    config::{self, ClusterConfig},
    plan::Interfaces,
    watch::FileWatch,
};

/// The file, watched.
pub struct SettingsFile {
    path: Option<PathBuf>,
    watch: Option<FileWatch>,
    /// The text last looked at, whether it was taken or not; `None` within: there was no file.
    seen: Option<Option<String>>,
}

impl SettingsFile {
    /// Begins to watch. Without a path, or a directory, there is nothing to watch.
    #[must_use]
    pub fn open(path: Option<&Path>) -> Self {
        let watch = path.and_then(|path| {
            let watch = FileWatch::new(path);
            if let Err(error) = &watch {
                info!(file = %path.display(), %error, "configuration not watched: its directory is not there");
            }
            watch.ok()
        });
        Self { path: path.map(Path::to_owned), watch, seen: None }
    }

    /// Waits until the file may have changed.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn changed(&self) -> io::Result<()> {
        match &self.watch {
            Some(watch) => watch.changed().await,
            None => future::pending().await,
        }
    }

    /// Looks at the file; `None` when it says what it said last.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(&mut self) -> anyhow::Result<Option<ClusterConfig>> {
        let text = match &self.path {
            Some(path) if path.exists() => Some(config::read(path)?),
            _ => None,
        };
        if self.seen.as_ref() == Some(&text) {
            return Ok(None);
        }
        self.seen = Some(text.clone());
        let name = self.path.as_ref().map_or_else(String::new, |path| path.display().to_string());
        let config = match &text {
            Some(text) => ClusterConfig::parse(&name, text)?,
            None => ClusterConfig::default(),
        };
        match text {
            Some(_) => info!(file = name, "configuration read"),
            None => info!(file = name, "no configuration file: the defaults are taken"),
        }
        Ok(Some(config))
    }
}

impl ClusterConfig {
    /// The interfaces that may carry VIPs; those that advertisements name come on top of discovered ones.
    #[must_use]
    pub fn plan_interfaces(&self) -> Interfaces {
        let Self { interfaces, skip_interfaces, failback: _ } = self;
        match interfaces {
            Some(names) => Interfaces::Named(names.iter().map(|(name, _)| name.clone()).collect()),
            None => Interfaces::Discovered { also: Default::default(), skip: skip_interfaces.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{discovery::NamePatterns, holding::Failback};

    #[tokio::test]
    async fn a_file_that_is_not_there_empty_or_gone_means_the_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lb.yaml");
        let mut file = SettingsFile::open(Some(&path));
        assert_eq!(file.take().unwrap(), Some(ClusterConfig::default()));
        assert_eq!(file.take().unwrap(), None);
        fs::write(&path, "failback: never\n").unwrap();
        file.changed().await.unwrap();
        let never = ClusterConfig { failback: Failback::Never, ..ClusterConfig::default() };
        assert_eq!(file.take().unwrap(), Some(never));
        fs::write(&path, "failback: sometimes\n").unwrap();
        assert!(file.take().unwrap_err().to_string().contains("lb.yaml:1: `failback` is the text"));
        assert_eq!(file.take().unwrap(), None, "told once");
        fs::remove_file(&path).unwrap();
        assert_eq!(file.take().unwrap(), Some(ClusterConfig::default()));
        assert_eq!(SettingsFile::open(None).take().unwrap(), Some(ClusterConfig::default()));
    }

    #[test]
    fn interfaces_are_discovered_unless_they_are_named() {
        let of = |text: &str| ClusterConfig::parse("lb.yaml", text).unwrap().plan_interfaces();
        assert_eq!(of("interfaces: [eth0]\n"), Interfaces::Named(vec!["eth0".to_owned()]));
        let skip = NamePatterns::parse(["^eth1$"]).unwrap();
        let discovered = Interfaces::Discovered { also: Default::default(), skip };
        assert_eq!(of("skip_interfaces: [^eth1$]\n"), discovered);
    }
}
