//! Programs on interfaces: attached by pinned links where the kernel has them (XDP; tcx from 6.6), else by clsact
//! filters, so that they stay when the agent goes, and are taken over by the next one without a gap.

mod slot;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode,
        links::{FdLink, LinkError, PinnedLink},
        tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle, qdisc_add_clsact},
        xdp::XdpLink,
    },
    util::KernelVersion,
};
pub use slot::{Mechanism, Pin, Slot};

use crate::{hook::Hook, netlink, pins::Pins, sys};

/// Names of the programs in the object, newest first: a kernel without frags (before 5.18) takes the second.
const XDP_PROGRAMS: [&str; 2] = ["lb_xdp_frags", "lb_xdp"];
const INGRESS_PROGRAM: &str = "lb_tc_ingress";
const EGRESS_PROGRAM: &str = "lb_tc_egress";
/// Before filters that others are likely to have there.
const FILTER_PRIORITY: u16 = 1;
/// Tells our filter from others of the same priority.
const FILTER_HANDLE: TcHandle = TcHandle::new(0, 0x1b);

/// What went wrong with a program.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The kernel refused the program itself.
    #[error("load program {name}: {source}{}", crate::privileges::remedy_for(source))]
    Load {
        /// Which.
        name: &'static str,
        /// Why not.
        #[source]
        source: ProgramError,
    },
    /// The kernel refused to run it there.
    #[error("attach to {interface} at {slot}: {source}{}", crate::privileges::remedy_for(&**source))]
    Attach {
        /// Where.
        interface: String,
        /// At which slot.
        slot: Slot,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pin could not be made or removed.
    #[error("remove {}: {source}", path.display())]
    Unpin {
        /// The pin.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An interface as far as attaching is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Interface index.
    pub ifindex: u32,
    /// Interface name.
    pub name: &'a str,
}

/// The programs of the object, loaded when first needed.
pub struct Programs {
    object: Ebpf,
    xdp: Option<&'static str>,
}

impl Programs {
    /// The programs of a loaded object.
    #[must_use]
    pub fn new(object: Ebpf) -> Self {
        Self { object, xdp: None }
    }

    /// The XDP program, loaded.
    ///
    /// # Errors
    /// [`AttachError::Load`] of the older form, when the kernel takes neither.
    pub fn xdp(&mut self) -> Result<&mut Xdp, AttachError> {
        if self.xdp.is_none() {
            self.xdp = Some(load_first_xdp(&mut self.object)?);
        }
        Ok(program(&mut self.object, self.xdp.unwrap_or(XDP_PROGRAMS[1])))
    }

    /// A tc program, loaded.
    ///
    /// # Errors
    /// [`AttachError::Load`].
    pub fn tc(&mut self, slot: Slot) -> Result<&mut SchedClassifier, AttachError> {
        let name = if slot == Slot::TcEgress { EGRESS_PROGRAM } else { INGRESS_PROGRAM };
        let tc: &mut SchedClassifier = program(&mut self.object, name);
        match tc.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(tc),
            Err(source) => Err(AttachError::Load { name, source }),
        }
    }

    /// The kernel's id of the program for a slot, if it has been loaded.
    #[must_use]
    pub fn id(&self, slot: Slot) -> Option<u32> {
        let name = match slot {
            Slot::Xdp | Slot::XdpGeneric => self.xdp?,
            Slot::TcIngress => INGRESS_PROGRAM,
            Slot::TcEgress => EGRESS_PROGRAM,
        };
        self.object.program(name)?.info().ok().map(|info| info.id())
    }
}

fn load_first_xdp(object: &mut Ebpf) -> Result<&'static str, AttachError> {
    let [frags, plain] = XDP_PROGRAMS;
    match program::<Xdp>(object, frags).load() {
        Ok(()) => return Ok(frags),
        Err(error) => tracing::info!(
            program = frags,
            error = %first_line(&error),
            "this kernel has no XDP for multi-buffer frames (5.18 has): {plain} serves instead"
        ),
    }
    match program::<Xdp>(object, plain).load() {
        Ok(()) => Ok(plain),
        Err(source) => Err(AttachError::Load { name: plain, source }),
    }
}

fn first_line(error: &ProgramError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A program of the object by name and type.
fn program<'a, P>(object: &'a mut Ebpf, name: &str) -> &'a mut P
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program>,
{
    let found = object.program_mut(name).and_then(|program| program.try_into().ok());
    found.expect("the object that this agent carries has each program under its name and type")
}

/// Runs this agent's programs at exactly `slots` of an interface; whatever other slots it has there is removed.
/// What is pinned is taken over in place. Says which slots were attached anew or swapped.
///
/// # Errors
/// [`AttachError`] at the first slot that the kernel refuses; the others stay as they are.
pub fn attach(
    programs: &mut Programs,
    pins: &Pins,
    target: Target<'_>,
    slots: &BTreeSet<Slot>,
) -> Result<(), AttachError> {
    let pinned: Vec<Pin> = Pin::all(pins).into_iter().filter(|pin| pin.ifindex == target.ifindex).collect();
    // The kernel takes only one of the XDP modes at a time.
    for pin in pinned.iter().filter(|pin| pin.slot.is_xdp() && !slots.contains(&pin.slot)) {
        if slots.iter().any(|slot| slot.is_xdp()) {
            detach(pins, pin)?;
        }
    }
    for &slot in slots {
        attach_slot(programs, pins, target, slot)?;
    }
    for pin in Pin::all(pins).iter().filter(|pin| pin.ifindex == target.ifindex && !slots.contains(&pin.slot))
    {
        detach(pins, pin)?;
    }
    Ok(())
}

fn attach_slot(
    programs: &mut Programs,
    pins: &Pins,
    target: Target<'_>,
    slot: Slot,
) -> Result<(), AttachError> {
    let wrap = |source| AttachError::Attach { interface: target.name.to_owned(), slot, source };
    let mechanism = mechanism(slot);
    let pin = Pin { ifindex: target.ifindex, slot, mechanism };
    let path = pin.path(pins);
    match mechanism {
        Mechanism::Link if slot.is_xdp() => {
            let xdp = programs.xdp()?;
            if !swap_xdp(xdp, &path) {
                discard(&path)?;
                attach_xdp(xdp, target, slot, &path).map_err(wrap)?;
            }
        }
        Mechanism::Link => {
            let tc = programs.tc(slot)?;
            if !swap_tcx(tc, &path) {
                discard(&path)?;
                attach_tcx(tc, target, slot, &path).map_err(wrap)?;
            }
        }
        Mechanism::Clsact => {
            attach_filter(programs.tc(slot)?, target, slot).map_err(wrap)?;
            mark(&path, target.name).map_err(|source| wrap(source.into()))?;
        }
    }
    Ok(())
}

/// How a slot is attached on this kernel.
#[must_use]
pub fn mechanism(slot: Slot) -> Mechanism {
    if slot.is_xdp() || has_tcx() { Mechanism::Link } else { Mechanism::Clsact }
}

fn has_tcx() -> bool {
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0))
}

/// Puts the new program into the pinned link; false when there is none or it hangs on nothing any more.
fn swap_xdp(xdp: &mut Xdp, path: &Path) -> bool {
    let mut swap = || -> Result<(), Cause> {
        let id = xdp.attach_to_link(XdpLink::try_from(pinned(path)?)?)?;
        drop(xdp.take_link(id)?); // the pin keeps the link
        Ok(())
    };
    is_attached(path) && swap().is_ok()
}

/// As [`swap_xdp`].
fn swap_tcx(tc: &mut SchedClassifier, path: &Path) -> bool {
    let mut swap = || -> Result<(), Cause> {
        let id = tc.attach_to_link(SchedClassifierLink::try_from(pinned(path)?)?)?;
        drop(tc.take_link(id)?);
        Ok(())
    };
    is_attached(path) && swap().is_ok()
}

fn pinned(path: &Path) -> Result<FdLink, LinkError> {
    PinnedLink::from_pin(path).map(FdLink::from)
}

fn is_attached(path: &Path) -> bool {
    sys::pinned_link(path).is_ok_and(|link| link.ifindex != 0)
}

fn attach_xdp(xdp: &mut Xdp, target: Target<'_>, slot: Slot, path: &Path) -> Result<(), Cause> {
    let mode = if slot == Slot::XdpGeneric { XdpMode::Skb } else { XdpMode::Driver };
    let id = xdp.attach_to_if_index(target.ifindex, mode)?;
    // Without a BPF link nothing could be pinned, and the program would go with the agent: better to fail.
    let link: FdLink = xdp.take_link(id)?.try_into().map_err(|_: LinkError| "the driver has no BPF links")?;
    link.pin(path)?;
    Ok(())
}

fn attach_tcx(tc: &mut SchedClassifier, target: Target<'_>, slot: Slot, path: &Path) -> Result<(), Cause> {
    let order = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = tc.attach_with_options(target.name, direction(slot), order)?;
    let link: FdLink = tc.take_link(id)?.try_into()?;
    link.pin(path)?;
    Ok(())
}

/// Replaces our filter, or adds it. It belongs to the interface, not to a descriptor of ours.
fn attach_filter(tc: &mut SchedClassifier, target: Target<'_>, slot: Slot) -> Result<(), Cause> {
    let _ = qdisc_add_clsact(target.name); // there already, or the filter fails and says why
    let filter =
        || SchedClassifierLink::attached(target.name, direction(slot), FILTER_PRIORITY, FILTER_HANDLE, None);
    let id = match tc.attach_to_link(filter()?) {
        Ok(id) => id,
        Err(_) => {
            let options =
                NlOptions { priority: FILTER_PRIORITY, handle: FILTER_HANDLE, ..NlOptions::default() };
            tc.attach_with_options(target.name, direction(slot), TcAttachOptions::Netlink(options))?
        }
    };
    std::mem::forget(tc.take_link(id)?); // dropping it would remove the filter
    Ok(())
}

const fn direction(slot: Slot) -> TcAttachType {
    match slot {
        Slot::TcEgress => TcAttachType::Egress,
        Slot::TcIngress | Slot::Xdp | Slot::XdpGeneric => TcAttachType::Ingress,
    }
}

/// A filter has no pin; a symbolic link stands for it.
fn mark(path: &Path, interface: &str) -> io::Result<()> {
    match std::os::unix::fs::symlink(interface, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes a pin that hangs on nothing.
fn discard(path: &Path) -> Result<(), AttachError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(AttachError::Unpin { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Takes a program off its interface and removes its pin.
///
/// # Errors
/// [`AttachError::Unpin`].
pub fn detach(pins: &Pins, pin: &Pin) -> Result<(), AttachError> {
    let path = pin.path(pins);
    match pin.mechanism {
        Mechanism::Clsact => {
            if let Ok(name) = interface_name(pin.ifindex)
                && let Ok(filter) = SchedClassifierLink::attached(
                    &name,
                    direction(pin.slot),
                    FILTER_PRIORITY,
                    FILTER_HANDLE,
                    None,
                )
            {
                drop(filter); // removes the filter; clsact itself stays, others may use it
            }
        }
        // Where that fails, as for a link whose interface is gone, the end of the pin is the end of the link.
        Mechanism::Link => drop(sys::detach_link(&path)),
    }
    discard(&path)
}

fn interface_name(ifindex: u32) -> nix::Result<String> {
    nix::net::if_::if_indextoname(ifindex).map(|name| name.to_string_lossy().into_owned())
}

/// Id of the program that runs at a pinned slot now; `None` when it has been detached.
#[must_use]
pub fn running(pins: &Pins, pin: &Pin) -> Option<u32> {
    match pin.mechanism {
        Mechanism::Link => {
            let link = sys::pinned_link(&pin.path(pins)).ok()?;
            (link.ifindex == pin.ifindex).then_some(link.program_id)
        }
        Mechanism::Clsact => {
            netlink::tc_program(pin.ifindex, pin.slot.tc_parent(), FILTER_PRIORITY).ok().flatten()
        }
    }
}

/// The slots that a hook takes; egress only where a VIP is a local address.
#[must_use]
pub fn slots(hook: Hook, needs_egress: bool) -> BTreeSet<Slot> {
    let ingress = match hook {
        Hook::Xdp => Slot::Xdp,
        Hook::XdpGeneric => Slot::XdpGeneric,
        Hook::Tc => Slot::TcIngress,
    };
    std::iter::once(ingress).chain(needs_egress.then_some(Slot::TcEgress)).collect()
}
