//! The Internet checksum (RFC 1071), written a second time.

/// The checksum of a frame that is made.
#[derive(Clone, Copy, Debug)]
pub enum Checksum {
    Right,
    /// Zero: of UDP, that the sender made none.
    None,
    /// Whatever stands there.
    Given(u16),
}

impl Checksum {
    /// What stands in the frame: of `parts`, each of an even length.
    pub fn of(self, parts: &[&[u8]]) -> u16 {
        match self {
            Self::Right => internet_checksum(parts),
            Self::None => 0,
            Self::Given(checksum) => checksum,
        }
    }
}

/// RFC 1071, of parts that each have an even length.
pub fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let sum: u32 = words.map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded twice")
}
