//! XDP's side of a frame.

use aya_ebpf::{helpers::bpf_xdp_adjust_tail, programs::XdpContext};
use lb_common::wire::{
    arp::FRAME_LEN,
    ethernet::{self, MIN_FRAME_LEN},
    icmpv6::ndp,
    sbfd::{self, ChangedWord, Network},
};

use super::{Overlay, Packet, head, peek, write};

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
    fn ethertype(&self) -> u16 {
        let header = head::<ethernet::Header>(self.context.data(), self.context.data_end());
        // SAFETY: `head` has proved the header's bytes.
        header.map_or(0, |header| unsafe { (*header).ethertype() })
    }

    #[inline(always)]
    fn peek<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        peek(self.context.data(), self.context.data_end(), at)
    }

    #[inline(always)]
    fn is_vlan_tagged(&self) -> bool {
        false // the tag is in the frame, where its EtherType has been seen, or the NIC has swallowed it
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
        for at in FRAME_LEN..MIN_FRAME_LEN {
            // SAFETY: `head` has proved the bytes; no reference lives.
            let byte = unsafe { &raw mut (*frame)[at] };
            // Volatile, lest the compiler call memset, which no program may.
            // SAFETY: as above.
            unsafe { byte.write_volatile(0) };
        }
    }

    #[inline(always)]
    fn replace(&mut self, answer: &ndp::Frame) -> bool {
        let len = self.context.data_end() - self.context.data();
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "frames are short")]
        let missing = ndp::FRAME_LEN as i32 - len as i32;
        // SAFETY: the context is valid, and no pointer into the frame is used after this.
        if missing != 0 && unsafe { bpf_xdp_adjust_tail(self.context.ctx, missing) } != 0 {
            return false;
        }
        write(self.head(), answer)
    }

    /// The old one may be partial (a sender on veth or virtio leaves it to hardware that there is not), so nothing is
    /// built on it.
    #[inline(always)]
    fn mend_checksum<N: Network>(&mut self, _changed: ChangedWord) {
        let Some(frame) = self.head::<sbfd::Frame<N>>() else { return };
        // SAFETY: `head` has proved the bytes; no other reference lives.
        unsafe { (*frame).renew_checksum() };
    }
}
