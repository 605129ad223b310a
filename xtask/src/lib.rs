//! Developer commands: what they are made of, so that integration tests can use it too.

pub mod bench;
pub mod build;
pub mod debian;
pub mod demo;
pub mod ebpf;
pub mod exec;
pub mod image;
pub mod kernels;
pub mod lint;
pub mod manifests;
pub mod test;
pub mod testbed;
