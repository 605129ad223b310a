//! The file beside the Kubernetes source: only what the cluster itself does not say.

use std::collections::BTreeMap;

use super::{
    group, interfaces,
    problem::Problems,
    unknown_key,
    yaml::{self, Line, Node},
};
use crate::{discovery::NamePatterns, holding::Failback};

const KEYS: [&str; 3] = ["interfaces", "skip_interfaces", "failback"];
const FORM: &str = "write a regular expression for names, such as `^veth` or `docker`";

/// What the file says of an agent that follows a cluster.
///
/// ```yaml
/// interfaces: [eth0]               # default: every one that looks like a network interface of the host
/// skip_interfaces: [^veth, docker] # names of those that only look like one; default: MetalLB's list
/// failback: after 30s              # or `immediate`, or `never`
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterConfig {
    /// The only interfaces that carry VIPs, with their lines; `None`: those that are discovered.
    pub interfaces: Option<Vec<(String, Line)>>,
    /// Those that are not discovered.
    pub skip_interfaces: NamePatterns,
    /// When a node that comes back takes its VIPs.
    pub failback: Failback,
}

impl ClusterConfig {
    /// Reads it from its text, which may be empty. `file` is its name in messages.
    ///
    /// # Errors
    /// Every problem of the file, in the order of its lines.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let mut problems = Problems::new(file);
        if yaml::is_blank(text) {
            return Ok(Self::default());
        }
        let map = yaml::top_level(text, "write `failback: after 30s`, or leave it empty", &mut problems);
        let config = Self::from_map(map, &mut problems);
        problems.or(config)
    }

    fn from_map(map: Vec<(String, Line, Node)>, problems: &mut Problems) -> Self {
        let mut config = Self::default();
        let mut lines: BTreeMap<String, Line> = BTreeMap::new();
        for (key, line, node) in map {
            match key.as_str() {
                "interfaces" => {
                    let default = "leave the key out to have them discovered";
                    config.interfaces = Some(interfaces(&node, line, default, problems));
                }
                "skip_interfaces" => config.skip_interfaces = patterns(&node, line, problems),
                "failback" => config.failback = group::failback(&node, line, problems),
                other => match of_the_cluster(other) {
                    Some(remedy) => {
                        let what = format!("`{other}` has no place beside `--source kubernetes`");
                        problems.add(Some(line), what, remedy);
                    }
                    None => unknown_key(other, &KEYS, line, problems),
                },
            }
            lines.insert(key, line);
        }
        if let (Some(_), Some(&line)) = (lines.get("interfaces"), lines.get("skip_interfaces")) {
            let what = "`skip_interfaces` beside `interfaces`: nothing is discovered then".to_owned();
            problems.add(Some(line), what, "leave one of the two out");
        }
        config
    }
}

/// What to do with a key whose matter the cluster says itself.
fn of_the_cluster(key: &str) -> Option<&'static str> {
    match key {
        "node" => Some("take it out, and give the name by --node or LB_NODE"),
        "nodes" => Some("take it out: the nodes are those that run an agent"),
        "vips" => Some("take it out: the VIPs are the addresses of Services of type LoadBalancer"),
        "suppress" => Some("take it out: each node suppresses the VIPs that another one announces"),
        _ => None,
    }
}

fn patterns(node: &Node, line: Line, problems: &mut Problems) -> NamePatterns {
    let texts = yaml::list_of_text(node, "skip_interfaces", line, problems);
    for (text, line) in &texts {
        if let Err((_, error)) = NamePatterns::parse([text.as_str()]) {
            problems.add(Some(*line), format!("`{text}` is no regular expression: {error}"), FORM);
        }
    }
    NamePatterns::parse(texts.iter().map(|(text, _)| text.as_str())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        ClusterConfig::parse("lb.yaml", text)
            .map_or_else(|problems| problems.to_string(), |config| format!("{config:?}"))
    }

    #[test]
    fn a_whole_file_is_read() {
        let text = "interfaces: [eth0, eth1]\nfailback: never\n";
        let interfaces = Some(vec![("eth0".to_owned(), 1), ("eth1".to_owned(), 1)]);
        let expected = ClusterConfig { interfaces, failback: Failback::Never, ..ClusterConfig::default() };
        assert_eq!(ClusterConfig::parse("lb.yaml", text), Ok(expected));
        let skip_interfaces = NamePatterns::parse(["^veth", "docker"]).unwrap();
        let expected = ClusterConfig { skip_interfaces, ..ClusterConfig::default() };
        let text = "skip_interfaces:\n- ^veth\n- docker\n";
        assert_eq!(ClusterConfig::parse("lb.yaml", text), Ok(expected));
    }

    #[test]
    fn an_empty_file_says_nothing() {
        for text in ["", "# nothing\n\n", "{}\n"] {
            assert_eq!(ClusterConfig::parse("lb.yaml", text), Ok(ClusterConfig::default()), "{text:?}");
        }
    }

    #[test]
    fn each_problem_names_file_line_and_remedy() {
        let no_place = |key: &str| format!("`{key}` has no place beside `--source kubernetes`");
        let cases = [
            (
                "node: n1\n",
                format!("lb.yaml:1: {}; take it out, and give the name by --node or LB_NODE", no_place("node")),
            ),
            (
                "failback: never\nnodes: []\n",
                format!("lb.yaml:2: {}; take it out: the nodes are those that run an agent", no_place("nodes")),
            ),
            (
                "vips: [10.0.0.1]\n",
                format!(
                    "lb.yaml:1: {}; take it out: the VIPs are the addresses of Services of type LoadBalancer",
                    no_place("vips")
                ),
            ),
            (
                "suppress: []\n",
                format!(
                    "lb.yaml:1: {}; take it out: each node suppresses the VIPs that another one announces",
                    no_place("suppress")
                ),
            ),
            ("failbak: never\n", "lb.yaml:1: unknown key `failbak`; write `failback`".to_owned()),
            (
                "colour: red\n",
                "lb.yaml:1: unknown key `colour`; known keys are interfaces, skip_interfaces, failback".to_owned(),
            ),
            (
                "interfaces: []\n",
                "lb.yaml:1: `interfaces` is empty; name an interface, or leave the key out to have them discovered"
                    .to_owned(),
            ),
            (
                "interfaces: [eth0]\nskip_interfaces: [eth1]\n",
                "lb.yaml:2: `skip_interfaces` beside `interfaces`: nothing is discovered then; leave one of the two out"
                    .to_owned(),
            ),
            (
                "skip_interfaces: veth\n",
                "lb.yaml:1: `skip_interfaces` is the text `veth`, not a list; write `skip_interfaces: [...]`".to_owned(),
            ),
            (
                "- a\n",
                "lb.yaml:1: the file is a list, not keys with values; write `failback: after 30s`, or leave it empty"
                    .to_owned(),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(problems(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_told_with_its_line() {
        let told = problems("skip_interfaces:\n- eth\n- \"(\"\n");
        assert!(told.starts_with("lb.yaml:3: `(` is no regular expression: "), "{told}");
        assert!(
            told.ends_with("; write a regular expression for names, such as `^veth` or `docker`"),
            "{told}"
        );
    }
}
