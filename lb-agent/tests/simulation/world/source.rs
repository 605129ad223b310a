//! The source of configuration: what it tells, and who hears of it.

use lb_agent::model::BoottimeNs;

use super::World;
use crate::{
    cluster::{ClusterView, S},
    queue::Event,
};

/// Without word from the source for so long, an agent takes its view for stale.
const STALE_AFTER_NS: u64 = 10 * S;
/// An agent that reaches the source again has its word after so long.
const RELIST_NS: u64 = 50_000_000;

impl World {
    /// The source tells another view, which each agent hears of after its delay.
    pub fn tell_view(&mut self, view: ClusterView, delays: &[u64]) {
        self.views.push(view);
        self.told_at.push(self.now);
        for (node, delay) in delays.iter().enumerate() {
            self.queue.push(self.now + delay, Event::View(node, self.views.len() - 1));
        }
    }

    pub(super) fn take_view(&mut self, number: usize, version: usize) {
        let node = &mut self.nodes[number];
        // The source tells only the newest.
        if node.has_view > version || node.cut_since.is_some() {
            return;
        }
        (node.has_view, node.stale_since) = (version, None);
        if let Some(agent) = &mut node.agent {
            agent.set_view(&self.cluster, &self.views[version]);
            agent.set_view_stale(false);
            self.trace(|| format!("node {number} has view {version}"));
            self.wake_soon(number);
        }
    }

    pub fn cut_source(&mut self, number: usize) {
        self.nodes[number].cut_since = Some(self.now);
        self.queue.push(self.now + STALE_AFTER_NS, Event::ViewStale(number, self.now));
    }

    pub fn restore_source(&mut self, number: usize) {
        self.nodes[number].cut_since = None;
        self.queue.push(self.now + RELIST_NS, Event::View(number, self.views.len() - 1));
    }

    pub(super) fn view_stale(&mut self, number: usize, since: BoottimeNs) {
        let node = &mut self.nodes[number];
        if node.cut_since != Some(since) {
            return;
        }
        node.stale_since = Some(self.now);
        if let Some(agent) = &mut node.agent {
            agent.set_view_stale(true);
            self.trace(|| format!("node {number} takes its view for stale"));
            self.wake_soon(number);
        }
    }

    /// The view that the source tells.
    pub fn newest_view(&self) -> &ClusterView {
        self.views.last().expect("the first view")
    }

    /// Since when there has been a newer view than a node's agent has.
    pub fn lags_since(&self, node: usize) -> Option<BoottimeNs> {
        self.told_at.get(self.nodes[node].has_view + 1).copied()
    }

    /// The view that a node's agent has.
    pub fn view_of(&self, node: usize) -> &ClusterView {
        &self.views[self.nodes[node].has_view]
    }

    /// Whether a node is a candidate by the view of each agent that there is.
    pub fn is_candidate(&self, unit: usize, number: usize) -> bool {
        let newest = self.newest_view();
        let mut seen =
            self.nodes.iter().filter(|node| node.agent.is_some()).map(|node| &self.views[node.has_view]);
        newest.is_candidate(unit, number) && seen.all(|view| view.is_candidate(unit, number))
    }
}
