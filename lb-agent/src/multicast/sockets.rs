//! The sockets that hold memberships.

use std::{
    collections::BTreeMap,
    io,
    net::Ipv6Addr,
    os::fd::{AsFd, OwnedFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::{Join, Membership};
use crate::sys;

/// A socket takes only so many memberships (`net.core.optmem_max`): there are as many as it takes. They are bound to no
/// port, and receive nothing.
#[derive(Debug, Default)]
pub struct Sockets {
    sockets: BTreeMap<u32, Holder>,
    next_number: u32,
    /// Which socket it was that joined.
    joined_by: BTreeMap<Membership, u32>,
}

#[derive(Debug)]
struct Holder {
    socket: OwnedFd,
    memberships: usize,
    is_full: bool,
}

impl Join for Sockets {
    fn join(&mut self, membership: Membership) -> io::Result<()> {
        let with_room: Vec<u32> =
            self.sockets.iter().filter(|(_, holder)| !holder.is_full).map(|(&number, _)| number).collect();
        for number in with_room {
            match self.join_by(number, membership) {
                Err(error) if is_full(&error) => {}
                result => return result,
            }
        }
        let number = self.open()?;
        let result = self.join_by(number, membership);
        self.close_if_empty(number);
        result
    }

    fn leave(&mut self, membership: Membership) {
        let Some(number) = self.joined_by.remove(&membership) else { return };
        let Some(holder) = self.sockets.get_mut(&number) else { return };
        let request = request(membership);
        // It fails only where the socket is in no such group, which is what is wanted.
        let _ =
            sys::set_option(holder.socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_DROP_MEMBERSHIP, &request);
        holder.memberships -= 1;
        holder.is_full = false;
        self.close_if_empty(number);
    }
}

impl Sockets {
    fn open(&mut self) -> io::Result<u32> {
        let socket = socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        let number = self.next_number;
        self.next_number += 1;
        self.sockets.insert(number, Holder { socket, memberships: 0, is_full: false });
        Ok(number)
    }

    fn join_by(&mut self, number: u32, membership: Membership) -> io::Result<()> {
        let holder = self.sockets.get_mut(&number).expect("a socket that is open");
        let request = request(membership);
        let result =
            sys::set_option(holder.socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, &request);
        match &result {
            Ok(()) => {
                holder.memberships += 1;
                self.joined_by.insert(membership, number);
            }
            Err(error) => holder.is_full = is_full(error),
        }
        result
    }

    fn close_if_empty(&mut self, number: u32) {
        if self.sockets.get(&number).is_some_and(|holder| holder.memberships == 0) {
            self.sockets.remove(&number);
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::ENOBUFS))
}

fn request(Membership { ifindex, group }: Membership) -> libc::ipv6_mreq {
    libc::ipv6_mreq {
        ipv6mr_multiaddr: libc::in6_addr { s6_addr: Ipv6Addr::octets(&group) },
        ipv6mr_interface: ifindex,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::kernel_memberships, *};

    /// Groups on the loopback that nobody else is in.
    fn groups(number: u32) -> BTreeSet<Membership> {
        let group = |low: u32| {
            Ipv6Addr::from(0xff02_0000_0000_0000_0000_0001_ff00_0000 | u128::from(0x7a_0000 + low))
        };
        (0..number).map(|low| Membership { ifindex: 1, group: group(low) }).collect()
    }

    #[test]
    fn more_groups_than_one_socket_takes_are_joined_and_left() {
        let groups = groups(10_000);
        let joined = || kernel_memberships().unwrap().intersection(&groups).count();
        let mut sockets = Sockets::default();
        for &membership in &groups {
            sockets.join(membership).unwrap();
        }
        assert_eq!(joined(), groups.len());
        assert!(sockets.sockets.len() > 1, "one socket took them all");
        // Room that comes free is used before another socket is opened.
        let before = sockets.sockets.len();
        for &membership in groups.iter().step_by(2) {
            sockets.leave(membership);
        }
        for &membership in groups.iter().step_by(2) {
            sockets.join(membership).unwrap();
        }
        assert_eq!((joined(), sockets.sockets.len()), (groups.len(), before));
        for &membership in &groups {
            sockets.leave(membership);
        }
        assert_eq!((joined(), sockets.sockets.len()), (0, 0));
    }

    #[test]
    fn what_the_kernel_refuses_leaves_nothing_behind() {
        let mut sockets = Sockets::default();
        let nowhere =
            Membership { ifindex: i32::MAX.cast_unsigned(), group: "ff02::1:ff00:1".parse().unwrap() };
        assert_eq!(sockets.join(nowhere).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert_eq!((sockets.sockets.len(), sockets.joined_by.len()), (0, 0));
    }
}
