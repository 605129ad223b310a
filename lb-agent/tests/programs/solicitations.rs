//! Incoming NDP, beyond what it has in common with ARP: forms of solicitations, and everything that must be left alone.

mod malformed;

use lb_common::{
    maps::Role,
    reason::{Action, Fate},
};

use crate::{
    arp::{CLIENT, NODE, STRANGER, VIP},
    case::{Case, check, check_ingress},
    family::{Family, Question},
    kernel::{Kernel, Program, not_run},
    ndp::{
        ALL_NODES, ALL_NODES_MAC, CLIENT_IP6, NOBODY, NODE_IP6, Ndp, OTHER6, VIP_GROUP_MAC, VIP6,
        advertisement, solicitation, source_address, target_address,
    },
};

/// RFC 3971, 5.3.2: what Linux sends with probes for duplicates (RFC 7527).
const NONCE: [u8; 8] = [14, 1, 1, 2, 3, 4, 5, 6];

fn case(name: impl Into<String>, ndp: &Ndp) -> Case {
    Case::new(name, ndp.bytes()).of(Family::Ipv6)
}

fn answered(name: &str, ndp: Ndp) -> Case {
    case(name, &ndp).answered(&Question::Ndp(ndp))
}

fn with_options(options: &[&[u8]]) -> Ndp {
    Ndp { options: options.concat(), ..solicitation() }
}

/// A probe for duplicates (RFC 4862, 5.4.2).
fn probe() -> Ndp {
    Ndp { sender: NOBODY, options: vec![], ..solicitation() }
}

#[test]
fn forms_of_solicitations() {
    let address = source_address(CLIENT);
    let unknown = [&[200, 2][..], &[0xa5; 14]].concat();
    let most = [&[201, 7][..], &[0xa5; 54]].concat();
    let unicast = Ndp { destination: NODE, receiver: VIP6, ..solicitation() };
    let nud = Ndp { options: vec![], ..unicast.clone() };
    let global = Ndp { sender: NODE_IP6, ..solicitation() };
    check_ingress(&[
        answered("to the VIP itself (NUD)", unicast.clone()),
        answered("to the VIP itself, without link-layer address", nud),
        answered(
            "to the VIP's group, sent to this station alone",
            Ndp { destination: NODE, ..solicitation() },
        ),
        answered("to the VIP itself, sent to its group", Ndp { destination: VIP_GROUP_MAC, ..unicast }),
        answered("without options: the answer is longer", with_options(&[])),
        answered("with a nonce: the answer is shorter", with_options(&[&address, &NONCE])),
        answered("a nonce alone", with_options(&[&NONCE])),
        answered("a nonce before the address", with_options(&[&NONCE, &address])),
        answered("an option of two units before the address", with_options(&[&unknown, &address])),
        answered("options in between", with_options(&[&NONCE, &unknown, &address, &NONCE])),
        answered("as many options as are looked at", with_options(&[&address, &most])),
        answered("the address twice", with_options(&[&address, &address])),
        answered("another station's address: it is not believed", with_options(&[&source_address(STRANGER)])),
        answered(
            "a target link-layer address, which is none of a solicitation",
            with_options(&[&target_address(STRANGER)]),
        ),
        answered("a link-layer address of two units", with_options(&[&[1, 2], &[0xa5; 14]])),
        answered("from a global address", global),
        answered("with a traffic class", Ndp { version_class: 0x6e, ..solicitation() }),
        answered("reserved bits set", Ndp { flags: 0xff, ..solicitation() }),
        answered("a probe for duplicates hears by all nodes", probe()),
        answered("a probe for duplicates with a nonce", Ndp { options: NONCE.to_vec(), ..probe() }),
        answered("a probe for duplicates, sent to this station", Ndp { destination: NODE, ..probe() }),
    ]);
}

#[test]
fn what_follows_a_solicitation_does_not_follow_the_answer() {
    let padded = |len| {
        let input = solicitation().padded(len, 0xa5);
        Case { input, ..case(format!("{len} bytes"), &solicitation()) }
            .answered(&Question::Ndp(solicitation()))
    };
    check_ingress(&[padded(87), padded(128), padded(1_514)]);
}

/// Of a frame in several buffers the program sees the first, and it is that which becomes the answer.
#[test]
fn a_solicitation_in_a_jumbo_frame_is_answered() {
    let mut kernel = Kernel::load();
    if !kernel.has_frags {
        not_run("a solicitation in a jumbo frame", "this kernel has no multi-buffer XDP");
        return;
    }
    let jumbo = case("9 kB", &solicitation());
    assert!(jumbo.set_up(&mut kernel));
    let input = solicitation().padded(9_000, 0xa5);
    let outcome = kernel.run(Program::XdpFrags, &input, (jumbo.ifindex, jumbo.address));
    let answer = solicitation().answered_by(NODE);
    let (head, rest) = outcome.output.split_at(answer.len());
    assert_eq!((outcome.action, head, outcome.answers), (Ok(Action::Answer), &answer[..], 1));
    assert!(rest.iter().all(|&byte| byte == 0xa5), "nothing but the padding that came");
}

#[test]
fn a_suppressed_vip_is_silent_in_every_form() {
    let forms = [
        ("asked by everyone", solicitation()),
        ("asked alone", Ndp { destination: NODE, receiver: VIP6, ..solicitation() }),
        ("probed for duplicates", probe()),
        ("without options", with_options(&[])),
    ];
    check_ingress(
        &forms.map(|(name, ndp)| {
            case(name, &ndp).role(Role::Suppress).requested().counted_as(Fate::Suppressed)
        }),
    );
}

#[test]
fn questions_that_are_not_for_this_node() {
    let same_group = Ndp {
        target: {
            let mut other = VIP6;
            other[5] = 2;
            other
        },
        ..solicitation()
    };
    let passes = |name: &str, ndp: Ndp, fate| case(name, &ndp).counted_as(fate);
    check_ingress(&[
        passes("another address of the same group", same_group, Fate::NotOurTarget),
        passes("to all nodes", Ndp { receiver: ALL_NODES, ..solicitation() }, Fate::OtherDestination),
        passes(
            "to all nodes, on both layers",
            Ndp { destination: ALL_NODES_MAC, receiver: ALL_NODES, ..solicitation() },
            Fate::OtherDestination,
        ),
        passes(
            "to the node's own address",
            Ndp { receiver: NODE_IP6, ..solicitation() },
            Fate::OtherDestination,
        ),
        passes(
            "broadcast, which IPv6 does not know",
            Ndp { destination: [0xff; 6], ..solicitation() },
            Fate::OtherDestination,
        ),
        passes("from a group", Ndp { sender: ALL_NODES, ..solicitation() }, Fate::SenderNotUnicast)
            .requested(),
    ]);
}

#[test]
fn a_length_that_leaves_the_option_out_makes_it_padding() {
    // Right in itself: the checksum covers what the header says is there.
    let short = Ndp { payload_len: Some(24), ..solicitation() };
    check_ingress(&[answered("the option as padding", short)]);
}

#[test]
fn an_advertisement_is_the_claim_of_the_station_that_it_names() {
    let sent_by_proxy = Ndp { source: CLIENT, ..advertisement(STRANGER) };
    let without_option = Ndp { options: vec![], ..advertisement(STRANGER) };
    let other_option = Ndp { options: source_address(CLIENT), ..advertisement(STRANGER) };
    let behind_nonce = Ndp {
        options: [&NONCE[..], &target_address(STRANGER)].concat(),
        source: CLIENT,
        ..advertisement(STRANGER)
    };
    let unasked = Ndp { flags: 0, ..advertisement(STRANGER) };
    let from_elsewhere = Ndp { sender: CLIENT_IP6, ..advertisement(STRANGER) };
    let rows = [
        ("the option counts, not the frame", sent_by_proxy),
        ("without option the frame counts", without_option),
        ("a source link-layer address is none of an advertisement", other_option),
        ("the option behind another", behind_nonce),
        ("without Override", unasked),
        ("from another address than the target", from_elsewhere),
    ];
    check_ingress(&rows.map(|(name, ndp)| {
        let kind = lb_common::maps::ClaimKind::Announcement;
        case(name, &ndp).counted_as(Fate::ForeignClaim).reported(kind, STRANGER)
    }));
}

#[test]
fn an_advertisement_of_another_address_is_no_claim() {
    let other = Ndp { target: OTHER6, ..advertisement(STRANGER) };
    check_ingress(&[
        case("sent from the VIP", &other).counted_as(Fate::Announcement),
        case("a solicitation from the VIP", &Ndp { sender: VIP6, target: OTHER6, ..solicitation() })
            .counted_as(Fate::NotOurTarget),
    ]);
}

#[test]
fn a_message_cut_off_anywhere_passes() {
    let whole = solicitation().bytes();
    let cut =
        |len: usize| Case { input: whole[..len].to_vec(), ..case(format!("{len} bytes"), &solicitation()) };
    let told_apart =
        (55..86).map(|len| cut(len).counted_as(if len < 78 { Fate::Truncated } else { Fate::NdpLength }));
    check_ingress(&told_apart.collect::<Vec<_>>());
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, &[cut(54)]);
    // BPF_PROG_TEST_RUN for tc refuses a frame that says IPv6 and ends before that header does.
    let xdp: Vec<Program> = programs.into_iter().filter(|program| program.is_xdp()).collect();
    check(&mut kernel, &xdp, &(14..54).map(cut).collect::<Vec<_>>());
}

#[test]
fn other_ipv6_is_none_of_ours() {
    let tcp = |len: usize| {
        let mut bytes = Vec::new();
        etherparse::PacketBuilder::ethernet2(CLIENT, NODE)
            .ipv6(CLIENT_IP6, VIP6, 64)
            .tcp(40_000, 80, 1, 1_024)
            .write(&mut bytes, &vec![0x5a; len - 74])
            .expect("a well-formed packet");
        bytes
    };
    let behind = |next_header, extension: [u8; 8]| Ndp {
        next_header,
        extension: extension.to_vec(),
        ..solicitation()
    };
    let of_type = |message_type| Ndp { message_type, ..solicitation() };
    let mut tagged = solicitation().bytes();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    let raw = |name: &str, input| Case::new(name, input).of(Family::Ipv6).role(Role::Suppress);
    check_ingress(&[
        raw("TCP", tcp(74)),
        raw("a full frame of TCP", tcp(1_514)),
        raw("a tagged solicitation", tagged),
        raw("an Echo Request", of_type(128).bytes()),
        raw("a Router Advertisement", of_type(134).bytes()),
        raw("a Redirect", of_type(137).bytes()),
        raw("ICMPv6 of IPv4's number", Ndp { next_header: 1, ..solicitation() }.bytes()),
        raw(
            "hop-by-hop options, then MLD",
            Ndp { message_type: 143, ..behind(0, [58, 0, 5, 2, 0, 0, 1, 0]) }.bytes(),
        ),
        raw("hop-by-hop options, then TCP", behind(0, [6, 0, 5, 2, 0, 0, 1, 0]).bytes()),
        raw("behind 16 bytes of options", behind(60, [58, 1, 1, 4, 0, 0, 0, 0]).bytes()),
        raw("behind an authentication header", behind(51, [58, 0, 0, 0, 0, 0, 0, 0]).bytes()),
    ]);
    let extensions =
        [("hop-by-hop options", 0), ("routing", 43), ("a fragment header", 44), ("destination options", 60)];
    check_ingress(&extensions.map(|(name, number)| {
        raw(&format!("behind {name}"), behind(number, [58, 0, 1, 4, 0, 0, 0, 0]).bytes())
            .counted_as(Fate::NdpExtension)
    }));
}

#[test]
fn entries_of_one_family_say_nothing_of_the_other() {
    // The first four bytes of the address are those of an IPv4 VIP, rest zero.
    let mut target = [0; 16];
    target[..4].copy_from_slice(&VIP);
    let (receiver, destination) = crate::ndp::group(target);
    let ndp = Ndp { destination, receiver, target, ..solicitation() };
    check_ingress(&[Case::new("an IPv4 VIP", ndp.bytes()).counted_as(Fate::NotOurTarget)]);
}
