//! Whether the programs still do what they are for: each second, before the lease is renewed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aya::programs::{ProgramError, TestRun, TestRunOptions, TestRunResult};
use lb_common::{
    maps::SELF_TEST_MAC,
    wire::ethernet::{self, Mac},
};

use crate::{
    attach::{AttachError, Programs, Slot},
    wire::Frame,
};

/// Why the lease is not renewed.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// The program could not be loaded.
    #[error(transparent)]
    Load(#[from] AttachError),
    /// The kernel did not run it.
    #[error("run the program of {slot}: {source}")]
    Run {
        /// Where it belongs.
        slot: Slot,
        /// Why not.
        #[source]
        source: ProgramError,
    },
    /// It ran, and did not answer.
    #[error(
        "the program of {slot} gave action {action} instead of an answer for the reserved entry {reserved}"
    )]
    Silent {
        /// Where it belongs.
        slot: Slot,
        /// What it returned.
        action: u32,
        /// Which entry.
        reserved: IpAddr,
    },
}

/// A station that asks for the reserved entries. Its addresses are reserved for documentation (RFC 7042, 2.1.1; RFC 5737;
/// RFC 3849).
const CLIENT_MAC: Mac = [0x00, 0x00, 0x5e, 0x00, 0x53, 0x01];
const CLIENT_IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Runs the program of an ingress slot on a question for the reserved entry of each family, over the live maps.
///
/// # Errors
/// [`SelfTestError`] unless both whole answers come out.
pub fn self_test(programs: &mut Programs, slot: Slot) -> Result<(), SelfTestError> {
    ask(programs, slot, CLIENT_IPV4.into(), Ipv4Addr::UNSPECIFIED.into())?;
    ask(programs, slot, CLIENT_IPV6.into(), Ipv6Addr::UNSPECIFIED.into())
}

fn ask(programs: &mut Programs, slot: Slot, client: IpAddr, reserved: IpAddr) -> Result<(), SelfTestError> {
    const XDP_TX: u32 = 3;
    const TC_ACT_REDIRECT: u32 = 7;
    let question = Frame::ask(CLIENT_MAC, Some(client), reserved, None).expect("a question with a sender");
    let mut input = question.as_bytes().to_vec();
    input.resize(input.len().max(ethernet::MIN_FRAME_LEN), 0);
    let mut output = [0_u8; 256];
    let options =
        TestRunOptions { data_in: Some(&input), data_out: Some(&mut output), ..TestRunOptions::new() };
    let (result, wanted): (Result<TestRunResult, ProgramError>, u32) = match slot.is_xdp() {
        true => (programs.xdp()?.test_run(options), XDP_TX),
        false => (programs.tc(slot)?.test_run(options), TC_ACT_REDIRECT),
    };
    let action = result.map_err(|source| SelfTestError::Run { slot, source })?.return_value;
    if action == wanted && output.starts_with(answer(question).as_bytes()) {
        Ok(())
    } else {
        Err(SelfTestError::Silent { slot, action, reserved })
    }
}

fn answer(question: Frame) -> Frame {
    match question {
        Frame::Arp(mut request) => {
            request.answer_from(SELF_TEST_MAC);
            Frame::Arp(request)
        }
        Frame::Ndp(solicitation) => Frame::Ndp(solicitation.head.answer_from(SELF_TEST_MAC)),
    }
}
