//! What goes wrong with the API, told once.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use kube::runtime::watcher;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::word::Word;
use crate::metrics::ApiCounters;

/// What has been told of the watches.
#[derive(Debug)]
pub struct Story {
    word: Arc<Word>,
    counters: ApiCounters,
    /// What is wrong with the watch of one kind and not with the way to the API, by the kind's plural.
    refused: Mutex<BTreeMap<&'static str, String>>,
}

/// Why a request failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The API no longer knows where a watch broke off: the kind is listed anew.
    Expired,
    /// The API does not do this, and will not until somebody changes something.
    Refused(String),
    /// There is no answer, or none that helps.
    Unanswered(String),
}

impl Story {
    /// Nothing has been told yet.
    #[must_use]
    pub fn new(word: Arc<Word>, counters: ApiCounters) -> Self {
        Self { word, counters, refused: Mutex::default() }
    }

    /// Hears of each time that the API answers again after the view was stale.
    #[must_use]
    pub fn returns(&self) -> watch::Receiver<()> {
        self.word.returns()
    }

    /// A change, or a list, of this kind has come.
    pub fn succeeded(&self, plural: &'static str) {
        self.counters.updates.inc();
        if self.refused.lock().unwrap_or_else(PoisonError::into_inner).remove(plural).is_some() {
            info!(kind = plural, "watched again");
        }
    }

    /// The watch of this kind has failed, and will be tried again.
    pub fn failed(&self, plural: &'static str, error: &watcher::Error) {
        self.counters.update_errors.inc();
        match trouble(plural, error) {
            Trouble::Expired => debug!(kind = plural, "listed anew: the watch is too old to go on with"),
            Trouble::Refused(why) => {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                if refused.get(plural) != Some(&why) {
                    warn!(kind = plural, "{why}");
                    refused.insert(plural, why);
                }
            }
            Trouble::Unanswered(why) if self.word.is_missed_anew() => {
                warn!("no word from the Kubernetes API, the last state holds: {why}");
            }
            Trouble::Unanswered(why) => debug!(kind = plural, "still no word: {why}"),
        }
    }
}

/// Judges a failed watch or list.
fn trouble(plural: &str, error: &watcher::Error) -> Trouble {
    let status = match error {
        watcher::Error::WatchError(status) => Some(status),
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    };
    match status.map(|status| (status.code, &*status.message)) {
        Some((410, _)) => Trouble::Expired,
        Some((401, message)) => Trouble::Refused(format!(
            "the Kubernetes API does not know this agent ({message}); is its token valid?"
        )),
        Some((403, message)) => Trouble::Refused(format!(
            "may not list and watch {plural} ({message}); a rule for that is missing: apply the Role and the ClusterRole \
             of deploy/"
        )),
        Some((404, message)) => Trouble::Refused(format!(
            "the Kubernetes API has no {plural} ({message}); install them: `lb-agent crds | kubectl apply -f -`"
        )),
        _ => Trouble::Unanswered(causes(error)),
    }
}

/// An error with its causes, each said once.
pub fn causes(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refusal(code: u16) -> Trouble {
        let status = Status { code, message: "no".to_owned(), ..Status::default() };
        trouble("services", &watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status))))
    }

    #[test]
    fn what_somebody_has_to_mend_is_told_with_the_remedy() {
        let told = |code| match refusal(code) {
            Trouble::Refused(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(told(403).starts_with("may not list and watch services (no)"));
        assert!(told(404).starts_with("the Kubernetes API has no services (no)"));
        assert!(told(401).starts_with("the Kubernetes API does not know this agent (no)"));
    }

    #[test]
    fn an_old_watch_is_no_trouble_and_an_overloaded_server_is_no_refusal() {
        assert_eq!(refusal(410), Trouble::Expired);
        for code in [429, 500, 503] {
            assert!(matches!(refusal(code), Trouble::Unanswered(_)), "{code}");
        }
    }

    #[test]
    fn a_refusal_is_told_until_the_kind_is_watched_again() {
        let story = Story::new(Arc::default(), ApiCounters::default());
        let status = Status { code: 403, ..Status::default() };
        let error = watcher::Error::WatchError(Box::new(status));
        let is_told = || story.refused.lock().unwrap().contains_key("services");
        story.failed("services", &error);
        assert!(is_told());
        story.succeeded("nodes");
        assert!(is_told());
        story.succeeded("services");
        assert!(!is_told());
        assert_eq!((story.counters.updates.get(), story.counters.update_errors.get()), (2, 1));
    }
}
