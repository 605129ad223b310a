//! Frames whose VLAN tag stands beside them (`vlan_present`), as tc sees them on the parent of a VLAN device.
//!
//! BPF_PROG_TEST_RUN takes no tag in its context. So a program of a few instructions pushes one, and goes on to ours
//! by a tail call.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use lb_common::{maps::Role, reason::Fate};

use crate::{
    arp::NODE,
    case::Case,
    family::FAMILIES,
    kernel::{Kernel, Program, action},
    probe::{IpV4, IpV6, Probe},
};

#[test]
fn a_frame_of_a_vlan_above_passes() {
    let mut kernel = Kernel::load();
    for family in FAMILIES {
        let question =
            Case::asked("a tagged question passes", &family.question()).counted_as(Fate::VlanTagged);
        check(&mut kernel, Program::TcIngress, &question);
        let from_vip = family.question().sent_by(NODE).sent_from(family.vip()).about(family.client());
        let leaving = Case::asked("a tagged question leaves as it is", &from_vip).role(Role::Suppress);
        check(&mut kernel, Program::TcEgress, &leaving);
    }
    for probe in [Probe::<IpV4>::RIGHT.bytes(), Probe::<IpV6>::RIGHT.bytes()] {
        let probe = Case::new("a tagged probe passes", probe).counted_as(Fate::VlanTagged);
        check(&mut kernel, Program::TcIngress, &probe);
    }
}

fn check(kernel: &mut Kernel, program: Program, case: &Case) {
    assert!(case.set_up(kernel));
    let tagger = Tagger::before(kernel, program);
    let outcome = kernel.observe((case.ifindex, case.address), |_| {
        let (value, output) = tagger.run(&case.input);
        (action(program, value), output)
    });
    assert_eq!(outcome, case.expected(), "{}", case.name);
}

const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_TEST_RUN: libc::c_int = 10;
const BPF_MAP_TYPE_PROG_ARRAY: u32 = 3;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;

/// The program that pushes a tag, and the array through which it calls ours.
struct Tagger {
    program: OwnedFd,
    _array: OwnedFd,
}

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
struct MapUpdate {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
}

#[repr(C)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

impl Tagger {
    fn before(kernel: &mut Kernel, program: Program) -> Self {
        let mut create =
            MapCreate { map_type: BPF_MAP_TYPE_PROG_ARRAY, key_size: 4, value_size: 4, max_entries: 1 };
        let array = descriptor(bpf(BPF_MAP_CREATE, &mut create).expect("make an array of programs"));
        let ours = kernel.tc_program(program).fd().expect("loaded").as_fd().as_raw_fd();
        let key = 0_u32;
        let mut update = MapUpdate {
            map_fd: number(array.as_raw_fd()),
            padding: 0,
            key: address(&key),
            value: address(&ours),
            flags: 0,
        };
        bpf(BPF_MAP_UPDATE_ELEM, &mut update).expect("put our program into the array");
        let instructions = instructions(array.as_raw_fd());
        let mut load = ProgLoad {
            prog_type: BPF_PROG_TYPE_SCHED_CLS,
            insn_cnt: u32::try_from(instructions.len()).expect("a few"),
            insns: instructions.as_ptr().expose_provenance() as u64,
            license: c"GPL".as_ptr().expose_provenance() as u64,
        };
        let tagger = descriptor(bpf(BPF_PROG_LOAD, &mut load).expect("load the program that tags"));
        Self { program: tagger, _array: array }
    }

    fn run(&self, frame: &[u8]) -> (u32, Vec<u8>) {
        let mut output = vec![0_u8; 4_096];
        let mut run = TestRun {
            prog_fd: number(self.program.as_raw_fd()),
            retval: 0,
            data_size_in: u32::try_from(frame.len()).expect("a frame"),
            data_size_out: u32::try_from(output.len()).expect("a frame"),
            data_in: frame.as_ptr().expose_provenance() as u64,
            data_out: output.as_mut_ptr().expose_provenance() as u64,
            repeat: 1,
            duration: 0,
        };
        bpf(BPF_PROG_TEST_RUN, &mut run).expect("run the program that tags");
        output.truncate(run.data_size_out as usize);
        (run.retval, output)
    }
}

/// `skb_vlan_push(ctx, htons(0x8100), 5); tail_call(ctx, array, 0); return 99;`
fn instructions(array: RawFd) -> [[u8; 8]; 11] {
    let immediate = |value: u32, opcode: u8, registers: u8| {
        let [a, b, c, d] = value.to_le_bytes();
        [opcode, registers, 0, 0, a, b, c, d]
    };
    const MOV: u8 = 0xbf;
    const MOV_IMM: u8 = 0xb7;
    const CALL: u8 = 0x85;
    const LD_IMM64: u8 = 0x18;
    [
        immediate(0, MOV, 0x16),                  // r6 = r1
        immediate(0x0081, MOV_IMM, 2),            // r2 = htons(ETH_P_8021Q)
        immediate(5, MOV_IMM, 3),                 // r3 = VLAN 5
        immediate(18, CALL, 0),                   // bpf_skb_vlan_push
        immediate(0, MOV, 0x61),                  // r1 = r6
        immediate(number(array), LD_IMM64, 0x12), // r2 = array
        immediate(0, 0, 0),
        immediate(0, MOV_IMM, 3),    // r3 = 0
        immediate(12, CALL, 0),      // bpf_tail_call
        immediate(99, MOV_IMM, 0),   // r0 = 99: the call went nowhere
        [0x95, 0, 0, 0, 0, 0, 0, 0], // exit
    ]
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_long> {
    let len = size_of::<T>();
    // SAFETY: every caller passes the attribute struct of its command, whose pointers lead to what is alive.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn descriptor(fd: libc::c_long) -> OwnedFd {
    let fd = RawFd::try_from(fd).expect("a descriptor");
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn number(fd: RawFd) -> u32 {
    fd.cast_unsigned()
}

fn address<T>(value: &T) -> u64 {
    std::ptr::from_ref(value).expose_provenance() as u64
}
