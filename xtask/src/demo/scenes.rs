//! The scenes, in order.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use nix::sys::signal::Signal;

use super::{FAILBACK, PAIR, Stage, UNITS, ms, options};
use crate::testbed::{Prober, Unit, mac_text, witness};

/// Between two requests of a prober.
const INTERVAL: Duration = Duration::from_millis(2);
/// The VIPs that the scenes are about: one that goes together with one of IPv6, and one alone.
const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 10);
const LONE: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 11);

/// Every VIP.
fn vips() -> impl Iterator<Item = IpAddr> {
    UNITS.into_iter().flat_map(Unit::addresses)
}

impl Stage<'_> {
    pub(super) fn play(&mut self) -> anyhow::Result<()> {
        self.without_agents()?;
        self.one_node_answers_for_each_vip()?;
        self.kernel_counts()?;
        self.a_packet_from_a_vip()?;
        self.tcp_through_a_vip()?;
        self.restart_within_the_lease()
    }

    /// As kube-proxy in IPVS mode has it: the VIPs are local addresses of every node.
    fn without_agents(&mut self) -> anyhow::Result<()> {
        for node in &self.hosts.nodes {
            node.add_to_loopback(vips())?;
        }
        for vip in PAIR.addresses() {
            // Linux answers by ARP for the addresses of all its interfaces, by NDP for those of the one that is asked.
            let (expected, answering): (_, &[&str]) = match vip {
                IpAddr::V4(_) => ("all three nodes answer", &["n1", "n2", "n3"]),
                IpAddr::V6(_) => ("nobody answers", &[]),
            };
            let seen = self.answerers(vip)?;
            let ok = seen == answering;
            self.show(&format!("No agent, {vip} on every node's lo"), expected, unique(&seen), ok);
        }
        Ok(())
    }

    fn one_node_answers_for_each_vip(&mut self) -> anyhow::Result<()> {
        self.group = Some(self.hosts.start(&UNITS, FAILBACK, &options())?);
        for vip in vips() {
            let holder = self.holder(vip)?;
            if vip.is_ipv4() {
                self.arping(vip, &holder)?;
            } else {
                let seen = self.answerers(vip)?.join(", ");
                let ok = seen == holder;
                self.show(&format!("ndisc6 {vip}"), format!("{holder} answers alone"), seen, ok);
            }
        }
        Ok(())
    }

    fn arping(&mut self, vip: IpAddr, holder: &str) -> anyhow::Result<()> {
        let arping = witness::arping(&self.hosts.client, &vip.to_string(), 3)?;
        let names: Vec<String> = arping.answers.iter().map(|mac| self.node_of(mac)).collect();
        let seen = format!("{} answers, from {}", names.len(), unique(&names));
        // The last request goes out just before arping ends.
        let sent = arping.sent as usize;
        let ok = (sent - 1..=sent).contains(&names.len()) && names.iter().all(|name| name == holder);
        let what = format!("arping {vip}, {sent} requests");
        self.show(&what, format!("one answer each, from {holder}"), seen, ok);
        Ok(())
    }

    /// The name of the node that holds a VIP.
    fn holder(&mut self, vip: IpAddr) -> anyhow::Result<String> {
        let holder = self.group()?.wait_holder(vip)?;
        Ok(self.hosts.nodes[holder].name.clone())
    }

    fn kernel_counts(&mut self) -> anyhow::Result<()> {
        let group = self.group()?;
        let holder = group.wait_holder(VIP)?;
        let count = |node: usize, what: &str| -> anyhow::Result<u64> {
            let vip = group.agents[node].vip(VIP)?;
            vip[what].as_u64().with_context(|| format!("no counter {what}"))
        };
        let others: Vec<usize> = (0..3).filter(|&node| node != holder).collect();
        let answered = count(holder, "answers")?;
        let dropped = others.iter().map(|&node| count(node, "requests")).sum::<anyhow::Result<u64>>()?;
        let wrong = others.iter().map(|&node| count(node, "answers")).sum::<anyhow::Result<u64>>()?;
        let seen =
            format!("the holder answered {answered}, the others dropped {dropped} and answered {wrong}");
        let ok = answered >= 3 && dropped >= 6 && wrong == 0;
        self.show("Counters of the maps in the kernels", "the holder answers, the others drop", seen, ok);
        Ok(())
    }

    /// The request by which another node finds the client would tell everyone that it has the VIP.
    fn a_packet_from_a_vip(&mut self) -> anyhow::Result<()> {
        let (vip, client) = (VIP.to_string(), self.hosts.client.address.to_string());
        let holder = self.group()?.wait_holder(VIP)?;
        let other = (holder + 1) % 3;
        witness::ping(&self.hosts.client, &vip)?;
        let node = &self.hosts.nodes[other];
        node.netns.ip("neighbour flush dev eth0")?;
        node.netns
            .command("ping")
            .args(["-c", "1", "-W", "1", "-I", &vip, &client])
            .output()
            .context("run ping")?;
        let cached = witness::neighbour(&self.hosts.client, &vip)?.unwrap_or_else(|| "nothing".to_owned());
        let rewritten =
            self.group()?.agents[other].status()?["frames"]["sender_rewritten"].as_u64().unwrap_or(0);
        let seen = format!(
            "the client's cache has {}, {} rewrote {rewritten} request(s)",
            self.node_of(&cached),
            node.name
        );
        let ok = cached == mac_text(self.hosts.nodes[holder].mac) && rewritten >= 1;
        self.show("Another node sends a packet from the VIP", "the client's cache has the holder", seen, ok);
        Ok(())
    }

    fn tcp_through_a_vip(&mut self) -> anyhow::Result<()> {
        self.hosts.client.netns.ip("neighbour flush dev eth0")?;
        let vip = LONE;
        let holder = self.group()?.wait_holder(vip)?;
        let served = format!("served by {}", self.hosts.nodes[holder].name);
        let listener = self.hosts.nodes[holder].netns.run(|| TcpListener::bind((vip, 8080)))??;
        let text = served.clone();
        let server = thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            stream.write_all(text.as_bytes())
        });
        let text = self.hosts.client.netns.run(|| fetch(vip))?.unwrap_or_else(|error| error.to_string());
        let ok = text == served;
        if ok {
            server.join().map_err(|_| anyhow::anyhow!("the server panicked"))??;
        }
        self.show(&format!("TCP from the client to {vip}:8080"), served, text, ok);
        Ok(())
    }

    fn restart_within_the_lease(&mut self) -> anyhow::Result<()> {
        let holder = self.group()?.wait_holder(LONE)?;
        let prober = Prober::start(&self.hosts.client, LONE, INTERVAL)?;
        thread::sleep(Duration::from_millis(500));
        let agent = &mut self.group()?.agents[holder];
        agent.end(Signal::SIGKILL)?;
        thread::sleep(Duration::from_millis(1_000));
        agent.spawn()?;
        thread::sleep(Duration::from_millis(2_500));
        let report = prober.finish()?;
        let seen = format!(
            "{} requests, {} unanswered, longest silence {}",
            report.requests,
            report.unanswered,
            ms(report.longest_silence)
        );
        let ok = report.unanswered == 0 && report.doubly_answered == 0;
        self.show("An agent is killed and restarted within the lease", "0 unanswered", seen, ok);
        Ok(())
    }
}

fn fetch(vip: Ipv4Addr) -> std::io::Result<String> {
    let timeout = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&(vip, 8080).into(), timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn unique(names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}
