//! The nodes of the group, by numbers that stay theirs for as long as this agent runs.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use sha2::{Digest as _, Sha256};

use crate::election::NodeId;

/// A node of the group as the configuration names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its own addresses on the segments that it shares with the others.
    pub addresses: Vec<IpAddr>,
}

/// Numbers for names. A name that has gone keeps its number: it may come back.
#[derive(Debug, Default)]
pub struct Roster {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, NodeId>,
}

impl Roster {
    /// The number of a name, made when there is none yet. `None` when there have been 65 536 names.
    pub fn number(&mut self, name: &str) -> Option<NodeId> {
        if let Some(&number) = self.numbers.get(name) {
            return Some(number);
        }
        let number = NodeId::try_from(self.names.len()).ok()?;
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        Some(number)
    }

    /// The name of a number that [`Self::number`] has given.
    #[must_use]
    pub fn name(&self, node: NodeId) -> Arc<str> {
        self.names.get(usize::from(node)).cloned().unwrap_or_else(|| "unknown".into())
    }
}

/// A node's S-BFD discriminator (RFC 7880, 4.1): the first four bytes of sha256(node name), never zero.
#[must_use]
pub fn discriminator(name: &str) -> u32 {
    let hash = Sha256::digest(name);
    let first = hash.first_chunk().copied().map_or(0, u32::from_be_bytes);
    first.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut roster = Roster::default();
        let (a, b) = (roster.number("a").unwrap(), roster.number("b").unwrap());
        assert_ne!(a, b);
        assert_eq!(roster.number("a"), Some(a));
        assert_eq!(&*roster.name(b), "b");
    }

    #[test]
    fn the_discriminator_is_the_beginning_of_the_hash() {
        // sha256("n1") = fb8e20fc...
        let expected =
            std::process::Command::new("sh").args(["-c", "printf n1 | sha256sum"]).output().unwrap();
        let hex = String::from_utf8(expected.stdout).unwrap();
        assert_eq!(format!("{:08x}", discriminator("n1")), hex[..8]);
    }
}
