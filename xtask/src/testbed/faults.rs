//! What a switch can do to its hosts: frames that do not arrive although every link is up.

use std::fmt::Write as _;

use super::segment::{Host, Segment};

impl Segment {
    /// From now on frames from the first host of each pair do not reach the second one; those of all other pairs do.
    /// No pairs: the segment is whole.
    ///
    /// # Errors
    /// Without nftables, or its bridge family in the kernel.
    pub fn block(&self, pairs: &[(&Host, &Host)]) -> anyhow::Result<()> {
        let mut rules = String::from("table bridge lb\ndelete table bridge lb\n");
        if !pairs.is_empty() {
            rules.push_str("table bridge lb {\nchain block {\ntype filter hook forward priority 0;\n");
            for (from, to) in pairs {
                writeln!(rules, "iifname \"{}\" oifname \"{}\" drop;", from.port(), to.port())?;
            }
            rules.push_str("}\n}\n");
        }
        self.switch().feed("nft", &["-f", "-"], &rules)
    }
}

/// Every pair of the two groups, in both directions: a partition.
#[must_use]
pub fn between<'a>(some: &[&'a Host], others: &[&'a Host]) -> Vec<(&'a Host, &'a Host)> {
    let pairs = some.iter().flat_map(|&one| others.iter().map(move |&other| (one, other)));
    pairs.clone().chain(pairs.map(|(one, other)| (other, one))).collect()
}
