//! S-BFD by the byte, written after the RFCs and without the product's own codec, so that each checks the other.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use xtask::testbed::{Host, PacketSocket};

/// Port of reflectors (RFC 7881, 2).
pub const PORT: u16 = 7784;
/// Bytes of Ethernet, IPv4, UDP and a Control packet without authentication.
pub const FRAME_LEN: usize = 66;
/// Control packet: version 1, no diagnostic code.
pub const VERSION_1: u8 = 0x20;
/// Control packet: state Up, no flag.
pub const UP: u8 = 0xc0;
/// Control packet: state Down, no flag.
pub const DOWN: u8 = 0x40;
/// Control packet: state AdminDown, no flag.
pub const ADMIN_DOWN: u8 = 0;
/// Control packet: the D bit.
pub const DEMAND: u8 = 0x02;

/// Where a field stands in a frame: RFC 791, 3.1; RFC 768; RFC 5880, 4.1.
pub mod at {
    pub const IP: usize = 14;
    pub const TOTAL_LEN: usize = 16;
    pub const FRAGMENT: usize = 20;
    pub const TTL: usize = 22;
    pub const PROTOCOL: usize = 23;
    pub const IP_CHECKSUM: usize = 24;
    pub const SOURCE: usize = 26;
    pub const DESTINATION: usize = 30;
    pub const SOURCE_PORT: usize = 34;
    pub const DESTINATION_PORT: usize = 36;
    pub const UDP_LEN: usize = 38;
    pub const UDP_CHECKSUM: usize = 40;
    pub const VERSION_DIAG: usize = 42;
    pub const STATE_FLAGS: usize = 43;
    pub const DETECT_MULT: usize = 44;
    pub const LENGTH: usize = 45;
    pub const MY_DISCRIMINATOR: usize = 46;
    pub const YOUR_DISCRIMINATOR: usize = 50;
}

/// A node's discriminator: the first four bytes of the hash of its name.
pub fn discriminator(node: &Host) -> [u8; 4] {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(&node.name));
    [a, b, c, d]
}

/// A Control packet of an initiator: D bit, multiplier 3, a probe each 50 ms (RFC 7880, 7.3).
pub fn control(state: u8, my_discriminator: [u8; 4], your_discriminator: [u8; 4]) -> Vec<u8> {
    let head = [VERSION_1, state | DEMAND, 3, 24];
    [head, my_discriminator, your_discriminator, 50_000_u32.to_be_bytes(), [0; 4], [0; 4]].concat()
}

/// The frame of a probe from port 49 200, with its checksums.
pub fn probe(from: &Host, to: &Host, my_discriminator: [u8; 4]) -> Vec<u8> {
    let mut frame = [to.mac, from.mac].concat();
    frame.extend([0x08, 0x00]);
    frame.extend([0x45, 0xc0, 0, 52, 0x77, 0x01, 0x40, 0, 255, 17, 0, 0]);
    frame.extend(from.address.octets());
    frame.extend(to.address.octets());
    frame.extend([49_200_u16, PORT, 32, 0].map(u16::to_be_bytes).concat());
    frame.extend(control(DOWN, my_discriminator, discriminator(to)));
    mend(&mut frame);
    frame
}

/// Makes the checksums right that a change has made wrong; a datagram whose checksum is to be left out gets none.
pub fn mend(frame: &mut [u8]) {
    mend_ip(frame);
    put(frame, at::UDP_CHECKSUM, [0, 0]);
    let udp = checksum(&pseudo_header_and_datagram(frame));
    put(frame, at::UDP_CHECKSUM, if udp == [0, 0] { [0xff; 2] } else { udp });
}

/// The same for the IP header alone.
pub fn mend_ip(frame: &mut [u8]) {
    put(frame, at::IP_CHECKSUM, [0, 0]);
    let checksum = checksum(&frame[at::IP..at::SOURCE_PORT]);
    put(frame, at::IP_CHECKSUM, checksum);
}

/// Fails unless both checksums of a frame are right; a datagram may have none.
pub fn assert_checksums(frame: &[u8]) {
    assert_eq!(checksum(&frame[at::IP..at::SOURCE_PORT]), [0, 0], "IPv4 checksum of {frame:02x?}");
    if get::<2>(frame, at::UDP_CHECKSUM) != [0, 0] {
        assert_eq!(checksum(&pseudo_header_and_datagram(frame)), [0, 0], "UDP checksum of {frame:02x?}");
    }
}

/// What the checksum of UDP covers (RFC 768).
fn pseudo_header_and_datagram(frame: &[u8]) -> Vec<u8> {
    let mut covered = frame[at::SOURCE..at::SOURCE_PORT].to_vec();
    covered.extend([0, frame[at::PROTOCOL]]);
    covered.extend(&frame[at::UDP_LEN..at::UDP_CHECKSUM]);
    covered.extend(&frame[at::SOURCE_PORT..]);
    covered
}

/// The Internet checksum (RFC 1071); zero over what carries its own.
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}

/// A field.
pub fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..].first_chunk().copied().expect("a field of the frame")
}

/// Writes a field.
pub fn put<const N: usize>(bytes: &mut [u8], at: usize, field: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&field);
}

/// Exchanges two fields.
pub fn swap<const N: usize>(bytes: &mut [u8], one: usize, other: usize) {
    let (first, second) = (get::<N>(bytes, one), get::<N>(bytes, other));
    put(bytes, one, second);
    put(bytes, other, first);
}

/// The next frame that comes from a reflector's port.
pub fn next_reply(socket: &PacketSocket, patience: Duration) -> anyhow::Result<Option<Vec<u8>>> {
    let deadline = Instant::now() + patience;
    let mut buffer = [0; 256];
    while let Some(frame) = socket.receive(&mut buffer, deadline.saturating_duration_since(Instant::now()))? {
        if frame.len() >= FRAME_LEN
            && frame[at::PROTOCOL] == 17
            && get(frame, at::SOURCE_PORT) == PORT.to_be_bytes()
        {
            return Ok(Some(frame.to_vec()));
        }
    }
    Ok(None)
}
