//! The map of VIPs as the kernel has it, read faster than `lb-agent status` could be run.

use std::{
    ffi::CString,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::Context as _;
use lb_common::maps::{Role, VipEntry, VipKey};

use super::bpf::{self, Attributes};

const BPF_MAP_LOOKUP_ELEM: libc::c_int = 1;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;
/// Entries that one call brings.
const BATCH: usize = 4_096;

#[repr(C)]
#[derive(Default)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct LookupBatch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

#[repr(C)]
struct Lookup {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

// SAFETY: the fields of BPF_MAP_LOOKUP_ELEM in their order; `get` points to a key and a value of this map.
unsafe impl Attributes for Lookup {}
// SAFETY: the fields of BPF_OBJ_GET in their order; `open` points to a string that outlives the call.
unsafe impl Attributes for ObjGet {}
// SAFETY: the fields of BPF_MAP_LOOKUP_BATCH in their order; `batch` points to buffers for `count` entries of this map.
unsafe impl Attributes for LookupBatch {}

/// An address as the maps have it: four or sixteen bytes, in wire order.
pub trait Address: Copy {
    /// The map of VIPs with such addresses.
    const MAP: &str;
    /// The unspecified address.
    const UNSPECIFIED: Self;
}

impl Address for [u8; 4] {
    const MAP: &str = "LB_VIPS_V4";
    const UNSPECIFIED: Self = [0; 4];
}

impl Address for [u8; 16] {
    const MAP: &str = "LB_VIPS_V6";
    const UNSPECIFIED: Self = [0; 16];
}

/// A pinned `LB_VIPS_V4` or `LB_VIPS_V6`.
#[derive(Debug)]
pub struct VipMap<A> {
    fd: OwnedFd,
    keys: Vec<VipKey<A>>,
    values: Vec<VipEntry>,
}

impl<A: Address> VipMap<A> {
    /// Opens the map pinned in a directory of maps.
    ///
    /// # Errors
    /// When it is not pinned there.
    pub fn open(maps: &Path) -> anyhow::Result<Self> {
        let path = maps.join(A::MAP);
        let name = CString::new(path.as_os_str().as_bytes())?;
        let mut get = ObjGet { pathname: name.as_ptr().expose_provenance() as u64, ..ObjGet::default() };
        let fd = bpf::make(BPF_OBJ_GET, &mut get).with_context(|| format!("open {}", path.display()))?;
        let key = VipKey { ifindex: 0, address: A::UNSPECIFIED };
        Ok(Self { fd, keys: vec![key; BATCH], values: vec![VipEntry::new(Role::Suppress, [0; 6]); BATCH] })
    }

    /// How many VIPs are announced, on all interfaces.
    ///
    /// # Errors
    /// When the kernel does not say (before 5.6 it cannot).
    pub fn announced(&mut self) -> anyhow::Result<usize> {
        self.count(|role| role == Role::Announce)
    }

    /// How many VIPs are there, on all interfaces, whatever their role.
    ///
    /// # Errors
    /// As [`Self::announced`].
    pub fn entries(&mut self) -> anyhow::Result<usize> {
        self.count(|role| role != Role::SelfTest)
    }

    /// The entry of one VIP.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn get(&self, key: VipKey<A>) -> anyhow::Result<Option<VipEntry>> {
        let mut entry = VipEntry { role: 0, reserved: 0, mac: [0; 6] };
        let mut lookup = Lookup {
            map_fd: self.fd.as_raw_fd().cast_unsigned(),
            padding: 0,
            key: (&raw const key).expose_provenance() as u64,
            value: (&raw mut entry).expose_provenance() as u64,
            flags: 0,
        };
        match bpf::call(BPF_MAP_LOOKUP_ELEM, &mut lookup) {
            Ok(_) => Ok(Some(entry)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("look up a VIP in {}", A::MAP)),
        }
    }

    fn count(&mut self, is_counted: impl Fn(Role) -> bool) -> anyhow::Result<usize> {
        let mut cursor = 0_u32;
        let (mut counted, mut is_first) = (0, true);
        loop {
            let (count, is_last) =
                self.batch(&mut cursor, is_first).with_context(|| format!("read {}", A::MAP))?;
            let values = &self.values[..count];
            counted += values.iter().filter(|entry| entry.role().is_some_and(&is_counted)).count();
            if is_last {
                return Ok(counted);
            }
            is_first = false;
        }
    }

    /// Reads on; says how many entries came, and whether they were the last ones.
    fn batch(&mut self, cursor: &mut u32, is_first: bool) -> std::io::Result<(usize, bool)> {
        let cursor = std::ptr::from_mut(cursor).expose_provenance() as u64;
        let mut lookup = LookupBatch {
            in_batch: if is_first { 0 } else { cursor },
            out_batch: cursor,
            keys: self.keys.as_mut_ptr().expose_provenance() as u64,
            values: self.values.as_mut_ptr().expose_provenance() as u64,
            count: u32::try_from(BATCH).expect("a small number"),
            map_fd: self.fd.as_raw_fd().cast_unsigned(),
            ..LookupBatch::default()
        };
        let result = bpf::call(BPF_MAP_LOOKUP_BATCH, &mut lookup);
        let count = lookup.count as usize;
        match result {
            Ok(_) => Ok((count, false)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok((count, true)),
            Err(error) => Err(error),
        }
    }
}
