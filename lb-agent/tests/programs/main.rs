//! The programs in the kernel, one frame at a time (`BPF_PROG_TEST_RUN`): action, whole output frame and counters
//! together. Needs root; runs as well in a virtual machine with nothing but /proc, /sys and bpffs.

mod arp;
mod case;
mod checksum;
mod claims;
mod egress;
mod family;
mod fragments;
mod fuzz;
mod ingress;
mod kernel;
mod model;
mod ndp;
mod object;
mod probe;
mod reflector;
mod solicitations;
mod vlan;
