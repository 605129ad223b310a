//! `lb-agent status`: what the pins say, with or without an agent running.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf};

use lb_common::{
    maps::{Agent as AgentState, Lease, Role, VipEntry, VipStats},
    reason::{Fate, FrameCounters},
};
use serde::Serialize;

use crate::{
    attach::{self, Pin},
    clock,
    model::{BoottimeNs, MacText, Place},
    pins::Pins,
    source::{Followed, Quality},
    tables::{TableError, Tables},
};

/// Everything that `status` shows; its JSON form is what `-o json` prints.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Status {
    /// Whose pins these are: node, network namespace, boot.
    pub owner: Option<String>,
    /// Whether an agent holds the lock.
    pub agent_running: bool,
    /// What the agent that runs follows.
    pub source: Option<SourceStatus>,
    /// Whether the node is drained.
    pub drained: bool,
    /// Why the configuration on disk is not the one in use.
    pub config_stale: Option<String>,
    /// `valid`, `expired`, `abandoned` or `none`.
    pub lease: &'static str,
    /// Time left of the lease, in ms; negative for how long ago it ended.
    pub lease_left_ms: i64,
    /// Where the programs run.
    pub hooks: Vec<HookStatus>,
    /// Each VIP on each interface.
    pub vips: Vec<VipStatus>,
    /// Frames by fate.
    pub frames: BTreeMap<&'static str, u64>,
}

/// What an agent follows.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SourceStatus {
    /// `file` or `kubernetes`.
    pub kind: &'static str,
    /// The file.
    pub path: Option<PathBuf>,
    /// Of a cluster: `up to date`, `stale` or `from disk`.
    pub view: Option<&'static str>,
    /// Of a view that is stale: time since word last came from the API, in ms; none when none has come.
    pub last_word_ago_ms: Option<u64>,
}

/// One program at one interface.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HookStatus {
    /// Interface name, or its index where it is gone.
    pub interface: String,
    /// Interface index.
    pub ifindex: u32,
    /// `xdp`, `xdp-generic`, `tcx-ingress`, `tcx-egress`, `clsact-ingress` or `clsact-egress`.
    pub hook: &'static str,
    /// Id of the program, as `bpftool prog` shows it; none when it has been detached.
    pub program_id: Option<u32>,
}

/// One VIP on one interface.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct VipStatus {
    /// The VIP.
    pub address: IpAddr,
    /// Interface name, or its index where it is gone.
    pub interface: String,
    /// `announce`, `suppress` or `contested`.
    pub role: &'static str,
    /// The link-layer address that answers carry; of a contested VIP the other station's.
    pub mac: String,
    /// Requests seen.
    pub requests: u64,
    /// Requests answered.
    pub answers: u64,
    /// Time since the last answer, in ms.
    pub last_answer_ago_ms: Option<u64>,
}

/// Reads everything.
///
/// # Errors
/// When no agent has ever run on these pins, or one of another version.
pub fn read(pins: &Pins) -> Result<Status, TableError> {
    let tables = Tables::open(&pins.maps())?;
    let now = clock::boottime_ns();
    let valid_until = tables.agent()?.valid_until_ns;
    let stats = tables.stats()?;
    let agent_running = pins.is_locked();
    // Of an agent that has ended it would be old news.
    let followed = pins.source().filter(|_| agent_running);
    Ok(Status {
        owner: pins.owner(),
        agent_running,
        source: followed.and_then(|mark| Some(source_status(mark.parse().ok()?, now))),
        drained: pins.is_drained(),
        config_stale: pins.staleness(),
        lease: lease_name(valid_until, now),
        lease_left_ms: left_ms(valid_until, now),
        hooks: Pin::all(pins).iter().map(|pin| hook_status(pins, pin)).collect(),
        vips: tables
            .vips()?
            .into_iter()
            .map(|(place, entry)| {
                vip_status(place, entry, stats.get(&place).copied().unwrap_or_default(), now)
            })
            .collect(),
        frames: by_name(&tables.frames()?),
    })
}

fn source_status(followed: Followed, now: BoottimeNs) -> SourceStatus {
    let of_cluster =
        |view| SourceStatus { kind: "kubernetes", path: None, view: Some(view), last_word_ago_ms: None };
    match followed {
        Followed::File(path) => {
            SourceStatus { kind: "file", path: Some(path), view: None, last_word_ago_ms: None }
        }
        Followed::Kubernetes(Quality::UpToDate) => of_cluster("up to date"),
        Followed::Kubernetes(Quality::FromDisk) => of_cluster("from disk"),
        Followed::Kubernetes(Quality::Stale(last_word)) => SourceStatus {
            last_word_ago_ms: last_word.map(|at| now.saturating_sub(at) / 1_000_000),
            ..of_cluster("stale")
        },
    }
}

fn lease_name(valid_until_ns: BoottimeNs, now: BoottimeNs) -> &'static str {
    match (valid_until_ns, AgentState { valid_until_ns, ..AgentState::default() }.lease(now)) {
        (0, _) => "none",
        (_, Lease::Valid) => "valid",
        (_, Lease::Expired) => "expired",
        (_, Lease::Abandoned) => "abandoned",
    }
}

fn left_ms(valid_until: BoottimeNs, now: BoottimeNs) -> i64 {
    valid_until.cast_signed().saturating_sub(now.cast_signed()) / 1_000_000
}

fn hook_status(pins: &Pins, pin: &Pin) -> HookStatus {
    HookStatus {
        interface: interface_name(pin.ifindex),
        ifindex: pin.ifindex,
        hook: pin.kind(),
        program_id: attach::running(pins, pin),
    }
}

fn vip_status(place: Place, entry: VipEntry, stats: VipStats, now: BoottimeNs) -> VipStatus {
    let VipStats { requests, answers, last_answer_ns, claims: _ } = stats;
    VipStatus {
        address: place.address,
        interface: interface_name(place.ifindex),
        role: match entry.role() {
            Some(Role::Announce) => "announce",
            Some(Role::Suppress) => "suppress",
            Some(Role::Contested) => "contested",
            Some(Role::SelfTest) => "self-test",
            None => "unknown",
        },
        mac: MacText(entry.mac).to_string(),
        requests,
        answers,
        last_answer_ago_ms: (last_answer_ns != 0).then(|| now.saturating_sub(last_answer_ns) / 1_000_000),
    }
}

fn by_name(frames: &FrameCounters) -> BTreeMap<&'static str, u64> {
    Fate::ALL.into_iter().map(|fate| (fate.name(), frames.get(fate))).collect()
}

fn interface_name(ifindex: u32) -> String {
    nix::net::if_::if_indextoname(ifindex)
        .map_or_else(|_| format!("#{ifindex}"), |name| name.to_string_lossy().into_owned())
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            owner,
            agent_running,
            source,
            drained,
            config_stale,
            lease,
            lease_left_ms,
            hooks,
            vips,
            frames,
        } = self;
        writeln!(f, "owner    {}", owner.as_deref().unwrap_or("none"))?;
        writeln!(f, "agent    {}", if *agent_running { "running" } else { "not running" })?;
        if let Some(source) = source {
            writeln!(f, "source   {source}")?;
        }
        let (seconds, word) =
            (lease_left_ms.unsigned_abs() / 1000, if *lease_left_ms < 0 { "ago" } else { "left" });
        match *lease {
            "none" => writeln!(f, "lease    none yet: the host answers as if there were no agent")?,
            lease => writeln!(f, "lease    {lease}, {seconds} s {word}")?,
        }
        if *drained {
            writeln!(f, "drained  yes: nothing is answered until `lb-agent undrain`")?;
        }
        if let Some(problem) = config_stale {
            writeln!(f, "config   stale, the last valid one is in use:")?;
            problem.lines().try_for_each(|line| writeln!(f, "         {line}"))?;
        }
        writeln!(f, "\n{:<16} {:<15} PROGRAM", "INTERFACE", "HOOK")?;
        for HookStatus { interface, ifindex: _, hook, program_id } in hooks {
            let program = program_id.map_or_else(|| "detached".to_owned(), |id| id.to_string());
            writeln!(f, "{interface:<16} {hook:<15} {program}")?;
        }
        // An IPv4 address has 15 characters at most, an IPv6 address 39.
        let width =
            vips.iter().map(|vip| vip.address.to_string().len()).max().map_or(16, |longest| longest.max(16));
        writeln!(
            f,
            "\n{:<width$} {:<16} {:<10} {:<18} {:>10} {:>10}  LAST ANSWER",
            "VIP", "INTERFACE", "ROLE", "MAC", "REQUESTS", "ANSWERS"
        )?;
        for VipStatus { address, interface, role, mac, requests, answers, last_answer_ago_ms } in vips {
            let last = last_answer_ago_ms.map_or_else(|| "never".to_owned(), ago);
            let address = address.to_string();
            writeln!(
                f,
                "{address:<width$} {interface:<16} {role:<10} {mac:<18} {requests:>10} {answers:>10}  {last}"
            )?;
        }
        writeln!(f, "\n{:<22} {:>10}", "FRAMES", "COUNT")?;
        frames
            .iter()
            .filter(|(_, count)| **count > 0)
            .try_for_each(|(name, count)| writeln!(f, "{name:<22} {count:>10}"))
    }
}

impl fmt::Display for SourceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path, view, last_word_ago_ms } = self;
        f.write_str(kind)?;
        if let Some(path) = path {
            write!(f, " {}", path.display())?;
        }
        if let Some(view) = view {
            write!(f, ", view {view}")?;
        }
        last_word_ago_ms.map_or(Ok(()), |ms| write!(f, ", last word {}", ago(ms)))
    }
}

fn ago(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms ago"),
        _ => format!("{} s ago", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_source_is_told_with_its_file_or_with_how_good_the_view_is() {
        let told = |followed| {
            let status = source_status(followed, 100 * S);
            let json = serde_json::to_value(&status).unwrap();
            let [kind, path, view, ago] = ["kind", "path", "view", "last_word_ago_ms"];
            (status.to_string(), [kind, path, view, ago].map(|field| json[field].to_string()).join(" "))
        };
        let expect = |text: &str, json: &str| (text.to_owned(), json.to_owned());
        assert_eq!(
            told(Followed::File("/etc/lb.yaml".into())),
            expect("file /etc/lb.yaml", r#""file" "/etc/lb.yaml" null null"#)
        );
        assert_eq!(
            told(Followed::Kubernetes(Quality::UpToDate)),
            expect("kubernetes, view up to date", r#""kubernetes" null "up to date" null"#)
        );
        assert_eq!(
            told(Followed::Kubernetes(Quality::FromDisk)),
            expect("kubernetes, view from disk", r#""kubernetes" null "from disk" null"#)
        );
        assert_eq!(
            told(Followed::Kubernetes(Quality::Stale(Some(88 * S)))),
            expect("kubernetes, view stale, last word 12 s ago", r#""kubernetes" null "stale" 12000"#)
        );
        assert_eq!(
            told(Followed::Kubernetes(Quality::Stale(None))),
            expect("kubernetes, view stale", r#""kubernetes" null "stale" null"#)
        );
    }
}
