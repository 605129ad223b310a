//! VIPs: what to do about each, and what came of it.

use super::ClaimLimit;

/// The interface of the self-test entry: the loopback, where BPF_PROG_TEST_RUN places a frame without context.
pub const SELF_TEST_IFINDEX: u32 = 1;
/// The link-layer address that the self-test entry answers with (locally administered).
pub const SELF_TEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0];

/// Key of a VIP on an interface, or of another address there. `A` is `[u8; 4]` or `[u8; 16]`, in wire order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(C)]
pub struct VipKey<A> {
    /// Interface index, host byte order.
    pub ifindex: u32,
    /// The VIP.
    pub address: A,
}

/// Key of `LB_VIPS_V4` and `LB_STATS_V4`.
pub type VipKeyV4 = VipKey<[u8; 4]>;
/// Key of `LB_VIPS_V6` and `LB_STATS_V6`.
pub type VipKeyV6 = VipKey<[u8; 16]>;

/// What the kernel does about a VIP on one interface: the value of `LB_VIPS_V4` and `LB_VIPS_V6`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(C)]
pub struct VipEntry {
    /// One of [`Role`], as its number; anything else counts as no entry.
    pub role: u8,
    /// Zero.
    pub reserved: u8,
    /// The interface's own link-layer address, which answers carry; with [`Role::Contested`] the stranger's.
    pub mac: [u8; 6],
}

/// What an entry asks of the kernel.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Role {
    /// Requests are answered while the lease lasts, and dropped after it.
    Announce = 1,
    /// Requests are dropped.
    Suppress = 2,
    /// Requests are answered whatever the lease; nothing is counted or reported.
    SelfTest = 3,
    /// Another station answers for the VIP: its requests pass as if there were no entry. The agent hears of claims.
    Contested = 4,
}

impl VipEntry {
    /// An entry with this role and answering address.
    #[must_use]
    pub const fn new(role: Role, mac: [u8; 6]) -> Self {
        Self { role: role as u8, reserved: 0, mac }
    }

    /// The role, or `None` when the number is none of ours.
    #[must_use]
    #[inline(always)]
    pub const fn role(&self) -> Option<Role> {
        match self.role {
            1 => Some(Role::Announce),
            2 => Some(Role::Suppress),
            3 => Some(Role::SelfTest),
            4 => Some(Role::Contested),
            _ => None,
        }
    }
}

/// Counters of one VIP on one interface: the value of `LB_STATS_V4` and `LB_STATS_V6`. Kept apart from [`VipEntry`] so that a
/// change of role does not reset them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct VipStats {
    /// Requests seen, whatever became of them.
    pub requests: u64,
    /// Requests answered.
    pub answers: u64,
    /// CLOCK_BOOTTIME of the last answer, in ns; 0 for never.
    pub last_answer_ns: u64,
    /// Which claims have been reported lately.
    pub claims: ClaimLimit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_survives_the_map() {
        for role in [Role::Announce, Role::Suppress, Role::SelfTest, Role::Contested] {
            assert_eq!(VipEntry::new(role, [0; 6]).role(), Some(role));
        }
        assert_eq!(VipEntry { role: 0, reserved: 0, mac: [0; 6] }.role(), None);
        assert_eq!(VipEntry { role: 5, reserved: 0, mac: [0; 6] }.role(), None);
    }
}
