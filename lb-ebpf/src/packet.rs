//! The one place that touches packet memory: bounds checks and pointer casts, for XDP and tc alike.

mod skb;
mod xdp;

use aya_ebpf::EbpfContext;
use lb_common::wire::{
    arp, ethernet,
    icmpv6::ndp,
    sbfd::{self, ChangedWord, Network},
};
pub use skb::SkbPacket;
pub use xdp::XdpPacket;

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
    /// Lengthens a short frame to [`ethernet::MIN_FRAME_LEN`] with zeros. Invalidates earlier pointers. Where there is
    /// no room it stays short, and the NIC pads it.
    fn pad(&mut self);
    /// Makes the frame as long as `answer`, and that its contents; false where there is no room, and then the contents stay.
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
unsafe impl Overlay for arp::Frame {}
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
