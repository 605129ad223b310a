//! Families of addresses, and VIPs that have one holder.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Which families a group of nodes speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Families {
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
    /// Both.
    Dual,
}

/// A VIP, or one of each family that go together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unit {
    ipv4: Option<Ipv4Addr>,
    ipv6: Option<Ipv6Addr>,
}

impl Families {
    /// Of an address of each family, those that count.
    #[must_use]
    pub const fn of(self, ipv4: Ipv4Addr, ipv6: Ipv6Addr) -> Unit {
        match self {
            Self::V4 => Unit { ipv4: Some(ipv4), ipv6: None },
            Self::V6 => Unit { ipv4: None, ipv6: Some(ipv6) },
            Self::Dual => Unit { ipv4: Some(ipv4), ipv6: Some(ipv6) },
        }
    }

    /// The VIPs 10.77.1.`number` and fd77::1:`number`, which looks the same up to 99.
    #[must_use]
    pub const fn vip(self, number: u8) -> Unit {
        let digits = (number / 10 * 16 + number % 10) as u16;
        let ipv6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 1, digits);
        self.of(Ipv4Addr::new(10, 77, 1, number), ipv6)
    }
}

impl Unit {
    /// Its addresses, IPv4 first.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> + Clone {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }
}

impl From<IpAddr> for Unit {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self { ipv4: Some(address), ipv6: None },
            IpAddr::V6(address) => Self { ipv4: None, ipv6: Some(address) },
        }
    }
}

impl From<Ipv4Addr> for Unit {
    fn from(address: Ipv4Addr) -> Self {
        IpAddr::V4(address).into()
    }
}

/// As the configuration writes it: a list, where there is more than one.
impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { ipv4: Some(ipv4), ipv6: Some(ipv6) } => write!(formatter, "[{ipv4}, {ipv6}]"),
            unit => unit.addresses().try_for_each(|address| write!(formatter, "{address}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_written_as_the_configuration_has_it() {
        let texts = [Families::V4, Families::V6, Families::Dual].map(|families| families.vip(16).to_string());
        assert_eq!(texts, ["10.77.1.16", "fd77::1:16", "[10.77.1.16, fd77::1:16]"]);
    }
}
