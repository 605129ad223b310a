//! A real Kubernetes API server, where `KUBEBUILDER_ASSETS` names a folder with `etcd`, `kube-apiserver` and `kubectl`.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use nix::sys::{prctl, signal::Signal};
use serde_json::Value;
use tempfile::TempDir;

use super::{api::lock, leftovers::unique};
use crate::exec::{exec, output};

/// The convention for where these programs lie.
const ASSETS: &str = "KUBEBUILDER_ASSETS";
const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];
/// Of the administrator, in this server only.
const ADMIN_TOKEN: &str = "administrator-of-the-test-bed";
/// Everything that is asked of it goes to its audit log, when it has been answered.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"], "rules": [{"level": "Metadata"}]}"#;
const AUDIT_LOG: &str = "audit.log";
/// How long the two may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server with its etcd; both end when it is dropped.
#[derive(Debug)]
pub struct RealApi {
    assets: PathBuf,
    directory: TempDir,
    /// Where etcd serves.
    store: SocketAddr,
    address: SocketAddr,
    etcd: Mutex<Option<Child>>,
    server: Mutex<Option<Child>>,
}

impl RealApi {
    /// Starts one; `None` where the variable is not set.
    ///
    /// # Errors
    /// When the folder lacks a program, or the server does not get ready.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        let Some(assets) = std::env::var_os(ASSETS).map(PathBuf::from) else { return Ok(None) };
        for program in PROGRAMS {
            let path = assets.join(program);
            ensure!(path.is_file(), "{ASSETS} names {}, which has no {program}", assets.display());
        }
        Self::start(assets).map(Some)
    }

    fn start(assets: PathBuf) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix(&unique("api-")).tempdir()?;
        let [store, peer, address] = [free_address()?, free_address()?, free_address()?];
        let (etcd, server) = (Mutex::default(), Mutex::default());
        let api = Self { assets, directory, store, address, etcd, server };
        let etcd = api.run("etcd", |command| {
            command.arg("--data-dir").arg("etcd").args(["--unsafe-no-fsync", "--log-level", "error"]);
            command.args(["--listen-client-urls", &url(store), "--advertise-client-urls", &url(store)]);
            command.args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)]);
            command.args(["--initial-cluster", &format!("default={}", url(peer))]);
        })?;
        *lock(&api.etcd) = Some(etcd);
        let key = api.directory.path().join("accounts.key");
        exec(Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").stderr(Stdio::null()))?;
        fs::write(
            api.directory.path().join("tokens.csv"),
            format!("{ADMIN_TOKEN},administrator,administrator,system:masters\n"),
        )?;
        fs::write(api.directory.path().join("audit.json"), AUDIT_POLICY)?;
        api.start_server()?;
        Ok(api)
    }

    fn start_server(&self) -> anyhow::Result<()> {
        let server = self.run("kube-apiserver", |command| {
            command.args(["--etcd-servers", &url(self.store), "--cert-dir", "certificates"]);
            command.args(["--bind-address", "127.0.0.1", "--secure-port", &self.address.port().to_string()]);
            // As clusters have it that run a network of their own.
            command.arg("--allow-privileged");
            command.args(["--authorization-mode", "RBAC", "--token-auth-file", "tokens.csv"]);
            command.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
            command.args(["--service-account-key-file", "accounts.key"]);
            command.args(["--service-account-signing-key-file", "accounts.key"]);
            command.args(["--service-cluster-ip-range", "10.96.0.0/16,fd96::/112"]);
            // What it admits, not who makes ServiceAccounts: no controller runs.
            command.args(["--disable-admission-plugins", "ServiceAccount"]);
            command.args(["--audit-policy-file", "audit.json", "--audit-log-path", AUDIT_LOG]);
        })?;
        *lock(&self.server) = Some(server);
        self.wait_ready()
    }

    /// Kills the server, and starts it anew on what it has stored: it knows nothing of what was before, so watches cannot go on
    /// from there.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn restart(&self) -> anyhow::Result<()> {
        end(&self.server);
        self.start_server()
    }

    /// What a ServiceAccount was refused, or sent that is no good request, as the audit log has it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn refused(&self, namespace: &str, account: &str) -> anyhow::Result<Vec<String>> {
        let log = fs::read_to_string(self.directory.path().join(AUDIT_LOG)).context("read the audit log")?;
        let user = format!("system:serviceaccount:{namespace}:{account}");
        let mut refused = Vec::new();
        for line in log.lines() {
            // The last one may be half written.
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
            if event["user"]["username"] == *user && matches!(code, 400 | 401 | 403 | 405 | 415 | 422) {
                let [verb, uri] =
                    ["verb", "requestURI"].map(|field| event[field].as_str().unwrap_or_default());
                refused.push(format!("{code}: {verb} {uri}: {}", event["responseStatus"]["message"]));
            }
        }
        Ok(refused)
    }

    /// Where it listens, by TLS, with the certificate of [`Self::authority`].
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that its own is signed by.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("certificates/apiserver.crt")
    }

    /// The administrator's token.
    #[must_use]
    pub const fn admin_token(&self) -> &'static str {
        ADMIN_TOKEN
    }

    /// kubectl as the administrator.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.assets.join("kubectl"));
        command.arg("--server").arg(format!("https://{}", self.address)).args(["--token", ADMIN_TOKEN]);
        command.arg("--certificate-authority").arg(self.authority());
        command.env_remove("KUBECONFIG").env("HOME", self.directory.path());
        command
    }

    /// A token of a ServiceAccount, good for a day.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn token(&self, namespace: &str, account: &str) -> anyhow::Result<String> {
        let mut command = self.kubectl();
        command.args(["create", "token", account, "--namespace", namespace, "--duration", "24h"]);
        Ok(output(&mut command)?.trim().to_owned())
    }

    /// The server's version, such as `v1.36.2`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn version(&self) -> anyhow::Result<String> {
        let text = output(self.kubectl().args(["get", "--raw", "/version"]))?;
        let version: Value = serde_json::from_str(&text)?;
        version["gitVersion"].as_str().map(str::to_owned).context("a version without gitVersion")
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> anyhow::Result<Child> {
        let log = File::create(self.log(program))?;
        let mut command = Command::new(self.assets.join(program));
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        arguments(&mut command);
        // SAFETY: prctl(2) is async-signal-safe, and nothing else happens before the exec.
        unsafe { command.pre_exec(|| prctl::set_pdeathsig(Signal::SIGKILL).map_err(Into::into)) };
        command.spawn().with_context(|| format!("run {program}"))
    }

    fn log(&self, program: &str) -> PathBuf {
        self.directory.path().join(format!("{program}.log"))
    }

    fn wait_ready(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let mut command = self.kubectl();
            command.args(["get", "--raw", "/readyz"]).stderr(Stdio::null());
            if command.output().is_ok_and(|output| output.status.success()) {
                return Ok(());
            }
            let ended = [&self.etcd, &self.server].into_iter().any(has_ended);
            ensure!(
                !ended && begun.elapsed() < PATIENCE,
                "kube-apiserver is not ready:\n{}\n{}",
                tail(&self.log("etcd")),
                tail(&self.log("kube-apiserver"))
            );
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for RealApi {
    fn drop(&mut self) {
        end(&self.server);
        end(&self.etcd);
    }
}

fn has_ended(child: &Mutex<Option<Child>>) -> bool {
    lock(child).as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
}

fn end(child: &Mutex<Option<Child>>) {
    if let Some(mut child) = lock(child).take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
