//! Random frames: whatever comes in, the programs do what the model says, and never abort, drop or answer wrongly.

use std::time::{SystemTime, UNIX_EPOCH};

use lb_common::maps::{Role, VipEntry};

use crate::{
    arp::{Arp, NODE, OTHER, REQUEST, STRANGER, VIP},
    case::Case,
    kernel::{Kernel, LOOPBACK, Program},
    model::{Entry, model},
};

const FRAMES: usize = 20_000;

/// xorshift64*: enough for a fuzz, and a seed is all it takes to see a run again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).expect("48 bits") % limit
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Noise, or an ARP frame with up to three bytes changed and cut off anywhere.
    fn frame(&mut self) -> Vec<u8> {
        if self.below(8) == 0 {
            return (0..14 + self.below(114)).map(|_| self.byte()).collect();
        }
        let addresses = [VIP, OTHER, [0; 4], REQUEST.spa];
        let macs = [NODE, STRANGER, REQUEST.sha, [0xff; 6], [0; 6]];
        let arp = Arp {
            destination: self.pick(&macs),
            oper: self.pick(&[1, 1, 1, 2, 3]),
            sha: self.pick(&macs),
            spa: self.pick(&addresses),
            tpa: self.pick(&addresses),
            ..REQUEST
        };
        let mut bytes = arp.padded(42 + self.below(60), 0x5a);
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len());
            bytes[at] = self.byte();
        }
        if self.below(4) == 0 {
            bytes.truncate(14 + self.below(bytes.len() - 13));
        }
        bytes
    }
}

#[test]
fn random_frames_meet_the_fate_that_the_rfcs_give_them() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
    let seed = match std::env::var("LB_FUZZ_SEED") {
        Ok(seed) => seed.parse().expect("LB_FUZZ_SEED is a number"),
        Err(_) => u64::try_from(now & u128::from(u64::MAX)).expect("masked") | 1,
    };
    let mut random = Random(seed);
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    for entry in [Entry::Announced, Entry::Suppressed, Entry::Absent] {
        Case::new("fuzz", vec![]).entry(map_entry(entry)).set_up(&mut kernel);
        for _ in 0..FRAMES / 3 {
            let frame = random.frame();
            let (action, fate, output) = model(&frame, entry);
            for &program in programs.iter().filter(|program| can_run(**program, &frame)) {
                let outcome = kernel.run(program, &frame, (LOOPBACK, VIP));
                let expected = Case { fate, ..Case::new("", vec![]) }.expected().frames;
                assert_eq!(
                    (outcome.action, &outcome.output, &outcome.frames),
                    (Ok(action), &output, &expected),
                    "{program:?}, {entry:?}, LB_FUZZ_SEED={seed}, frame {frame:02x?}"
                );
            }
        }
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
