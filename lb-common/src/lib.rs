//! What the kernel side and the user side of the announcer agree on.
//!
//! `no_std`, no IO: layouts of the BPF maps ([`maps`]), names of the fates of a frame ([`reason`]) and
//! the wire formats that both sides read or write ([`wire`]).
#![cfg_attr(not(test), no_std)]

pub mod maps;
pub mod reason;
pub mod wire;
