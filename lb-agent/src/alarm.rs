//! Waiting until a time of CLOCK_BOOTTIME.

use std::{io, time::Duration};

use nix::sys::{
    time::TimeSpec,
    timer::TimerSetTimeFlags,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags},
};

use crate::{model::BoottimeNs, readable::Readable};

/// A kernel timer. Unlike the runtime's own, it goes on while the machine sleeps, and wakes nobody up before its time.
pub struct Alarm {
    timer: Readable<TimerFd>,
    /// When it goes off; `None`: not at all.
    due: Option<BoottimeNs>,
}

impl Alarm {
    /// One that never goes off.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = Readable::new(TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?)?;
        Ok(Self { timer, due: None })
    }

    /// Has it go off at `due`, at once if that has passed, and otherwise not any more.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set(&mut self, due: Option<BoottimeNs>) -> io::Result<()> {
        if self.due == due {
            return Ok(());
        }
        match due {
            Some(due) => {
                // Zero would switch the timer off.
                let at = TimeSpec::from_duration(Duration::from_nanos(due.max(1)));
                self.timer.get_ref().set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.get_ref().unset()?,
        }
        self.due = due;
        Ok(())
    }

    /// Waits until it goes off. It is set anew after that.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn rings(&mut self) -> io::Result<()> {
        loop {
            self.timer.wait().await?;
            // What was ready may be a time that has been set anew since.
            match self.timer.get_ref().wait() {
                Ok(()) => break,
                Err(nix::errno::Errno::EAGAIN) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.due = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn wait(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
    }

    #[test]
    fn it_goes_off_at_its_time_and_not_before() {
        wait(async {
            let mut alarm = Alarm::new().expect("a timer");
            for after_ns in [0, 30_000_000] {
                let due = clock::boottime_ns() + after_ns;
                alarm.set(Some(due)).expect("set");
                alarm.rings().await.expect("a ring");
                let late = clock::boottime_ns().checked_sub(due).expect("not before its time");
                assert!(late < 1_000_000_000, "{late} ns late");
            }
        });
    }

    #[test]
    fn one_that_is_put_off_does_not_go_off() {
        wait(async {
            let mut alarm = Alarm::new().expect("a timer");
            alarm.set(Some(1)).expect("set");
            alarm.set(None).expect("unset");
            let timeout = tokio::time::timeout(Duration::from_millis(50), alarm.rings());
            assert!(timeout.await.is_err(), "it went off");
        });
    }

    #[test]
    fn a_wait_that_is_given_up_loses_nothing() {
        wait(async {
            let mut alarm = Alarm::new().expect("a timer");
            alarm.set(Some(clock::boottime_ns() + 40_000_000)).expect("set");
            assert!(tokio::time::timeout(Duration::from_millis(5), alarm.rings()).await.is_err());
            alarm.rings().await.expect("a ring");
        });
    }
}
