//! The last state of the cluster on disk, so that an agent that starts while the API is away knows what to do.
//!
//! It is of one node, one namespace and one format. Any other file, or a damaged one, is told of and counts as none.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{cluster::Cluster, file_error::FileError};

/// Where it lies unless told otherwise.
pub const DEFAULT_DIR: &str = "/var/lib/lb-agent";
/// Goes up with every change of [`Cluster`]'s form that an older or newer agent would misread.
const VERSION: u32 = 1;
const FILE_NAME: &str = "cluster.json";

/// Why there is no snapshot, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no snapshot, or damaged.
    #[error("{} is damaged ({source}); it is written anew as soon as the Kubernetes API answers", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        #[source]
        source: serde_json::Error,
    },
    /// It is of another agent.
    #[error(
        "{} is of {found}, this agent is {expected}; it is written anew as soon as the Kubernetes API answers. Give each \
         agent of a host its own directory with --state-dir", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: Box<Owner>,
        /// Who asks.
        expected: Box<Owner>,
    },
}

/// Whose view of the cluster a snapshot is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Owner {
    /// Format of the file.
    version: u32,
    /// The agent's node.
    node: String,
    /// The system namespace.
    namespace: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, node, namespace } = self;
        write!(f, "node {node} with namespace {namespace} (format {version})")
    }
}

/// The file.
#[derive(Clone, Debug)]
pub struct Snapshot {
    directory: PathBuf,
    owner: Owner,
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    owner: &'a Owner,
    cluster: &'a Cluster,
}

#[derive(Deserialize)]
struct Read {
    cluster: Cluster,
}

impl Snapshot {
    /// The snapshot in `directory`, which need not exist, of the agent of `node`.
    #[must_use]
    pub fn new(directory: &Path, node: &str, namespace: &str) -> Self {
        let owner = Owner { version: VERSION, node: node.to_owned(), namespace: namespace.to_owned() };
        Self { directory: directory.to_owned(), owner }
    }

    /// The file itself.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(FILE_NAME)
    }

    /// Removes whatever snapshot lies in a directory; says whether there was one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_from(directory: &Path) -> Result<bool, SnapshotError> {
        let path = directory.join(FILE_NAME);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(FileError::of("remove", &path)(error).into()),
        }
    }

    /// What was last written; `None` where nothing was.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or of another agent or format.
    pub fn read(&self) -> Result<Option<Cluster>, SnapshotError> {
        let path = self.path();
        let file = match File::open(&path) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::of("open", &path)(error).into()),
        };
        let text = io::read_to_string(file).map_err(FileError::of("read", &path))?;
        // The owner first: another format has another cluster in it.
        let owner: Owner = parsed(&text, &path)?;
        if owner != self.owner {
            return Err(SnapshotError::Foreign {
                path,
                found: owner.into(),
                expected: self.owner.clone().into(),
            });
        }
        parsed(&text, &path).map(|Read { cluster }| Some(cluster))
    }

    /// Writes it, whole or not at all, and waits until it is on the disk.
    ///
    /// # Errors
    /// When the disk is full, or not to be written.
    pub fn write(&self, cluster: &Cluster) -> Result<(), SnapshotError> {
        let directory = &self.directory;
        fs::create_dir_all(directory).map_err(FileError::of("make the directory", directory))?;
        let new = directory.join(format!("{FILE_NAME}.new"));
        let written = File::create(&new).and_then(|file| self.fill(file, cluster));
        written.map_err(FileError::of("write", &new))?;
        fs::rename(&new, self.path()).map_err(FileError::of("rename", &new))?;
        // The name is on the disk only when its directory is.
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        Ok(synced.map_err(FileError::of("sync", directory))?)
    }

    fn fill(&self, file: File, cluster: &Cluster) -> io::Result<()> {
        let mut writer = BufWriter::new(file);
        serde_json::to_writer(&mut writer, &Written { owner: &self.owner, cluster })?;
        writer.flush()?;
        writer.into_inner()?.sync_all()
    }
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a str, path: &Path) -> Result<T, SnapshotError> {
    serde_json::from_str(text).map_err(|source| SnapshotError::Damaged { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
