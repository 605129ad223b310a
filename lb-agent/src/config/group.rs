//! The group: `nodes`, and `failback`.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    address::unusable_node,
    problem::Problems,
    yaml::{self, Line, Node as Yaml},
};
use crate::{holding::Failback, roster::Node};

/// A node of the group, with its line.
pub(super) type Member = (Node, Line);

const FORM: &str = "write `{name: n1, address: 10.0.0.1}`";
const FORM_OF_MANY: &str = "write `{name: n1, addresses: [10.0.0.1, fd00::1]}`";

pub(super) fn nodes(yaml: &Yaml, line: Line, problems: &mut Problems) -> Vec<Member> {
    let Yaml::List(items) = yaml else {
        problems.add(Some(line), format!("`nodes` is {}, not a list", yaml.kind()), FORM);
        return Vec::new();
    };
    if items.is_empty() {
        problems.add(
            Some(line),
            "`nodes` is empty".to_owned(),
            "name this node at least, or leave the key out",
        );
    }
    let nodes: Vec<Member> =
        items.iter().filter_map(|(line, item)| Some((node(item, *line, problems)?, *line))).collect();
    find_duplicates(&nodes, problems);
    nodes
}

fn node(yaml: &Yaml, line: Line, problems: &mut Problems) -> Option<Node> {
    let Yaml::Map(entries) = yaml else {
        problems.add(Some(line), format!("an item of `nodes` is {}", yaml.kind()), FORM);
        return None;
    };
    let (mut name, mut addresses): (_, Option<Vec<IpAddr>>) = (None, None);
    for (key, line, value) in entries {
        match (key.as_str(), value) {
            ("name", Yaml::Text(text)) if !text.trim().is_empty() => name = Some(text.clone()),
            ("name", other) => {
                problems.add(
                    Some(*line),
                    format!("a node's `name` is {}", other.kind()),
                    "put the name in quotes",
                );
                return None;
            }
            ("address" | "addresses", _) if addresses.is_some() => {
                let what = "a node has both `address` and `addresses`".to_owned();
                problems.add(Some(*line), what, "put all of them into `addresses`");
                return None;
            }
            ("address", Yaml::Text(text)) => addresses = Some(vec![address(text, *line, problems)?]),
            ("address", other) => {
                problems.add(Some(*line), format!("a node's `address` is {}", other.kind()), FORM);
                return None;
            }
            ("addresses", value) => addresses = Some(several(value, *line, problems)?),
            (unknown, _) => {
                problems.add(Some(*line), format!("unknown key `{unknown}` in an item of `nodes`"), FORM);
                return None;
            }
        }
    }
    match (name, addresses) {
        (Some(name), Some(addresses)) => return Some(Node { name, addresses }),
        (None, _) => problems.add(Some(line), "a node has no `name`".to_owned(), FORM),
        (Some(name), None) => problems.add(Some(line), format!("node {name} has no `address`"), FORM),
    }
    None
}

/// All of them, or none where one is wrong.
fn several(yaml: &Yaml, line: Line, problems: &mut Problems) -> Option<Vec<IpAddr>> {
    match yaml {
        Yaml::List(items) if !items.is_empty() => {}
        Yaml::List(_) => {
            problems.add(Some(line), "a node's `addresses` are empty".to_owned(), FORM_OF_MANY);
            return None;
        }
        other => {
            problems.add(
                Some(line),
                format!("a node's `addresses` are {}, not a list", other.kind()),
                FORM_OF_MANY,
            );
            return None;
        }
    }
    let texts = yaml::list_of_text(yaml, "addresses", line, problems);
    texts.iter().map(|(text, line)| address(text, *line, problems)).collect()
}

fn address(text: &str, line: Line, problems: &mut Problems) -> Option<IpAddr> {
    let remedy = "give the node's own address on the segment, such as 10.0.0.1";
    let problem = match text.parse() {
        Ok(address) => match unusable_node(address) {
            None => return Some(address),
            Some(why) => format!("`{text}` is no node's address: {why}"),
        },
        Err(_) => format!("`{text}` is no address"),
    };
    problems.add(Some(line), problem, remedy);
    None
}

fn find_duplicates(nodes: &[Member], problems: &mut Problems) {
    let (mut names, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    for (node, line) in nodes {
        if let Some(first) = names.insert(&node.name, line) {
            let what = format!("node {} is there already, in line {first}", node.name);
            problems.add(Some(*line), what, "name each node once");
        }
        for address in &node.addresses {
            if let Some((first, whose)) = addresses.insert(address, (line, &node.name)) {
                let (what, remedy) = match *whose == node.name {
                    true => (
                        format!("address {address} of node {whose} is there already, in line {first}"),
                        "name it once",
                    ),
                    false => (
                        format!("address {address} is that of another node already, in line {first}"),
                        "give each node its own",
                    ),
                };
                problems.add(Some(*line), what, remedy);
            }
        }
    }
}

pub(super) fn failback(yaml: &Yaml, line: Line, problems: &mut Problems) -> Failback {
    let parsed = match yaml {
        Yaml::Text(text) => parse_failback(text),
        _ => None,
    };
    parsed.unwrap_or_else(|| {
        let what = format!("`failback` is {}", yaml.kind());
        problems.add(
            Some(line),
            what,
            "write `immediate`, `never`, or `after` with a time: `after 30s`, `after 5m`",
        );
        Failback::default()
    })
}

/// `immediate`, `never`, or `after` with a whole number of ms, s, m or h.
fn parse_failback(text: &str) -> Option<Failback> {
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["immediate"] => Some(Failback::Immediate),
        ["never"] => Some(Failback::Never),
        ["after", time] => duration_ns(time).map(Failback::After),
        _ => None,
    }
}

fn duration_ns(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit_ns: u64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failback_is_a_word_or_a_time() {
        assert_eq!(parse_failback("immediate"), Some(Failback::Immediate));
        assert_eq!(parse_failback("never"), Some(Failback::Never));
        assert_eq!(parse_failback("after 30s"), Some(Failback::After(30_000_000_000)));
        assert_eq!(parse_failback("after 250ms"), Some(Failback::After(250_000_000)));
        for wrong in ["", "after", "after 30", "after s", "30s", "after 30s please", "after 99999999999999h"]
        {
            assert_eq!(parse_failback(wrong), None, "{wrong}");
        }
    }
}
