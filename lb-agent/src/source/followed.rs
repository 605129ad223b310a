//! What the agent follows, and how good its view of that is: left beside the pins, where `lb-agent status` reads it.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::{
    model::BoottimeNs,
    pins::{PinError, Pins},
};

/// How good the view of a cluster is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quality {
    /// What has changed is known.
    UpToDate,
    /// No word has come from the API since then (`None`: none at all), and that is too long.
    Stale(Option<BoottimeNs>),
    /// It is what an earlier agent left on disk: the API has not told everything yet.
    FromDisk,
}

/// What an agent follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Followed {
    /// This file.
    File(PathBuf),
    /// The Kubernetes API.
    Kubernetes(Quality),
}

/// As it stands in the mark. The time is written when the view gets stale: as long as it is, no word comes.
impl fmt::Display for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Kubernetes(Quality::UpToDate) => f.write_str("kubernetes up-to-date"),
            Self::Kubernetes(Quality::Stale(None)) => f.write_str("kubernetes stale"),
            Self::Kubernetes(Quality::Stale(Some(since))) => write!(f, "kubernetes stale {since}"),
            Self::Kubernetes(Quality::FromDisk) => f.write_str("kubernetes from-disk"),
        }
    }
}

/// A mark that an agent of this version has not written.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} names no source")]
pub struct NoSource(String);

impl FromStr for Followed {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Self, NoSource> {
        if let Some(path) = text.strip_prefix("file ") {
            return Ok(Self::File(path.into()));
        }
        let no_source = || NoSource(text.to_owned());
        let quality = match text.strip_prefix("kubernetes ").ok_or_else(no_source)? {
            "up-to-date" => Quality::UpToDate,
            "stale" => Quality::Stale(None),
            "from-disk" => Quality::FromDisk,
            other => {
                let since = other.strip_prefix("stale ").and_then(|since| since.parse().ok());
                Quality::Stale(Some(since.ok_or_else(no_source)?))
            }
        };
        Ok(Self::Kubernetes(quality))
    }
}

/// Keeps the mark right.
#[derive(Debug)]
pub struct Marker {
    pins: Pins,
    /// What was last to be written.
    marked: Option<Followed>,
}

impl Marker {
    /// Whatever an earlier agent has left there is replaced.
    #[must_use]
    pub const fn new(pins: Pins) -> Self {
        Self { pins, marked: None }
    }

    /// Writes what is followed now, unless that stands there.
    ///
    /// # Errors
    /// When it cannot be written; it is tried again with the next change.
    pub fn follow(&mut self, followed: Followed) -> Result<(), PinError> {
        if self.marked.as_ref() == Some(&followed) {
            return Ok(());
        }
        let text = followed.to_string();
        self.marked = Some(followed);
        self.pins.mark_source(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let all = [
            (Followed::File("/etc/lb agent.yaml".into()), "file /etc/lb agent.yaml"),
            (Followed::Kubernetes(Quality::UpToDate), "kubernetes up-to-date"),
            (Followed::Kubernetes(Quality::Stale(None)), "kubernetes stale"),
            (Followed::Kubernetes(Quality::Stale(Some(12))), "kubernetes stale 12"),
            (Followed::Kubernetes(Quality::FromDisk), "kubernetes from-disk"),
        ];
        for (followed, text) in all {
            assert_eq!(followed.to_string(), text);
            assert_eq!(text.parse(), Ok(followed));
        }
        for garbage in ["", "file", "kubernetes", "kubernetes fresh", "kubernetes stale then", "consul x"] {
            assert_eq!(garbage.parse::<Followed>(), Err(NoSource(garbage.to_owned())));
        }
    }

    #[test]
    fn a_mark_is_written_when_it_changes_and_only_then() {
        let directory = tempfile::tempdir().unwrap();
        let pins = Pins::at(directory.path());
        let mut marker = Marker::new(pins.clone());
        assert_eq!(pins.source(), None);
        let stale = || Followed::Kubernetes(Quality::Stale(Some(7)));
        marker.follow(Followed::Kubernetes(Quality::UpToDate)).unwrap();
        marker.follow(stale()).unwrap();
        assert_eq!(pins.source().as_deref(), Some("kubernetes stale 7"));
        std::fs::remove_file(directory.path().join("source")).unwrap();
        marker.follow(stale()).unwrap();
        assert_eq!(pins.source(), None, "written without a change");
        // Another agent writes it whatever it finds.
        Marker::new(pins.clone()).follow(stale()).unwrap();
        assert_eq!(pins.source().as_deref(), Some("kubernetes stale 7"));
    }
}
