//! How actions change the world.

use crate::{action::Action, kernel::Kernel, wire::End, world::World};

/// Does what the action says.
pub fn act(world: &mut World, action: &Action) {
    match action {
        &Action::Freeze(node) => world.nodes[node].is_frozen = world.nodes[node].agent.is_some(),
        &Action::Thaw(node) => {
            world.nodes[node].is_frozen = false;
            world.go_on(node);
        }
        &Action::Kill(node) => world.kill(node),
        &Action::Start(node) => world.start(node),
        &Action::Halt(node) => world.nodes[node].is_halted = true,
        &Action::Resume(node) => {
            world.nodes[node].is_halted = false;
            world.go_on(node);
        }
        &Action::PowerOff(node) => {
            world.kill(node);
            world.nodes[node].is_on = false;
            world.nodes[node].kernel = Kernel::new(node);
        }
        &Action::PowerOn(node) => {
            world.nodes[node].is_on = true;
            world.start(node);
        }
        &Action::Cut(node) => world.wire.impair(node, true, true),
        &Action::Deafen(node) => world.wire.impair(node, true, false),
        &Action::Mute(node) => world.wire.impair(node, false, true),
        &Action::Plug(node) => world.wire.impair(node, false, false),
        &Action::Block(from, to) => world.wire.set_blocked(End::Node(from), End::Node(to), true),
        &Action::Clear(from, to) => world.wire.set_blocked(End::Node(from), End::Node(to), false),
        Action::Split(far) => world.wire.split(far),
        Action::Heal => world.wire.heal(),
        &Action::Drain(node) => world.drain(node),
        &Action::Undrain(node) => world.nodes[node].is_drained = false,
        Action::SetView(view, delays) => world.tell_view(view.clone(), delays),
        &Action::CutSource(node) => world.cut_source(node),
        &Action::RestoreSource(node) => world.restore_source(node),
        &Action::LoseEntries(unit) => lose_entries(world, unit),
        &Action::RefuseWrites(node) => world.nodes[node].kernel.refuses_writes = true,
        &Action::AcceptWrites(node) => world.nodes[node].kernel.refuses_writes = false,
        &Action::StrangerComes(unit) => world.strange[unit] = true,
        &Action::StrangerGoes(unit) => world.strange[unit] = false,
        &Action::BadWire(percent) => {
            world.wire.is_merciless = true;
            world.wire.loss_percent = percent;
        }
        Action::GoodWire => {
            world.wire.is_merciless = false;
            world.wire.loss_percent = 0;
        }
    }
}

fn lose_entries(world: &mut World, unit: usize) {
    if let Some(holder) = (0..world.nodes.len()).find(|&node| world.answers(node, unit)) {
        for &vip in world.cluster.units[unit].iter() {
            world.nodes[holder].kernel.lose(vip);
        }
    }
}
