//! Tells the crate where the BPF object lies. It is built by `cargo xtask build-ebpf`, not here: it needs another
//! target, the library's source and bpf-linker.

use std::{env, path::PathBuf, process};

fn main() {
    println!("cargo::rerun-if-env-changed=LB_EBPF_OBJECT");
    let object = env::var_os("LB_EBPF_OBJECT").map_or_else(
        // Asked when this runs, not when it is compiled: a target directory may be copied along with the workspace.
        || {
            PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
                .join("../target/ebpf/lb.bpf.o")
        },
        PathBuf::from,
    );
    println!("cargo::rerun-if-changed={}", object.display());
    match object.canonicalize() {
        Ok(object) => println!("cargo::rustc-env=LB_EBPF_OBJECT={}", object.display()),
        Err(error) => {
            println!(
                "cargo::error=read the BPF object {}: {error}; run `cargo xtask build-ebpf`",
                object.display()
            );
            process::exit(1);
        }
    }
}
