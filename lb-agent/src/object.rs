//! The BPF object that this agent carries.

/// The object file (ELF, BTF maps), as `cargo xtask build-ebpf` made it.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("LB_EBPF_OBJECT"));
