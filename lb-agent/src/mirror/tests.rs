use std::sync::Arc;

use super::*;
use crate::{
    announcements::Form,
    holding::{Failback, Part, Rules, Wanted},
};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PLACE: Place =
    Place { ifindex: 2, address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)) };
const MS: u64 = 1_000_000;

/// An agent with one VIP that it announces without having to ask.
fn holding() -> Holding {
    let mut holding = Holding::new(0, Rules::default());
    let wanted = Wanted {
        addresses: [PLACE.address].into(),
        order: Arc::new([0]),
        mac: MAC,
        part: Part::Candidate { asks: false },
    };
    holding.follow(&[(PLACE, wanted)].into(), Failback::Never, |_| false, 0);
    holding
}

fn refuse(_: &MapOp) -> Result<(), ()> {
    Err(())
}

#[test]
fn what_is_written_is_not_written_again() {
    let (mut holding, mut mirror) = (holding(), Mirror::default());
    let announce = VipEntry::new(Role::Announce, MAC);
    let mut ops = Vec::new();
    for _ in 0..2 {
        let note = |op: &MapOp| {
            ops.push(*op);
            Ok::<(), ()>(())
        };
        let result = mirror.write(&mut holding, note, 0);
        assert_eq!(result, Ok(()));
    }
    assert_eq!(ops, [MapOp::Set(PLACE, announce)]);
    assert_eq!(mirror.announced().collect::<Vec<_>>(), [PLACE]);
}

#[test]
fn nothing_is_announced_that_the_kernel_does_not_answer_for_but_asks_go_out() {
    let (mut holding, mut mirror) = (holding(), Mirror::default());
    assert_eq!(mirror.write(&mut holding, refuse, 0), Err(()));
    assert!(!mirror.is_whole() && !mirror.is_silence_owed());
    assert!(!mirror.backs(PLACE, Message::Announce(Form::Request)));
    assert!(mirror.backs(PLACE, Message::Ask(None)));
}

#[test]
fn what_could_be_written_only_later_is_asked_for_and_announced_anew() {
    let (mut holding, mut mirror) = (holding(), Mirror::default());
    holding.due(0, usize::MAX);
    assert_eq!(mirror.write(&mut holding, refuse, 0), Err(()));
    holding.due(8_000 * MS, usize::MAX);
    assert_eq!(mirror.write(&mut holding, |_| Ok::<(), ()>(()), 8_000 * MS), Ok(()));
    let sent: Vec<Message> =
        holding.due(8_000 * MS, usize::MAX).into_iter().map(|(_, message)| message).collect();
    let announced = [Form::Request, Form::Reply].map(Message::Announce);
    assert_eq!(sent, [&[Message::Ask(None)][..], &announced].concat());
    assert!(mirror.backs(PLACE, announced[0]));
}

#[test]
fn a_silence_that_could_not_be_written_is_owed() {
    let (mut holding, mut mirror) = (holding(), Mirror::default());
    assert_eq!(mirror.write(&mut holding, |_| Ok::<(), ()>(()), 0), Ok(()));
    holding.follow(&BTreeMap::new(), Failback::Never, |_| false, 0);
    assert_eq!(mirror.write(&mut holding, refuse, 0), Err(()));
    assert!(mirror.is_silence_owed());
    assert_eq!(mirror.write(&mut holding, |_| Ok::<(), ()>(()), 0), Ok(()));
    assert!(!mirror.is_silence_owed());
}

#[test]
fn an_entry_that_somebody_took_out_is_doubted() {
    let (mut holding, mut mirror) = (holding(), Mirror::default());
    assert_eq!(mirror.write(&mut holding, |_| Ok::<(), ()>(()), 0), Ok(()));
    assert!(!mirror.resync(holding.desired(), &mut holding, 0));
    holding.take_changes();
    assert!(mirror.resync(BTreeMap::new(), &mut holding, 0));
    assert_eq!(holding.take_changes().first(), Some(&(PLACE, crate::holding::Change::Released)));
    assert!(!mirror.is_whole());
}
