//! Loaded objects for one test after another: the verifier takes its time, in an emulated machine above all.

use std::{
    ops::{Deref, DerefMut},
    sync::Mutex,
    thread,
};

use super::Kernel;

static IDLE: Mutex<Vec<Kernel>> = Mutex::new(Vec::new());

/// An object for one test alone, until it is dropped. Its maps are as the test before has left them.
pub struct Loaded(Option<Kernel>);

impl Loaded {
    pub fn take() -> Self {
        let idle = IDLE.lock().expect("no panic while held").pop();
        Self(Some(idle.unwrap_or_else(Kernel::load_anew)))
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // What a failed test leaves is for nobody.
        if !thread::panicking() {
            IDLE.lock().expect("no panic while held").extend(self.0.take());
        }
    }
}

impl Deref for Loaded {
    type Target = Kernel;

    fn deref(&self) -> &Kernel {
        self.0.as_ref().expect("there until it is dropped")
    }
}

impl DerefMut for Loaded {
    fn deref_mut(&mut self) -> &mut Kernel {
        self.0.as_mut().expect("there until it is dropped")
    }
}
