//! Wire formats. Everything is a byte array in wire order behind accessors, so a format can be laid over a
//! frame at any address.

pub mod arp;
pub mod bfd;
pub mod checksum;
pub mod ethernet;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod sbfd;
pub mod udp;
