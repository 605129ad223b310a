//! What the kernels and tools of others make of the answers.

use std::{fs, net::Ipv6Addr, thread, time::Duration};

use anyhow::Context as _;
use xtask::testbed::{
    Host, mac_text,
    witness::{self, Capture, dissect},
};

use crate::Bed;

const VIP: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 1, 0x10);
/// A probe for duplicates waits a second for an answer, after a delay of up to a second (RFC 4862, 5.4.2).
const PROBED: Duration = Duration::from_millis(2_500);

#[test]
fn a_kernel_finds_the_node_and_its_packets_arrive() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    bed.node.add_to_loopback(bed.vips())?;
    let _agent = bed.agent()?;
    bed.client.netns.ip("neighbour flush dev eth0")?;
    for vip in bed.vips() {
        assert!(witness::ping(&bed.client, vip)?, "no answer to a ping of {vip}");
        assert_eq!(witness::neighbour(&bed.client, vip)?, Some(mac_text(bed.node.mac)), "{vip}");
    }
    Ok(())
}

/// Addresses of a host that were found to be another's.
fn found_duplicate(host: &Host) -> anyhow::Result<String> {
    let mut ip = host.netns.command("ip");
    let output = ip.args(["-6", "-o", "address", "show", "dev", "eth0", "dadfailed"]).output();
    Ok(String::from_utf8_lossy(&output.context("run ip")?.stdout).into_owned())
}

#[test]
fn a_host_that_gives_itself_a_vip_finds_it_taken() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    let _agent = bed.agent()?;
    bed.client.netns.run(|| fs::write("/proc/sys/net/ipv6/conf/eth0/accept_dad", "1"))??;
    let free = "fd77::1:99";
    for address in [&VIP.to_string(), free] {
        bed.client.netns.ip(&format!("address add {address}/64 dev eth0"))?;
    }
    thread::sleep(PROBED);
    let duplicates = found_duplicate(&bed.client)?;
    assert!(duplicates.contains(&format!("{VIP}/64")), "{VIP} is not found taken: {duplicates:?}");
    assert!(!duplicates.contains(free), "{free} is nobody's: {duplicates}");
    Ok(())
}

#[test]
fn tshark_finds_nothing_wrong_with_an_advertisement() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    let _agent = bed.agent()?;
    let capture = Capture::start(&bed.client, "icmp6 and ip6[40] = 136 and ip6[44] & 0x40 != 0")?;
    assert!(!witness::stations(&bed.client, VIP.into())?.is_empty());
    let file = capture.finish()?;
    let (node, client) = (mac_text(bed.node.mac), mac_text(bed.client.mac));
    // ndisc6 asks from the link-local address, which Linux makes of the link-layer one (RFC 4291, appendix A).
    let [.., last] = bed.client.mac;
    let (vip, asker) = (VIP.to_string(), format!("fe80::ff:fe4d:{last:x}"));
    let fields = [
        ("eth.src", node.as_str()),
        ("eth.dst", &client),
        ("ipv6.src", &vip),
        ("ipv6.dst", &asker),
        ("ipv6.hlim", "255"),
        ("ipv6.plen", "32"),
        ("icmpv6.code", "0"),
        ("icmpv6.checksum.status", "1"), // good
        ("icmpv6.nd.na.flag.r", "0"),
        ("icmpv6.nd.na.flag.s", "1"),
        ("icmpv6.nd.na.flag.o", "1"),
        ("icmpv6.nd.na.target_address", &vip),
        ("icmpv6.opt.linkaddr", &node),
        ("_ws.expert.message", ""),
    ];
    let frames = dissect(file.path(), fields.map(|(field, _)| field))?;
    assert_eq!(frames, [fields.map(|(_, value)| value.to_owned())]);
    Ok(())
}
