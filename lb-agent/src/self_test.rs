//! Whether the programs still do what they are for: each second, before the lease is renewed.

use aya::programs::{ProgramError, TestRun, TestRunOptions, TestRunResult};
use lb_common::{
    maps::SELF_TEST_MAC,
    wire::arp::{self, Frame},
};

use crate::attach::{AttachError, Programs, Slot};

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
    #[error("the program of {slot} gave action {action} instead of an answer for the reserved entry")]
    Silent {
        /// Where it belongs.
        slot: Slot,
        /// What it returned.
        action: u32,
    },
}

/// A station that asks for the reserved entry. Its address is reserved for documentation (RFC 7042, 2.1.1).
const CLIENT_MAC: [u8; 6] = [0x00, 0x00, 0x5e, 0x00, 0x53, 0x01];
const CLIENT: [u8; 4] = [192, 0, 2, 1];
const RESERVED: [u8; 4] = [0; 4];

/// Runs the program of an ingress slot on a request for the reserved entry, over the live maps.
///
/// # Errors
/// [`SelfTestError`] unless the whole answer comes out.
pub fn self_test(programs: &mut Programs, slot: Slot) -> Result<(), SelfTestError> {
    const XDP_TX: u32 = 3;
    const TC_ACT_REDIRECT: u32 = 7;
    let request = Frame::request(CLIENT_MAC, CLIENT, RESERVED);
    let mut input = [0_u8; 64];
    input[..arp::FRAME_LEN].copy_from_slice(request.as_bytes());
    let mut output = [0_u8; 256];
    let options =
        TestRunOptions { data_in: Some(&input), data_out: Some(&mut output), ..TestRunOptions::new() };
    let (result, wanted): (Result<TestRunResult, ProgramError>, u32) = match slot.is_xdp() {
        true => (programs.xdp()?.test_run(options), XDP_TX),
        false => (programs.tc(slot)?.test_run(options), TC_ACT_REDIRECT),
    };
    let action = result.map_err(|source| SelfTestError::Run { slot, source })?.return_value;
    if action == wanted && output.starts_with(answer(request).as_bytes()) {
        Ok(())
    } else {
        Err(SelfTestError::Silent { slot, action })
    }
}

fn answer(mut request: Frame) -> Frame {
    request.answer_from(SELF_TEST_MAC);
    request
}
