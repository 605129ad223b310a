//! The agent: keeps the kernel's map of virtual IPs right.

fn main() {}
