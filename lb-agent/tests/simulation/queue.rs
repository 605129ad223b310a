//! What happens next: by time, and of the same time in the order in which it was put in.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::wire::{End, Frame};

/// Something that happens by itself.
#[derive(Clone, Debug)]
pub enum Event {
    Arrive(End, Frame),
    /// The agent of a node wakes up, if this is still when it means to.
    Wake(usize),
    /// An agent hears of a view, by its number.
    View(usize, usize),
    /// An agent has been without word from the source since then for too long.
    ViewStale(usize, u64),
    /// `lb-agent drain` has waited long enough.
    DrainEnds(usize),
    /// The action with this number.
    Act(usize),
    /// The checker looks.
    Look,
}

#[derive(Debug)]
struct Entry(u64, u64, Event);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

#[derive(Debug, Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Queue {
    pub fn push(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry(at, self.sequence, event)));
    }

    pub fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse(Entry(at, _, event))| (at, event))
    }
}
