//! The one place that touches packet memory: bounds checks and pointer casts, for XDP and tc alike.

use aya_ebpf::{
    EbpfContext,
    bindings::{__sk_buff, TC_ACT_OK},
    helpers::{bpf_redirect, bpf_skb_change_tail, bpf_xdp_adjust_tail},
    programs::{TcContext, XdpContext},
};
use lb_common::wire::{
    arp::FRAME_LEN,
    ethernet::{self, ETHERTYPE_ARP, MIN_FRAME_LEN},
};

/// A frame in the hands of a program.
pub trait Packet {
    /// The program's own view of the frame.
    type Context: EbpfContext;

    /// The program's own view of the frame.
    #[cfg_attr(not(feature = "log"), expect(dead_code, reason = "only the log reads it"))]
    fn context(&self) -> &Self::Context;
    /// Interface that the frame came in by, or leaves by.
    fn ifindex(&self) -> u32;
    /// The test that all traffic has to pass: whether the frame is ARP, a VLAN tag left out of account.
    fn is_arp(&self) -> bool;
    /// Whether a VLAN tag has been taken off the frame and put beside it.
    fn is_vlan_tagged(&self) -> bool;
    /// The first bytes of the frame as a `T`, or `None` if it is shorter. Invalidates earlier pointers.
    fn head<T: Overlay>(&mut self) -> Option<*mut T>;
    /// Lengthens a short frame to [`MIN_FRAME_LEN`] with zeros. Invalidates earlier pointers. Where there is
    /// no room it stays short, and the NIC pads it.
    fn pad(&mut self);
}

/// Types that may be laid over packet memory.
///
/// # Safety
/// Alignment 1, no padding, and every bit pattern is a value.
pub unsafe trait Overlay {}
// SAFETY: `repr(C)` of byte arrays, as its asserts in lb-common say.
unsafe impl Overlay for lb_common::wire::arp::Frame {}
// SAFETY: as above.
unsafe impl Overlay for ethernet::Header {}
// SAFETY: bytes.
unsafe impl<const N: usize> Overlay for [u8; N] {}

/// The cast, once the bounds are known to the verifier too.
#[inline(always)]
fn head<T: Overlay>(data: usize, data_end: usize) -> Option<*mut T> {
    (data + size_of::<T>() <= data_end).then_some(data as *mut T)
}

/// [`MIN_FRAME_LEN`] as the helpers take it.
#[expect(clippy::cast_possible_truncation, reason = "60")]
const MIN_LEN: u32 = MIN_FRAME_LEN as u32;

/// A frame in the driver, or in generic XDP.
pub struct XdpPacket {
    context: XdpContext,
}

impl XdpPacket {
    pub const fn new(context: XdpContext) -> Self {
        Self { context }
    }
}

impl Packet for XdpPacket {
    type Context = XdpContext;

    fn context(&self) -> &XdpContext {
        &self.context
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the kernel hands the program a valid context.
        unsafe { (*self.context.ctx).ingress_ifindex }
    }

    #[inline(always)]
    fn is_arp(&self) -> bool {
        let header = head::<ethernet::Header>(self.context.data(), self.context.data_end());
        // SAFETY: `head` has proved the header's bytes.
        header.is_some_and(|header| unsafe { (*header).ethertype() } == ETHERTYPE_ARP)
    }

    #[inline(always)]
    fn is_vlan_tagged(&self) -> bool {
        false // the tag is in the frame, where `is_arp` has seen its EtherType, or the NIC has swallowed it
    }

    #[inline(always)]
    fn head<T: Overlay>(&mut self) -> Option<*mut T> {
        head(self.context.data(), self.context.data_end())
    }

    #[inline(always)]
    fn pad(&mut self) {
        let len = self.context.data_end() - self.context.data();
        if len >= MIN_FRAME_LEN {
            return;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "below 60")]
        let missing = (MIN_FRAME_LEN - len) as i32;
        // SAFETY: the context is valid, and no pointer into the frame is used after this.
        let _ = unsafe { bpf_xdp_adjust_tail(self.context.ctx, missing) };
        // The kernel zeros what it adds; what a short frame had behind the packet goes too.
        let Some(frame) = self.head::<[u8; MIN_FRAME_LEN]>() else { return };
        // SAFETY: `head` has proved the bytes; no other reference lives.
        let padding = unsafe { &mut (&mut (*frame))[FRAME_LEN..] };
        padding.iter_mut().for_each(|byte| *byte = 0);
    }
}

/// A frame in the stack.
pub struct SkbPacket {
    context: TcContext,
}

impl SkbPacket {
    pub const fn new(context: TcContext) -> Self {
        Self { context }
    }

    fn skb(&self) -> *mut __sk_buff {
        self.context.skb.skb
    }

    /// Sends the frame out of the interface it came in by.
    #[inline(always)]
    pub fn send_back(&self) -> i32 {
        // SAFETY: a helper without pointers.
        let action = unsafe { bpf_redirect(self.ifindex(), 0) };
        i32::try_from(action).unwrap_or(TC_ACT_OK)
    }
}

impl Packet for SkbPacket {
    type Context = TcContext;

    fn context(&self) -> &TcContext {
        &self.context
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the kernel hands the program a valid context.
        unsafe { (*self.skb()).ifindex }
    }

    #[inline(always)]
    fn is_arp(&self) -> bool {
        // SAFETY: the kernel hands the program a valid context.
        let protocol = unsafe { (*self.skb()).protocol };
        protocol == u32::from(ETHERTYPE_ARP.to_be())
    }

    #[inline(always)]
    fn is_vlan_tagged(&self) -> bool {
        // SAFETY: the kernel hands the program a valid context.
        let present = unsafe { (*self.skb()).vlan_present };
        present != 0
    }

    #[inline(always)]
    fn head<T: Overlay>(&mut self) -> Option<*mut T> {
        if let Some(found) = head(self.context.data(), self.context.data_end()) {
            return Some(found);
        }
        // Some drivers leave little more than the Ethernet header in the linear part.
        #[expect(clippy::cast_possible_truncation, reason = "headers are small")]
        let len = size_of::<T>() as u32;
        if self.context.len() < len || self.context.skb.pull_data(len).is_err() {
            return None;
        }
        head(self.context.data(), self.context.data_end())
    }

    #[inline(always)]
    fn pad(&mut self) {
        let len = self.context.len() as usize;
        if len >= MIN_FRAME_LEN {
            return;
        }
        // SAFETY: the context is valid, and no pointer into the frame is used after this.
        if unsafe { bpf_skb_change_tail(self.skb(), MIN_LEN, 0) } == 0 {
            // Not every kernel zeros what it adds; what a short frame had behind the packet goes too.
            let _ = self.context.store(FRAME_LEN, &[0_u8; MIN_FRAME_LEN - FRAME_LEN], 0);
        }
    }
}
