//! Kernel side of the announcer: XDP and tc programs over one set of handlers.
//!
//! The handlers give each frame a [`Fate`]; here, and only here, a fate becomes the action of a program type.
//! What is not ours, malformed or unknown passes to the stack.
#![no_std]
#![no_main]
#![expect(missing_docs, reason = "the attributes of aya make public items of their own")]
// For the one instruction in `atomic::increment`.
#![feature(asm_experimental_arch)]

mod arp;
mod atomic;
mod events;
mod frames;
mod ifaces;
mod lease;
mod ndp;
mod packet;
mod peers;
mod resolution;
mod sbfd;
mod vips;

use aya_ebpf::{
    bindings::{TC_ACT_OK, TC_ACT_SHOT, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use lb_common::{
    reason::{Action, Fate},
    wire::{
        ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6},
        ipv4, ipv6,
    },
};
use packet::{Packet, SkbPacket, XdpPacket};

/// XDP ingress for kernels that know multi-buffer frames (5.18 and later).
#[xdp(frags)]
pub fn lb_xdp_frags(context: XdpContext) -> u32 {
    xdp_ingress(context)
}

/// XDP ingress for older kernels.
#[xdp]
pub fn lb_xdp(context: XdpContext) -> u32 {
    xdp_ingress(context)
}

#[inline(always)]
fn xdp_ingress(context: XdpContext) -> u32 {
    let mut packet = XdpPacket::new(context);
    match judged(ingress(&mut packet), &packet) {
        Action::Answer => xdp_action::XDP_TX,
        Action::Drop => xdp_action::XDP_DROP,
        Action::Pass => xdp_action::XDP_PASS,
    }
}

/// Each handler knows its own frames; for most traffic these are a few comparisons, and all that it costs.
#[inline(always)]
fn ingress<P: Packet>(packet: &mut P) -> Option<Fate> {
    match packet.ethertype() {
        ETHERTYPE_ARP => Some(arp::ingress(packet)),
        ETHERTYPE_IPV4 => sbfd::ingress::<ipv4::Header, P>(packet),
        ETHERTYPE_IPV6 => ndp::ingress(packet).or_else(|| sbfd::ingress::<ipv6::Header, P>(packet)),
        _ => None,
    }
}

/// tc ingress: the same answers where XDP cannot send or would cost too much.
#[classifier]
pub fn lb_tc_ingress(context: TcContext) -> i32 {
    let mut packet = SkbPacket::new(context);
    match judged(ingress(&mut packet), &packet) {
        Action::Answer => packet.send_back(),
        Action::Drop => TC_ACT_SHOT,
        Action::Pass => TC_ACT_OK,
    }
}

/// tc egress: nothing leaves that says that this node has a VIP of another one.
#[classifier]
pub fn lb_tc_egress(context: TcContext) -> i32 {
    let mut packet = SkbPacket::new(context);
    match judged(egress(&mut packet), &packet) {
        Action::Answer | Action::Pass => TC_ACT_OK,
        Action::Drop => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn egress(packet: &mut SkbPacket) -> Option<Fate> {
    let ethertype = packet.ethertype();
    if !matches!(ethertype, ETHERTYPE_ARP | ETHERTYPE_IPV6) || packet.is_vlan_tagged() {
        return None;
    }
    if ethertype == ETHERTYPE_ARP { arp::egress(packet) } else { ndp::egress(packet) }
}

/// Counts the fate; a frame without one is not ours to judge.
#[inline(always)]
fn judged<P: Packet>(fate: Option<Fate>, packet: &P) -> Action {
    let Some(fate) = fate else { return Action::Pass };
    frames::count(fate);
    #[cfg(feature = "log")]
    aya_log_ebpf::debug!(packet.context(), "ifindex {}: {}", packet.ifindex(), fate.name());
    #[cfg(not(feature = "log"))]
    let _ = packet;
    fate.action()
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Unreachable: the verifier refuses a program in which a panic could be reached.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
