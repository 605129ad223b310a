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

/// Folds a sum to the 16 bits that it stands for.
#[must_use]
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "folded twice, a sum of 32 bits has no more than 16")]
const fn fold(sum: u32) -> u16 {
    let folded = (sum >> 16) + (sum & 0xffff);
    ((folded >> 16) + (folded & 0xffff)) as u16
}

/// The checksum of a sum, as it stands in ICMPv6 (RFC 4443, 2.3).
#[must_use]
#[inline(always)]
pub const fn icmpv6(sum: u32) -> [u8; 2] {
    (!fold(sum)).to_be_bytes()
}

/// The checksum of a sum, as it stands in UDP: all ones in place of zero, which would mean none (RFC 768).
#[must_use]
#[inline(always)]
pub const fn udp(sum: u32) -> [u8; 2] {
    match !fold(sum) {
        0 => [0xff; 2],
        checksum => checksum.to_be_bytes(),
    }
}

/// Whether a sum over everything, the checksum included, says that nothing has changed on the way.
#[must_use]
#[inline(always)]
pub const fn is_right(sum: u32) -> bool {
    fold(sum) == 0xffff
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
        assert_eq!((icmpv6(sum), icmpv6(0xffff)), ([0x22, 0x0d], [0, 0]));
        assert!(is_right(add(sum, &icmpv6(sum))) && !is_right(sum));
    }
}
