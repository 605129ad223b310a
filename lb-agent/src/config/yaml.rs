//! YAML as a tree that knows its lines, so that every problem can be told with its own.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::problem::Problems;

/// A line of the file, from 1.
pub type Line = u64;

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Nothing, or `~`.
    Null,
    /// Text.
    Text(String),
    /// A number or truth value, as written or near it.
    Scalar(String),
    /// A list, each item with its line.
    List(Vec<(Line, Self)>),
    /// A map, each key with its line.
    Map(Vec<(String, Line, Self)>),
}

impl Node {
    /// What it is, for people.
    pub fn kind(&self) -> String {
        match self {
            Self::Null => "empty".to_owned(),
            Self::Text(text) => format!("the text `{text}`"),
            Self::Scalar(value) => format!("the value `{value}`"),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
        }
    }
}

/// The keys and values of the file. `remedy` is for one that has none.
pub fn top_level(text: &str, remedy: &str, problems: &mut Problems) -> Vec<(String, Line, Node)> {
    match serde_saphyr::from_str::<Node>(text) {
        Ok(Node::Map(map)) => return map,
        Ok(Node::Null) => problems.add(None, "the file is empty".to_owned(), remedy),
        Ok(other) => {
            problems.add(Some(1), format!("the file is {}, not keys with values", other.kind()), remedy)
        }
        Err(_) if is_blank(text) => problems.add(None, "the file is empty".to_owned(), remedy),
        Err(error) => {
            let line = error.location().map(|location| location.line()).filter(|&line| line > 0);
            let what = error.without_snippet().to_string();
            let what = what.lines().next().unwrap_or("it is no YAML").to_owned();
            problems.add(line, format!("YAML: {what}"), "mend the syntax there or in the line before");
        }
    }
    Vec::new()
}

/// Whether there is nothing but comments.
pub fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// The items of a list.
pub fn list<'a>(node: &'a Node, key: &str, line: Line, problems: &mut Problems) -> &'a [(Line, Node)] {
    match node {
        Node::List(items) => items,
        other => {
            let what = format!("`{key}` is {}, not a list", other.kind());
            problems.add(Some(line), what, &format!("write `{key}: [...]`"));
            &[]
        }
    }
}

/// The items of a list of texts.
pub fn list_of_text(node: &Node, key: &str, line: Line, problems: &mut Problems) -> Vec<(String, Line)> {
    let items = list(node, key, line, problems).iter();
    items.filter_map(|(line, item)| text(item, &format!("an item of `{key}`"), *line, problems)).collect()
}

/// A text with its line. `what` is its name in messages.
pub fn text(node: &Node, what: &str, line: Line, problems: &mut Problems) -> Option<(String, Line)> {
    match node {
        Node::Text(text) => Some((text.clone(), line)),
        other => {
            let what = format!("{what} is {}", other.kind());
            problems.add(Some(line), what, "write plain text, in quotes if need be");
            None
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Node>>()? {
            list.push((item.referenced.line(), item.value));
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Node>()? {
            map.push((key.value, key.referenced.line(), value));
        }
        Ok(Node::Map(map))
    }
}
