//! ARP frames as bytes, built by hand from RFC 826: the tests share no code with what they test.

pub type Mac = [u8; 6];
pub type Ipv4 = [u8; 4];

pub const CLIENT: Mac = [0x52, 0x54, 0, 0, 0, 1];
pub const CLIENT_IP: Ipv4 = [10, 77, 0, 200];
pub const NODE: Mac = [0x52, 0x54, 0, 0, 0, 2];
pub const NODE_IP: Ipv4 = [10, 77, 0, 2];
pub const STRANGER: Mac = [0x52, 0x54, 0, 0, 0, 3];
pub const VIP: Ipv4 = [10, 77, 1, 10];
pub const OTHER: Ipv4 = [10, 77, 1, 99];
pub const BROADCAST: Mac = [0xff; 6];

/// An ARP frame, field by field.
#[derive(Clone, Copy, Debug)]
pub struct Arp {
    pub destination: Mac,
    pub source: Mac,
    pub ethertype: u16,
    pub htype: u16,
    pub ptype: u16,
    pub hlen: u8,
    pub plen: u8,
    pub oper: u16,
    pub sha: Mac,
    pub spa: Ipv4,
    pub tha: Mac,
    pub tpa: Ipv4,
}

/// The client asks everyone for the VIP.
pub const REQUEST: Arp = Arp {
    destination: BROADCAST,
    source: CLIENT,
    ethertype: 0x0806,
    htype: 1,
    ptype: 0x0800,
    hlen: 6,
    plen: 4,
    oper: 1,
    sha: CLIENT,
    spa: CLIENT_IP,
    tha: [0; 6],
    tpa: VIP,
};

impl Arp {
    /// The 42 bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let Self { destination, source, ethertype, htype, ptype, hlen, plen, oper, sha, spa, tha, tpa } =
            self;
        let mut bytes = Vec::with_capacity(60);
        bytes.extend_from_slice(destination);
        bytes.extend_from_slice(source);
        bytes.extend_from_slice(&ethertype.to_be_bytes());
        bytes.extend_from_slice(&htype.to_be_bytes());
        bytes.extend_from_slice(&ptype.to_be_bytes());
        bytes.extend_from_slice(&[*hlen, *plen]);
        bytes.extend_from_slice(&oper.to_be_bytes());
        bytes.extend_from_slice(sha);
        bytes.extend_from_slice(spa);
        bytes.extend_from_slice(tha);
        bytes.extend_from_slice(tpa);
        bytes
    }

    /// The bytes with padding up to `len`.
    pub fn padded(&self, len: usize, padding: u8) -> Vec<u8> {
        let mut bytes = self.bytes();
        bytes.resize(len, padding);
        bytes
    }

    /// The reply of a station `mac` to this request.
    pub fn answered_by(&self, mac: Mac) -> Self {
        Self {
            destination: self.sha,
            source: mac,
            oper: 2,
            sha: mac,
            spa: self.tpa,
            tha: self.sha,
            tpa: self.spa,
            ..*self
        }
    }
}
