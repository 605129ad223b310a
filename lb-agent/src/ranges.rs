//! Ranges of addresses, as pools name them: `10.0.0.0/24`, `10.0.0.1-10.0.0.9`, of either family.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Addresses of one family, from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct AddressRange {
    /// The lowest.
    pub first: IpAddr,
    /// The highest.
    pub last: IpAddr,
}

/// Why a pool's addresses cannot be used. Tools look for the beginnings of these texts.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RangeError {
    /// There are none.
    #[error("pool has no prefixes defined")]
    Empty,
    /// Neither prefix nor range; so is a single address.
    #[error(
        "invalid CIDR {0:?}: write a prefix (10.0.0.0/28; 10.0.0.1/32 for one address) or a range (10.0.0.1-10.0.0.9)"
    )]
    Cidr(String),
    /// One end of a range is no address.
    #[error("invalid IP range {text:?}: {end:?} is no IP address")]
    End {
        /// The range.
        text: String,
        /// That end.
        end: String,
    },
    /// A range from one family to the other.
    #[error("invalid IP range {0:?}: its ends are of different families; write one range a family")]
    Families(String),
    /// A range whose ends are the wrong way round.
    #[error(
        "invalid IP range {text:?}: the start IP {first} is after the end IP {last}; write {last}-{first}"
    )]
    Reversed {
        /// The range.
        text: String,
        /// Where it starts.
        first: IpAddr,
        /// Where it ends.
        last: IpAddr,
    },
    /// Another range has some of these addresses.
    #[error("{range} overlaps with already defined CIDR {other}")]
    Overlap {
        /// The later one.
        range: AddressRange,
        /// The earlier one.
        other: AddressRange,
    },
}

impl AddressRange {
    /// Whether it has an address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first <= address && address <= self.last // an IPv4 address is less than any IPv6 address
    }

    /// Whether both have an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl FromStr for AddressRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let Some((first, last)) = text.split_once('-') else { return prefix(text) };
        let end = |end: &str| {
            let wrong = || RangeError::End { text: text.to_owned(), end: end.trim().to_owned() };
            Ok(end.trim().parse::<IpAddr>().map_err(|_| wrong())?.to_canonical())
        };
        let (first, last) = (end(first)?, end(last)?);
        match (first.is_ipv4() == last.is_ipv4(), first <= last) {
            (false, _) => Err(RangeError::Families(text.to_owned())),
            (true, false) => Err(RangeError::Reversed { text: text.to_owned(), first, last }),
            (true, true) => Ok(Self { first, last }),
        }
    }
}

/// A prefix stands for all its addresses, whatever bits are set past it.
fn prefix(text: &str) -> Result<AddressRange, RangeError> {
    let net: IpNet = text.trim().parse().map_err(|_| RangeError::Cidr(text.to_owned()))?;
    Ok(AddressRange { first: net.network(), last: net.broadcast() })
}

/// The ranges of one pool, in its own order, and everything that is wrong with them.
#[must_use]
pub fn parse_pool(texts: &[String]) -> (Vec<AddressRange>, Vec<RangeError>) {
    let (mut ranges, mut errors) = (Vec::<AddressRange>::new(), Vec::new());
    for text in texts {
        let checked = text.parse().and_then(|range: AddressRange| {
            match ranges.iter().find(|known| known.overlaps(&range)) {
                Some(&other) => Err(RangeError::Overlap { range, other }),
                None => Ok(range),
            }
        });
        match checked {
            Ok(range) => ranges.push(range),
            Err(error) => errors.push(error),
        }
    }
    if texts.is_empty() {
        errors.push(RangeError::Empty);
    }
    (ranges, errors)
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: &str, last: &str) -> AddressRange {
        AddressRange { first: first.parse().unwrap(), last: last.parse().unwrap() }
    }

    fn parsed(texts: &[&str]) -> (Vec<AddressRange>, Vec<String>) {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        let (ranges, errors) = parse_pool(&texts);
        (ranges, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn prefixes_and_ranges_of_both_families_are_read() {
        let cases = [
            ("10.0.0.0/30", range("10.0.0.0", "10.0.0.3")),
            ("10.0.0.5/24", range("10.0.0.0", "10.0.0.255")),
            ("10.0.0.7/32", range("10.0.0.7", "10.0.0.7")),
            ("10.0.0.1-10.0.0.9", range("10.0.0.1", "10.0.0.9")),
            ("10.0.0.1 - 10.0.0.1", range("10.0.0.1", "10.0.0.1")),
            ("fd00::/127", range("fd00::", "fd00::1")),
            ("fd00::1-fd00::ff", range("fd00::1", "fd00::ff")),
            ("::ffff:10.0.0.1-10.0.0.2", range("10.0.0.1", "10.0.0.2")),
            ("0.0.0.0/0", range("0.0.0.0", "255.255.255.255")),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_pool_is_told_and_the_rest_of_it_read() {
        let hint = "write a prefix (10.0.0.0/28; 10.0.0.1/32 for one address) or a range (10.0.0.1-10.0.0.9)";
        let cases = [
            ("10.0.0.1", format!("invalid CIDR \"10.0.0.1\": {hint}")),
            ("10.0.0.0/33", format!("invalid CIDR \"10.0.0.0/33\": {hint}")),
            ("", format!("invalid CIDR \"\": {hint}")),
            ("10.0.0.1-", "invalid IP range \"10.0.0.1-\": \"\" is no IP address".to_owned()),
            ("a - 10.0.0.1", "invalid IP range \"a - 10.0.0.1\": \"a\" is no IP address".to_owned()),
            (
                "10.0.0.1-fd00::1",
                "invalid IP range \"10.0.0.1-fd00::1\": its ends are of different families; write one range a family"
                    .to_owned(),
            ),
            (
                "10.0.0.9-10.0.0.1",
                "invalid IP range \"10.0.0.9-10.0.0.1\": the start IP 10.0.0.9 is after the end IP 10.0.0.1; write \
                 10.0.0.1-10.0.0.9"
                    .to_owned(),
            ),
            (
                "10.1.0.9-10.1.0.20",
                "10.1.0.9-10.1.0.20 overlaps with already defined CIDR 10.1.0.0-10.1.0.15".to_owned(),
            ),
        ];
        for (wrong, error) in cases {
            let expected = (vec![range("10.1.0.0", "10.1.0.15"), range("fd00::", "fd00::f")], vec![error]);
            assert_eq!(parsed(&["10.1.0.0/28", wrong, "fd00::/124"]), expected, "{wrong}");
        }
        assert_eq!(parsed(&[]), (vec![], vec!["pool has no prefixes defined".to_owned()]));
    }

    #[test]
    fn a_range_has_its_ends_and_nothing_of_the_other_family() {
        let range = range("10.0.0.1", "10.0.0.9");
        let has = |text: &str| range.contains(text.parse().unwrap());
        assert_eq!(
            ["10.0.0.0", "10.0.0.1", "10.0.0.9", "10.0.0.10", "::a00:5"].map(has),
            [false, true, true, false, false]
        );
    }
}
