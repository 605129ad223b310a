//! The interface of the default route, from the kernel's tables.

use std::fs;

/// The interface of the default route with the lowest metric, or `None`. That of IPv6 counts only where IPv4 has none.
#[must_use]
pub fn default_route_interface() -> Option<String> {
    let lowest = |table, read: fn(&str) -> Option<(u32, String)>| {
        let text = fs::read_to_string(table).ok()?;
        text.lines().filter_map(read).min().map(|(_, name)| name)
    };
    lowest("/proc/self/net/route", default_ipv4).or_else(|| lowest("/proc/self/net/ipv6_route", default_ipv6))
}

/// Metric and interface of a default route: `Iface Destination Gateway Flags RefCnt Use Metric Mask ...`, addresses in
/// hex.
fn default_ipv4(line: &str) -> Option<(u32, String)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let is_default = fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000");
    is_default.then(|| Some((fields.get(6)?.parse().ok()?, (*fields.first()?).to_owned())))?
}

/// The same for IPv6: destination and its prefix length, source and its prefix length, next hop, metric, reference
/// counter, use counter, flags, interface, all but the last in hex.
fn default_ipv6(line: &str) -> Option<(u32, String)> {
    const RTF_REJECT: u32 = 0x200;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let hex = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
    let is_default = hex(1)? == 0 && hex(3)? == 0 && hex(8)? & RTF_REJECT == 0;
    is_default.then(|| Some((hex(5)?, (*fields.get(9)?).to_owned())))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowest(table: &str, read: fn(&str) -> Option<(u32, String)>) -> Option<String> {
        table.lines().filter_map(read).min().map(|(_, name)| name)
    }

    #[test]
    fn of_two_default_routes_the_lower_metric_counts() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                     eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     eth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(lowest(table, default_ipv4), Some("eth0".to_owned()));
        assert_eq!(lowest("Iface\tDestination\n", default_ipv4), None);
    }

    #[test]
    fn an_ipv6_default_route_leads_somewhere() {
        let zero = "0".repeat(32);
        let route = |destination: &str, metric, flags, name| {
            format!("{destination} {zero} 00 {zero} {metric} 00000001 00000000 {flags} {name:>8}\n")
        };
        let default = format!("{zero} 00");
        let table = [
            route("fd770000000000000000000000000000 40", "00000100", "00000001", "eth2"),
            route(&default, "00000400", "00000003", "wlan0"),
            route(&default, "00000080", "00450003", "eth0"),
            route(&default, "00000001", "00200200", "lo"),
        ];
        assert_eq!(lowest(&table.concat(), default_ipv6), Some("eth0".to_owned()));
        assert_eq!(lowest(&table[3], default_ipv6), None);
    }
}
