//! Where random frames come from.

use crate::{
    arp::{Arp, CLIENT, CLIENT_IP, NODE, NODE_IP, OTHER, REQUEST, STRANGER, VIP},
    checksum::Checksum,
    ndp::{
        ALL_NODES, ALL_NODES_MAC, CLIENT_IP6, NOBODY, NODE_IP6, NODE_LINK_LOCAL, Ndp, OTHER6, VIP_GROUP,
        VIP_GROUP_MAC, VIP6, source_address, target_address,
    },
    probe::{Ip, IpV4, IpV6, Probe},
};

/// xorshift64*: enough for a fuzz, and a seed is all it takes to see a run again.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

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

    /// Noise, or a frame that could be right, with up to three bytes changed and cut off anywhere.
    pub fn frame(&mut self) -> Vec<u8> {
        let mut bytes = match self.below(16) {
            0 => return (0..14 + self.below(114)).map(|_| self.byte()).collect(),
            1..5 => self.arp(),
            5..10 => self.ndp(),
            10..13 => self.probe_v4(),
            _ => self.probe_v6(),
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

    /// Of many values that can each be wrong, few are.
    fn ndp(&mut self) -> Vec<u8> {
        let addresses = [VIP6, OTHER6, NOBODY, CLIENT_IP6, ALL_NODES, VIP_GROUP];
        let options: Vec<u8> = (0..self.below(5)).flat_map(|_| self.option()).collect();
        let is_behind = self.below(16) == 0;
        let message_type = self.mostly(135, &[136, 136, 136, 134]);
        let ndp = Ndp {
            destination: self.mostly(VIP_GROUP_MAC, &[NODE, STRANGER, ALL_NODES_MAC]),
            source: self.mostly(CLIENT, &[NODE, STRANGER, ALL_NODES_MAC, [0; 6]]),
            version_class: self.mostly(0x60, &[0x45, 0x6f]),
            payload_len: self.mostly(None, &[Some(0), Some(24), Some(31), Some(96)]),
            next_header: if is_behind { self.pick(&[0, 43, 44, 60, 51]) } else { 58 },
            hop_limit: self.mostly(255, &[254, 64]),
            sender: self.mostly(CLIENT_IP6, &addresses),
            receiver: self.mostly(VIP_GROUP, &addresses),
            extension: if is_behind { vec![58, 0, 1, 4, 0, 0, 0, 0] } else { vec![] },
            message_type,
            code: self.mostly(0, &[1]),
            checksum: self.mostly(Checksum::Right, &[Checksum::None]),
            flags: self.pick(&[0, 0x20, 0x40, 0x60, 0xff]),
            target: self.mostly(VIP6, &addresses),
            options,
        };
        let len = ndp.bytes().len() + self.below(3) * self.below(40);
        ndp.padded(len, 0x5a)
    }

    fn option(&mut self) -> Vec<u8> {
        match self.below(8) {
            0 => vec![14, 1, 1, 2, 3, 4, 5, 6],
            1 => vec![200, self.pick(&[0, 1, 2, 3, 255]), 0, 0, 0, 0, 0, 0],
            2 => [&[200, 3], &[1; 22][..]].concat(),
            3 | 4 => target_address(self.pick(&[NODE, STRANGER])),
            _ => source_address(self.pick(&[CLIENT, STRANGER])),
        }
    }

    fn probe_v4(&mut self) -> Vec<u8> {
        let right = IpV4::RIGHT;
        let ip = IpV4 {
            version_ihl: self.mostly(right.version_ihl, &[0x44, 0x46, 0x4f, 0x55]),
            total_len: self.mostly(right.total_len, &[0, 51, 53]),
            flags_fragment: self.mostly(right.flags_fragment, &[0, 0x2000, 0x1fff, 0x8000]),
            ttl: self.mostly(right.ttl, &[254, 1]),
            sender: self.mostly(CLIENT_IP, &[OTHER, NODE_IP, [10, 78, 0, 1], [10, 77, 0, 0], [0; 4]]),
            receiver: self.mostly(right.receiver, &[OTHER, [224, 0, 0, 1]]),
            ..right
        };
        self.probe(ip)
    }

    fn probe_v6(&mut self) -> Vec<u8> {
        let right = IpV6::RIGHT;
        let ip = IpV6 {
            version_class: self.mostly(right.version_class, &[0x45, 0x70]),
            payload_len: self.mostly(right.payload_len, &[0, 31, 33]),
            hop_limit: self.mostly(right.hop_limit, &[254, 1]),
            sender: self.mostly(CLIENT_IP6, &[OTHER6, NODE_IP6, NODE_LINK_LOCAL, ALL_NODES, NOBODY]),
            receiver: self.mostly(right.receiver, &[NODE_IP6, OTHER6, ALL_NODES]),
            ..right
        };
        self.probe(ip)
    }

    /// Mostly the client's.
    fn probe<I: Ip>(&mut self, ip: I) -> Vec<u8> {
        let right = Probe::<I>::RIGHT;
        let probe = Probe {
            destination: self.mostly(right.destination, &[STRANGER, [0xff; 6]]),
            source: self.mostly(right.source, &[STRANGER, NODE, [0xff; 6], [0; 6]]),
            ip,
            source_port: self.mostly(right.source_port, &[7784, 0]),
            destination_port: self.mostly(right.destination_port, &[3784]),
            udp_len: self.mostly(right.udp_len, &[0, 31, 33]),
            checksum: self
                .mostly(right.checksum, &[Checksum::None, Checksum::Given(0xffff), Checksum::Given(1)]),
            state_flags: self.mostly(right.state_flags, &[0x42, 0xe2, 0xc0, 0xc3, 0xc6, 0xca]),
            your_discriminator: self.mostly(right.your_discriminator, &[0, 1]),
            ..right
        };
        let len = probe.bytes().len() + self.below(40);
        probe.padded(len, 0x5a)
    }

    fn mostly<T: Copy>(&mut self, right: T, wrong: &[T]) -> T {
        if self.below(32) == 0 { self.pick(wrong) } else { right }
    }
}
