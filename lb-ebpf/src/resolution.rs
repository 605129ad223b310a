//! What both ways to resolve an address come to: ARP and NDP ask, answer and claim in other frames, and are judged alike.

use lb_common::{
    maps::{ClaimKind, Lease, Role, VipKey, VipStats},
    reason::Fate,
    wire::ethernet::Mac,
};

use crate::{
    events, ifaces, lease,
    vips::{Address, Stats},
};

/// Somebody asks which station has an address.
pub struct Question<A> {
    /// Which address, and where it is asked for.
    pub key: VipKey<A>,
    /// Whom the frame was sent to.
    pub destination: Mac,
    /// Whether that is everyone whom such questions are sent to.
    pub is_for_everyone: bool,
    /// Whether the packet in the frame, if that has an address of its own, goes where such questions go.
    pub is_for_target: bool,
    /// Whether there is one station to answer.
    pub is_from_one_station: bool,
}

/// That a question may be answered.
pub struct Permit {
    /// The station that answers.
    pub mac: Mac,
    /// The counters and the time; nothing for the self-test, which leaves no trace.
    count: Option<(Option<*mut VipStats>, u64)>,
}

impl Permit {
    /// Notes that the answer stands, and says what has become of the question.
    #[inline(always)]
    pub fn used(self) -> Fate {
        let Some((stats, now_ns)) = self.count else { return Fate::SelfTest };
        stats.answered(now_ns);
        Fate::Answered
    }
}

/// Whether a question may be answered, and by which station.
#[inline(always)]
pub fn judge<A: Address>(question: &Question<A>) -> Result<Permit, Fate> {
    let Question { key, destination, is_for_everyone, is_for_target, is_from_one_station } = question;
    let entry = A::vip(key).ok_or(Fate::NotOurTarget)?;
    let is_announced = match entry.role() {
        Some(Role::Announce) => true,
        Some(Role::Suppress) => false,
        Some(Role::SelfTest) => return Ok(Permit { mac: entry.mac, count: None }),
        Some(Role::Contested) | None => return Err(Fate::NotOurTarget),
    };
    let is_for_us = *is_for_everyone || *destination == entry.mac;
    if !is_for_us || !is_for_target {
        return Err(Fate::OtherDestination);
    }
    let now_ns = lease::now_ns();
    let stats = A::stats(key);
    stats.requested();
    match lease::state(now_ns) {
        Lease::Abandoned => return Err(Fate::LeaseAbandoned),
        _ if !is_announced => return Err(Fate::Suppressed),
        Lease::Expired => return Err(Fate::LeaseExpired),
        Lease::Valid => {}
    }
    if !is_from_one_station {
        return Err(Fate::SenderNotUnicast);
    }
    Ok(Permit { mac: entry.mac, count: Some((stats, now_ns)) })
}

/// Whether it is said that another station has a VIP of the map (RFC 5227, 2.4); if so the agent hears of it, whatever the
/// lease: who holds a VIP is known from the wire.
#[inline(always)]
pub fn claim<A: Address>(key: VipKey<A>, claimant: Mac, kind: ClaimKind) -> Option<Fate> {
    let entry = A::vip(&key)?;
    let (own_mac, fate) = match entry.role()? {
        Role::Announce => (entry.mac, Fate::ForeignClaim),
        Role::Suppress => (entry.mac, Fate::OtherHolder),
        Role::Contested => (ifaces::get(key.ifindex).map_or([0; 6], |iface| iface.mac), Fate::OtherHolder),
        Role::SelfTest => return None,
    };
    if own_mac == claimant {
        return None;
    }
    let now_ns = lease::now_ns();
    if A::stats(&key).is_claim_due(claimant, kind, now_ns) {
        events::claim(now_ns, key, claimant, kind);
    }
    Some(fate)
}

/// Whether this node must not say on the wire that it has the address: it is a VIP, and not announced here.
#[inline(always)]
pub fn must_be_silent<A: Address>(key: &VipKey<A>) -> bool {
    let Some(role) = A::vip(key).and_then(|entry| entry.role()) else { return false };
    match (role, lease::state(lease::now_ns())) {
        (Role::Suppress, Lease::Valid | Lease::Expired) | (Role::Announce, Lease::Expired) => true,
        (Role::Announce, Lease::Valid) | (_, Lease::Abandoned) | (Role::SelfTest | Role::Contested, _) => {
            false
        }
    }
}
