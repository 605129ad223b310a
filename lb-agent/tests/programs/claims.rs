//! Other stations that say that they have a VIP: what the agent hears of them.

use lb_agent::clock::boottime_ns;
use lb_common::{
    maps::{CLAIM_INTERVAL_NS, CLAIMS_PER_INTERVAL, ClaimKind, ClaimLimit, Role, VipEntry},
    reason::Fate,
};

use crate::{
    arp::{Mac, NODE, STRANGER},
    case::{Case, Lease, check_ingress},
    family::FAMILIES,
    kernel::Kernel,
};

const ANOTHER: Mac = [0x52, 0x54, 0, 0, 0, 4];

#[test]
fn claims_are_reported_by_their_form_whoever_holds_the_vip_and_whatever_the_lease() {
    let entries = [
        (VipEntry::new(Role::Announce, NODE), Fate::ForeignClaim),
        (VipEntry::new(Role::Suppress, NODE), Fate::OtherHolder),
        (VipEntry::new(Role::Contested, STRANGER), Fate::OtherHolder),
    ];
    let mut cases = Vec::new();
    for family in FAMILIES {
        for (kind, claim, unreported) in family.claims(STRANGER) {
            let case = |name: String| Case::new(name, claim.clone()).of(family);
            for (entry, fate) in entries {
                for lease in [Lease::Valid, Lease::Expired, Lease::Never] {
                    let reported = case(format!("{kind:?} for {:?}, lease {lease:?}", entry.role()))
                        .entry(Some(entry))
                        .lease(lease);
                    cases.push(reported.counted_as(fate).reported(kind, STRANGER));
                }
            }
            let unknown = VipEntry { role: 9, reserved: 0, mac: NODE };
            let self_test = case(format!("{kind:?}, entry of the self-test")).role(Role::SelfTest);
            cases.extend([
                case(format!("{kind:?} without an entry")).entry(None).counted_as(unreported),
                case(format!("{kind:?}, unknown role")).entry(Some(unknown)).counted_as(unreported),
                self_test.counted_as(unreported),
                Case { ifindex: 77, ..case(format!("{kind:?}, entry of another interface")) }
                    .counted_as(unreported),
                Case { address: family.other(), ..case(format!("{kind:?}, entry of another address")) }
                    .counted_as(unreported),
            ]);
        }
    }
    check_ingress(&cases);
}

#[test]
fn what_this_node_says_itself_is_no_claim() {
    let mut cases = Vec::new();
    for family in FAMILIES {
        for (kind, claim, fate) in family.claims(NODE) {
            for entry in [
                VipEntry::new(Role::Announce, NODE),
                VipEntry::new(Role::Suppress, NODE),
                VipEntry::new(Role::Contested, STRANGER),
            ] {
                let name = format!("our own {kind:?}, {:?}", entry.role());
                cases.push(Case::new(name, claim.clone()).of(family).entry(Some(entry)).counted_as(fate));
            }
        }
        let unknown_mac = Case {
            iface: None,
            ..Case::new("contested, while the own address is not known", family.answer(NODE)).of(family)
        };
        cases.push(
            unknown_mac
                .entry(Some(VipEntry::new(Role::Contested, STRANGER)))
                .counted_as(Fate::OtherHolder)
                .reported(ClaimKind::Answer, NODE),
        );
    }
    check_ingress(&cases);
}

/// The limit itself is tested beside its code, by the clock; here, that the programs keep to it and write it down.
#[test]
fn a_claimant_that_repeats_itself_and_a_flood_are_held_back() {
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    let cases =
        FAMILIES.into_iter().flat_map(|family| programs.iter().map(move |&program| (family, program)));
    for (family, program) in cases {
        let case = Case::new("claims", vec![]).of(family);
        case.set_up(&mut kernel);
        let vip = (case.ifindex, case.address);
        let heard =
            |kernel: &mut Kernel, claimant| kernel.run(program, &family.answer(claimant), vip).claims.len();
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
        assert_eq!(heard(&mut kernel, STRANGER), 0, "{family:?}, {program:?}: the same claimant");
        assert_eq!(
            heard(&mut kernel, ANOTHER),
            1,
            "{family:?}, {program:?}: another one, the last of the interval"
        );
        assert_eq!(heard(&mut kernel, STRANGER), 0, "{family:?}, {program:?}: one too many");
        let claims = kernel.stats(vip).claims;
        assert_eq!(
            (claims.last_claimant, claims.in_interval, claims.interval_began_ns),
            (ANOTHER, CLAIMS_PER_INTERVAL, later),
            "{family:?}, {program:?}"
        );

        kernel.set_claims(vip, limit(boottime_ns() - CLAIM_INTERVAL_NS, CLAIMS_PER_INTERVAL));
        assert_eq!(
            heard(&mut kernel, STRANGER),
            1,
            "{family:?}, {program:?}: the same claimant, an interval later"
        );
        let claims = kernel.stats(vip).claims;
        assert_eq!(
            (claims.in_interval, claims.last_ns),
            (1, claims.interval_began_ns),
            "{family:?}, {program:?}"
        );
    }
}
