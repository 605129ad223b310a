//! The scenes, in order.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::sys::signal::Signal;

use super::{LEASE_TTL, Stage, VIPS, config, ms, options};
use crate::testbed::{Agent, Prober, mac_text, witness};

/// Between two requests of a prober.
const INTERVAL: Duration = Duration::from_millis(2);

impl Stage<'_> {
    pub(super) fn play(&mut self) -> anyhow::Result<()> {
        self.without_agents()?;
        self.only_the_holder_answers()?;
        self.kernel_counts()?;
        self.a_packet_from_a_vip()?;
        self.tcp_through_a_vip()?;
        self.restart_within_the_lease()?;
        self.killed_past_the_lease()
    }

    /// As kube-proxy in IPVS mode has it: the VIPs are local addresses of every node.
    fn without_agents(&mut self) -> anyhow::Result<()> {
        for node in self.nodes {
            node.add_to_loopback(&VIPS)?;
        }
        let seen = self.answerers(VIPS[0])?;
        let ok = seen == ["n1", "n2", "n3"];
        self.show("No agent, every VIP on every node's lo", "all three nodes answer", seen.join(", "), ok);
        Ok(())
    }

    fn only_the_holder_answers(&mut self) -> anyhow::Result<()> {
        for (number, node) in self.nodes.iter().enumerate() {
            let mut agent = Agent::prepare(node, &config(number), options())?;
            agent.spawn()?;
            self.agents.push(agent);
        }
        // The first agent hears the other nodes' own kernels answer, and waits until their agents have silenced them.
        self.agents.iter().try_for_each(Agent::wait_settled)?;
        for (number, vip) in VIPS.into_iter().enumerate() {
            let holder = self.nodes[number].name.clone();
            let arping = witness::arping(self.client, &vip.to_string(), 3)?;
            let names: Vec<String> = arping.answers.iter().map(|mac| self.node_of(mac)).collect();
            let seen = format!("{} answers, from {}", names.len(), unique(&names));
            // The last request goes out just before arping ends.
            let sent = arping.sent as usize;
            let ok = (sent - 1..=sent).contains(&names.len()) && names.iter().all(|name| *name == holder);
            self.show(
                &format!("arping {vip}, {sent} requests"),
                format!("one answer each, from {holder}"),
                seen,
                ok,
            );
        }
        Ok(())
    }

    fn kernel_counts(&mut self) -> anyhow::Result<()> {
        let holder = self.answers_in_kernel(0, VIPS[0])?;
        let suppressed = self.agents[1].vip(&VIPS[0].to_string())?["requests"].as_u64().unwrap_or(0);
        let others = self.answers_in_kernel(1, VIPS[0])? + self.answers_in_kernel(2, VIPS[0])?;
        let seen = format!("n1 answered {holder}, n2 dropped {suppressed}, n2 and n3 answered {others}");
        let ok = holder >= 3 && suppressed >= 3 && others == 0;
        self.show("Counters of the maps in the kernels", "n1 answered, the others dropped", seen, ok);
        Ok(())
    }

    /// The request by which n2 finds the client would tell everyone that n2 has the VIP.
    fn a_packet_from_a_vip(&mut self) -> anyhow::Result<()> {
        let (vip, client) = (VIPS[0].to_string(), self.client.address.to_string());
        let ping_vip = || self.client.netns.command("ping").args(["-c", "1", "-W", "1", &vip]).output();
        ping_vip().context("run ping")?;
        let n2 = &self.nodes[1];
        n2.netns.ip("neighbour flush dev eth0")?;
        n2.netns
            .command("ping")
            .args(["-c", "1", "-W", "1", "-I", &vip, &client])
            .output()
            .context("run ping")?;
        let cached = witness::neighbour(self.client, &vip)?.unwrap_or_else(|| "nothing".to_owned());
        let rewritten = self.agents[1].status()?["frames"]["sender_rewritten"].as_u64().unwrap_or(0);
        let seen =
            format!("the client's cache has {}, n2 rewrote {rewritten} request(s)", self.node_of(&cached));
        let ok = cached == mac_text(self.nodes[0].mac) && rewritten >= 1;
        self.show("n2 sends a packet from n1's VIP", "the client's cache still has n1", seen, ok);
        Ok(())
    }

    fn tcp_through_a_vip(&mut self) -> anyhow::Result<()> {
        self.client.netns.ip("neighbour flush dev eth0")?;
        let vip = VIPS[1];
        let listener = self.nodes[1].netns.run(|| TcpListener::bind((vip, 8080)))??;
        let server = thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            stream.write_all(b"served by n2")
        });
        let text = self.client.netns.run(|| fetch(vip))?.unwrap_or_else(|error| error.to_string());
        let ok = text == "served by n2";
        if ok {
            server.join().map_err(|_| anyhow::anyhow!("the server panicked"))??;
        }
        self.show(&format!("TCP from the client to {vip}:8080"), "served by n2", text, ok);
        Ok(())
    }

    fn restart_within_the_lease(&mut self) -> anyhow::Result<()> {
        let prober = Prober::start(self.client, VIPS[1], INTERVAL)?;
        thread::sleep(Duration::from_millis(500));
        self.agents[1].end(Signal::SIGKILL)?;
        thread::sleep(Duration::from_millis(1_000));
        self.agents[1].spawn()?;
        thread::sleep(Duration::from_millis(2_500));
        let report = prober.finish()?;
        let seen = format!(
            "{} requests, {} unanswered, longest silence {}",
            report.requests,
            report.unanswered,
            ms(report.longest_silence)
        );
        let ok = report.unanswered == 0 && report.doubly_answered == 0;
        self.show("n2's agent is killed and restarted within the lease", "0 unanswered", seen, ok);
        Ok(())
    }

    fn killed_past_the_lease(&mut self) -> anyhow::Result<()> {
        let prober = Prober::start(self.client, VIPS[0], INTERVAL)?;
        let begun = Instant::now();
        thread::sleep(Duration::from_millis(200));
        self.agents[0].end(Signal::SIGKILL)?;
        let killed = begun.elapsed();
        thread::sleep(Duration::from_secs(LEASE_TTL + 2));
        let report = prober.finish()?;
        let answered_for = report.last_answer.unwrap_or_default().saturating_sub(killed);
        let ttl = Duration::from_secs(LEASE_TTL);
        // The last renewal was at most a second, on a busy machine two, before the kill.
        let ok =
            answered_for <= ttl + Duration::from_millis(100) && answered_for + Duration::from_secs(2) >= ttl;
        let seen = format!("answers for {}, then silence", ms(answered_for));
        let expected = format!("answers until the lease of {LEASE_TTL} s ends, then none from anyone");
        let is_silent = self.answerers(VIPS[0])?.is_empty();
        self.show("n1's agent is killed for good", expected, seen, ok && is_silent);
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
