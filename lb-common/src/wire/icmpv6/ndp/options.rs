//! Options of NDP (RFC 4861, 4.6): type, length in units of eight bytes, value.

use super::{HEAD_LEN, Malformed};
use crate::wire::{checksum, ethernet::Mac};

/// Bytes of a unit, in which options give their length.
pub const UNIT_LEN: usize = 8;
/// Units of options that are looked at. A link-layer address and a nonce (RFC 3971, 5.3.2) have one each.
pub const MAX_OPTION_UNITS: usize = 8;

/// Type of an option: the sender's link-layer address (RFC 4861, 4.6.1).
pub(super) const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
/// Type of an option: the target's link-layer address (RFC 4861, 4.6.1).
pub(super) const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// The option that gives a link-layer address, 8 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub(super) struct LinkLayerAddress {
    option_type: u8,
    units: u8,
    address: Mac,
}

impl LinkLayerAddress {
    #[inline(always)]
    pub const fn new(option_type: u8, address: Mac) -> Self {
        Self { option_type, units: 1, address }
    }

    /// The option's part of the checksum's sum.
    #[inline(always)]
    pub const fn sum(&self) -> u32 {
        checksum::add(checksum::add(0, &[self.option_type, self.units]), &self.address)
    }
}

/// What the options of a message come to.
pub(super) struct Options {
    /// Their part of the checksum's sum.
    pub sum: u32,
    /// The whole option with the link-layer address that was looked for, the last one if there are several; else zero. (An
    /// `Option` would be carried through the loop half uninitialized, which the kernel's verifier takes amiss.)
    found: u64,
}

impl Options {
    /// Walks through `len` bytes of options, unit by unit and so without any jump that depends on the frame: that is what
    /// the kernel's verifier can follow. `wanted` is the type to look for; `unit` gives the bytes from a place in the
    /// frame.
    #[inline(always)]
    pub fn read(
        wanted: u8,
        len: u16,
        unit: impl Fn(usize) -> Option<[u8; UNIT_LEN]>,
    ) -> Result<Self, Malformed> {
        let len = usize::from(len);
        if !len.is_multiple_of(UNIT_LEN) {
            return Err(Malformed::Length);
        }
        let units = len / UNIT_LEN;
        if units > MAX_OPTION_UNITS {
            return Err(Malformed::TooLong);
        }
        let mut options = Self { sum: 0, found: 0 };
        let mut option_ends = 0;
        for at in 0..MAX_OPTION_UNITS {
            if at >= units {
                break;
            }
            let bytes = unit(HEAD_LEN + at * UNIT_LEN).ok_or(Malformed::Length)?;
            options.sum = checksum::add(options.sum, &bytes);
            if at < option_ends {
                continue;
            }
            let [option_type, option_units, ..] = bytes;
            option_ends = at + usize::from(option_units);
            if option_units == 0 || option_ends > units {
                return Err(Malformed::OptionLength);
            }
            // Over Ethernet a link-layer address takes one unit (RFC 2464, 6).
            if option_type == wanted && option_units == 1 {
                options.found = u64::from_ne_bytes(bytes);
            }
        }
        Ok(options)
    }

    /// The link-layer address that was looked for.
    #[inline(always)]
    pub const fn link_layer_address(&self) -> Option<Mac> {
        match self.found.to_ne_bytes() {
            [0, ..] => None,
            [_, _, address @ ..] => Some(address),
        }
    }
}

const _: () = assert!(size_of::<LinkLayerAddress>() == UNIT_LEN && align_of::<LinkLayerAddress>() == 1);
