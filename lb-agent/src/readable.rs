//! Waiting until a file descriptor has something to read.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// A descriptor that the runtime watches.
pub struct Readable<T: AsFd>(AsyncFd<Owner<T>>);

/// Lends its descriptor in the form that the runtime wants.
struct Owner<T>(T);

impl<T: AsFd> AsRawFd for Owner<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl<T: AsFd> Readable<T> {
    /// Begins to watch. The descriptor should be non-blocking.
    ///
    /// # Errors
    /// When epoll refuses it.
    pub fn new(inner: T) -> io::Result<Self> {
        // SAFETY: `inner` owns its descriptor (it is moved in, and `AsFd` vouches that it is open), gives the same one
        // each time, and is handed out only by reference.
        let watched = unsafe { AsyncFd::register_with_interest(Owner(inner), Interest::READABLE) };
        watched.map(Self).map_err(io::Error::from)
    }

    /// Waits until there is something to read. The caller then reads until nothing is left; only what comes after
    /// this call makes it return again.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn wait(&self) -> io::Result<()> {
        self.0.readable().await?.clear_ready();
        Ok(())
    }

    /// What is watched.
    pub fn get_ref(&self) -> &T {
        &self.0.get_ref().0
    }

    /// What is watched.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.0.get_mut().0
    }
}
