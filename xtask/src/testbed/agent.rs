//! The real agent, run on a host of the test bed.

use std::{
    env,
    ffi::OsString,
    fmt,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    leftovers::{BPFFS, unique},
    segment::Host,
    vip_map::VipMap,
};

/// How long the agent may take over what it should do within a second: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an agent is started with.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// `--hook`.
    pub hook: &'static str,
    /// `--lease-ttl`, in seconds.
    pub lease_ttl: u64,
    /// `--sbfd-interval`, in ms.
    pub sbfd_interval: u64,
    /// Further arguments of `run`.
    pub arguments: Vec<OsString>,
    /// Further variables of its environment.
    pub environment: Vec<(&'static str, OsString)>,
}

impl Default for AgentOptions {
    fn default() -> Self {
        let (arguments, environment) = (Vec::new(), Vec::new());
        Self { hook: "auto", lease_ttl: 30, sbfd_interval: 50, arguments, environment }
    }
}

/// An agent with its configuration, its log and its pins. Dropped, it is killed and its pins are removed.
#[derive(Debug)]
pub struct Agent<'host> {
    host: &'host Host,
    options: AgentOptions,
    directory: TempDir,
    pin_dir: PathBuf,
    child: Option<Child>,
}

static AGENT_BINARY: OnceLock<PathBuf> = OnceLock::new();

/// Names the agent's executable for this process.
pub fn set_agent_binary(path: &Path) {
    let _ = AGENT_BINARY.set(path.to_owned());
}

/// The agent's executable: what was set, or what `LB_AGENT` names, as `cargo xtask test` has it.
///
/// # Errors
/// When neither is, or there is no such file.
pub fn agent_binary() -> anyhow::Result<PathBuf> {
    let path = AGENT_BINARY
        .get()
        .cloned()
        .or_else(|| env::var_os("LB_AGENT").map(PathBuf::from))
        .context("LB_AGENT does not name the agent's executable: run this through `cargo xtask test`")?;
    ensure!(path.is_file(), "LB_AGENT names {}, which is no file", path.display());
    Ok(path)
}

impl<'host> Agent<'host> {
    /// Prepares an agent that is not started yet. `config` leaves out `node` and `interfaces`.
    ///
    /// # Errors
    /// When its directory cannot be written.
    pub fn prepare(host: &'host Host, config: &str, options: AgentOptions) -> anyhow::Result<Self> {
        let name = unique(&host.name);
        let directory = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir()?;
        // The root of an unprivileged container is nobody here.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let pin_dir = Path::new(BPFFS).join(name);
        let agent = Self { host, options, directory, pin_dir, child: None };
        agent.write_config(config)?;
        Ok(agent)
    }

    /// Prepares and starts an agent, and waits until the kernel has its VIPs.
    ///
    /// # Errors
    /// When it ends, or does not come so far.
    pub fn start(host: &'host Host, config: &str, options: AgentOptions) -> anyhow::Result<Self> {
        let mut agent = Self::prepare(host, config, options)?;
        agent.spawn()?;
        agent.wait_settled()?;
        Ok(agent)
    }

    /// Replaces the configuration atomically, as an editor or Kubernetes does.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config(&self, config: &str) -> anyhow::Result<()> {
        let whole = format!("node: {}\ninterfaces: [eth0]\n{config}\n", self.host.name);
        self.write_whole_config(&whole)
    }

    /// As [`Self::write_config`], with nothing added.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_whole_config(&self, text: &str) -> anyhow::Result<()> {
        let new = self.directory.path().join("new");
        fs::write(&new, text).context("write the configuration")?;
        fs::rename(&new, self.config_path()).context("replace the configuration")
    }

    /// Where the configuration lies.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.directory.path().join("lb.yaml")
    }

    /// Where the pins lie.
    #[must_use]
    pub fn pin_dir(&self) -> &Path {
        &self.pin_dir
    }

    /// Where its maps are pinned.
    ///
    /// # Errors
    /// When they are not.
    pub fn maps(&self) -> anyhow::Result<PathBuf> {
        let mut pins = fs::read_dir(&self.pin_dir).context("look into the pin directory")?;
        let is_maps = |path: &PathBuf| path.to_string_lossy().contains("maps-v");
        pins.find_map(|entry| Some(entry.ok()?.path()).filter(is_maps)).context("no maps are pinned")
    }

    /// Where it is asked.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }

    /// Where it looks for the system bus.
    #[must_use]
    pub fn bus_path(&self) -> PathBuf {
        self.directory.path().join("bus")
    }

    /// The host that it runs on.
    #[must_use]
    pub fn host(&self) -> &'host Host {
        self.host
    }

    /// Starts the process; whatever ran before should have ended.
    ///
    /// # Errors
    /// When the executable cannot be run.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        self.spawn_binary(&agent_binary()?)
    }

    /// As [`Self::spawn`], with another executable.
    ///
    /// # Errors
    /// When the executable cannot be run.
    pub fn spawn_binary(&mut self, binary: &Path) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = self.host.command(binary);
        command.arg("run").arg("--config").arg(self.config_path()).arg("--pin-dir").arg(&self.pin_dir);
        command.arg("--socket").arg(self.socket_path());
        command.args(["--hook", self.options.hook, "--lease-ttl", &self.options.lease_ttl.to_string()]);
        command.args(["--sbfd-interval", &self.options.sbfd_interval.to_string()]);
        command.args(&self.options.arguments).envs(self.options.environment.iter().cloned());
        // Not the machine's: a test may start one there.
        command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", self.bus_path().display()));
        command.stdout(Stdio::null()).stderr(log);
        let child = command.spawn().with_context(|| format!("start {}", binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When no agent runs.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.pid()?.cast_signed()), signal).context("signal the agent")
    }

    /// Process id.
    ///
    /// # Errors
    /// When no agent runs.
    pub fn pid(&self) -> anyhow::Result<u32> {
        let child = self.child.as_ref().map(Child::id).context("no agent is running")?;
        if self.host.keeps_parent() { only_child(child) } else { Ok(child) }
    }

    /// Ends the process by a signal, and waits for its end.
    ///
    /// # Errors
    /// When no agent runs, or it goes on.
    pub fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.signal(signal)?;
        self.wait_end().map(drop)
    }

    /// Waits for the process to end by itself; says whether it ended well.
    ///
    /// # Errors
    /// When it goes on.
    pub fn wait_end(&mut self) -> anyhow::Result<bool> {
        let mut child = self.child.take().context("no agent is running")?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.child = Some(child);
        bail!("the agent of {} goes on:\n{}", self.host.name, self.log())
    }

    /// A command of the agent (`drain`, `status`, ...) on the same pins.
    #[must_use]
    pub fn command(&self, command: &str) -> Command {
        let binary = agent_binary().unwrap_or_else(|_| "lb-agent".into());
        let mut process = self.host.command(binary);
        process.arg(command).arg("--pin-dir").arg(&self.pin_dir).arg("--socket").arg(self.socket_path());
        process
    }

    /// Runs a command of the agent.
    ///
    /// # Errors
    /// When it cannot be run at all.
    pub fn output(&self, command: &str) -> anyhow::Result<Output> {
        self.command(command).output().with_context(|| format!("run lb-agent {command}"))
    }

    /// Runs a command of the agent that has to succeed.
    ///
    /// # Errors
    /// When it fails, with what it printed.
    pub fn succeed(&self, command: &str) -> anyhow::Result<String> {
        let output = self.output(command)?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "lb-agent {command} failed: {error}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `lb-agent status -o json`.
    ///
    /// # Errors
    /// When it fails or prints no JSON.
    pub fn status(&self) -> anyhow::Result<Value> {
        let output = self.command("status").args(["-o", "json"]).output()?;
        ensure!(output.status.success(), "status failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("read the status")
    }

    /// What `lb-agent explain` says of a VIP.
    ///
    /// # Errors
    /// When it fails, with what it printed.
    pub fn explain(&self, vip: impl fmt::Display) -> anyhow::Result<String> {
        let output = self.command("explain").arg(vip.to_string()).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "lb-agent explain failed: {error}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What `status` says of one VIP.
    ///
    /// # Errors
    /// When the VIP is not there.
    pub fn vip(&self, vip: impl fmt::Display) -> anyhow::Result<Value> {
        let found = find(&self.status()?, &vip.to_string()).cloned();
        found.with_context(|| format!("no VIP {vip}"))
    }

    /// Role of a VIP by `status`; `absent` when it is not there.
    ///
    /// # Errors
    /// When there is no status.
    pub fn role(&self, vip: impl fmt::Display) -> anyhow::Result<String> {
        Ok(role_in(&self.status()?, &vip.to_string()).to_owned())
    }

    /// What the agent has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// When it does not within the patience of a busy machine, with the log.
    pub fn wait_for(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if condition(self) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("waited in vain for {} on {}; its log:\n{}", what, self.host.name, self.log())
    }

    /// Waits until a VIP has a role.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_role(&self, vip: impl fmt::Display, role: &str) -> anyhow::Result<()> {
        self.wait_for(&format!("{vip} in role {role}"), |agent| agent.role(&vip).is_ok_and(|now| now == role))
    }

    /// Waits until the lease is valid and the first VIP that the configuration announces is announced.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_settled(&self) -> anyhow::Result<()> {
        self.wait_for("a lease", |agent| agent.status().is_ok_and(|status| status["lease"] == "valid"))?;
        let text = fs::read_to_string(self.config_path())?;
        let announces = text.lines().any(|line| line.starts_with("vips:") && !line.contains("[]"));
        if !announces {
            return Ok(());
        }
        self.wait_for("a VIP announced", |agent| {
            agent.status().is_ok_and(|status| {
                status["vips"].as_array().is_some_and(|vips| vips.iter().any(|vip| vip["role"] == "announce"))
            })
        })
    }

    /// Waits until the kernel's map announces so many VIPs of IPv4.
    ///
    /// # Errors
    /// When it does not come so far.
    pub fn wait_announced(&self, vips: usize) -> anyhow::Result<()> {
        let maps = self.maps()?;
        let (mut ipv4, mut ipv6) = (VipMap::<[u8; 4]>::open(&maps)?, VipMap::<[u8; 16]>::open(&maps)?);
        let mut announced = || anyhow::Ok(ipv4.announced()? + ipv6.announced()?);
        self.wait_for(&format!("{vips} VIPs announced"), |_| announced().is_ok_and(|now| now == vips))
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("agent.log")
    }
}

/// The process that a process has started.
fn only_child(parent: u32) -> anyhow::Result<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let children = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    children
        .trim()
        .parse()
        .with_context(|| format!("process {parent} should have one child, but {path} has {children:?}"))
}

/// What a status says of a VIP: where it is announced, if it is on some interface.
fn find<'a>(status: &'a Value, vip: &str) -> Option<&'a Value> {
    let mut entries = status["vips"].as_array()?.iter().filter(|entry| entry["address"] == vip);
    entries.clone().find(|entry| entry["role"] == "announce").or_else(|| entries.next())
}

/// Role of a VIP by a status; `absent` when it is not there.
pub(super) fn role_in<'a>(status: &'a Value, vip: &str) -> &'a str {
    find(status, vip).and_then(|vip| vip["role"].as_str()).unwrap_or("absent")
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = self.end(Signal::SIGKILL);
        }
        let _ = self.output("cleanup");
        let _ = fs::remove_dir_all(&self.pin_dir);
    }
}
