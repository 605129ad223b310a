//! What tells the agent what to do: a file, or a cluster.

mod cluster;
mod file;
mod followed;
mod settings;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
pub use cluster::ClusterSource;
pub use file::FileSource;
pub use followed::{Followed, Marker, NoSource, Quality};
pub use settings::SettingsFile;

use crate::{
    explain::{Subject, Survey},
    model::{BoottimeNs, Interface},
    plan::Plan,
};

/// Which kind of source.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum SourceKind {
    /// A file names the VIPs, and the nodes that share them.
    #[default]
    File,
    /// The Services of a cluster.
    Kubernetes,
}

/// A source.
pub enum Source {
    /// A file.
    File(Box<FileSource>),
    /// A cluster.
    Cluster(Box<ClusterSource>),
}

/// News of a source.
#[derive(Debug)]
pub enum News {
    /// What was looked at last is still so.
    Nothing,
    /// The agent is to do this.
    Plan(Arc<Plan>),
    /// What is beside it is right, and what follows from that is still to come.
    Settings,
    /// What it says now cannot be; the last plan stays.
    Wrong(String),
}

impl Source {
    /// Waits until there may be news.
    ///
    /// # Errors
    /// When there will be none any more.
    pub async fn changed(&mut self) -> anyhow::Result<()> {
        match self {
            Self::File(file) => file.changed().await.context("watch the configuration file"),
            Self::Cluster(cluster) => cluster.changed().await,
        }
    }

    /// Looks at what it says.
    pub fn take(&mut self, interfaces: &[Interface]) -> News {
        match self {
            Self::File(file) => file.take(interfaces),
            Self::Cluster(cluster) => cluster.take(),
        }
    }

    /// What is wrong with the file, so that it is not taken.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::File(file) => file.problem(),
            Self::Cluster(cluster) => cluster.problem(),
        }
    }

    /// The VIPs that a question is about, each with how it comes to be one.
    ///
    /// # Errors
    /// When it is about nothing that is known, and what to ask instead.
    pub fn find(&self, about: &str, now: BoottimeNs) -> Result<Vec<Subject>, String> {
        match self {
            Self::File(file) => file.find(about).map(|subject| vec![subject]),
            Self::Cluster(cluster) => cluster.find(about, now),
        }
    }

    /// What it says of all VIPs, in short; a file says no more than that they are there.
    #[must_use]
    pub fn survey(&self, now: BoottimeNs) -> Survey {
        match self {
            Self::File(_) => Survey::default(),
            Self::Cluster(cluster) => cluster.survey(now),
        }
    }

    /// Says what of its plan these interfaces do not allow, once.
    pub fn tell_missing(&mut self, interfaces: &[Interface]) {
        match self {
            Self::File(file) => file.tell_missing(interfaces),
            // Nodes differ: what an advertisement names need not be on each of them.
            Self::Cluster(_) => {}
        }
    }

    /// The last plan has been carried out. Says when the first of the changes that led to it was heard of, where that is not just
    /// now; only the first time.
    pub fn carried_out(&mut self) -> Option<BoottimeNs> {
        match self {
            Self::File(_) => None,
            Self::Cluster(cluster) => cluster.carried_out(),
        }
    }

    /// Which it is, and how good its view is.
    #[must_use]
    pub fn followed(&self, now: BoottimeNs) -> Followed {
        match self {
            Self::File(file) => Followed::File(file.path().to_owned()),
            Self::Cluster(cluster) => Followed::Kubernetes(cluster.quality(now)),
        }
    }

    /// Whether what it says may be old.
    #[must_use]
    pub fn is_stale(&self, now: BoottimeNs) -> bool {
        match self {
            Self::File(_) => false,
            Self::Cluster(cluster) => cluster.is_stale(now),
        }
    }
}

/// The node's name: what the command line says, which the file must not contradict, or what the file says, or the host name.
///
/// # Errors
/// When the two differ, or the host name is no text.
pub fn node_name(told: Option<&str>, in_file: Option<(&str, &PathBuf)>) -> anyhow::Result<String> {
    match (told, in_file) {
        (Some(told), Some((named, file))) if told != named => anyhow::bail!(
            "{}: `node` is {named}, but --node or LB_NODE says {told}; take one of the two out",
            file.display()
        ),
        (Some(name), _) | (None, Some((name, _))) => Ok(name.to_owned()),
        (None, None) => {
            let name = nix::unistd::gethostname().context("read the host name")?;
            name.into_string().ok().context("the host name is not UTF-8; give the name by --node")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_called_as_the_command_line_says_else_as_the_file_does_else_as_the_host() {
        let file = PathBuf::from("lb.yaml");
        let name = |told, named: Option<&str>| {
            node_name(told, named.map(|named| (named, &file))).map_err(|error| error.to_string())
        };
        assert_eq!(name(Some("n1"), None), Ok("n1".to_owned()));
        assert_eq!(name(Some("n1"), Some("n1")), Ok("n1".to_owned()));
        assert_eq!(name(None, Some("n2")), Ok("n2".to_owned()));
        let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
        assert_eq!(name(None, None), Ok(host));
        let contradiction = "lb.yaml: `node` is n2, but --node or LB_NODE says n1; take one of the two out";
        assert_eq!(name(Some("n1"), Some("n2")), Err(contradiction.to_owned()));
    }
}
