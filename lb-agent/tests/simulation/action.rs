//! What happens to a run from outside.

use std::collections::BTreeSet;

use crate::cluster::ClusterView;

/// One thing that happens at one time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// The agent's process is stopped (SIGSTOP), and goes on.
    Freeze(usize),
    Thaw(usize),
    /// The agent's process ends; its kernel goes on.
    Kill(usize),
    /// An agent begins, over what the kernel holds.
    Start(usize),
    /// The whole machine stands still, with its clock going on, and goes on.
    Halt(usize),
    Resume(usize),
    /// The machine loses all that is not on disk.
    PowerOff(usize),
    PowerOn(usize),
    /// The cable is pulled at the switch, where the node does not notice; or it hears nobody, or nobody hears it.
    Cut(usize),
    Deafen(usize),
    Mute(usize),
    /// An end to all three.
    Plug(usize),
    /// The first is not heard by the second any more.
    Block(usize, usize),
    Clear(usize, usize),
    /// The segment falls apart: these nodes are on the far side. It grows together.
    Split(BTreeSet<usize>),
    Heal,
    Drain(usize),
    Undrain(usize),
    /// The source tells another view; each agent hears of it so many ns later.
    SetView(ClusterView, Vec<u64>),
    /// A node's agent hears nothing from the source, not even after a start; and is told the newest view again.
    CutSource(usize),
    RestoreSource(usize),
    /// Somebody takes the entries of a unit out of the map of the node that announces it.
    LoseEntries(usize),
    /// The node's kernel takes no writes to its map, and takes them again.
    RefuseWrites(usize),
    AcceptWrites(usize),
    /// A station that is no node answers for a unit, and falls silent.
    StrangerComes(usize),
    StrangerGoes(usize),
    /// The wire loses this many frames of a hundred, however many in a row; and is as before.
    BadWire(u8),
    GoodWire,
}

/// A run: what happens when, in ns from its beginning.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    pub actions: Vec<(u64, Action)>,
    pub ends_at: u64,
}
