//! The configuration file: from its text to values, or to every problem that it has, each with its line and a remedy.
//!
//! ```yaml
//! node: n1                     # default: the host name
//! interfaces: [eth0]           # default: the interface of the default route
//! vips: [10.77.1.10, 10.77.1.20-10.77.1.29, 10.77.2.0/28, fd77::10]       # announced here
//! suppress: [10.77.3.0/24]     # known VIPs of other nodes
//! ```
//!
//! With `nodes: [{name: n1, address: 10.77.0.1}, ...]` the VIPs are the group's, each announced by one of the nodes, and
//! `failback: immediate | after 30s | never` says when a node that comes back takes its VIPs. A list within `vips` names
//! VIPs that go together, such as the two of a dual-stack service: `vips: [10.77.1.10, [10.77.1.11, fd77::11]]`.

mod address;
mod cluster;
mod group;
mod problem;
mod vips;
mod yaml;

use std::{collections::BTreeMap, fs, io, path::Path};

pub(crate) use address::unusable_vip;
pub use cluster::ClusterConfig;
pub use problem::{Problem, Problems};
pub use vips::{Range, VipSet};
use yaml::{Line, Node};

use crate::{holding::Failback, model::Interface, roster::Node as Member};

const KEYS: [&str; 6] = ["node", "interfaces", "nodes", "vips", "suppress", "failback"];
/// The file is read whole; a larger one is a mistake.
const MAX_BYTES: u64 = 4 << 20;
/// IFNAMSIZ, without the closing zero.
const MAX_INTERFACE_NAME: usize = 15;

/// A valid configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Config {
    /// The node's name; `None`: the host name.
    pub node: Option<String>,
    /// Interfaces to announce on, with their lines; `None`: that of the default route.
    pub interfaces: Option<Vec<(String, Line)>>,
    /// The nodes of the group, with their lines; `None`: this node alone.
    pub nodes: Option<Vec<(Member, Line)>>,
    /// VIPs that one of the nodes announces.
    pub vips: VipSet,
    /// Known VIPs of others.
    pub suppress: VipSet,
    /// When a node that comes back takes its VIPs.
    pub failback: Failback,
}

impl Config {
    /// Reads a configuration from its text. `file` is its name in messages.
    ///
    /// # Errors
    /// Every problem of the file, in the order of its lines.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let mut problems = Problems::new(file);
        let config =
            Self::from_map(yaml::top_level(text, "write `vips: [...]`", &mut problems), &mut problems);
        problems.or(config)
    }

    fn from_map(map: Vec<(String, Line, Node)>, problems: &mut Problems) -> Self {
        let (mut config, mut names_vips) = (Self::default(), false);
        let mut lines: BTreeMap<String, Line> = BTreeMap::new();
        for (key, line, node) in map {
            lines.insert(key.clone(), line);
            match key.as_str() {
                "node" => config.node = node_name(&node, line, problems),
                "interfaces" => {
                    let default = "leave the key out to take that of the default route";
                    config.interfaces = Some(interfaces(&node, line, default, problems));
                }
                "vips" | "suppress" => {
                    names_vips = true;
                    let set = if key == "vips" { &mut config.vips } else { &mut config.suppress };
                    *set = VipSet::parse(&vips::items(&node, &key, line, problems), problems);
                }
                "nodes" => config.nodes = Some(group::nodes(&node, line, problems)),
                "failback" => config.failback = group::failback(&node, line, problems),
                unknown => unknown_key(unknown, &KEYS, line, problems),
            }
        }
        config.check_group(&lines, problems);
        if !names_vips && problems.is_empty() {
            let remedy =
                "write `vips: [...]` (`vips: []` on a node that announces none), or `suppress: [...]`";
            problems.add(None, "the file names no VIPs".to_owned(), remedy);
        }
        vips::find_duplicates(&config.vips, &config.suppress, problems);
        config
    }

    /// What does not go together in a group.
    fn check_group(&self, lines: &BTreeMap<String, Line>, problems: &mut Problems) {
        match (&self.nodes, lines.get("suppress"), lines.get("failback")) {
            (Some(_), Some(&line), _) => {
                let what =
                    "`suppress` beside `nodes`: each node suppresses what another one announces".to_owned();
                problems.add(
                    Some(line),
                    what,
                    "put the VIPs of the group into `vips`, and leave `suppress` out",
                );
            }
            (None, _, Some(&line)) => {
                let what = "`failback` without `nodes`: there is nobody to take VIPs from".to_owned();
                problems.add(Some(line), what, "name the nodes of the group in `nodes`, or leave it out");
            }
            _ => {}
        }
        for (member, line) in self.nodes.iter().flatten() {
            for &address in member.addresses.iter().filter(|&&address| self.vips.find(address).is_some()) {
                let what = format!("{address} is the address of node {}, and a VIP", member.name);
                problems.add(Some(*line), what, "take it off `vips`, a VIP belongs to no node");
            }
        }
    }

    /// Names of the interfaces to announce on; `None`: that of the default route.
    #[must_use]
    pub fn interface_names(&self) -> Option<Vec<String>> {
        self.interfaces.as_ref().map(|names| names.iter().map(|(name, _)| name.clone()).collect())
    }

    /// The named interfaces that the machine does not have (yet), or that are no Ethernet interfaces, as problems.
    #[must_use]
    pub fn missing_interfaces(&self, file: &str, all: &[Interface]) -> Option<Problems> {
        let mut problems = Problems::new(file);
        let is_there =
            |name: &str| all.iter().any(|interface| interface.name == name && interface.mac.is_some());
        let present: Vec<&str> = all
            .iter()
            .filter(|interface| interface.mac.is_some())
            .map(|interface| interface.name.as_str())
            .collect();
        for (name, line) in self.interfaces.iter().flatten().filter(|(name, _)| !is_there(name)) {
            let remedy = format!("there are {}; {name} is used as soon as it appears", present.join(", "));
            problems.add(Some(*line), format!("there is no Ethernet interface {name}"), &remedy);
        }
        problems.or(()).err()
    }

    /// Compares with the machine: a VIP must not be an address that the node has on an interface on which it
    /// announces. (On the loopback, or on a dummy device, it may be: kube-proxy in IPVS mode puts it there.)
    ///
    /// # Errors
    /// Each VIP that is one.
    pub fn check(&self, file: &str, all: &[Interface], default: Option<&str>) -> Result<(), Problems> {
        let mut problems = Problems::new(file);
        let is_used = |interface: &&Interface| match &self.interfaces {
            Some(names) => names.iter().any(|(name, _)| *name == interface.name),
            None => default == Some(interface.name.as_str()),
        };
        for interface in all.iter().filter(is_used) {
            for (address, _) in interface.addresses.iter().chain(&interface.unsettled) {
                let Some(range) = self.vips.find(*address).or_else(|| self.suppress.find(*address)) else {
                    continue;
                };
                let what = format!("{address} is the address of this node on {}", interface.name);
                problems.add(Some(range.line), what, "take it off the list, a VIP belongs to no node");
            }
        }
        problems.or(())
    }
}

fn node_name(node: &Node, line: Line, problems: &mut Problems) -> Option<String> {
    match node {
        Node::Text(name) if !name.trim().is_empty() => return Some(name.clone()),
        Node::Text(_) | Node::Null => {
            problems.add(
                Some(line),
                "`node` is empty".to_owned(),
                "give the node's name, or leave the key out",
            );
        }
        other => {
            let what = format!("`node` is {}, not a name", other.kind());
            problems.add(Some(line), what, "put the name in quotes");
        }
    }
    None
}

/// Names of interfaces; `default` says how to leave them out.
fn interfaces(node: &Node, line: Line, default: &str, problems: &mut Problems) -> Vec<(String, Line)> {
    let items = yaml::list_of_text(node, "interfaces", line, problems);
    let mut first_lines: BTreeMap<String, Line> = BTreeMap::new();
    if items.is_empty() && matches!(node, Node::List(items) if items.is_empty()) {
        let remedy = format!("name an interface, or {default}");
        problems.add(Some(line), "`interfaces` is empty".to_owned(), &remedy);
    }
    for (name, line) in &items {
        if let Some(wrong) = wrong_interface_name(name) {
            problems.add(
                Some(*line),
                format!("`{name}` is no interface: {wrong}"),
                "give a name as `ip link` shows it",
            );
        } else if let Some(first) = first_lines.get(name) {
            let what = format!("interface {name} is there already, in line {first}");
            problems.add(Some(*line), what, "remove one of the two");
        } else {
            first_lines.insert(name.clone(), *line);
        }
    }
    items
}

fn wrong_interface_name(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("the name is empty"),
        "lo" => Some("there is nobody to answer on the loopback"),
        "." | ".." => Some("no interface may be called so"),
        _ if name.len() > MAX_INTERFACE_NAME => Some("names have at most 15 bytes"),
        _ if name.contains(|c: char| c.is_whitespace() || c == '/' || c == ':') => {
            Some("names have no spaces, slashes or colons")
        }
        _ => None,
    }
}

fn unknown_key(key: &str, keys: &[&str], line: Line, problems: &mut Problems) {
    let nearest = keys.iter().find(|known| is_near(key, known));
    let remedy = match nearest {
        Some(known) => format!("write `{known}`"),
        None => format!("known keys are {}", keys.join(", ")),
    };
    problems.add(Some(line), format!("unknown key `{key}`"), &remedy);
}

/// Whether two words have the same beginning, or all but two letters in common.
fn is_near(word: &str, known: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let common = known.chars().filter(|&letter| word.contains(letter)).count();
    let len = known.chars().count();
    word.chars().count().abs_diff(len) <= 2 && common + 1 >= len
}

/// What keeps a file from being read at all.
#[derive(Debug, thiserror::Error)]
#[error("read the configuration file {file}: {problem}; {remedy}")]
pub struct ReadError {
    file: String,
    problem: String,
    remedy: &'static str,
}

/// Reads the file.
///
/// # Errors
/// When it is missing, unreadable, no text, or larger than 4 MiB.
pub fn read(path: &Path) -> Result<String, ReadError> {
    let error = |problem: String, remedy| ReadError { file: path.display().to_string(), problem, remedy };
    let explain = |source: io::Error| {
        let remedy = match source.kind() {
            io::ErrorKind::NotFound => "create it, or name another one with --config",
            io::ErrorKind::PermissionDenied => "let the agent's user read it",
            io::ErrorKind::IsADirectory => "name a file in it with --config",
            _ => "look at the file system",
        };
        error(source.to_string(), remedy)
    };
    let metadata = fs::metadata(path).map_err(explain)?;
    if metadata.len() > MAX_BYTES {
        return Err(error(
            format!("it has {} bytes", metadata.len()),
            "write VIPs as ranges; 4 MiB is the limit",
        ));
    }
    let bytes = fs::read(path).map_err(explain)?;
    String::from_utf8(bytes).map_err(|_| error("it is not UTF-8 text".to_owned(), "write it as UTF-8"))
}

#[cfg(test)]
mod tests;
