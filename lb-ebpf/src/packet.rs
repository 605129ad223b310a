//! The one place that touches packet memory: bounds checks and pointer casts, for XDP and tc alike.

use aya_ebpf::{
    EbpfContext,
    bindings::{__sk_buff, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, TC_ACT_OK},
    helpers::{bpf_csum_diff, bpf_redirect, bpf_skb_change_tail, bpf_xdp_adjust_tail},
    programs::{TcContext, XdpContext},
};
use lb_common::wire::{
    arp::FRAME_LEN,
    ethernet::{self, MIN_FRAME_LEN},
    icmpv6::ndp,
    ipv6,
    sbfd::{self, ChangedWord, Network},
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
    /// EtherType, a VLAN tag beside the frame left out of account; 0 when it is cut off.
    fn ethertype(&self) -> u16;
    /// A copy of the bytes from `at`, below 128, or `None` if the frame ends before. Moves nothing.
    fn peek<const N: usize>(&self, at: usize) -> Option<[u8; N]>;
    /// Whether a VLAN tag has been taken off the frame and put beside it.
    fn is_vlan_tagged(&self) -> bool;
    /// The first bytes of the frame as a `T`, or `None` if it is shorter. Invalidates earlier pointers.
    fn head<T: Overlay>(&mut self) -> Option<*mut T>;
    /// Lengthens a short frame to [`MIN_FRAME_LEN`] with zeros. Invalidates earlier pointers. Where there is
    /// no room it stays short, and the NIC pads it.
    fn pad(&mut self);
    /// Makes the frame as long as `answer`, and that its contents; false, and nothing has changed, where there is no room.
    /// Invalidates earlier pointers.
    fn replace(&mut self, answer: &ndp::Frame) -> bool;
    /// Makes the UDP checksum of a reflected frame right, after the change of one word. Invalidates earlier pointers.
    fn mend_checksum<N: Network>(&mut self, changed: ChangedWord);
}

/// Types that may be laid over packet memory.
///
/// # Safety
/// Alignment 1, no padding, and every bit pattern is a value.
pub unsafe trait Overlay {}
// SAFETY: `repr(C)` of byte arrays, as its asserts in lb-common say.
unsafe impl Overlay for lb_common::wire::arp::Frame {}
// SAFETY: as above.
unsafe impl Overlay for ndp::Head {}
// SAFETY: as above.
unsafe impl Overlay for ndp::Frame {}
// SAFETY: as above.
unsafe impl Overlay for ethernet::Header {}
// SAFETY: as above, and what `Network` promises of the IP header.
unsafe impl<N: Network> Overlay for sbfd::Frame<N> {}
// SAFETY: bytes.
unsafe impl<const N: usize> Overlay for [u8; N] {}

/// The cast, once the bounds are known to the verifier too.
#[inline(always)]
fn head<T: Overlay>(data: usize, data_end: usize) -> Option<*mut T> {
    (data + size_of::<T>() <= data_end).then_some(data as *mut T)
}

/// The same for a copy from the middle.
#[inline(always)]
fn peek<const N: usize>(data: usize, data_end: usize, at: usize) -> Option<[u8; N]> {
    head::<[u8; N]>(data + at, data_end).map(|bytes| {
        // SAFETY: `head` has proved the bytes.
        unsafe { *bytes }
    })
}

/// Writes a frame over another one's first bytes, if they are there.
#[inline(always)]
fn write<T: Overlay + Copy>(place: Option<*mut T>, frame: &T) -> bool {
    let Some(place) = place else { return false };
    // SAFETY: `place` comes from `head`, which has proved the bytes; no reference lives.
    unsafe { *place = *frame };
    true
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
        // SAFETY: `head` has proved the bytes; no other reference lives.
        let padding = unsafe { &mut (&mut (*frame))[FRAME_LEN..] };
        padding.iter_mut().for_each(|byte| *byte = 0);
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
