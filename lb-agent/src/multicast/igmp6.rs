//! The kernel's own list of memberships.

use std::{collections::BTreeSet, fs, io, net::Ipv6Addr};

use super::Membership;

/// The groups of each interface that somebody on this machine is in.
///
/// # Errors
/// When the list cannot be read: the kernel has no IPv6.
pub fn kernel_memberships() -> io::Result<BTreeSet<Membership>> {
    Ok(fs::read_to_string("/proc/self/net/igmp6")?.lines().filter_map(membership).collect())
}

/// Reads a line: interface index and name, group in hex without colons, users, flags, timer.
fn membership(line: &str) -> Option<Membership> {
    let mut fields = line.split_whitespace();
    let ifindex = fields.next()?.parse().ok()?;
    let group: Ipv6Addr = u128::from_str_radix(fields.nth(1)?, 16).ok()?.into();
    Some(Membership { ifindex, group })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_kernel_writes_it() {
        let line = "2    eth0            ff0200000000000000000001ff000010     1 00000004 0";
        let expected = Membership { ifindex: 2, group: "ff02::1:ff00:10".parse().unwrap() };
        assert_eq!(membership(line), Some(expected));
        assert_eq!(membership("2    eth0"), None);
    }

    #[test]
    fn the_loopback_is_in_the_group_of_all_nodes() {
        let all_nodes = Membership { ifindex: 1, group: "ff02::1".parse().unwrap() };
        assert!(kernel_memberships().unwrap().contains(&all_nodes));
    }
}
