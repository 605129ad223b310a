//! `lb-agent explain`: why a VIP is, or is not, answered for by this node, in words, with the value that decided each step.

pub mod facts;
pub mod lookup;
pub mod service;
pub mod socket;
pub mod view;

use std::{collections::BTreeMap, fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

/// One step of the chain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Step {
    /// What was looked at.
    pub what: String,
    /// Whether it speaks for an answer; `None`: it is no matter.
    pub verdict: Option<bool>,
    /// The value that decided.
    pub because: String,
}

impl Step {
    /// A step.
    pub fn new(
        what: impl Into<String>,
        verdict: impl Into<Option<bool>>,
        because: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), verdict: verdict.into(), because: because.into() }
    }
}

/// Whether this node answers for a VIP on an interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// It does.
    pub answers: bool,
    /// Why, or why not.
    pub because: String,
}

/// A VIP on one interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OnInterface {
    /// The interface's name.
    pub interface: String,
    /// The chain.
    pub steps: Vec<Step>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// What a source says of a VIP in short.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    /// The Services that have it.
    pub services: Vec<String>,
    /// Why no node answers for it, if that is so.
    pub nobody: Option<String>,
    /// Why this node is no candidate for it, where others are.
    pub not_here: Option<String>,
}

/// What was asked for, as a source knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// The VIP, or the Service that has none.
    pub about: String,
    /// The VIP.
    pub vip: Option<IpAddr>,
    /// Where it comes from.
    pub steps: Vec<Step>,
    /// The same in short.
    pub origin: Origin,
}

/// Every VIP that a source knows, in short.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Survey {
    /// What is to be known before.
    pub view: Vec<Step>,
    /// Each VIP.
    pub vips: BTreeMap<IpAddr, Origin>,
    /// The Services without a VIP, each with why no node answers for it.
    pub without_vip: Vec<(String, String)>,
}

/// A VIP, or a Service that has none.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// The VIP, or the Service that has none.
    pub about: String,
    /// The VIP.
    pub vip: Option<IpAddr>,
    /// The node that explains.
    pub node: String,
    /// Where the VIP comes from.
    pub source: Vec<Step>,
    /// Why no node answers for it, whichever it is.
    pub nobody: Option<String>,
    /// On each interface that carries programs.
    pub interfaces: Vec<OnInterface>,
}

/// One line of the list of all VIPs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Summary {
    /// The VIP.
    pub vip: Option<IpAddr>,
    /// The Services that have it, or the one that has none.
    pub services: Vec<String>,
    /// The interface's name.
    pub interface: Option<String>,
    /// Whether this node answers.
    pub verdict: Verdict,
}

/// All VIPs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct List {
    /// What is to be known before.
    pub view: Vec<Step>,
    /// One line each.
    pub lines: Vec<Summary>,
}

/// What the agent says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Of the VIPs that were asked for.
    Explained(Vec<Explanation>),
    /// Every VIP.
    List(List),
    /// It cannot say, and why not.
    Unknown(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answers, because } = self;
        write!(f, "{}, because {because}", if *answers { "yes" } else { "no" })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, verdict, because } = self;
        let mark = match verdict {
            Some(true) => "+",
            Some(false) => "-",
            None => " ",
        };
        writeln!(f, "  {mark} {what:<15} {because}")
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, vip, node, source, nobody, interfaces } = self;
        writeln!(f, "{about}, as node {node} sees it")?;
        source.iter().try_for_each(|step| step.fmt(f))?;
        match nobody {
            Some(why) => writeln!(f, "answers: no node, because {why}")?,
            None if interfaces.is_empty() => {
                writeln!(f, "answers: no, because no interface of this node carries VIPs")?;
            }
            None => {}
        }
        for OnInterface { interface, steps, verdict } in interfaces.iter().filter(|_| vip.is_some()) {
            writeln!(f, "\non {interface}")?;
            steps.iter().try_for_each(|step| step.fmt(f))?;
            writeln!(f, "answers: {verdict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vip, services, interface, verdict } = self;
        // Formatted first: an address does not heed a width.
        let vip = vip.map_or_else(|| "-".to_owned(), |vip| vip.to_string());
        write!(f, "{vip:<39} {:<15} ", interface.as_deref().unwrap_or("-"))?;
        if !services.is_empty() {
            write!(f, "{:<30} ", services.join(","))?;
        }
        writeln!(f, "{verdict}")
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { view, lines } = self;
        view.iter().try_for_each(|step| step.fmt(f))?;
        if lines.is_empty() {
            return writeln!(f, "this node knows of no VIP");
        }
        lines.iter().try_for_each(|line| line.fmt(f))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => writeln!(f, "{why}"),
            Self::List(list) => list.fmt(f),
            Self::Explained(explanations) => explanations.iter().enumerate().try_for_each(|(place, one)| {
                if place > 0 {
                    writeln!(f)?;
                }
                one.fmt(f)
            }),
        }
    }
}
