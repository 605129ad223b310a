//! Whether the API's word is fresh.
//!
//! Over HTTP/2 an open answer (a watch) is fresh for as long as it is open, however little comes: the client's pings
//! (`client`) end a connection whose other side is dead within [`SILENCE_NOTICED_NS`]. Over HTTP/1.1 nothing vouches for a
//! quiet answer but another one: somebody has to ask now and then (`asking`).

mod layer;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

pub use layer::WordLayer;
use tokio::sync::watch;

use crate::model::BoottimeNs;

/// Without word for this long, the view of the cluster is stale.
pub const STALE_AFTER_NS: u64 = 10_000_000_000;
/// How long a connection may have been dead before that shows.
pub const SILENCE_NOTICED_NS: u64 = 6_000_000_000;

/// What is known of the API's word. Shared between the thread that listens and the loop that decides.
#[derive(Debug, Default)]
pub struct Word {
    /// Answers that are being read, and vouched for.
    vouched: AtomicUsize,
    /// Answers that are being read, and not vouched for.
    unvouched: AtomicUsize,
    /// When the last of them was known to be alive; 0: never.
    last_ns: AtomicU64,
    /// It has been told that none comes.
    is_missed: AtomicBool,
    /// Says that it is fresh after it was stale.
    returns: watch::Sender<()>,
}

/// Whether a connection notices by itself that its other side is dead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Vouched {
    /// It does.
    Yes,
    /// It need not.
    No,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// By the server, or by this agent, which needs no more of it.
    Closed,
    /// The connection is gone, for an unknown part of [`SILENCE_NOTICED_NS`].
    Lost,
}

impl Word {
    /// An answer begins. Says whether it is the first after [`Self::is_missed_anew`].
    pub fn opened(&self, vouched: Vouched, now: BoottimeNs) -> bool {
        let was_stale = self.is_stale(now);
        self.open(vouched).fetch_add(1, Ordering::Relaxed);
        self.came(now);
        if was_stale {
            self.returns.send_replace(());
        }
        self.is_missed.swap(false, Ordering::Relaxed)
    }

    /// Whether it is the first time since the last answer that one is missed, and so worth telling.
    pub fn is_missed_anew(&self) -> bool {
        !self.is_missed.swap(true, Ordering::Relaxed)
    }

    /// An answer is over.
    pub fn ended(&self, vouched: Vouched, end: End, now: BoottimeNs) {
        // Before the count, so that nobody sees neither an open answer nor a time.
        match (end, vouched) {
            (End::Closed, _) => self.came(now),
            (End::Lost, Vouched::Yes) => self.came(now.saturating_sub(SILENCE_NOTICED_NS)),
            (End::Lost, Vouched::No) => {}
        }
        self.open(vouched).fetch_sub(1, Ordering::Release);
    }

    /// Hears of each time that it is fresh after it was stale, from now on.
    #[must_use]
    pub fn returns(&self) -> watch::Receiver<()> {
        self.returns.subscribe()
    }

    /// Part of an answer has come.
    pub fn came(&self, at: BoottimeNs) {
        self.last_ns.fetch_max(at, Ordering::Relaxed);
    }

    /// Whether an answer is open for which nothing vouches.
    #[must_use]
    pub fn is_to_be_asked_for(&self) -> bool {
        self.unvouched.load(Ordering::Relaxed) > 0
    }

    const fn open(&self, vouched: Vouched) -> &AtomicUsize {
        match vouched {
            Vouched::Yes => &self.vouched,
            Vouched::No => &self.unvouched,
        }
    }

    /// When word last came, as of `now`; `None`: never.
    #[must_use]
    pub fn last(&self, now: BoottimeNs) -> Option<BoottimeNs> {
        match (self.vouched.load(Ordering::Acquire), self.last_ns.load(Ordering::Relaxed)) {
            (0, 0) => None,
            (0, last) => Some(last),
            (_, _) => Some(now),
        }
    }

    /// Whether it is too long ago.
    #[must_use]
    pub fn is_stale(&self, now: BoottimeNs) -> bool {
        self.last(now).is_none_or(|last| now.saturating_sub(last) >= STALE_AFTER_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn before_the_first_word_the_view_is_stale() {
        assert_eq!((Word::default().last(5 * S), Word::default().is_stale(5 * S)), (None, true));
    }

    #[test]
    fn an_open_watch_is_word_however_little_comes() {
        let word = Word::default();
        word.opened(Vouched::Yes, S);
        assert_eq!((word.last(3_600 * S), word.is_stale(3_600 * S)), (Some(3_600 * S), false));
    }

    #[test]
    fn that_word_is_missed_is_told_once_and_so_is_its_return() {
        let word = Word::default();
        assert!(!word.opened(Vouched::Yes, S));
        assert_eq!([word.is_missed_anew(), word.is_missed_anew()], [true, false]);
        assert_eq!([word.opened(Vouched::Yes, 2 * S), word.opened(Vouched::Yes, 2 * S)], [true, false]);
        assert!(word.is_missed_anew());
    }

    #[test]
    fn the_first_answer_after_the_view_was_stale_is_a_return() {
        let word = Word::default();
        let mut returns = word.returns();
        let mut has_returned = || {
            let has_changed = returns.has_changed().expect("the word lives");
            returns.mark_unchanged();
            has_changed
        };
        word.opened(Vouched::Yes, S);
        assert!(has_returned(), "there was none before");
        word.ended(Vouched::Yes, End::Closed, 2 * S);
        word.opened(Vouched::Yes, 12 * S - 1);
        assert!(!has_returned(), "the view was not stale");
        word.ended(Vouched::Yes, End::Closed, 13 * S);
        word.opened(Vouched::Yes, 23 * S);
        word.opened(Vouched::Yes, 23 * S);
        assert!(has_returned());
        assert!(!has_returned());
    }

    #[test]
    fn one_open_watch_of_several_is_enough() {
        let word = Word::default();
        word.opened(Vouched::Yes, S);
        word.opened(Vouched::Yes, S);
        word.ended(Vouched::Yes, End::Lost, 20 * S);
        assert_eq!((word.last(60 * S), word.is_stale(60 * S)), (Some(60 * S), false));
    }

    #[test]
    fn an_open_watch_that_nothing_vouches_for_is_word_only_when_something_comes() {
        let word = Word::default();
        word.opened(Vouched::No, S);
        word.came(5 * S);
        assert_eq!((word.last(60 * S), word.is_to_be_asked_for()), (Some(5 * S), true));
        word.ended(Vouched::No, End::Lost, 40 * S);
        assert_eq!((word.last(60 * S), word.is_to_be_asked_for()), (Some(5 * S), false));
    }

    #[test]
    fn ten_seconds_after_the_last_watch_was_closed_the_view_is_stale() {
        let word = Word::default();
        word.opened(Vouched::Yes, S);
        word.ended(Vouched::Yes, End::Closed, 20 * S);
        assert_eq!(word.last(60 * S), Some(20 * S));
        assert_eq!([30 * S - 1, 30 * S].map(|now| word.is_stale(now)), [false, true]);
    }

    #[test]
    fn a_connection_that_is_lost_may_have_been_dead_for_as_long_as_that_takes_to_show() {
        let word = Word::default();
        word.opened(Vouched::Yes, S);
        word.ended(Vouched::Yes, End::Lost, 20 * S);
        assert_eq!(word.last(60 * S), Some(14 * S));
        assert_eq!([24 * S - 1, 24 * S].map(|now| word.is_stale(now)), [false, true]);
    }

    #[test]
    fn a_loss_does_not_take_back_what_came_later_on_another_connection() {
        let word = Word::default();
        word.opened(Vouched::Yes, S);
        word.opened(Vouched::Yes, 2 * S);
        word.ended(Vouched::Yes, End::Closed, 19 * S);
        word.ended(Vouched::Yes, End::Lost, 20 * S);
        assert_eq!(word.last(60 * S), Some(19 * S));
    }
}
