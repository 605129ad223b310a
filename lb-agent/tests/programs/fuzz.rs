//! Random frames: whatever comes in, the programs do what the model says, and never abort, drop or answer wrongly.

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use lb_common::{
    maps::{Role, VipEntry},
    reason::Fate,
};

use crate::{
    arp::{Arp, CLIENT_IP, NODE, NODE_IP, OTHER, REQUEST, STRANGER, VIP},
    case::Case,
    checksum::Checksum,
    kernel::{Kernel, LOOPBACK, Program},
    model::{Entry, model},
    probe::{PROBE, Probe},
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

    /// Noise, or an ARP frame or a probe with up to three bytes changed and cut off anywhere.
    fn frame(&mut self) -> Vec<u8> {
        let mut bytes = match self.below(8) {
            0 => return (0..14 + self.below(114)).map(|_| self.byte()).collect(),
            1..4 => self.arp(),
            _ => self.probe(),
        };
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len());
            bytes[at] = self.byte();
        }
        if self.below(4) == 0 {
            bytes.truncate(14 + self.below(bytes.len() - 13));
        }
        bytes
    }

    fn arp(&mut self) -> Vec<u8> {
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
        arp.padded(42 + self.below(60), 0x5a)
    }

    /// Mostly the client's: of many values that can each be wrong, few are.
    fn probe(&mut self) -> Vec<u8> {
        let right = PROBE;
        let probe = Probe {
            destination: self.mostly(right.destination, &[STRANGER, [0xff; 6]]),
            source: self.mostly(right.source, &[STRANGER, NODE, [0xff; 6], [0; 6]]),
            version_ihl: self.mostly(right.version_ihl, &[0x44, 0x46, 0x4f, 0x55]),
            total_len: self.mostly(right.total_len, &[0, 51, 53]),
            flags_fragment: self.mostly(right.flags_fragment, &[0, 0x2000, 0x1fff, 0x8000]),
            ttl: self.mostly(right.ttl, &[254, 1]),
            sender: self.mostly(right.sender, &[OTHER, NODE_IP, [10, 78, 0, 1], [10, 77, 0, 0], [0; 4]]),
            receiver: self.mostly(right.receiver, &[OTHER, [224, 0, 0, 1]]),
            source_port: self.mostly(right.source_port, &[7784, 0]),
            destination_port: self.mostly(right.destination_port, &[3784]),
            udp_len: self.mostly(right.udp_len, &[0, 31, 33]),
            checksum: self
                .mostly(right.checksum, &[Checksum::None, Checksum::Given(0xffff), Checksum::Given(1)]),
            state_flags: self.mostly(right.state_flags, &[0x42, 0xe2, 0xc0, 0xc3, 0xc6, 0xca]),
            your_discriminator: self.mostly(right.your_discriminator, &[0, 1]),
            ..right
        };
        probe.padded(66 + self.below(40), 0x5a)
    }

    fn mostly<T: Copy>(&mut self, right: T, wrong: &[T]) -> T {
        if self.below(32) == 0 { self.pick(wrong) } else { right }
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
    let mut met = HashSet::new();
    for entry in [Entry::Announced, Entry::Suppressed, Entry::Absent] {
        Case { peer: Some(CLIENT_IP.into()), is_limit_spent: true, ..Case::new("fuzz", vec![]) }
            .entry(map_entry(entry))
            .set_up(&mut kernel);
        for _ in 0..FRAMES / 3 {
            let frame = random.frame();
            for &program in programs.iter().filter(|program| can_run(**program, &frame)) {
                let (action, fate, output) = model(program, &frame, entry);
                met.extend(fate);
                let outcome = kernel.run(program, &frame, (LOOPBACK, VIP.into()));
                let expected = Case { fate, ..Case::new("", vec![]) }.expected().frames;
                assert_eq!(
                    (outcome.action, &outcome.output, &outcome.frames),
                    (Ok(action), &output, &expected),
                    "{program:?}, {entry:?}, LB_FUZZ_SEED={seed}, frame {frame:02x?}"
                );
            }
        }
    }
    for fate in [Fate::Answered, Fate::Suppressed, Fate::Reflected, Fate::SbfdLimited, Fate::SbfdOffLink] {
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
