//! Other stations that say that they have a VIP: what the agent hears of them.

use lb_agent::clock::boottime_ns;
use lb_common::{
    maps::{CLAIM_INTERVAL_NS, CLAIMS_PER_INTERVAL, ClaimKind, ClaimLimit, Role, VipEntry},
    reason::Fate,
};

use crate::{
    arp::{Arp, CLIENT, CLIENT_IP, Mac, NODE, OTHER, REQUEST, STRANGER, VIP},
    case::{Case, Lease, check},
    kernel::Kernel,
};

const ANOTHER: Mac = [0x52, 0x54, 0, 0, 0, 4];

fn announcement(sha: Mac) -> Arp {
    Arp { source: sha, sha, spa: VIP, ..REQUEST }
}

fn gratuitous_reply(sha: Mac) -> Arp {
    Arp { oper: 2, tha: sha, ..announcement(sha) }
}

fn answer(sha: Mac) -> Arp {
    Arp { destination: CLIENT, oper: 2, tha: CLIENT, tpa: CLIENT_IP, ..announcement(sha) }
}

#[test]
fn claims_are_reported_by_their_form_whoever_holds_the_vip_and_whatever_the_lease() {
    let to_one = Arp { destination: NODE, ..announcement(STRANGER) };
    let forms = [
        (ClaimKind::Announcement, announcement(STRANGER), Fate::Announcement),
        (ClaimKind::ToOne, to_one, Fate::Announcement),
        (ClaimKind::GratuitousReply, gratuitous_reply(STRANGER), Fate::Reply),
        (ClaimKind::Answer, answer(STRANGER), Fate::Reply),
    ];
    let entries = [
        (VipEntry::new(Role::Announce, NODE), Fate::ForeignClaim),
        (VipEntry::new(Role::Suppress, NODE), Fate::OtherHolder),
        (VipEntry::new(Role::Contested, STRANGER), Fate::OtherHolder),
    ];
    let mut cases = Vec::new();
    for (kind, claim, unreported) in forms {
        let case = |name: String| Case::new(name, claim.padded(60, 0));
        for (entry, fate) in entries {
            for lease in [Lease::Valid, Lease::Expired, Lease::Never] {
                let reported = case(format!("{kind:?} for {:?}, lease {lease:?}", entry.role()))
                    .entry(Some(entry))
                    .lease(lease);
                cases.push(reported.counted_as(fate).reported(kind, STRANGER));
            }
        }
        let unknown = VipEntry { role: 9, reserved: 0, mac: NODE };
        cases.extend([
            case(format!("{kind:?} without an entry")).entry(None).counted_as(unreported),
            case(format!("{kind:?}, unknown role")).entry(Some(unknown)).counted_as(unreported),
            case(format!("{kind:?}, entry of the self-test")).role(Role::SelfTest).counted_as(unreported),
            Case { ifindex: 77, ..case(format!("{kind:?}, entry of another interface")) }
                .counted_as(unreported),
        ]);
    }
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, &cases);
}

#[test]
fn what_this_node_says_itself_is_no_claim() {
    let forms = [
        (announcement(NODE), Fate::Announcement),
        (gratuitous_reply(NODE), Fate::Reply),
        (answer(NODE), Fate::Reply),
    ];
    let mut cases = Vec::new();
    for (claim, fate) in forms {
        for entry in [
            VipEntry::new(Role::Announce, NODE),
            VipEntry::new(Role::Suppress, NODE),
            VipEntry::new(Role::Contested, STRANGER),
        ] {
            let name = format!("our own, {:?}, oper {}", entry.role(), claim.oper);
            cases.push(Case::new(name, claim.padded(60, 0)).entry(Some(entry)).counted_as(fate));
        }
    }
    let unknown_mac = Case {
        iface: None,
        ..Case::new("contested, while the own address is not known", answer(NODE).padded(60, 0))
    };
    cases.extend([
        unknown_mac
            .entry(Some(VipEntry::new(Role::Contested, STRANGER)))
            .counted_as(Fate::OtherHolder)
            .reported(ClaimKind::Answer, NODE),
        Case::new(
            "of another address",
            Arp { spa: OTHER, tpa: OTHER, ..announcement(STRANGER) }.padded(60, 0),
        )
        .counted_as(Fate::Announcement),
        Case::new("about another address", Arp { spa: OTHER, ..answer(STRANGER) }.padded(60, 0))
            .counted_as(Fate::Reply),
    ]);
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, &cases);
}

/// The limit itself is tested beside its code, by the clock; here, that the programs keep to it and write it down.
#[test]
fn a_claimant_that_repeats_itself_and_a_flood_are_held_back() {
    let mut kernel = Kernel::load();
    for program in kernel.ingress() {
        let case = Case::new("claims", vec![]);
        case.set_up(&mut kernel);
        let vip = (case.ifindex, case.address);
        let heard = |kernel: &mut Kernel, claimant| {
            kernel.run(program, &answer(claimant).padded(60, 0), vip).claims.len()
        };
        // Times to come count as recent for as long as the test runs.
        let later = boottime_ns() + 3_600_000_000_000;
        let limit = |at_ns, in_interval| ClaimLimit {
            last_ns: at_ns,
            interval_began_ns: at_ns,
            last_claimant: STRANGER,
            last_kind: ClaimKind::Answer as u8,
            in_interval,
        };
        kernel.set_claims(vip, limit(later, CLAIMS_PER_INTERVAL - 1));
        assert_eq!(heard(&mut kernel, STRANGER), 0, "{program:?}: the same claimant");
        assert_eq!(heard(&mut kernel, ANOTHER), 1, "{program:?}: another one, the last of the interval");
        assert_eq!(heard(&mut kernel, STRANGER), 0, "{program:?}: one too many");
        let claims = kernel.stats(vip).claims;
        assert_eq!(
            (claims.last_claimant, claims.in_interval, claims.interval_began_ns),
            (ANOTHER, CLAIMS_PER_INTERVAL, later),
            "{program:?}"
        );

        kernel.set_claims(vip, limit(boottime_ns() - CLAIM_INTERVAL_NS, CLAIMS_PER_INTERVAL));
        assert_eq!(heard(&mut kernel, STRANGER), 1, "{program:?}: the same claimant, an interval later");
        let claims = kernel.stats(vip).claims;
        assert_eq!((claims.in_interval, claims.last_ns), (1, claims.interval_began_ns), "{program:?}");
    }
}
