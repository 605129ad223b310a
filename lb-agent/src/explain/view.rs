//! How good the view of the cluster is.

use super::{Step, service::Told};
use crate::{cluster::selection::Problem, model::BoottimeNs};

/// Where the view comes from, and how old it may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct View {
    /// It is what an earlier agent left on disk.
    pub is_from_disk: bool,
    /// No word from the API has come for too long.
    pub is_stale: bool,
    /// Time since the last word; `None`: none has come yet.
    pub last_word_ago_ns: Option<BoottimeNs>,
}

impl View {
    /// In words, with what is not used of the configuration.
    #[must_use]
    pub fn steps(&self, told: Told<'_>) -> Vec<Step> {
        let mut steps: Vec<Step> = self.step().into_iter().collect();
        steps.extend(told.selection.problems.iter().filter_map(|problem| problem_step(problem, told)));
        steps
    }

    /// A view that is as it should be is not worth a word.
    fn step(&self) -> Option<Step> {
        let ago = self.last_word_ago_ns.map(|ns| ns / 1_000_000_000);
        let words = match (self.is_from_disk, self.is_stale, ago) {
            (true, _, None) => {
                "from disk, where an earlier agent left it: no word has come from the Kubernetes API yet"
                    .to_owned()
            }
            (true, _, Some(seconds)) => format!(
                "from disk, where an earlier agent left it: the Kubernetes API, last heard {seconds} s ago, has not told all yet"
            ),
            (false, true, Some(seconds)) => format!(
                "stale: no word has come from the Kubernetes API for {seconds} s; what has changed meanwhile is not known here"
            ),
            (false, true, None) => "stale: no word has come from the Kubernetes API".to_owned(),
            (false, false, _) => return None,
        };
        Some(Step::new("view", None, words))
    }
}

fn problem_step(problem: &Problem, told: Told<'_>) -> Option<Step> {
    let Problem { kind, name, what: _, is_invalid } = problem;
    let rejected = told.selection.configuration.rejected.get(&(*kind, name.clone()));
    let remedy = match (is_invalid, rejected) {
        (false, _) => return None,
        (true, Some(true)) => "; its last valid version is in use",
        (true, Some(false)) => "; it is not used",
        (true, None) => "",
    };
    Some(Step::new("configuration", None, format!("{problem}{remedy}")))
}
