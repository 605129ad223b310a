//! A node as LXC makes it: a container whose `eth0` is one end of a veth pair, the other end a port of the switch.

use std::{
    fs::{self, File, Permissions},
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;
use lb_common::wire::ethernet::Mac;
use tempfile::TempDir;

use super::{
    agent_binary,
    leftovers::{cgroups, remove_cgroup, unique},
    netns::{self, Netns},
    segment::mac_text,
};
use crate::exec::{exec, find, output};

/// Directories of the host that the container sees, read-only; those that Debian has as links are followed.
const SYSTEM: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];
/// Mount points that LXC fills by itself, and places to write.
const EMPTY: [&str; 5] = ["dev", "proc", "sys", "run", "etc"];

/// Whether the root of the container is root.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Privilege {
    /// It is.
    Privileged,
    /// It is nobody in particular: the container has a user namespace of its own.
    Unprivileged,
}

/// The network of a container.
pub(super) struct Plug<'a> {
    /// Name of the veth end that the switch has.
    pub(super) port: &'a str,
    /// Link-layer address of `eth0`.
    pub(super) mac: Mac,
    /// Address of `eth0`, a /16.
    pub(super) address: Ipv4Addr,
}

/// What LXC's commands have to be told about a container.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Handle {
    name: String,
    /// Where its configuration lies.
    directory: PathBuf,
    /// The network namespace of its monitor, without which the monitor's socket is not seen.
    switch: String,
}

impl Handle {
    fn command(&self, program: &str) -> Command {
        let mut command = netns::command(&self.switch, program);
        command.args(["-n", &self.name, "-P"]).arg(&self.directory);
        command
    }
}

/// A running container. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Container {
    handle: Handle,
    directory: TempDir,
    monitor: Child,
}

impl Container {
    /// Starts a container that does nothing. The far end of its veth pair is left in the switch's namespace, not on
    /// its bridge: LXC looks for bridges in sysfs, which shows those of the machine.
    ///
    /// # Errors
    /// When LXC is not installed, or cannot make it, with LXC's own log.
    pub(super) fn start(
        label: &str,
        privilege: Privilege,
        switch: &Netns,
        plug: &Plug<'_>,
    ) -> anyhow::Result<Self> {
        let lxc_start = find("lxc-start").context(
            "lxc-start is missing: install it with `apt-get install --no-install-recommends lxc`, or run `cargo xtask \
             test`, which does that",
        )?;
        let name = unique(label);
        let directory = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir()?;
        // The container's root may be nobody outside.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let root = directory.path().join("root");
        let shared = std::env::temp_dir();
        build_root(&root, &shared).with_context(|| format!("build {}", root.display()))?;
        let config = directory.path().join("config");
        fs::write(&config, self::config(&root, &shared, privilege, plug))?;
        let handle =
            Handle { name, directory: directory.path().to_owned(), switch: switch.name().to_owned() };
        // newuidmap would look for the ids in /etc/subuid; where LXC does not find it, it writes the map as root.
        let mut start = netns::command(&handle.switch, "env");
        start
            .arg("PATH=/nonexistent")
            .arg(lxc_start)
            .args(["-F", "-n", &handle.name, "-P"])
            .arg(&handle.directory);
        start.arg("-f").arg(&config).args(["-l", "NOTICE", "-o"]).arg(directory.path().join("log"));
        start
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.path().join("errors"))?);
        let monitor = start.spawn().context("run lxc-start")?;
        let container = Self { handle, directory, monitor };
        exec(container.handle.command("lxc-wait").args(["-s", "RUNNING", "-t", "20"])).with_context(
            || {
                let read =
                    |name| fs::read_to_string(container.directory.path().join(name)).unwrap_or_default();
                format!("start an LXC container; LXC says:\n{}{}", read("errors"), read("log"))
            },
        )?;
        Ok(container)
    }

    /// Gives the container's network namespace a name.
    pub(super) fn netns(&self, label: &str) -> anyhow::Result<Netns> {
        let init = output(self.handle.command("lxc-info").args(["-p", "-H"]))?;
        Netns::attach(label, init.trim().parse().context("read the process id of the container's init")?)
    }

    /// A command inside.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut attach = self.handle.command("lxc-attach");
        attach.arg("--").arg(program);
        attach
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.handle.command("lxc-stop").arg("-k").output();
        let _ = self.monitor.kill();
        let _ = self.monitor.wait();
        for cgroup in cgroups(&self.handle.name) {
            let _ = remove_cgroup(&cgroup);
        }
    }
}

/// A root file system of mount points; the agent's executable is copied, since a user namespace may not reach the
/// place where it lies.
fn build_root(root: &Path, shared: &Path) -> anyhow::Result<()> {
    let system = system().into_iter().map(|path| below(root, path));
    let empty = EMPTY.into_iter().map(|path| root.join(path));
    for directory in system.chain(empty).chain([below(root, shared)]) {
        fs::create_dir_all(directory)?;
    }
    let agent = agent_binary()?;
    let copy = below(root, &agent);
    fs::create_dir_all(copy.parent().context("the agent's executable has no directory")?)?;
    fs::copy(&agent, &copy).context("copy the agent's executable")?;
    Ok(())
}

fn system() -> Vec<&'static Path> {
    SYSTEM.into_iter().map(Path::new).filter(|path| path.exists()).collect()
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// What LXC reads. The directory of temporary files is shared, for the agent's configuration lies there.
fn config(root: &Path, shared: &Path, privilege: Privilege, plug: &Plug<'_>) -> String {
    let mut lines = vec![
        format!("lxc.rootfs.path = dir:{}", root.display()),
        "lxc.init.cmd = /bin/sleep infinity".to_owned(),
        "lxc.apparmor.profile = unconfined".to_owned(),
        "lxc.mount.auto = proc:rw sys:rw".to_owned(),
        "lxc.net.0.type = veth".to_owned(),
        format!("lxc.net.0.veth.pair = {}", plug.port),
        "lxc.net.0.name = eth0".to_owned(),
        format!("lxc.net.0.hwaddr = {}", mac_text(plug.mac)),
        format!("lxc.net.0.ipv4.address = {}/16", plug.address),
        "lxc.net.0.flags = up".to_owned(),
    ];
    let mount = |path: &Path, options: &str| {
        format!(
            "lxc.mount.entry = {} {} none {options} 0 0",
            path.display(),
            below(Path::new(""), path).display()
        )
    };
    lines.extend(system().into_iter().map(|path| mount(path, "rbind,ro")));
    lines.push(mount(shared, "rbind"));
    if privilege == Privilege::Unprivileged {
        lines.extend(["u", "g"].map(|kind| format!("lxc.idmap = {kind} 0 100000 65536")));
    }
    lines.join("\n") + "\n"
}
