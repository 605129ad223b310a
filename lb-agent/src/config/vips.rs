//! Sets of addresses: single ones, ranges and prefixes, and which of them go together.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::IpNet;

use super::{
    address::unusable_vip,
    problem::Problems,
    yaml::{self, Line, Node},
};

/// VIPs that one file may name, both lists together: the map holds them on two interfaces.
const MAX_ADDRESSES: u128 = 65_536;

/// Addresses from `first` to `last`, both included, of one family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    /// The lowest.
    pub first: IpAddr,
    /// The highest.
    pub last: IpAddr,
    /// Where the file names them.
    pub line: Line,
    /// With which others they go together; `None`: each address stands for itself.
    group: Option<usize>,
}

/// A set of addresses, as disjoint ranges in ascending order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VipSet {
    ranges: Vec<Range>,
}

/// The text of one range.
pub(super) struct Item {
    text: String,
    line: Line,
    group: Option<usize>,
}

/// The items of a list of ranges. Those of a list within `vips` go together.
pub(super) fn items(node: &Node, key: &str, line: Line, problems: &mut Problems) -> Vec<Item> {
    let mut all = Vec::new();
    for (number, (line, node)) in yaml::list(node, key, line, problems).iter().enumerate() {
        let (group, texts) = match node {
            Node::List(_) if key == "vips" => (Some(number), together(node, *line, problems)),
            node => (
                None,
                yaml::text(node, &format!("an item of `{key}`"), *line, problems).into_iter().collect(),
            ),
        };
        all.extend(texts.into_iter().map(|(text, line)| Item { text, line, group }));
    }
    all
}

fn together(node: &Node, line: Line, problems: &mut Problems) -> Vec<(String, Line)> {
    if matches!(node, Node::List(items) if items.is_empty()) {
        let remedy = "name the VIPs that go together, as in `[10.0.0.1, fd00::1]`";
        problems.add(Some(line), "a list within `vips` is empty".to_owned(), remedy);
    }
    yaml::list_of_text(node, "vips", line, problems)
}

impl VipSet {
    pub(super) fn parse(items: &[Item], problems: &mut Problems) -> Self {
        let mut ranges: Vec<Range> = items.iter().filter_map(|item| range(item, problems)).collect();
        ranges.sort_by_key(|range| (range.first, range.line));
        Self { ranges }
    }

    /// The addresses that go together, each unit in ascending order.
    #[must_use]
    pub fn units(&self) -> Vec<Arc<[IpAddr]>> {
        let mut groups: BTreeMap<usize, Vec<IpAddr>> = BTreeMap::new();
        let mut units: Vec<Arc<[IpAddr]>> = Vec::new();
        for range in &self.ranges {
            match range.group {
                Some(group) => groups.entry(group).or_default().extend(range.addresses()),
                None => units.extend(range.addresses().map(|address| Arc::from([address]))),
            }
        }
        units.extend(groups.into_values().map(Arc::from));
        units
    }

    /// The ranges, in ascending order.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Each address, in ascending order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ranges.iter().flat_map(Range::addresses)
    }

    /// The range that has an address.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&Range> {
        let after = self.ranges.partition_point(|range| range.first <= address);
        self.ranges.get(after.checked_sub(1)?).filter(|range| address <= range.last)
    }
}

impl Range {
    fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let is_ipv4 = self.first.is_ipv4();
        (number(self.first)..=number(self.last)).map(move |number| address(number, is_ipv4))
    }

    fn len(&self) -> u128 {
        (number(self.last) - number(self.first)).saturating_add(1)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn address(number: u128, is_ipv4: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if is_ipv4 => Ipv4Addr::from(number).into(),
        _ => Ipv6Addr::from(number).into(),
    }
}

/// One item of the list, or a problem.
fn range(item: &Item, problems: &mut Problems) -> Option<Range> {
    let &Item { ref text, line, group } = item;
    match parse(text).and_then(|(first, last)| usable(first, last)) {
        Ok((first, last)) => Some(Range { first, last, line, group }),
        Err((what, remedy)) => {
            problems.add(Some(line), format!("`{text}`: {what}"), &remedy);
            None
        }
    }
}

type Wrong = (String, String);

fn parse(text: &str) -> Result<(IpAddr, IpAddr), Wrong> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (single(first.trim())?, single(last.trim())?);
        return match (first.is_ipv4() == last.is_ipv4(), first <= last) {
            (false, _) => {
                Err(("the range goes from one family to the other".into(), "write one range a family".into()))
            }
            (true, false) => Err(("the range is reversed".into(), format!("write `{last}-{first}`"))),
            (true, true) => Ok((first, last)),
        };
    }
    if text.contains('/') {
        let net: IpNet = text.parse().map_err(|_| bad(text))?;
        if net.addr() != net.network() {
            let what = "the address has bits set past the prefix".to_owned();
            return Err((
                what,
                format!("write `{}` for the prefix, or `{}` for the address", net.trunc(), net.addr()),
            ));
        }
        return Ok((net.network(), net.broadcast()));
    }
    single(text).map(|address| (address, address))
}

fn single(text: &str) -> Result<IpAddr, Wrong> {
    text.parse().map_err(|_| bad(text))
}

fn bad(text: &str) -> Wrong {
    let remedy =
        "write an address (10.0.0.1), a range (10.0.0.1-10.0.0.9) or a prefix (10.0.0.0/28)".to_owned();
    (format!("{text:?} is no address"), remedy)
}

fn usable(first: IpAddr, last: IpAddr) -> Result<(IpAddr, IpAddr), Wrong> {
    match unusable_vip(first).or_else(|| unusable_vip(last)) {
        Some(why) => {
            Err((format!("no VIP can be there: {why}"), "name unicast addresses of the segment".to_owned()))
        }
        None => Ok((first, last)),
    }
}

/// Addresses that are named twice, within a list or across the two, and too many addresses.
pub(super) fn find_duplicates(vips: &VipSet, suppress: &VipSet, problems: &mut Problems) {
    let mut all: Vec<(&Range, &str)> = vips.ranges.iter().map(|range| (range, "vips")).collect();
    all.extend(suppress.ranges.iter().map(|range| (range, "suppress")));
    all.sort_by_key(|(range, _)| (range.first, range.line));
    let mut widest: Option<(&Range, &str)> = None;
    for (range, list) in all.iter().copied() {
        if let Some((before, its_list)) = widest.filter(|(before, _)| range.first <= before.last) {
            let ((early, early_list), (late, late_list)) = match before.line <= range.line {
                true => ((before, its_list), (range, list)),
                false => ((range, list), (before, its_list)),
            };
            let what = format!(
                "{} in `{late_list}` is there already, in `{early_list}` in line {}",
                range.first, early.line
            );
            problems.add(Some(late.line), what, "name each VIP once");
        }
        if widest.is_none_or(|(before, _)| before.last < range.last) {
            widest = Some((range, list));
        }
    }
    let total = all.iter().fold(0_u128, |sum, (range, _)| sum.saturating_add(range.len()));
    if total > MAX_ADDRESSES {
        let what = format!("the lists name {total} addresses");
        problems.add(None, what, "one agent keeps at most 65536; name smaller ranges");
    }
}
