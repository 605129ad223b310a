//! `lb-agent explain`: why a VIP is, or is not, answered for by this node, in words, with the value that decided each step.

pub mod facts;
pub mod socket;

use std::{fmt, net::IpAddr};

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

/// A VIP.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// The VIP.
    pub vip: IpAddr,
    /// The node that explains.
    pub node: String,
    /// Where the VIP comes from.
    pub source: Vec<Step>,
    /// On each interface that carries programs.
    pub interfaces: Vec<OnInterface>,
}

/// One line of the list of all VIPs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Summary {
    /// The VIP.
    pub vip: IpAddr,
    /// The interface's name.
    pub interface: String,
    /// Whether this node answers.
    pub verdict: Verdict,
}

/// What the agent says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Of the VIPs that were asked for.
    Explained(Vec<Explanation>),
    /// Every VIP.
    List(Vec<Summary>),
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
        let Self { vip, node, source, interfaces } = self;
        writeln!(f, "{vip}, as node {node} sees it")?;
        source.iter().try_for_each(|step| step.fmt(f))?;
        if interfaces.is_empty() {
            writeln!(f, "answers: no, because no interface of this node carries VIPs")?;
        }
        for OnInterface { interface, steps, verdict } in interfaces {
            writeln!(f, "\non {interface}")?;
            steps.iter().try_for_each(|step| step.fmt(f))?;
            writeln!(f, "answers: {verdict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => writeln!(f, "{why}"),
            Self::List(summaries) if summaries.is_empty() => writeln!(f, "this node knows of no VIP"),
            Self::List(summaries) => summaries.iter().try_for_each(|Summary { vip, interface, verdict }| {
                // Formatted first: an address does not heed a width.
                writeln!(f, "{:<39} {interface:<15} {verdict}", vip.to_string())
            }),
            Self::Explained(explanations) => explanations.iter().enumerate().try_for_each(|(place, one)| {
                if place > 0 {
                    writeln!(f)?;
                }
                one.fmt(f)
            }),
        }
    }
}
