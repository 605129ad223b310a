//! BFD Control packets (RFC 5880, 4.1) as S-BFD uses them (RFC 7880, 7881): without authentication.

/// UDP port of S-BFD reflectors (RFC 7881, 2).
pub const SBFD_PORT: u16 = 7784;
/// TTL or Hop Limit that proves a packet to come from the same link (RFC 5881, 5; RFC 5082).
pub const ON_LINK_TTL: u8 = 255;
/// Bytes of a Control packet without authentication section.
pub const CONTROL_LEN: usize = 24;

const VERSION: u8 = 1;
const POLL: u8 = 1 << 5;
const FINAL: u8 = 1 << 4;
const AUTHENTICATION: u8 = 1 << 2;
const DEMAND: u8 = 1 << 1;
const MULTIPOINT: u8 = 1;

/// A Control packet (RFC 5880, 4.1), 24 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Control {
    version_diag: u8,
    state_flags: u8,
    /// Packets that may go missing in a row before the path counts as down.
    pub detect_mult: u8,
    length: u8,
    my_discriminator_be: [u8; 4],
    your_discriminator_be: [u8; 4],
    desired_min_tx_us_be: [u8; 4],
    required_min_rx_us_be: [u8; 4],
    required_min_echo_rx_us_be: [u8; 4],
}

/// The state that a packet carries (RFC 5880, 4.1: Sta).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum State {
    /// The node is not to be used.
    AdminDown = 0,
    /// An initiator that has no answer yet.
    Down = 1,
    /// Of no use in S-BFD.
    Init = 2,
    /// The path works.
    Up = 3,
}

/// Why a session is as it is (RFC 5880, 4.1: Diag); those that are used here.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Diag {
    /// Nothing to say.
    None = 0,
    /// From a reflector: the kernel answers, but its agent has not been seen for a while.
    ControlDetectionTimeExpired = 1,
    /// With [`State::AdminDown`]: the agent's lease has ended, or the node is drained.
    AdministrativelyDown = 7,
}

/// Why a Control packet is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// Fewer bytes than the format has, or than the packet says.
    Truncated,
    /// Another version than 1.
    Version,
    /// A length other than that of a packet without authentication (RFC 5880, 6.8.6).
    Length,
    /// Multipoint or Authentication Present (RFC 5880, 6.8.6).
    Unsupported,
    /// No detection multiplier, or no discriminator of the sender (RFC 5880, 6.8.6).
    Zero,
}

impl Control {
    /// An initiator's probe (RFC 7880, 7.3): Demand set, no state of its own to speak of but Up or Down.
    #[must_use]
    pub const fn probe(
        state: State,
        my_discriminator: u32,
        your_discriminator: u32,
        interval_us: u32,
        detect_mult: u8,
    ) -> Self {
        Self {
            version_diag: VERSION << 5,
            state_flags: (state as u8) << 6 | DEMAND,
            detect_mult,
            length: 24,
            my_discriminator_be: my_discriminator.to_be_bytes(),
            your_discriminator_be: your_discriminator.to_be_bytes(),
            desired_min_tx_us_be: interval_us.to_be_bytes(),
            required_min_rx_us_be: [0; 4],
            required_min_echo_rx_us_be: [0; 4],
        }
    }

    /// Reads a packet, and checks it as far as RFC 5880, 6.8.6, and RFC 7880, 7.2.1, do without knowing sessions.
    ///
    /// # Errors
    /// [`Malformed`], first cause first.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: &[u8; CONTROL_LEN] = bytes.first_chunk().ok_or(Malformed::Truncated)?;
        // SAFETY: `Control` is `repr(C)` of bytes with alignment 1 and, by the assert below, of exactly this size;
        // every bit pattern is a value.
        let control: Self = unsafe { core::mem::transmute(*bytes) };
        control.check().map(|()| control)
    }

    /// The checks of [`Self::parse`], for a packet that is there whole.
    ///
    /// # Errors
    /// [`Malformed`], first cause first; never [`Malformed::Truncated`].
    #[inline(always)]
    pub const fn check(&self) -> Result<(), Malformed> {
        if self.version_diag >> 5 != VERSION {
            return Err(Malformed::Version);
        }
        if self.length as usize != CONTROL_LEN {
            return Err(Malformed::Length);
        }
        if self.state_flags & (AUTHENTICATION | MULTIPOINT) != 0 {
            return Err(Malformed::Unsupported);
        }
        if self.detect_mult == 0 || u32::from_ne_bytes(self.my_discriminator_be) == 0 {
            return Err(Malformed::Zero);
        }
        Ok(())
    }

    /// Turns a probe into the reflector's answer, in place (RFC 7880, 7.2): discriminators swapped, Demand cleared
    /// (which keeps two reflectors from answering each other), a Poll answered by a Final.
    #[inline(always)]
    pub const fn reflect(&mut self, state: State, diag: Diag) {
        let is_poll = self.state_flags & POLL != 0;
        self.version_diag = VERSION << 5 | diag as u8;
        self.state_flags = (state as u8) << 6 | if is_poll { FINAL } else { 0 };
        let mine = self.your_discriminator_be;
        self.your_discriminator_be = self.my_discriminator_be;
        self.my_discriminator_be = mine;
    }

    /// The first word: version, diagnostic code, state and flags.
    #[must_use]
    #[inline(always)]
    pub const fn first_word(&self) -> [u8; 2] {
        [self.version_diag, self.state_flags]
    }

    /// The state that the sender gives.
    #[must_use]
    #[inline(always)]
    pub const fn state(&self) -> State {
        match self.state_flags >> 6 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        }
    }

    /// The diagnostic code, as its number.
    #[must_use]
    #[inline(always)]
    pub const fn diag(&self) -> u8 {
        self.version_diag & 0x1f
    }

    /// Whether Demand is set, as initiators do and reflectors do not (RFC 7880, 7.2.1 and 7.3.1).
    #[must_use]
    #[inline(always)]
    pub const fn is_demand(&self) -> bool {
        self.state_flags & DEMAND != 0
    }

    /// The sender's discriminator.
    #[must_use]
    #[inline(always)]
    pub const fn my_discriminator(&self) -> u32 {
        u32::from_be_bytes(self.my_discriminator_be)
    }

    /// The receiver's discriminator, as the sender knows it.
    #[must_use]
    #[inline(always)]
    pub const fn your_discriminator(&self) -> u32 {
        u32::from_be_bytes(self.your_discriminator_be)
    }

    /// The packet as bytes on the wire.
    #[must_use]
    #[inline(always)]
    pub const fn as_bytes(&self) -> &[u8; CONTROL_LEN] {
        // SAFETY: `repr(C)` of bytes only, so no padding, alignment 1 and, by the assert below, this size.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

const _: () = assert!(size_of::<Control>() == CONTROL_LEN && align_of::<Control>() == 1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Diag 0, Up, Demand, multiplier 3; discriminators 0x11223344 and 0xaabbccdd; 50 ms.
    const PROBE: [u8; CONTROL_LEN] = [
        0x20, 0xc2, 3, 24, 0x11, 0x22, 0x33, 0x44, 0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0xc3, 0x50, 0, 0, 0, 0, 0,
        0, 0, 0,
    ];

    fn with(at: usize, byte: u8) -> [u8; CONTROL_LEN] {
        let mut bytes = PROBE;
        bytes[at] = byte;
        bytes
    }

    #[test]
    fn a_probe_is_emitted_and_parsed() {
        let probe = Control::probe(State::Up, 0x1122_3344, 0xaabb_ccdd, 50_000, 3);
        assert_eq!(probe.as_bytes(), &PROBE);
        assert_eq!(Control::parse(&PROBE), Ok(probe));
        assert_eq!((probe.state(), probe.diag(), probe.is_demand()), (State::Up, 0, true));
    }

    #[test]
    fn a_reflected_probe_says_how_the_node_is_and_demands_nothing() {
        let mut packet = Control::parse(&with(1, 0xc2 | POLL)).unwrap();
        packet.reflect(State::AdminDown, Diag::AdministrativelyDown);
        let expected = [
            0x27, 0x10, 3, 24, 0xaa, 0xbb, 0xcc, 0xdd, 0x11, 0x22, 0x33, 0x44, 0, 0, 0xc3, 0x50, 0, 0, 0, 0,
            0, 0, 0, 0,
        ];
        assert_eq!(packet.as_bytes(), &expected);
        assert_eq!((packet.my_discriminator(), packet.your_discriminator()), (0xaabb_ccdd, 0x1122_3344));
    }

    #[test]
    fn malformed_packets_are_told_apart() {
        for len in 0..CONTROL_LEN {
            assert_eq!(Control::parse(&PROBE[..len]), Err(Malformed::Truncated), "{len}");
        }
        assert_eq!(Control::parse(&with(0, 0x40)), Err(Malformed::Version));
        assert_eq!(Control::parse(&with(3, 25)), Err(Malformed::Length));
        assert_eq!(Control::parse(&with(1, 0xc2 | AUTHENTICATION)), Err(Malformed::Unsupported));
        assert_eq!(Control::parse(&with(1, 0xc2 | MULTIPOINT)), Err(Malformed::Unsupported));
        assert_eq!(Control::parse(&with(2, 0)), Err(Malformed::Zero));
        let mut nobody = PROBE;
        nobody[4..8].fill(0);
        assert_eq!(Control::parse(&nobody), Err(Malformed::Zero));
    }
}
