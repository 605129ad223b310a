//! Memberships that the kernel holds by itself: it joins the solicited-node group of every address that it is a proxy for
//! (RFC 4861, 7.2.8), and stays in it until the entry is taken away, whoever made it.
//!
//! A socket that has joined leaves when its process ends, and a switch that is told so passes no questions on. An address
//! on the interface would be everyone's to see and to use.

use std::{collections::BTreeSet, net::Ipv6Addr};

use super::{Join, Membership};
use crate::netlink::{self, NetlinkError};

/// The prefix of addresses that nobody has or is sent to (RFC 6666). The kernel is a proxy for none of the VIPs, so that it
/// does not begin to answer for them where proxying is switched on (`proxy_ndp`): what stands for a group is an address
/// of this prefix with the same last 24 bits.
const DISCARD_ONLY: u128 = 0x0100 << 112;
/// The solicited-node groups (RFC 4291, 2.7.1): this, and 24 bits.
const SOLICITED_NODE: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
const LAST_24: u128 = 0x00ff_ffff;
/// What the addresses have between prefix and last 24 bits.
const MIDDLE: u128 = 0x0001_ff00_0000;

/// Holds memberships by proxy entries.
#[derive(Debug, Default)]
pub struct Proxies;

impl Join for Proxies {
    fn join(&mut self, Membership { ifindex, group }: Membership) -> Result<(), NetlinkError> {
        netlink::add_proxy(ifindex, stand_in(group))
    }

    fn leave(&mut self, Membership { ifindex, group }: Membership) -> Result<(), NetlinkError> {
        netlink::remove_proxy(ifindex, stand_in(group))
    }
}

/// The groups that the kernel is in on behalf of this agent, or of one before it.
///
/// # Errors
/// When the kernel refuses or garbles the list.
pub fn memberships() -> Result<BTreeSet<Membership>, NetlinkError> {
    let proxies = netlink::proxies()?.into_iter();
    let membership = |(ifindex, proxy)| Some(Membership { ifindex, group: group_of(proxy)? });
    Ok(proxies.filter_map(membership).collect())
}

/// Has the kernel leave all of them; says how many there were.
///
/// # Errors
/// When the kernel refuses.
pub fn leave_all() -> Result<usize, NetlinkError> {
    let memberships = memberships()?;
    memberships.iter().try_for_each(|&membership| Proxies.leave(membership))?;
    Ok(memberships.len())
}

/// The address that stands for a group.
fn stand_in(group: Ipv6Addr) -> Ipv6Addr {
    (DISCARD_ONLY | MIDDLE | (u128::from(group) & LAST_24)).into()
}

/// The group that an address stands for; `None` for one that is none of ours.
fn group_of(proxy: Ipv6Addr) -> Option<Ipv6Addr> {
    let group = Ipv6Addr::from(SOLICITED_NODE | (u128::from(proxy) & LAST_24));
    (stand_in(group) == proxy).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loopback, and groups that nobody else is in.
    fn membership(low: u32) -> Membership {
        let group = Ipv6Addr::from(SOLICITED_NODE | u128::from(0x7a_0000 + low));
        Membership { ifindex: 1, group }
    }

    #[test]
    fn a_group_and_the_address_that_stands_for_it_tell_each_other() {
        let (group, proxy) = ("ff02::1:ff0e:8c6c".parse().unwrap(), "100::1:ff0e:8c6c".parse().unwrap());
        assert_eq!((stand_in(group), group_of(proxy)), (proxy, Some(group)));
        for foreign in ["100::ff0e:8c6c", "100::1:ff0e:8c6c:0", "fd77::1:ff0e:8c6c", "ff02::1:ff0e:8c6c"] {
            assert_eq!(group_of(foreign.parse().unwrap()), None, "{foreign}");
        }
    }

    #[test]
    fn the_kernel_is_in_a_group_until_it_is_left() {
        let (kept, left) = (membership(1), membership(2));
        let is_in = |membership: Membership| {
            let hex = format!("{:032x}", u128::from(membership.group));
            let told = std::fs::read_to_string("/proc/self/net/igmp6").unwrap().contains(&hex);
            assert_eq!(memberships().unwrap().contains(&membership), told);
            told
        };
        assert_eq!([is_in(kept), is_in(left)], [false; 2]);
        for membership in [kept, left, kept] {
            Proxies.join(membership).unwrap();
        }
        assert_eq!([is_in(kept), is_in(left)], [true; 2]);
        Proxies.leave(left).unwrap();
        Proxies.leave(left).unwrap();
        assert_eq!([is_in(kept), is_in(left)], [true, false]);
        Proxies.leave(kept).unwrap();
        assert!(!is_in(kept));
    }

    #[test]
    fn what_the_kernel_refuses_is_told_with_its_reason() {
        let nowhere = Membership { ifindex: i32::MAX.cast_unsigned(), ..membership(3) };
        assert_eq!(Proxies.join(nowhere).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        Proxies.leave(nowhere).unwrap();
    }
}
