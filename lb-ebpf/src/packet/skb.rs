//! tc's side of a frame.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, TC_ACT_OK},
    helpers::{bpf_csum_diff, bpf_redirect, bpf_skb_change_tail},
    programs::TcContext,
};
use lb_common::wire::{
    arp::FRAME_LEN,
    ethernet::MIN_FRAME_LEN,
    icmpv6::ndp,
    ipv6,
    sbfd::{self, ChangedWord, Network},
};

use super::{Overlay, Packet, head, peek, write};

/// [`MIN_FRAME_LEN`] as the helpers take it.
#[expect(clippy::cast_possible_truncation, reason = "60")]
const MIN_LEN: u32 = MIN_FRAME_LEN as u32;

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

/// On the way out.
impl SkbPacket {
    /// Makes the checksum of an NDP message right, after the change of its sender's address. The kernel knows whether it is
    /// whole or partial. Invalidates earlier pointers.
    #[inline(always)]
    pub fn mend_ndp_checksum(&mut self, before: &ipv6::Address, after: &ipv6::Address) {
        #[expect(clippy::cast_possible_truncation, reason = "16")]
        const LEN: u32 = size_of::<ipv6::Address>() as u32;
        let (from, to) = (before.as_ptr().cast_mut().cast(), after.as_ptr().cast_mut().cast());
        // SAFETY: both are valid for as many bytes as given, and the helper only reads them.
        let difference = unsafe { bpf_csum_diff(from, LEN, to, LEN, 0) };
        #[expect(
            clippy::cast_sign_loss,
            reason = "a sum of 32 bits, or the refusal of lengths that are right"
        )]
        let difference = difference as u64;
        let _ = self.context.l4_csum_replace(ndp::CHECKSUM_AT, 0, difference, BPF_F_PSEUDO_HDR.into());
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
    fn ethertype(&self) -> u16 {
        // SAFETY: the kernel hands the program a valid context.
        let protocol = unsafe { (*self.skb()).protocol };
        #[expect(clippy::cast_possible_truncation, reason = "the kernel keeps 16 bits there, in wire order")]
        u16::from_be(protocol as u16)
    }

    #[inline(always)]
    fn peek<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        // A helper is called only where the linear part is that short.
        peek(self.context.data(), self.context.data_end(), at).or_else(|| self.context.load(at).ok())
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

    #[inline(always)]
    fn replace(&mut self, answer: &ndp::Frame) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "86")]
        const LEN: u32 = ndp::FRAME_LEN as u32;
        // SAFETY: the context is valid, and no pointer into the frame is used after this.
        if self.context.len() != LEN && unsafe { bpf_skb_change_tail(self.skb(), LEN, 0) } != 0 {
            return false;
        }
        write(self.head(), answer)
    }

    /// The kernel knows whether the checksum is whole or partial, and follows the change accordingly.
    #[inline(always)]
    fn mend_checksum<N: Network>(&mut self, changed: ChangedWord) {
        let word = |bytes| u64::from(u16::from_ne_bytes(bytes));
        let flags = u64::from(BPF_F_MARK_MANGLED_0) | size_of::<u16>() as u64;
        // Where the kernel has no memory for it, the peer drops the answer for its checksum: one lost frame.
        let _ = self.context.l4_csum_replace(
            sbfd::Frame::<N>::CHECKSUM_AT,
            word(changed.before),
            word(changed.after),
            flags,
        );
    }
}
