//! Probes of S-BFD, by XDP and tc alike: answered by the kernel itself, or left to the stack with a named reason.

mod refused;

use lb_common::{maps::Iface, reason::Fate};

use crate::{
    case::{Case, Lease, NODE_IFACE, check, check_ingress},
    checksum::Checksum,
    kernel::{Kernel, Program},
    ndp::{NODE_IP6, NODE_LINK_LOCAL},
    probe::{Ip, IpV4, IpV6, Probe},
};

const UP: u8 = 3;
const ADMIN_DOWN: u8 = 0;

/// Says the same of both families.
macro_rules! of_both {
    ($cases:ident) => {
        [$cases::<IpV4>(), $cases::<IpV6>()].concat()
    };
}
use of_both;

/// The client is a known peer, and the node up.
fn case<I: Ip>(name: impl Into<String>, probe: Probe<I>) -> Case {
    let name = format!("{:?}: {}", I::FAMILY, name.into());
    Case { peer: Some(I::FAMILY.client()), ..Case::new(name, probe.bytes()) }
}

fn up<I: Ip>(case: Case, probe: Probe<I>, diag: u8) -> Case {
    case.reflected(Fate::Reflected, probe.reflected(UP, diag).bytes())
}

fn admin_down<I: Ip>(case: Case, probe: Probe<I>) -> Case {
    case.reflected(Fate::ReflectedAdminDown, probe.reflected(ADMIN_DOWN, 7).bytes())
}

#[test]
fn a_probe_hears_how_the_node_is() {
    check_ingress(&of_both!(states));
}

fn states<I: Ip>() -> Vec<Case> {
    let right = Probe::<I>::RIGHT;
    let poll = Probe { state_flags: 0xe2, ..right };
    let down = Probe { state_flags: 0x42, ..right };
    let leaving = |case: Case| Case { admin_down: 1, ..case };
    let stale = |case: Case| Case { is_agent_stale: true, ..case };
    vec![
        up(case("a node with a lease is up", right), right, 0),
        up(case("a probe that says Down is answered as well", down), down, 0),
        up(case("a poll is answered by a final", poll), poll, 0),
        up(case("a node without VIPs is up", right).entry(None), right, 0),
        up(stale(case("an agent that has not been seen is told", right)), right, 1),
        admin_down(case("past the lease", right).lease(Lease::Expired), right),
        admin_down(leaving(case("a node that leaves", right)), right),
        admin_down(leaving(case("a node that leaves, polled", poll)), poll),
        admin_down(stale(leaving(case("a node that leaves, its agent not seen", right))), right),
        case("before the first lease", right).lease(Lease::Never).counted_as(Fate::SbfdLeaseAbandoned),
        case("a day past the lease", right).lease(Lease::DayOld).counted_as(Fate::SbfdLeaseAbandoned),
        leaving(case("a node that leaves, before the first lease", right))
            .lease(Lease::Never)
            .counted_as(Fate::SbfdLeaseAbandoned),
        Case { discriminator: 0, ..case("before the node has a discriminator", right) }
            .counted_as(Fate::SbfdNoDiscriminator),
        Case {
            discriminator: 0,
            ..case("nor does 0 count as one", Probe { your_discriminator: 0, ..right })
        }
        .counted_as(Fate::SbfdNoDiscriminator),
    ]
}

#[test]
fn each_ipv6_address_of_the_interface_is_its_own() {
    let right = Probe::<IpV6>::RIGHT;
    let neighbour = [&NODE_IP6[..15], &[0xfe]].concat();
    let neighbour = <[u8; 16]>::try_from(neighbour).expect("16 bytes").into();
    let global = right.from(neighbour).to(NODE_IP6.into());
    let mixed = right.to(NODE_IP6.into());
    let known = |name: &str, probe: Probe<IpV6>| {
        up(Case { peer: Some(probe.ip.sender.into()), ..case(name, probe) }, probe, 0)
    };
    let no_global = Iface { ipv6: [0; 16], ipv6_mask: [0; 16], ..NODE_IFACE };
    let no_link_local = Iface { ipv6_link_local: [0; 16], ..NODE_IFACE };
    check_ingress(&[
        known("between global addresses", global),
        known("from a link-local to the global address", mixed),
        Case { iface: Some(no_global), ..known("link-local, without a global address", right) },
        Case { iface: Some(no_link_local), ..known("global, without a link-local address", global) },
        Case { iface: Some(no_link_local), ..case("for an address that is gone", right) }
            .counted_as(Fate::SbfdOtherDestination),
        case("from the node's other address", right.from(NODE_IP6.into())).counted_as(Fate::SbfdOwnSource),
        case(
            "to the node's other address from itself",
            right.from(NODE_LINK_LOCAL.into()).to(NODE_IP6.into()),
        )
        .counted_as(Fate::SbfdOwnSource),
    ]);
}

#[test]
fn a_probe_cut_off_anywhere_passes() {
    cut_off::<IpV4>();
    cut_off::<IpV6>();
}

fn cut_off<I: Ip>() {
    let right = Probe::<I>::RIGHT;
    let whole = right.bytes();
    let cut = |len: usize| Case { input: whole[..len].to_vec(), ..case(format!("{len} bytes"), right) };
    let udp_at = right.udp_at();
    let told_apart: Vec<Case> =
        (udp_at + 4..whole.len()).map(|len| cut(len).counted_as(Fate::SbfdTruncated)).collect();
    check_ingress(&told_apart);
    // BPF_PROG_TEST_RUN for tc refuses a frame that says IP and ends before that header does.
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, &(udp_at..udp_at + 4).map(cut).collect::<Vec<_>>());
    let xdp: Vec<Program> = programs.into_iter().filter(|program| program.is_xdp()).collect();
    check(&mut kernel, &xdp, &(14..udp_at).map(cut).collect::<Vec<_>>());
}

#[test]
fn what_follows_a_probe_stays() {
    check_ingress(&of_both!(padded));
}

fn padded<I: Ip>() -> Vec<Case> {
    let right = Probe::<I>::RIGHT;
    let whole = right.bytes().len();
    let padded = |len: usize| {
        let case = Case { input: right.padded(len, 0xa5), ..case(format!("{len} bytes"), right) };
        case.reflected(Fate::Reflected, right.reflected(UP, 0).padded(len, 0xa5))
    };
    vec![padded(whole + 1), padded(whole + 14), padded(1_514)]
}

#[test]
fn a_checksum_stays_right() {
    check_ingress(&of_both!(zero_checksum));
}

/// With some discriminator the answer's checksum comes out as zero, and is written as all ones.
fn zero_checksum<I: Ip>() -> Vec<Case> {
    let zero = (0..=u16::MAX)
        .map(|low| Probe { my_discriminator: 0x1122_0000 | u32::from(low), ..Probe::<I>::RIGHT })
        .find(|probe| probe.reflected(UP, 0).bytes()[probe.udp_at() + 6..][..2] == [0xff; 2])
        .expect("one of all");
    vec![up(case("zero is written as all ones", zero), zero, 0)]
}

#[test]
fn no_checksum_stays_none_over_ipv4_and_is_refused_over_ipv6() {
    let none = Probe { checksum: Checksum::None, ..Probe::<IpV4>::RIGHT };
    let none6 = Probe { checksum: Checksum::None, ..Probe::<IpV6>::RIGHT };
    check_ingress(&[
        up(case("none", none), none, 0),
        admin_down(case("none, and much to change", none).lease(Lease::Expired), none),
        case("none", none6).counted_as(Fate::SbfdNoChecksum),
    ]);
}

/// What a sender with hardware offload leaves is no checksum yet. XDP cannot tell and makes a whole one; the stack can,
/// but here, where it takes the checksum for whole, the error stays what it was.
#[test]
fn a_partial_checksum_is_made_whole_by_xdp() {
    partial::<IpV4>();
    partial::<IpV6>();
}

fn partial<I: Ip>() {
    let right = Probe::<I>::RIGHT;
    let partial = Probe { checksum: Checksum::Given(right.partial_checksum()), ..right };
    let whole = case("partial", partial).reflected(Fate::Reflected, right.reflected(UP, 0).bytes());
    let mut kernel = Kernel::load();
    let (xdp, tc): (Vec<Program>, Vec<Program>) = kernel.ingress().into_iter().partition(|at| at.is_xdp());
    check(&mut kernel, &xdp, std::slice::from_ref(&whole));
    // Up and Demand (0x20c2) become Up (0x20c0): the complement's sum grows by 2.
    let followed = Probe { checksum: Checksum::Given(right.partial_checksum() + 2), ..right };
    let tc_case = case("partial, followed", partial);
    check(&mut kernel, &tc, &[tc_case.reflected(Fate::Reflected, followed.reflected(UP, 0).bytes())]);
}

#[test]
fn unknown_senders_are_answered_within_a_limit_and_known_peers_without() {
    check_ingress(&of_both!(limited));
}

fn limited<I: Ip>() -> Vec<Case> {
    let right = Probe::<I>::RIGHT;
    let unknown = |name: &str| Case { peer: Some(I::FAMILY.other()), ..case(name, right) };
    let reply = right.reflected(UP, 0).bytes();
    vec![
        Case { spends: true, ..unknown("an unknown sender") }
            .counted_as(Fate::Reflected)
            .comes_out_as(reply.clone()),
        Case { is_limit_spent: true, ..unknown("an unknown sender beyond the limit") }
            .counted_as(Fate::SbfdLimited),
        Case { is_limit_spent: true, lease: Lease::Expired, ..unknown("AdminDown is limited as well") }
            .counted_as(Fate::SbfdLimited),
        Case { is_limit_spent: true, ..up(case("a known peer beyond the limit", right), right, 0) },
        Case { spends: true, ifindex: 77, ..case("a peer of another interface", right) }
            .counted_as(Fate::Reflected)
            .comes_out_as(reply),
    ]
}

#[test]
fn a_hundred_unknown_probes_at_once_are_answered() {
    let case = Case { peer: None, ..case("a burst", Probe::<IpV4>::RIGHT) };
    let mut kernel = Kernel::load();
    for program in kernel.ingress() {
        case.set_up(&mut kernel);
        let begun = std::time::Instant::now();
        let answered = (0..200)
            .map(|_| kernel.run(program, &case.input, (case.ifindex, case.address)).frames)
            .map(|frames| frames.get(Fate::Reflected))
            .sum::<u64>();
        let while_it_ran = u64::try_from(begun.elapsed().as_millis() / 10).expect("a short time") + 1;
        assert!((100..=100 + while_it_ran).contains(&answered), "{program:?}: {answered}");
    }
}
