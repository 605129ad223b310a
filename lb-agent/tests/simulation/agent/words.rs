//! What an agent says and tells, in the terms of the run.

use lb_agent::{
    election::NodeId,
    holding::{Cause, Change, Message},
    model::Place,
};

use super::Agent;
use crate::{
    cluster::{IFINDEX, name},
    wire::{Body, End, Frame},
};

impl Agent {
    pub(super) fn spoken(&self, place: Place, message: Message) -> Option<Frame> {
        let vip = place.address;
        Some(match message {
            Message::Ask(to) => {
                let known = to.filter(|&id| self.peers.mac(IFINDEX, id).is_some());
                self.frame(known.map(|id| self.number(id)), Body::Ask(vip))
            }
            Message::Announce(form) => self.frame(None, Body::Announcement(vip, form)),
            Message::Claim(id) => {
                self.peers.mac(IFINDEX, id)?;
                self.frame(
                    Some(self.number(id)),
                    Body::Announcement(vip, lb_agent::announcements::Form::Request),
                )
            }
        })
    }

    pub(super) const fn frame(&self, to: Option<usize>, body: Body) -> Frame {
        let to = match to {
            Some(node) => Some(End::Node(node)),
            None => None,
        };
        Frame { from: End::Node(self.node), to, body }
    }

    /// A change, with the nodes' numbers in the run.
    pub(super) fn in_numbers(&self, change: Change) -> Change {
        let number = |id| NodeId::try_from(self.number(id)).expect("a small cluster");
        match change {
            Change::Taken(Cause::Silent(id)) => Change::Taken(Cause::Silent(number(id))),
            Change::Taken(Cause::Failback(id)) => Change::Taken(Cause::Failback(number(id))),
            Change::Taken(Cause::Moved(id)) => Change::Taken(Cause::Moved(number(id))),
            Change::Taken(Cause::GivenBack(id)) => Change::Taken(Cause::GivenBack(number(id))),
            Change::Yielded(id) => Change::Yielded(number(id)),
            Change::SplitSegment(one, other) => Change::SplitSegment(number(one), number(other)),
            Change::Taken(Cause::Unanswered | Cause::PeersGone | Cause::Unasked)
            | Change::Released
            | Change::Contested(_)
            | Change::Conflict(_) => change,
        }
    }

    /// The node's number in the run, from that in the agent's roster.
    pub fn number(&self, id: NodeId) -> usize {
        let wanted = self.roster.name(id);
        (0..).find(|&node| *name(node) == *wanted).expect("a node of the run")
    }
}
