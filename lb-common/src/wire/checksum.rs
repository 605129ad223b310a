//! The Internet checksum (RFC 1071): the complement of the sum, in ones' complement, of 16-bit words.

/// Adds the words of `bytes`, an even number of them, to a sum that is not folded yet.
#[must_use]
#[inline(always)]
pub const fn add<const N: usize>(mut sum: u32, bytes: &[u8; N]) -> u32 {
    const { assert!(N.is_multiple_of(2) && N < 0x1_0000) }
    let mut at = 0;
    while at < N {
        sum += u16::from_be_bytes([bytes[at], bytes[at + 1]]) as u32;
        at += 2;
    }
    sum
}

/// The checksum of a sum, as it stands in UDP: all ones in place of zero, which would mean none (RFC 768).
#[must_use]
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "folded twice, a sum of 32 bits has no more than 16")]
pub const fn udp(sum: u32) -> [u8; 2] {
    let folded = (sum >> 16) + (sum & 0xffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    match !(folded as u16) {
        0 => [0xff; 2],
        checksum => checksum.to_be_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_folded_complemented_and_never_zero() {
        // The example of RFC 1071, 3.
        let sum = add(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum, 0x2_ddf0);
        assert_eq!(udp(sum), [0x22, 0x0d]);
        assert_eq!(udp(add(sum, &[0x22, 0x0d])), [0xff; 2]);
        assert_eq!(udp(0x1_ffff), [0xff, 0xfe]);
    }
}
