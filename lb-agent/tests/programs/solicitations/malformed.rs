//! What RFC 4861, 7.1, has nodes discard is left to the stack, with its reason.

use lb_common::{maps::Role, reason::Fate};

use super::{NONCE, case, probe, with_options};
use crate::{
    arp::{CLIENT, STRANGER},
    case::check_ingress,
    checksum::Checksum,
    ndp::{ALL_NODES, Ndp, SOLICITED, VIP_GROUP, VIP6, advertisement, solicitation, source_address},
};

#[test]
fn what_rfc_4861_has_nodes_discard_passes_with_its_reason() {
    let sent = solicitation;
    let right = u16::from_be_bytes([sent().bytes()[56], sent().bytes()[57]]);
    let group_target = Ndp { target: VIP_GROUP, ..sent() };
    let too_long = with_options(&[&[[201, 9].as_slice(), &[0xa5; 70]].concat()]);
    let to_all = Ndp { receiver: ALL_NODES, ..probe() };
    let asked_by_group = Ndp { flags: SOLICITED, ..advertisement(STRANGER) };
    let mut cases = Vec::new();
    let rows = [
        ("IP version 4", Ndp { version_class: 0x45, ..sent() }, Fate::NdpIpHeader),
        ("IP version 7", Ndp { version_class: 0x70, ..sent() }, Fate::NdpIpHeader),
        ("through a router", Ndp { hop_limit: 254, ..sent() }, Fate::NdpHopLimit),
        ("hop limit 0", Ndp { hop_limit: 0, ..sent() }, Fate::NdpHopLimit),
        ("code 1", Ndp { code: 1, ..sent() }, Fate::NdpCode),
        ("no payload", Ndp { payload_len: Some(0), ..sent() }, Fate::NdpLength),
        ("less than a message", Ndp { payload_len: Some(23), ..sent() }, Fate::NdpLength),
        ("half an option", Ndp { payload_len: Some(28), ..sent() }, Fate::NdpLength),
        ("more than there is", Ndp { payload_len: Some(40), ..sent() }, Fate::NdpLength),
        ("much more than there is", Ndp { payload_len: Some(0xffff), ..sent() }, Fate::NdpLength),
        ("more options than are looked at", too_long, Fate::NdpTooLong),
        ("for a group", group_target, Fate::NdpTarget),
        ("an option without length", with_options(&[&[1, 0], &CLIENT]), Fate::NdpOptionLength),
        (
            "an option without length behind another",
            with_options(&[&NONCE, &[200, 0], &CLIENT]),
            Fate::NdpOptionLength,
        ),
        ("an option beyond the end", with_options(&[&[1, 2], &CLIENT]), Fate::NdpOptionLength),
        ("an option far beyond the end", with_options(&[&NONCE, &[1, 255], &CLIENT]), Fate::NdpOptionLength),
        ("no checksum", Ndp { checksum: Checksum::None, ..sent() }, Fate::NdpChecksum),
        ("a wrong checksum", Ndp { checksum: Checksum::Given(right ^ 1), ..sent() }, Fate::NdpChecksum),
        (
            "its bytes swapped",
            Ndp { checksum: Checksum::Given(right.swap_bytes()), ..sent() },
            Fate::NdpChecksum,
        ),
        ("a probe to all nodes", to_all, Fate::NdpUnspecifiedSource),
        ("a probe to the target", Ndp { receiver: VIP6, ..probe() }, Fate::NdpUnspecifiedSource),
        (
            "a probe with a link-layer address",
            Ndp { options: source_address(CLIENT), ..probe() },
            Fate::NdpUnspecifiedSource,
        ),
        (
            "a probe with a link-layer address behind a nonce",
            Ndp { options: [&NONCE[..], &source_address(CLIENT)].concat(), ..probe() },
            Fate::NdpUnspecifiedSource,
        ),
        ("an advertisement that a group asked for", asked_by_group, Fate::NdpSolicitedByGroup),
        (
            "an advertisement with an option without length",
            Ndp { options: vec![2, 0, 0, 0, 0, 0, 0, 0], ..advertisement(STRANGER) },
            Fate::NdpOptionLength,
        ),
        (
            "an advertisement with a wrong checksum",
            Ndp { checksum: Checksum::None, ..advertisement(STRANGER) },
            Fate::NdpChecksum,
        ),
        (
            "an advertisement through a router",
            Ndp { hop_limit: 1, ..advertisement(STRANGER) },
            Fate::NdpHopLimit,
        ),
    ];
    for (name, ndp, fate) in rows {
        cases.push(case(name, &ndp).counted_as(fate));
        cases.push(case(format!("{name}, suppressed"), &ndp).role(Role::Suppress).counted_as(fate));
    }
    check_ingress(&cases);
}
