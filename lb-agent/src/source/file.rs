//! The configuration file, and what was last read from it.

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use tracing::{info, warn};

use super::{News, node_name};
use crate::{
    config::{self, Config},
    election,
    explain::{Origin, Step, Subject},
    model::Interface,
    netlink,
    plan::{Interfaces, Plan, PlannedUnit},
    watch::FileWatch,
};

/// A file that names the VIPs.
pub struct FileSource {
    path: PathBuf,
    watch: FileWatch,
    /// The node's name, as the command line says and as it is settled: it cannot change while the agent runs.
    told: Option<String>,
    node: Option<String>,
    /// The text last looked at, whether it was taken or not.
    seen: Option<String>,
    /// The last valid configuration.
    config: Config,
    /// What is wrong with the newest one, if that is not it.
    problem: Option<String>,
    /// What was last told of interfaces that are not there.
    missing: Option<String>,
}

impl FileSource {
    /// Begins to watch, before the first read, so that no change falls between. `node` is the name that the command line
    /// says.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn open(path: &Path, node: Option<String>) -> anyhow::Result<Self> {
        let watch = FileWatch::new(path)
            .with_context(|| format!("watch the directory of the configuration file {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            watch,
            told: node,
            node: None,
            seen: None,
            config: Config::default(),
            problem: None,
            missing: None,
        })
    }

    /// The first look; says the node's name, too.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn first(&mut self, interfaces: &[Interface]) -> anyhow::Result<(Plan, String)> {
        let (config, node) = self.load(interfaces)?;
        info!(file = %self.path.display(), vips = config.vips.addresses().count(), "configuration read");
        self.node = Some(node.clone());
        let plan = plan(&config);
        self.config = config;
        Ok((plan, node))
    }

    /// Waits until the file may have changed.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn changed(&self) -> io::Result<()> {
        self.watch.changed().await
    }

    /// Looks at the file again.
    pub fn take(&mut self, interfaces: &[Interface]) -> News {
        if self.seen.is_some() && config::read(&self.path).ok() == self.seen {
            return News::Nothing;
        }
        match self.load(interfaces) {
            Ok((config, _)) => {
                info!(file = %self.path.display(), "configuration reloaded");
                let plan = plan(&config);
                self.config = config;
                self.problem = None;
                News::Plan(Arc::new(plan))
            }
            Err(problem) => {
                let problem = format!("{problem:#}");
                self.problem = Some(problem.clone());
                News::Wrong(problem)
            }
        }
    }

    /// The file itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with the file, so that it is not taken.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn load(&mut self, interfaces: &[Interface]) -> anyhow::Result<(Config, String)> {
        self.seen = None;
        let text = config::read(&self.path)?;
        let name = self.path.display().to_string();
        self.seen = Some(text.clone());
        let config = Config::parse(&name, &text)?;
        config.check(&name, interfaces, netlink::default_route_interface().as_deref())?;
        let new = node_name(self.told.as_deref(), config.node.as_deref().map(|node| (node, &self.path)))?;
        if let Some(node) = self.node.as_ref().filter(|&node| *node != new) {
            anyhow::bail!("{name}: the node's name changes from {node} to {new}; restart the agent for that");
        }
        Ok((config, new))
    }

    /// The VIP that a question is about, and where the file names it.
    ///
    /// # Errors
    /// When it is none, or none of the file.
    pub fn find(&self, about: &str) -> Result<Subject, String> {
        let file = self.path.display();
        let vip: IpAddr = about.parse().map_err(|_| {
            format!("`{about}` is no address; the VIPs come from {file}, so ask for one of its addresses")
        })?;
        let step = match (self.config.vips.find(vip), self.config.suppress.find(vip)) {
            (Some(range), _) => {
                Step::new("source", true, format!("{file}:{} names it in `vips`", range.line))
            }
            (None, Some(range)) => {
                let why = format!("{file}:{} names it in `suppress`, as a VIP of others", range.line);
                Step::new("source", false, why)
            }
            (None, None) => {
                return Err(format!(
                    "{vip} is no VIP: {file} names it neither in `vips` nor in `suppress`; \
                     without an address `lb-agent explain` lists those that there are"
                ));
            }
        };
        Ok(Subject { about: vip.to_string(), vip: Some(vip), steps: vec![step], origin: Origin::default() })
    }

    /// Says which interfaces of the configuration are not there, once.
    pub fn tell_missing(&mut self, interfaces: &[Interface]) {
        let name = self.path.display().to_string();
        let missing = match self.config.missing_interfaces(&name, interfaces) {
            None if self.config.interfaces.is_none() && netlink::default_route_interface().is_none() => {
                Some(format!(
                    "{name}: there is no default route to take the interface from; name one in `interfaces`"
                ))
            }
            missing => missing.map(|problems| problems.to_string()),
        };
        if let Some(missing) = missing.as_ref().filter(|_| missing != self.missing) {
            warn!("{missing}");
        }
        self.missing = missing;
    }
}

fn plan(config: &Config) -> Plan {
    let nodes = config.nodes.as_ref();
    Plan {
        interfaces: config.interface_names().map_or(Interfaces::OfDefaultRoute, Interfaces::Named),
        nodes: nodes.map(|nodes| nodes.iter().map(|(node, _)| node.clone()).collect()),
        units: config.vips.units().into_iter().filter_map(planned_unit).collect(),
        suppress: config.suppress.addresses().collect(),
        failback: config.failback,
    }
}

/// A unit that each node of the file may announce, wherever the file says.
fn planned_unit(addresses: Arc<[IpAddr]>) -> Option<Arc<PlannedUnit>> {
    let key = election::key(&addresses)?;
    Some(Arc::new(PlannedUnit { addresses, key, candidates: None, interfaces: None }))
}
