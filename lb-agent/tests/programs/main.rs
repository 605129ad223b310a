//! The programs in the kernel, one frame at a time (`BPF_PROG_TEST_RUN`): action, whole output frame and counters
//! together. Needs root; runs as well in a virtual machine with nothing but /proc, /sys and bpffs.

mod arp;
mod case;
mod claims;
mod egress;
mod fuzz;
mod ingress;
mod kernel;
mod model;
mod probe;
mod reflector;
mod vlan;
