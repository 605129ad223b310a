//! What other stations say that they have, as the kernel side reports it.

use std::{io, net::IpAddr};

use aya::maps::{MapData, RingBuf};
use lb_common::{
    maps::{Claim, ClaimKind},
    wire::ethernet::Mac,
};

use crate::{holding::Saying, model::Place, readable::Readable};

/// The ring buffer of claims.
pub struct Claims {
    events: Readable<RingBuf<MapData>>,
}

impl Claims {
    /// Begins to read.
    ///
    /// # Errors
    /// When epoll refuses the map.
    pub fn new(events: RingBuf<MapData>) -> io::Result<Self> {
        Ok(Self { events: Readable::new(events)? })
    }

    /// Waits for a claim.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn wait(&self) -> io::Result<()> {
        self.events.wait().await
    }

    /// Takes what has come in: which VIP, and who says how that it has it.
    #[must_use]
    pub fn take(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Some(item) = self.events.get_mut().next() {
            heard.extend(parse(&item));
        }
        heard
    }
}

/// Another station says that it has a VIP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heard {
    /// Which, and where it was heard.
    pub at: Place,
    /// The link-layer address that it gives as its own.
    pub station: Mac,
    /// How it says so.
    pub saying: Saying,
}

/// Reads a [`Claim`] by the layout that lb-common asserts.
fn parse(bytes: &[u8]) -> Option<Heard> {
    fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
        bytes.get(at..)?.first_chunk().copied()
    }
    let word = |at| field(bytes, at).map(u32::from_ne_bytes);
    let at = std::mem::offset_of!(Claim, address);
    let address: IpAddr = match word(std::mem::offset_of!(Claim, address_len))? {
        4 => field::<4>(bytes, at)?.into(),
        16 => field::<16>(bytes, at)?.into(),
        _ => return None,
    };
    let place = Place { ifindex: word(std::mem::offset_of!(Claim, ifindex))?, address };
    let [kind] = field(bytes, std::mem::offset_of!(Claim, kind))?;
    let saying = match ClaimKind::from_number(kind)? {
        ClaimKind::Announcement | ClaimKind::GratuitousReply => Saying::Announcement,
        ClaimKind::ToOne => Saying::ClaimToUs,
        ClaimKind::Answer => Saying::Answer,
    };
    Some(Heard { at: place, station: field(bytes, std::mem::offset_of!(Claim, claimant))?, saying })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_as_the_kernel_writes_it() {
        let mut bytes = vec![0_u8; 8];
        bytes.extend(7_u32.to_ne_bytes());
        bytes.extend(4_u32.to_ne_bytes());
        bytes.extend([3, 0, 2, 0, 0, 0, 0, 9]);
        bytes.extend([10, 77, 1, 10]);
        bytes.extend([0; 12]);
        let place = Place { ifindex: 7, address: "10.77.1.10".parse().unwrap() };
        let heard = Heard { at: place, station: [2, 0, 0, 0, 0, 9], saying: Saying::Answer };
        assert_eq!(parse(&bytes), Some(heard));
        assert_eq!(parse(&bytes[..20]), None);
    }
}
