//! Watches: the changes of a kind as they come, one line each.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep_until},
};

use super::{
    reading::is_in,
    refusal::Refusal,
    request::{Parameters, Target},
    selectors::Selection,
    state::State,
    store::Change,
};

/// How long a watch lasts that does not say it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1_800);

/// What wakes the watches.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Wake {
    /// The newest revision.
    pub revision: u64,
    /// How often watches have been cut.
    pub cuts: u64,
}

/// A watch at work.
#[derive(Debug)]
pub struct Watching {
    state: Arc<Mutex<State>>,
    wake: Receiver<Wake>,
    target: Target,
    selection: Selection,
    /// Everything up to this revision has been told.
    told: u64,
    cuts: u64,
    end: Instant,
    /// How often a bookmark comes; `None`: never.
    bookmarks: Option<Duration>,
    next_bookmark: Instant,
    is_spared: bool,
    lines: VecDeque<String>,
    is_over: bool,
}

impl Watching {
    /// Begins a watch. `is_spared`: faults do not touch it.
    ///
    /// # Errors
    /// 400 for parameters that cannot be.
    pub fn begin(
        state: Arc<Mutex<State>>,
        wake: Receiver<Wake>,
        target: Target,
        parameters: &Parameters,
        bookmark_interval: Duration,
        is_spared: bool,
    ) -> Result<Self, Refusal> {
        let (selection, First { lines, told, is_over }) = {
            let state = super::lock(&state);
            let resource = &state.resources[target.kind];
            let selection = Selection::parse(
                resource,
                parameters.text("labelSelector"),
                parameters.text("fieldSelector"),
            )?;
            let first = First::of(&state, &target, &selection, parameters)?;
            (selection, first)
        };
        let timeout = parameters.number("timeoutSeconds")?.filter(|&seconds| seconds > 0);
        let now = Instant::now();
        let bookmarks = parameters.is_set("allowWatchBookmarks").then_some(bookmark_interval);
        let cuts = wake.borrow().cuts;
        Ok(Self {
            state,
            wake,
            target,
            selection,
            told,
            cuts,
            end: now + timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
            bookmarks,
            next_bookmark: now + bookmark_interval,
            is_spared,
            lines,
            is_over,
        })
    }

    /// Its lines.
    pub fn stream(self) -> impl Stream<Item = Result<String, Infallible>> + Send {
        stream::unfold(self, |mut watching| async {
            let lines = watching.next_lines().await?;
            Some((Ok(lines), watching))
        })
    }

    /// The lines that are due, once there are any; `None` at the end.
    async fn next_lines(&mut self) -> Option<String> {
        loop {
            if !self.is_over {
                self.collect();
            }
            if !self.lines.is_empty() {
                return Some(self.lines.drain(..).collect());
            }
            if self.is_over {
                return None;
            }
            let bookmark = self.bookmarks.map_or(self.end, |_| self.next_bookmark.min(self.end));
            tokio::select! {
                changed = self.wake.changed() => if changed.is_err() { return None },
                () = sleep_until(bookmark) => self.mark(),
            }
        }
    }

    /// Takes up the changes since the last time.
    fn collect(&mut self) {
        let Wake { revision: _, cuts } = *self.wake.borrow_and_update();
        if cuts != self.cuts {
            self.is_over = true;
            return;
        }
        let state = super::lock(&self.state);
        let times = if state.faults.are_events_doubled && !self.is_spared { 2 } else { 1 };
        match state.store.since(self.told) {
            Ok(changes) => {
                let changes = changes
                    .filter(|change| change.kind == self.target.kind && is_in(&self.target, &change.key));
                for line in changes.filter_map(|change| event(change, &self.selection)) {
                    self.lines.extend(std::iter::repeat_n(line, times));
                }
                self.told = state.store.revision();
            }
            Err(gone) => {
                self.lines.push_back(line("ERROR", &gone.status()));
                self.is_over = true;
            }
        }
    }

    /// A bookmark, and the end when it is time.
    fn mark(&mut self) {
        let now = Instant::now();
        self.is_over = now >= self.end;
        if let Some(interval) = self.bookmarks {
            self.next_bookmark = now + interval;
            let state = super::lock(&self.state);
            self.lines.push_back(bookmark(&state, &self.target, self.told, json!({})));
        }
    }
}

/// What a watch begins with: nothing after a list, all objects without one.
struct First {
    lines: VecDeque<String>,
    /// The revision that they are of.
    told: u64,
    is_over: bool,
}

impl First {
    fn of(
        state: &State,
        target: &Target,
        selection: &Selection,
        parameters: &Parameters,
    ) -> Result<Self, Refusal> {
        let asked = parameters.number("resourceVersion")?.unwrap_or(0);
        let is_streaming_list = parameters.is_set("sendInitialEvents");
        if is_streaming_list && parameters.text("resourceVersionMatch") != "NotOlderThan" {
            return Err(Refusal::bad_request("sendInitialEvents requires resourceVersionMatch=NotOlderThan"));
        }
        let newest = state.store.revision();
        if asked > newest {
            return Err(Refusal::too_large_version(asked, newest));
        }
        if asked > 0 && !is_streaming_list {
            // That the revision is gone comes as an event, and the watch ends with it.
            let gone = state.store.known(asked).err().map(|gone| line("ERROR", &gone.status()));
            return Ok(Self { told: asked, is_over: gone.is_some(), lines: gone.into_iter().collect() });
        }
        let objects = state.store.at(target.kind, newest)?;
        let matching = objects.iter().filter(|(key, object)| is_in(target, key) && selection.matches(object));
        let mut lines: VecDeque<String> = matching.map(|(_, object)| line("ADDED", object)).collect();
        if is_streaming_list {
            let end = json!({"k8s.io/initial-events-end": "true"});
            lines.push_back(bookmark(state, target, newest, end));
        }
        Ok(Self { lines, told: newest, is_over: false })
    }
}

/// What a change is to one who sees only what is selected.
fn event(change: &Change, selection: &Selection) -> Option<String> {
    let before = change.before.as_ref().filter(|object| selection.matches(object));
    let after = change.after.as_ref().filter(|object| selection.matches(object));
    match (before, after) {
        (None, None) => None,
        (None, Some(after)) => Some(line("ADDED", after)),
        (Some(_), Some(after)) => Some(line("MODIFIED", after)),
        (Some(before), None) => {
            let mut last = Value::clone(before);
            last["metadata"]["resourceVersion"] = json!(change.revision.to_string());
            Some(line("DELETED", &last))
        }
    }
}

fn bookmark(state: &State, target: &Target, revision: u64, annotations: Value) -> String {
    let resource = &state.resources[target.kind];
    let metadata = json!({"resourceVersion": revision.to_string(), "annotations": annotations});
    line(
        "BOOKMARK",
        &json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata}),
    )
}

fn line(kind: &str, object: &Value) -> String {
    let mut line = String::new();
    let _ = writeln!(line, "{{\"type\":\"{kind}\",\"object\":{object}}}");
    line
}
