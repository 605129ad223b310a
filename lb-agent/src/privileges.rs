//! Why the kernel refuses, in words, and what to do about it.

use std::{fs, io};

/// A sentence to append to an error: empty unless the kernel refused for want of privileges.
#[must_use]
pub fn remedy(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => format!(". {}", advice(&uid_map())),
        _ => String::new(),
    }
}

/// As [`remedy`], for an error that carries an [`io::Error`] somewhere among its causes.
#[must_use]
pub fn remedy_for(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<io::Error>())
        .map_or_else(String::new, remedy)
}

fn uid_map() -> String {
    fs::read_to_string("/proc/self/uid_map").unwrap_or_default()
}

fn advice(uid_map: &str) -> &'static str {
    let is_initial_namespace = uid_map.split_whitespace().eq(["0", "0", "4294967295"]);
    if is_initial_namespace {
        "The agent needs root, or CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON (CAP_SYS_ADMIN to mount bpffs)"
    } else {
        "This is an unprivileged container (a user namespace): the kernel loads no BPF programs from there. Make the \
         container privileged (LXC: remove lxc.idmap; Incus: security.privileged=true), or run the agent on the host"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_is_named_as_the_reason() {
        assert!(advice("         0     100000      65536\n").contains("unprivileged container"));
        assert!(advice("         0          0 4294967295\n").contains("CAP_BPF"));
    }

    #[test]
    fn other_errors_need_no_advice() {
        assert_eq!(remedy(&io::Error::from_raw_os_error(libc::ENOSPC)), "");
    }
}
