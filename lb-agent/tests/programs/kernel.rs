//! The object, loaded into this machine's kernel with maps of its own.

mod addresses;
mod pool;

use std::{io::Write as _, net::IpAddr};

use addresses::Addresses;
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, MapData, PerCpuArray, RingBuf},
    programs::{
        ProgramError, SchedClassifier, TcAttachType, TestRun, TestRunOptions, TestRunResult, Xdp,
        tc::qdisc_add_clsact,
    },
    util::KernelVersion,
};
use lb_agent::{clock::boottime_ns, object::OBJECT};
use lb_common::{
    maps::{Agent, Claim, ClaimLimit, Iface, PeerStats, UnknownLimit, VipEntry, VipStats},
    reason::{Action, FrameCounters},
};
use pool::Loaded;

/// Where a frame without context comes in.
pub const LOOPBACK: u32 = 1;

/// An address on an interface.
pub type Place = (u32, IpAddr);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    XdpFrags,
    Xdp,
    TcIngress,
    TcEgress,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::XdpFrags => "lb_xdp_frags",
            Self::Xdp => "lb_xdp",
            Self::TcIngress => "lb_tc_ingress",
            Self::TcEgress => "lb_tc_egress",
        }
    }

    pub fn is_xdp(self) -> bool {
        matches!(self, Self::XdpFrags | Self::Xdp)
    }
}

/// What came of one frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// `Err`: a number that is none of ours.
    pub action: Result<Action, u32>,
    pub output: Vec<u8>,
    pub frames: FrameCounters,
    pub requests: u64,
    pub answers: u64,
    /// Whether the time of the last answer was set, to a time within the run.
    pub is_answer_timed: bool,
    /// Events in the ring buffer; a time within the run reads 0.
    pub claims: Vec<Claim>,
    /// Probes answered to known peers.
    pub reflected: u64,
    /// Whether the time of such an answer was set, to a time within the run.
    pub is_peer_timed: bool,
    /// Whether the limit of unknown senders was touched.
    pub is_limit_spent: bool,
}

pub struct Kernel {
    object: Ebpf,
    ipv4: Addresses<[u8; 4]>,
    ipv6: Addresses<[u8; 16]>,
    agent: Array<MapData, Agent>,
    frames: PerCpuArray<MapData, FrameCounters>,
    ifaces: HashMap<MapData, u32, Iface>,
    events: RingBuf<MapData>,
    limit: Array<MapData, UnknownLimit>,
    pub has_frags: bool,
}

impl Kernel {
    /// The object, with maps that no other test touches meanwhile.
    pub fn load() -> Loaded {
        Loaded::take()
    }

    fn load_anew() -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "the programs can be loaded by root only: run `cargo xtask test` as root"
        );
        raise_memlock_limit();
        let mut object = EbpfLoader::new().load(OBJECT).expect("load the object");
        let has_frags = load_frags(&mut object);
        xdp(&mut object, Program::Xdp).load().expect("load lb_xdp");
        for program in [Program::TcIngress, Program::TcEgress] {
            tc(&mut object, program).load().expect("load a tc program");
        }
        let mut map = |name| object.take_map(name).expect("the object has the map");
        Self {
            ipv4: Addresses::new(["LB_VIPS_V4", "LB_STATS_V4", "LB_PEERS_V4"].map(&mut map)),
            ipv6: Addresses::new(["LB_VIPS_V6", "LB_STATS_V6", "LB_PEERS_V6"].map(&mut map)),
            agent: map("LB_AGENT").try_into().expect("an array"),
            frames: map("LB_FRAMES").try_into().expect("an array for each CPU"),
            ifaces: map("LB_IFACES").try_into().expect("a hash of interfaces"),
            events: map("LB_EVENTS").try_into().expect("a ring buffer"),
            limit: map("LB_SBFD_LIMIT").try_into().expect("an array"),
            object,
            has_frags,
        }
    }

    /// The programs for incoming frames.
    pub fn ingress(&self) -> Vec<Program> {
        let all = [Program::XdpFrags, Program::Xdp, Program::TcIngress];
        all.into_iter().filter(|program| self.has_frags || *program != Program::XdpFrags).collect()
    }

    /// Leaves no VIP and no known peer.
    pub fn clear(&mut self) {
        self.ipv4.clear();
        self.ipv6.clear();
    }

    /// Adds a VIP, with fresh counters.
    pub fn add_vip(&mut self, (ifindex, address): Place, entry: VipEntry) {
        match address {
            IpAddr::V4(address) => self.ipv4.add_vip((ifindex, address.octets()), entry),
            IpAddr::V6(address) => self.ipv6.add_vip((ifindex, address.octets()), entry),
        }
    }

    /// Makes a peer known, with fresh counters.
    pub fn add_peer(&mut self, (ifindex, address): Place) {
        match address {
            IpAddr::V4(address) => self.ipv4.add_peer((ifindex, address.octets())),
            IpAddr::V6(address) => self.ipv6.add_peer((ifindex, address.octets())),
        }
    }

    pub fn set_agent(&mut self, agent: Agent) {
        self.agent.set(0, agent, 0).expect("set the agent's state");
    }

    pub fn set_limit(&mut self, limit: UnknownLimit) {
        self.limit.set(0, limit, 0).expect("set the limit");
    }

    /// The known peer's counters.
    fn peer(&self) -> PeerStats {
        self.ipv4.peer().or_else(|| self.ipv6.peer()).unwrap_or_default()
    }

    pub fn set_iface(&mut self, ifindex: u32, iface: Option<Iface>) {
        let _ = self.ifaces.remove(&ifindex);
        if let Some(iface) = iface {
            self.ifaces.insert(ifindex, iface, 0).expect("add an interface");
        }
    }

    pub fn set_claims(&mut self, vip: Place, claims: ClaimLimit) {
        let stats = VipStats { claims, ..self.stats(vip) };
        match vip {
            (ifindex, IpAddr::V4(address)) => self.ipv4.set_stats((ifindex, address.octets()), stats),
            (ifindex, IpAddr::V6(address)) => self.ipv6.set_stats((ifindex, address.octets()), stats),
        }
    }

    pub fn stats(&self, (ifindex, address): Place) -> VipStats {
        match address {
            IpAddr::V4(address) => self.ipv4.stats((ifindex, address.octets())),
            IpAddr::V6(address) => self.ipv6.stats((ifindex, address.octets())),
        }
    }

    /// Runs a program once, and says what came of the frame. `vip` names the counters to look at.
    pub fn run(&mut self, program: Program, frame: &[u8], vip: Place) -> Outcome {
        self.observe(vip, |kernel| {
            let mut output = vec![0; 16_384];
            let options =
                TestRunOptions { data_in: Some(frame), data_out: Some(&mut output), ..TestRunOptions::new() };
            let result = kernel.test_run(program, options);
            let result =
                result.unwrap_or_else(|error| panic!("run {program:?} on {} bytes: {error}", frame.len()));
            output.truncate(result.data_size_out as usize);
            (action(program, result.return_value), output)
        })
    }

    /// Notes what changes in the maps while `run` runs a program.
    pub fn observe(
        &mut self,
        vip: Place,
        run: impl FnOnce(&mut Self) -> (Result<Action, u32>, Vec<u8>),
    ) -> Outcome {
        let (frames, stats, peer) = (self.frames(), self.stats(vip), self.peer());
        let (limit, begun) = (self.limit.get(&0, 0).expect("read the limit"), boottime_ns());
        let (action, output) = run(self);
        let (after, peer_after) = (self.stats(vip), self.peer());
        let is_timed =
            |after_ns, before_ns| after_ns != before_ns && (begun..=boottime_ns()).contains(&after_ns);
        Outcome {
            action,
            output,
            frames: difference(&self.frames(), &frames),
            requests: after.requests - stats.requests,
            answers: after.answers - stats.answers,
            is_answer_timed: is_timed(after.last_answer_ns, stats.last_answer_ns),
            claims: self.claims(begun),
            reflected: peer_after.reflected - peer.reflected,
            is_peer_timed: is_timed(peer_after.last_ns, peer.last_ns),
            is_limit_spent: self.limit.get(&0, 0).expect("read the limit") != limit,
        }
    }

    fn claims(&mut self, begun: u64) -> Vec<Claim> {
        let mut claims = Vec::new();
        while let Some(event) = self.events.next() {
            assert_eq!(event.len(), size_of::<Claim>(), "the length of an event");
            // SAFETY: as many bytes as the struct has, and every bit pattern is a value.
            let claim: Claim = unsafe { event.as_ptr().cast::<Claim>().read_unaligned() };
            let is_timed = (begun..=boottime_ns()).contains(&claim.seen_ns);
            claims.push(Claim { seen_ns: if is_timed { 0 } else { claim.seen_ns }, ..claim });
        }
        claims
    }

    /// Attaches a tc program for incoming frames, for as long as this lives.
    pub fn attach(&mut self, program: Program, interface: &str) {
        let _ = qdisc_add_clsact(interface); // of use before 6.6 only
        tc(&mut self.object, program).attach(interface, TcAttachType::Ingress).expect("attach the program");
    }

    pub fn tc_program(&mut self, program: Program) -> &SchedClassifier {
        tc(&mut self.object, program)
    }

    fn test_run(
        &mut self,
        program: Program,
        options: TestRunOptions<'_>,
    ) -> Result<TestRunResult, ProgramError> {
        match program.is_xdp() {
            true => xdp(&mut self.object, program).test_run(options),
            false => tc(&mut self.object, program).test_run(options),
        }
    }

    fn frames(&self) -> FrameCounters {
        let mut sum = FrameCounters::default();
        self.frames.get(&0, 0).expect("read counters").iter().for_each(|counters| sum.add(counters));
        sum
    }
}

fn xdp(object: &mut Ebpf, program: Program) -> &mut Xdp {
    object.program_mut(program.name()).expect("the object has it").try_into().expect("an XDP program")
}

fn tc(object: &mut Ebpf, program: Program) -> &mut SchedClassifier {
    object.program_mut(program.name()).expect("the object has it").try_into().expect("a tc program")
}

/// Multi-buffer XDP came with 5.18. A kernel that has it has to take the program.
fn load_frags(object: &mut Ebpf) -> bool {
    let version = KernelVersion::current().expect("read the kernel's version");
    if version < KernelVersion::new(5, 18, 0) {
        not_run("lb_xdp_frags", &format!("{version:?} has no multi-buffer XDP; lb_xdp runs in its place"));
        return false;
    }
    xdp(object, Program::XdpFrags).load().expect("load lb_xdp_frags");
    true
}

/// Says what could not be checked. The test harness keeps back what is printed by macros.
pub fn not_run(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: {what}: {why}");
}

/// What a return value means.
pub fn action(program: Program, value: u32) -> Result<Action, u32> {
    match (program.is_xdp(), value) {
        (true, 1) | (false, 2) => Ok(Action::Drop), // XDP_DROP, TC_ACT_SHOT
        (true, 2) | (false, 0) => Ok(Action::Pass), // XDP_PASS, TC_ACT_OK
        (true, 3) | (false, 7) => Ok(Action::Answer), // XDP_TX, TC_ACT_REDIRECT
        (_, other) => Err(other),
    }
}

fn difference(after: &FrameCounters, before: &FrameCounters) -> FrameCounters {
    let mut difference = FrameCounters::default();
    for fate in lb_common::reason::Fate::ALL {
        let count = after.get(fate) - before.get(fate);
        (0..count).for_each(|_| difference.add(&once(fate)));
    }
    difference
}

/// Counters after one frame.
pub fn once(fate: lb_common::reason::Fate) -> FrameCounters {
    let mut words = [0_u64; lb_common::reason::Fate::ALL.len()];
    words[fate as usize] = 1;
    // SAFETY: lb-common asserts that the struct is one u64 for each fate, in their order.
    unsafe { std::mem::transmute(words) }
}

/// Maps count against it before 5.11; later kernels do not mind if it stays.
fn raise_memlock_limit() {
    let (resource, unlimited) =
        (nix::sys::resource::Resource::RLIMIT_MEMLOCK, nix::sys::resource::RLIM_INFINITY);
    let _ = nix::sys::resource::setrlimit(resource, unlimited, unlimited);
}
