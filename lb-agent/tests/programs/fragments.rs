//! Frames of which the stack has no more than the Ethernet header in one piece, as some drivers hand them over: tc has to
//! look into the pages behind it. BPF_PROG_TEST_RUN makes no such frames, a tap device does (IFF_NAPI_FRAGS).

mod tap;

use lb_common::reason::{Action, Fate};
use tap::Tap;

use crate::{
    arp::{CLIENT, NODE},
    case::{Case, NODE_IFACE},
    family::FAMILIES,
    kernel::{Kernel, Program},
    ndp::{Ndp, solicitation, source_address},
    probe::{IpV4, IpV6, Probe},
};

#[test]
fn headers_in_pages_are_read_and_the_answer_is_whole() {
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    let longer = Ndp { options: [&nonce[..], &source_address(CLIENT)].concat(), ..solicitation() };
    let shorter = Ndp { options: vec![], ..solicitation() };
    let asked = |ndp: Ndp| crate::family::Question::Ndp(ndp);
    let mut cases: Vec<Case> = FAMILIES
        .into_iter()
        .map(|family| Case::asked("in pages", &family.question()).answered(&family.question()))
        .collect();
    for question in [asked(longer), asked(shorter)] {
        cases.push(Case::asked("in pages, of another length than the answer", &question).answered(&question));
    }
    let (v4, v6) = (Probe::<IpV4>::RIGHT, Probe::<IpV6>::RIGHT);
    for (input, answer) in
        [(v4.bytes(), v4.reflected(3, 0).bytes()), (v6.bytes(), v6.reflected(3, 0).bytes())]
    {
        let case = Case { spends: true, ..Case::new("a probe in pages", input) };
        cases.push(case.counted_as(Fate::Reflected).comes_out_as(answer));
    }
    // A namespace of its own, which ends with the thread.
    std::thread::scope(|scope| {
        scope.spawn(|| check(&cases)).join().expect("no case differs");
    });
}

fn check(cases: &[Case]) {
    let mut kernel = Kernel::load();
    let tap = Tap::in_new_namespace(NODE);
    kernel.attach(Program::TcIngress, tap.name());
    for case in cases {
        let case = Case { ifindex: tap.ifindex(), ..case.clone() };
        assert!(case.set_up(&mut kernel));
        kernel.set_iface(tap.ifindex(), Some(NODE_IFACE));
        let outcome = kernel.observe((case.ifindex, case.address), |_| {
            tap.send_in_pages(&case.input);
            (Ok(Action::Answer), tap.receive_for(CLIENT, &case.name))
        });
        assert_eq!(outcome, case.expected(), "{}", case.name);
    }
}
