//! Probes of S-BFD, by XDP and tc alike: answered by the kernel itself, or left to the stack with a named reason.

use lb_common::{
    maps::{Iface, Role},
    reason::Fate,
};

use crate::{
    arp::{BROADCAST, CLIENT_IP, NODE, NODE_IP, STRANGER},
    case::{Case, Lease, NODE_IFACE, check, check_ingress},
    checksum::Checksum,
    kernel::{Kernel, Program},
    probe::{DISCRIMINATOR, PROBE, Probe},
};

const UP: u8 = 3;
const ADMIN_DOWN: u8 = 0;

/// The client is a known peer, and the node up.
fn case(name: &str, probe: Probe) -> Case {
    Case { peer: Some(CLIENT_IP.into()), ..Case::new(name, probe.bytes()) }
}

fn up(case: Case, probe: Probe, diag: u8) -> Case {
    case.reflected(Fate::Reflected, probe.reflected(UP, diag).bytes())
}

fn admin_down(case: Case, probe: Probe) -> Case {
    case.reflected(Fate::ReflectedAdminDown, probe.reflected(ADMIN_DOWN, 7).bytes())
}

#[test]
fn a_probe_hears_how_the_node_is() {
    let poll = Probe { state_flags: 0xe2, ..PROBE };
    let down = Probe { state_flags: 0x42, ..PROBE };
    let leaving = |case: Case| Case { admin_down: 1, ..case };
    let stale = |case: Case| Case { is_agent_stale: true, ..case };
    check_ingress(&[
        up(case("a node with a lease is up", PROBE), PROBE, 0),
        up(case("a probe that says Down is answered as well", down), down, 0),
        up(case("a poll is answered by a final", poll), poll, 0),
        up(case("a node without VIPs is up", PROBE).entry(None), PROBE, 0),
        up(stale(case("an agent that has not been seen is told", PROBE)), PROBE, 1),
        admin_down(case("past the lease", PROBE).lease(Lease::Expired), PROBE),
        admin_down(leaving(case("a node that leaves", PROBE)), PROBE),
        admin_down(leaving(case("a node that leaves, polled", poll)), poll),
        admin_down(stale(leaving(case("a node that leaves, its agent not seen", PROBE))), PROBE),
        case("before the first lease", PROBE).lease(Lease::Never).counted_as(Fate::SbfdLeaseAbandoned),
        case("a day past the lease", PROBE).lease(Lease::DayOld).counted_as(Fate::SbfdLeaseAbandoned),
        leaving(case("a node that leaves, before the first lease", PROBE))
            .lease(Lease::Never)
            .counted_as(Fate::SbfdLeaseAbandoned),
        Case { discriminator: 0, ..case("before the node has a discriminator", PROBE) }
            .counted_as(Fate::SbfdNoDiscriminator),
        Case {
            discriminator: 0,
            ..case("nor does 0 count as one", Probe { your_discriminator: 0, ..PROBE })
        }
        .counted_as(Fate::SbfdNoDiscriminator),
    ]);
}

#[test]
fn what_is_no_probe_for_this_node_passes_with_its_reason() {
    let refused = |name: &str, probe: Probe, fate| case(name, probe).counted_as(fate);
    let from = |name: &str, sender, fate| refused(name, Probe { sender, ..PROBE }, fate);
    let with_options = Probe { version_ihl: 0x46, options: &[1, 1, 1, 1], total_len: 56, ..PROBE };
    let most_options = Probe { version_ihl: 0x4f, options: &[1; 40], total_len: 92, ..PROBE };
    let elsewhere = Iface { ipv4: [10, 77, 0, 3], ..NODE_IFACE };
    let mut cases = vec![
        refused("IP options", with_options, Fate::SbfdIpHeader),
        refused("as many IP options as there can be", most_options, Fate::SbfdIpHeader),
        refused("another IP version", Probe { version_ihl: 0x65, ..PROBE }, Fate::SbfdIpHeader),
        refused("the first fragment", Probe { flags_fragment: 0x2000, ..PROBE }, Fate::SbfdFragment),
        refused("a later fragment", Probe { flags_fragment: 0x0003, ..PROBE }, Fate::SbfdFragment),
        refused("through a router", Probe { ttl: 254, ..PROBE }, Fate::SbfdHopLimit),
        refused("TTL 0", Probe { ttl: 0, ..PROBE }, Fate::SbfdHopLimit),
        refused("IP says less", Probe { total_len: 51, ..PROBE }, Fate::SbfdLength),
        refused("IP says less than its header", Probe { total_len: 19, ..PROBE }, Fate::SbfdLength),
        refused("IP says more", Probe { total_len: 53, ..PROBE }, Fate::SbfdLength),
        refused("UDP says less", Probe { udp_len: 31, ..PROBE }, Fate::SbfdLength),
        refused("UDP says more", Probe { udp_len: 33, ..PROBE }, Fate::SbfdLength),
        refused("from a reflector's port", Probe { source_port: 7784, ..PROBE }, Fate::SbfdSourcePort),
        refused("BFD version 0", Probe { version_diag: 0x00, ..PROBE }, Fate::SbfdVersion),
        refused("BFD version 2", Probe { version_diag: 0x40, ..PROBE }, Fate::SbfdVersion),
        refused("a length of 23", Probe { length: 23, ..PROBE }, Fate::SbfdControlLength),
        refused("a length of 26", Probe { length: 26, ..PROBE }, Fate::SbfdControlLength),
        refused("authentication", Probe { state_flags: 0xc6, ..PROBE }, Fate::SbfdUnsupported),
        refused("multipoint", Probe { state_flags: 0xc3, ..PROBE }, Fate::SbfdUnsupported),
        refused("no multiplier", Probe { detect_mult: 0, ..PROBE }, Fate::SbfdZero),
        refused("no discriminator of its own", Probe { my_discriminator: 0, ..PROBE }, Fate::SbfdZero),
        refused("an answer", Probe { state_flags: 0xc0, ..PROBE }, Fate::SbfdNotDemand),
        refused("to everyone", Probe { destination: BROADCAST, ..PROBE }, Fate::SbfdOtherDestination),
        refused("another station's", Probe { destination: STRANGER, ..PROBE }, Fate::SbfdOtherDestination),
        refused("another host's", Probe { receiver: [10, 77, 0, 3], ..PROBE }, Fate::SbfdOtherDestination),
        refused("to all hosts", Probe { receiver: [224, 0, 0, 1], ..PROBE }, Fate::SbfdOtherDestination),
        Case { iface: Some(elsewhere), ..case("the interface has another address", PROBE) }
            .counted_as(Fate::SbfdOtherDestination),
        Case { iface: None, ..case("the interface is none of ours", PROBE) }
            .counted_as(Fate::SbfdOtherDestination),
        Case {
            iface: Some(Iface::default()),
            ..case("no address is no destination", Probe { receiver: [0; 4], ..PROBE })
        }
        .counted_as(Fate::SbfdOtherDestination),
        refused("from this station", Probe { source: NODE, ..PROBE }, Fate::SbfdOwnSource),
        from("from this host", NODE_IP, Fate::SbfdOwnSource),
        from("from another prefix", [10, 78, 0, 200], Fate::SbfdOffLink),
        from("from nobody", [0; 4], Fate::SbfdOffLink),
        from("from the prefix", [10, 77, 0, 0], Fate::SbfdNotUnicast),
        from("from its broadcast address", [10, 77, 255, 255], Fate::SbfdNotUnicast),
        refused("from a group", Probe { source: [1, 0, 0x5e, 0, 0, 1], ..PROBE }, Fate::SbfdNotUnicast),
        refused("from no station", Probe { source: [0; 6], ..PROBE }, Fate::SbfdNotUnicast),
        refused(
            "another node's",
            Probe { your_discriminator: DISCRIMINATOR + 1, ..PROBE },
            Fate::SbfdOtherDiscriminator,
        ),
        refused("nobody's", Probe { your_discriminator: 0, ..PROBE }, Fate::SbfdOtherDiscriminator),
        case("another port is none of ours", Probe { destination_port: 3784, ..PROBE }),
        case("its bytes the other way round are another port", Probe { destination_port: 0x681e, ..PROBE }),
        case("another protocol is none of ours", Probe { protocol: 6, ..PROBE }),
        case("another EtherType is none of ours", Probe { ethertype: 0x88b5, ..PROBE }),
        case("where options reach beyond the frame there is no port", Probe { version_ihl: 0x4f, ..PROBE }),
    ];
    let suppressed = cases.iter().map(|case| case.clone().role(Role::Suppress)).collect::<Vec<_>>();
    cases.extend(suppressed);
    check_ingress(&cases);
}

#[test]
fn a_probe_cut_off_anywhere_passes() {
    let whole = PROBE.bytes();
    let cut = |len: usize| Case { input: whole[..len].to_vec(), ..case(&format!("{len} bytes"), PROBE) };
    let told_apart: Vec<Case> = (38..66).map(|len| cut(len).counted_as(Fate::SbfdTruncated)).collect();
    check_ingress(&told_apart);
    // BPF_PROG_TEST_RUN for tc refuses a frame that says IPv4 and ends before that header does.
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, &(34..38).map(cut).collect::<Vec<_>>());
    let xdp: Vec<Program> = programs.into_iter().filter(|program| program.is_xdp()).collect();
    check(&mut kernel, &xdp, &(14..34).map(cut).collect::<Vec<_>>());
}

#[test]
fn what_follows_a_probe_stays() {
    let padded = |len: usize| {
        let case = Case { input: PROBE.padded(len, 0xa5), ..case(&format!("{len} bytes"), PROBE) };
        case.reflected(Fate::Reflected, PROBE.reflected(UP, 0).padded(len, 0xa5))
    };
    check_ingress(&[padded(67), padded(80), padded(1_514)]);
}

#[test]
fn a_checksum_stays_right_and_none_stays_none() {
    let none = Probe { checksum: Checksum::None, ..PROBE };
    // With this discriminator the answer's checksum comes out as zero, and is written as all ones.
    let zero = (0..=u16::MAX)
        .map(|low| Probe { my_discriminator: 0x1122_0000 | u32::from(low), ..PROBE })
        .find(|probe| probe.reflected(UP, 0).bytes()[40..42] == [0xff; 2])
        .expect("one of all");
    check_ingress(&[
        up(case("none", none), none, 0),
        admin_down(case("none, and much to change", none).lease(Lease::Expired), none),
        up(case("zero is written as all ones", zero), zero, 0),
    ]);
}

/// What a sender with hardware offload leaves is no checksum yet. XDP cannot tell and makes a whole one; the stack can,
/// but here, where it takes the checksum for whole, the error stays what it was.
#[test]
fn a_partial_checksum_is_made_whole_by_xdp() {
    let partial = Probe { checksum: Checksum::Given(PROBE.partial_checksum()), ..PROBE };
    let whole = case("partial", partial).reflected(Fate::Reflected, PROBE.reflected(UP, 0).bytes());
    let mut kernel = Kernel::load();
    let (xdp, tc): (Vec<Program>, Vec<Program>) = kernel.ingress().into_iter().partition(|at| at.is_xdp());
    check(&mut kernel, &xdp, std::slice::from_ref(&whole));
    // Up and Demand (0x20c2) become Up (0x20c0): the complement's sum grows by 2.
    let followed = Probe { checksum: Checksum::Given(PROBE.partial_checksum() + 2), ..PROBE };
    let tc_case = case("partial, followed", partial);
    check(&mut kernel, &tc, &[tc_case.reflected(Fate::Reflected, followed.reflected(UP, 0).bytes())]);
}

#[test]
fn unknown_senders_are_answered_within_a_limit_and_known_peers_without() {
    let unknown = |name: &str| Case { peer: Some([10, 77, 0, 9].into()), ..case(name, PROBE) };
    let reply = PROBE.reflected(UP, 0).bytes();
    check_ingress(&[
        Case { spends: true, ..unknown("an unknown sender") }
            .counted_as(Fate::Reflected)
            .comes_out_as(reply.clone()),
        Case { is_limit_spent: true, ..unknown("an unknown sender beyond the limit") }
            .counted_as(Fate::SbfdLimited),
        Case { is_limit_spent: true, lease: Lease::Expired, ..unknown("AdminDown is limited as well") }
            .counted_as(Fate::SbfdLimited),
        Case { is_limit_spent: true, ..up(case("a known peer beyond the limit", PROBE), PROBE, 0) },
        Case { spends: true, ifindex: 77, ..case("a peer of another interface", PROBE) }
            .counted_as(Fate::Reflected)
            .comes_out_as(reply),
    ]);
}

#[test]
fn a_hundred_unknown_probes_at_once_are_answered() {
    let case = Case { peer: None, ..case("a burst", PROBE) };
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
