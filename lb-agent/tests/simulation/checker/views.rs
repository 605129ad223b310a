//! Whether the agents see the same.

use lb_agent::model::BoottimeNs;

use crate::{bounds, world::World};

/// Since when views have been equal, or have not.
#[derive(Debug, Default)]
pub struct Views {
    differ_since: Option<BoottimeNs>,
    equal_since: BoottimeNs,
    /// How long they differed the last time.
    differed_for: u64,
    /// When they last ceased to differ for more than a moment.
    stale_until: Option<BoottimeNs>,
    /// How many agents know their view to be stale: those do not count as differing, for they leave it to the others.
    known_stale: usize,
}

impl Views {
    pub fn look(&mut self, world: &World) {
        // A machine that stood still meanwhile has a view of old when it goes on.
        let counts = |&number: &usize| {
            let node = &world.nodes[number];
            node.is_running() && node.agent.is_some() && node.stale_since.is_none()
        };
        let nodes = (0..world.nodes.len()).filter(counts);
        let lag_since = nodes.filter_map(|node| world.lags_since(node)).min();
        let known_stale = world.nodes.iter().filter(|node| node.stale_since.is_some()).count();
        if std::mem::replace(&mut self.known_stale, known_stale) != known_stale {
            (self.equal_since, self.stale_until) = (world.now, Some(world.now));
        }
        match (lag_since, self.differ_since) {
            (Some(lag_since), None) => self.differ_since = Some(lag_since),
            (None, Some(since)) => {
                self.differ_since = None;
                self.differed_for = world.now - since;
                if self.differed_for > bounds::MOMENT_NS {
                    self.stale_until = Some(world.now);
                }
                self.equal_since = world.now;
            }
            _ => {}
        }
    }

    /// Whether they have been equal for so long.
    pub fn have_been_equal_for(&self, ns: u64, now: BoottimeNs) -> bool {
        self.differ_since.is_none() && now >= self.equal_since + ns
    }

    /// How long two answers may last now.
    pub fn double_bound_ns(&self, now: BoottimeNs) -> u64 {
        let is_stale = match self.differ_since {
            Some(since) => now - since > bounds::MOMENT_NS,
            None => {
                self.differed_for > bounds::MOMENT_NS && now < self.equal_since + bounds::DOUBLE_MOMENT_NS
            }
        };
        if is_stale {
            bounds::DOUBLE_STALE_NS
        } else if self.differ_since.is_some() || now < self.equal_since + bounds::DOUBLE_MOMENT_NS {
            bounds::DOUBLE_MOMENT_NS + bounds::SLACK_NS
        } else {
            bounds::DOUBLE_EQUAL_NS
        }
    }

    /// Whether a view is older than for a moment, or a claim that met with such a view is still put off, be there
    /// another view by now or not.
    pub fn are_stale(&self, now: BoottimeNs) -> bool {
        self.differ_since.is_some_and(|since| now > since + bounds::MOMENT_NS)
            || self.stale_until.is_some_and(|until| now < until + bounds::DOUBLE_STALE_NS)
    }
}
