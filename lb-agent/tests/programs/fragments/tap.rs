//! A tap device that hands frames to the stack in pages.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

use crate::arp::Mac;

const NAME: &str = "lb-tap";
const TUN: &str = "/dev/net/tun";
const ETHERNET_LEN: usize = 14;
const ARPHRD_ETHER: u16 = 1;
const TIME_LIMIT: Duration = Duration::from_secs(10);

nix::ioctl_write_ptr_bad!(set_up_tap, libc::TUNSETIFF, libc::ifreq);
nix::ioctl_read_bad!(get_flags, libc::SIOCGIFFLAGS, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_address, libc::SIOCSIFHWADDR, libc::ifreq);

pub struct Tap {
    file: File,
    ifindex: u32,
}

/// A request about the device, all else zero.
fn request() -> libc::ifreq {
    // SAFETY: integers, and a union of such.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(NAME.bytes()) {
        *to = libc::c_char::try_from(from).expect("ASCII");
    }
    request
}

impl Tap {
    /// Takes the calling thread into a network namespace of its own, and makes the device there, up and with this address.
    pub fn in_new_namespace(mac: Mac) -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("make a network namespace");
        let file = open();
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_NAPI | libc::IFF_NAPI_FRAGS;
        let mut tap = request();
        tap.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).expect("16 bits");
        // SAFETY: the request outlives the call.
        unsafe { set_up_tap(file.as_raw_fd(), &raw const tap) }.expect("make a tap device");
        let any = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None).expect("a socket");
        let mut address = request();
        address.ifr_ifru.ifru_hwaddr.sa_family = ARPHRD_ETHER;
        // SAFETY: the field that has just been begun.
        let data = unsafe { &mut address.ifr_ifru.ifru_hwaddr.sa_data };
        for (to, from) in data.iter_mut().zip(mac) {
            *to = from.cast_signed();
        }
        // SAFETY: as above.
        unsafe { set_address(any.as_raw_fd(), &raw const address) }.expect("give the device its address");
        let mut up = request();
        // SAFETY: as above.
        unsafe { get_flags(any.as_raw_fd(), &raw mut up) }.expect("read the device's flags");
        // SAFETY: the field that has just been read.
        let old = unsafe { up.ifr_ifru.ifru_flags };
        up.ifr_ifru.ifru_flags = old | libc::c_short::try_from(libc::IFF_UP).expect("16 bits");
        // SAFETY: as above.
        unsafe { set_flags(any.as_raw_fd(), &raw const up) }.expect("bring the device up");
        let ifindex = nix::net::if_::if_nametoindex(NAME).expect("the device is there");
        Self { file, ifindex }
    }

    pub fn name(&self) -> &'static str {
        NAME
    }

    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Lets a frame come in, all behind its Ethernet header in two pages.
    pub fn send_in_pages(&self, frame: &[u8]) {
        let (ethernet, packet) = frame.split_at(ETHERNET_LEN);
        let (first, second) = packet.split_at(packet.len() / 2);
        let parts = [ethernet, first, second].map(IoSlice::new);
        let sent = (&self.file).write_vectored(&parts).expect("send a frame");
        assert_eq!(sent, frame.len(), "the whole frame");
    }

    /// The next frame that goes out to this station.
    pub fn receive_for(&self, station: Mac, what: &str) -> Vec<u8> {
        let begun = Instant::now();
        loop {
            let left = TIME_LIMIT.saturating_sub(begun.elapsed());
            assert!(!left.is_zero(), "{what}: no answer within {TIME_LIMIT:?}");
            let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::try_from(left).expect("seconds")).expect("wait for a frame");
            let mut frame = vec![0; 2_048];
            match (&self.file).read(&mut frame) {
                Ok(len) => frame.truncate(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => panic!("receive a frame: {error}"),
            }
            if frame.starts_with(&station) {
                return frame;
            }
        }
    }
}

fn open() -> File {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(TUN)
        .unwrap_or_else(|error| panic!("open {TUN} (kernel module tun): {error}"))
}
