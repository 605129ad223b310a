//! A switch that looks at MLD, and forwards a group to those only that listen to it (RFC 4541).

use std::{fs, process::Command};

use super::segment::{Host, Segment};
use crate::exec::output;

impl Segment {
    /// An empty segment whose switch looks at MLD, and asks for listeners each second (RFC 4541): a group of which it has
    /// not heard for three seconds is not forwarded.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_snooping() -> anyhow::Result<Self> {
        let segment = Self::new()?;
        segment.switch().run(|| {
            // Its questions need a source address.
            let settings = [("accept_dad", "0"), ("disable_ipv6", "0")];
            settings
                .into_iter()
                .try_for_each(|(name, value)| fs::write(format!("/proc/sys/net/ipv6/conf/br0/{name}"), value))
        })??;
        // In hundredths of a second.
        let intervals = "mcast_query_interval 100 mcast_startup_query_interval 100 \
                         mcast_query_response_interval 50 mcast_membership_interval 300";
        segment.switch().ip(&format!("link set br0 type bridge mcast_mld_version 2 {intervals}"))?;
        segment.set_snooping(true)?;
        Ok(segment)
    }

    /// Has the switch look at MLD, or forward each group to all.
    ///
    /// # Errors
    /// When ip fails.
    pub fn set_snooping(&self, on: bool) -> anyhow::Result<()> {
        let on = u8::from(on);
        self.switch().ip(&format!("link set br0 type bridge mcast_snooping {on} mcast_querier {on}"))
    }

    /// Has the switch take a host that leaves a group at its word, instead of asking whether others behind the same port
    /// still listen.
    ///
    /// # Errors
    /// When ip fails.
    pub fn set_fast_leave(&self, host: &Host) -> anyhow::Result<()> {
        self.switch().ip(&format!("link set {} type bridge_slave mcast_fast_leave on", host.port()))
    }

    /// The ports behind which the switch knows listeners of a group, in order.
    ///
    /// # Errors
    /// When bridge fails.
    pub fn listeners(&self, group: &str) -> anyhow::Result<Vec<String>> {
        let text = output(Command::new("bridge").args(["-n", self.switch().name(), "mdb", "show"]))?;
        let port = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |word: &str| words.iter().skip_while(|other| **other != word).nth(1).copied();
            (after("grp") == Some(group)).then(|| after("port").map(str::to_owned)).flatten()
        };
        let mut ports: Vec<String> = text.lines().filter_map(port).collect();
        ports.sort();
        Ok(ports)
    }
}
