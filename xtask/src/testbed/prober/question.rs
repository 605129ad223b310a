//! What a prober asks, and which answers are to it: ARP requests for IPv4, Neighbor Solicitations for IPv6.

use std::net::IpAddr;

use lb_common::wire::{
    arp,
    ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Mac},
    icmpv6::ndp,
};

/// Few, since a kernel that answers by itself remembers each, and its cache is small.
pub(super) const SENDERS: usize = 1 << 8;

/// The first sender of each family; the last byte counts them.
const SENDER_V4: [u8; 4] = [10, 77, 128, 0];
const SENDER_V6: [u8; 16] = [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0];

/// The EtherType of answers about a VIP, in host byte order.
pub(super) const fn ethertype(vip: IpAddr) -> u16 {
    match vip {
        IpAddr::V4(_) => ETHERTYPE_ARP,
        IpAddr::V6(_) => ETHERTYPE_IPV6,
    }
}

/// The frame by which the station `mac` asks everyone for a VIP, from the sender address of this request.
pub(super) fn question(mac: Mac, vip: IpAddr, request: usize) -> Vec<u8> {
    let [.., in_turn] = request.to_be_bytes();
    match vip {
        IpAddr::V4(vip) => {
            arp::Frame::request(mac, sender(SENDER_V4, in_turn), vip.octets()).as_bytes().into()
        }
        IpAddr::V6(vip) => {
            ndp::Frame::solicitation(mac, sender(SENDER_V6, in_turn), vip.octets()).as_bytes().into()
        }
    }
}

/// For an answer about a VIP: which sender it is for, and which station gives it.
pub(super) fn answer(bytes: &[u8], vip: IpAddr) -> Option<(u8, Mac)> {
    match vip {
        IpAddr::V4(vip) => {
            let (frame, kind) = arp::Frame::parse(bytes).ok()?;
            let is_answer = kind == arp::Kind::Reply && frame.spa == vip.octets();
            is_answer.then_some((in_turn(SENDER_V4, frame.tpa)?, frame.sha))
        }
        IpAddr::V6(vip) => {
            let (head, message) = ndp::parse(bytes).ok()?;
            let is_answer =
                message.kind == ndp::Kind::SolicitedAdvertisement && head.target_address == vip.octets();
            let station = message.link_layer_address.unwrap_or(head.ethernet.source);
            is_answer.then_some((in_turn(SENDER_V6, head.ip.destination())?, station))
        }
    }
}

fn sender<const N: usize>(mut first: [u8; N], in_turn: u8) -> [u8; N] {
    first[N - 1] = in_turn;
    first
}

/// Which of the senders an address is.
fn in_turn<const N: usize>(first: [u8; N], address: [u8; N]) -> Option<u8> {
    let in_turn = address[N - 1];
    (address == sender(first, in_turn)).then_some(in_turn)
}

/// The latest request of a sender, of `sent` so far.
pub(super) fn place(in_turn: u8, sent: usize) -> Option<usize> {
    let last = sent.checked_sub(1)?;
    last.checked_sub((last % SENDERS + SENDERS - usize::from(in_turn)) % SENDERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Mac = [2, 0, 0, 0, 0, 1];
    const NODE: Mac = [2, 0, 0, 0, 0, 2];

    #[test]
    fn an_answer_belongs_to_the_latest_request_of_its_sender() {
        for sent in [1, 2, 200, SENDERS, SENDERS + 1, 3 * SENDERS + 77] {
            let [.., last] = (sent - 1).to_be_bytes();
            let [.., next] = sent.to_be_bytes();
            assert_eq!(place(last, sent), Some(sent - 1));
            assert_eq!(place(next, sent), sent.checked_sub(SENDERS));
        }
    }

    /// What the station `NODE` sends back.
    fn answer_to(question: &[u8]) -> Vec<u8> {
        if let Ok((mut frame, _)) = arp::Frame::parse(question) {
            frame.answer_from(NODE);
            return frame.as_bytes().to_vec();
        }
        let (head, _) = ndp::parse(question).expect("a solicitation");
        head.answer_from(NODE).as_bytes().to_vec()
    }

    #[test]
    fn the_answer_to_a_question_names_its_sender_and_the_station() {
        for vip in ["10.77.1.10", "fd77::1:10"].map(|vip| vip.parse().unwrap()) {
            let asked = question(CLIENT, vip, 3 * SENDERS + 77);
            assert_eq!(answer(&answer_to(&asked), vip), Some((77, NODE)));
            assert_eq!(answer(&asked, vip), None, "the question itself");
        }
    }

    #[test]
    fn answers_about_another_address_or_to_another_station_do_not_count() {
        for (vip, other) in [("10.77.1.10", "10.77.1.11"), ("fd77::1:10", "fd77::1:11")] {
            let (vip, other) = (vip.parse().unwrap(), other.parse().unwrap());
            assert_eq!(answer(&answer_to(&question(CLIENT, other, 0)), vip), None);
        }
        let elsewhere = arp::Frame::request(CLIENT, [10, 77, 0, 1], [10, 77, 1, 10]);
        assert_eq!(answer(&answer_to(elsewhere.as_bytes()), "10.77.1.10".parse().unwrap()), None);
        let vip = "fd77::1:10".parse::<std::net::Ipv6Addr>().unwrap();
        let elsewhere =
            ndp::Frame::solicitation(CLIENT, sender(SENDER_V6, 0).map(|byte| byte ^ 1), vip.octets());
        assert_eq!(answer(&answer_to(elsewhere.as_bytes()), vip.into()), None);
    }
}
