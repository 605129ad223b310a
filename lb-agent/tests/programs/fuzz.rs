//! Random frames: whatever comes in, the programs do what the model says, and never abort, drop or answer wrongly.

mod random;

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use lb_common::{
    maps::{Role, VipEntry},
    reason::Fate,
};

use crate::{
    arp::NODE,
    case::Case,
    family::FAMILIES,
    kernel::{Kernel, LOOPBACK, Program},
    model::{Entry, model},
};
use random::Random;

const FRAMES: usize = 30_000;
/// What so many frames cannot fail to meet.
const TO_BE_MET: [Fate; 14] = [
    Fate::Answered,
    Fate::Suppressed,
    Fate::SenderNotUnicast,
    Fate::ForeignClaim,
    Fate::Announcement,
    Fate::NdpChecksum,
    Fate::NdpHopLimit,
    Fate::NdpLength,
    Fate::NdpOptionLength,
    Fate::NdpUnspecifiedSource,
    Fate::NdpExtension,
    Fate::Reflected,
    Fate::SbfdLimited,
    Fate::SbfdOffLink,
];

#[test]
fn random_frames_meet_the_fate_that_the_rfcs_give_them() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
    let seed = match std::env::var("LB_FUZZ_SEED") {
        Ok(seed) => seed.parse().expect("LB_FUZZ_SEED is a number"),
        Err(_) => u64::try_from(now & u128::from(u64::MAX)).expect("masked") | 1,
    };
    let mut random = Random::new(seed);
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    let mut met = HashSet::new();
    for entry in [Entry::Announced, Entry::Suppressed, Entry::Absent] {
        Case { is_limit_spent: true, ..Case::new("fuzz", vec![]) }.set_up(&mut kernel);
        kernel.clear();
        for family in FAMILIES {
            kernel.add_peer((LOOPBACK, family.client()));
            if let Some(entry) = map_entry(entry) {
                kernel.add_vip((LOOPBACK, family.vip()), entry);
            }
        }
        for _ in 0..FRAMES / 3 {
            let frame = random.frame();
            for &program in programs.iter().filter(|program| can_run(**program, &frame)) {
                let (action, fate, output) = model(program, &frame, entry);
                met.extend(fate);
                let outcome = kernel.run(program, &frame, (LOOPBACK, FAMILIES[0].vip()));
                let expected = Case { fate, ..Case::new("", vec![]) }.expected().frames;
                assert_eq!(
                    (outcome.action, &outcome.output, &outcome.frames),
                    (Ok(action), &output, &expected),
                    "{program:?}, {entry:?}, LB_FUZZ_SEED={seed}, frame {frame:02x?}"
                );
            }
        }
    }
    for fate in TO_BE_MET {
        assert!(met.contains(&fate), "LB_FUZZ_SEED={seed}: no frame met {fate:?}");
    }
}

/// BPF_PROG_TEST_RUN for tc refuses a frame that says IPv4 or IPv6 and ends before that header does.
fn can_run(program: Program, frame: &[u8]) -> bool {
    let needed = match [frame[12], frame[13]] {
        [0x08, 0x00] => 14 + 20,
        [0x86, 0xdd] => 14 + 40,
        _ => 0,
    };
    program.is_xdp() || frame.len() >= needed
}

fn map_entry(entry: Entry) -> Option<VipEntry> {
    match entry {
        Entry::Announced => Some(VipEntry::new(Role::Announce, NODE)),
        Entry::Suppressed => Some(VipEntry::new(Role::Suppress, NODE)),
        Entry::Absent => None,
    }
}
