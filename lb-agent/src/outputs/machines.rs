//! Notices that agents on several machines call themselves by the same node's name.
//!
//! Each of them would take the other's word for its own: VIPs would be answered for twice, and never be settled. Both write the
//! same ConfigurationState, so that is where they meet: an annotation there names the machines. An agent that starts writes its own
//! alone, as after a restart or on a new machine. If that replaces one whose agent is alive, this one adds itself again, so both
//! see two and agree on what to write.

use std::collections::BTreeSet;

use kube::ResourceExt as _;

use crate::crds::ConfigurationState;

/// The annotation, with commas between the machines.
pub const MACHINES: &str = "lb.metallb.io/machines";

/// The machines whose agents have one name.
#[derive(Debug)]
pub struct Machines {
    mine: String,
    names: BTreeSet<String>,
    /// What stands there was written by this agent, or after it.
    is_established: bool,
}

impl Machines {
    /// As seen from an agent that has just started.
    #[must_use]
    pub fn new(mine: String) -> Self {
        let names = BTreeSet::from([mine.clone()]);
        Self { mine, names, is_established: false }
    }

    /// What this agent has written has been there: what is added to it now is by another one that lives.
    pub const fn establish(&mut self) {
        self.is_established = true;
    }

    /// Looks at what stands there.
    pub fn look(&mut self, state: Option<&ConfigurationState>) {
        let text = state.and_then(|state| state.annotations().get(MACHINES)).map_or("", String::as_str);
        let known = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let alone = BTreeSet::from([self.mine.clone()]);
        let known: BTreeSet<String> = known.map(str::to_owned).chain([self.mine.clone()]).collect();
        self.is_established |= known == alone && !text.is_empty();
        self.names = if self.is_established { known } else { alone };
    }

    /// What is to stand there.
    #[must_use]
    pub const fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// Whether there is more than this one.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.names.len() > 1
    }

    /// What is wrong then, and what to do: the same text by whichever agent.
    #[must_use]
    pub fn problem(&self, node: &str) -> Option<String> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        self.are_several().then(|| {
            format!(
                "agents on several machines call themselves node {node} ({}): give each its own name by LB_NODE or --node, or \
                 stop one and restart the other",
                names.join(" and ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crds::ConfigurationStateSpec;

    fn state(machines: &str) -> ConfigurationState {
        let mut state = ConfigurationState::new("speaker-n1", ConfigurationStateSpec {});
        state.annotations_mut().insert(MACHINES.to_owned(), machines.to_owned());
        state
    }

    fn look(machines: &mut Machines, text: &str) -> String {
        machines.look(Some(&state(text)));
        machines.names().iter().cloned().collect::<Vec<_>>().join(",")
    }

    #[test]
    fn an_agent_that_starts_takes_the_place_of_what_was_there() {
        let mut machines = Machines::new("b".to_owned());
        machines.look(None);
        assert_eq!(machines.names(), &["b".to_owned()].into());
        for before in ["", "a", "a,b", "b"] {
            let mut machines = Machines::new("b".to_owned());
            assert_eq!(look(&mut machines, before), "b", "{before}");
            assert_eq!(machines.problem("n1"), None);
        }
    }

    #[test]
    fn agents_of_one_name_agree_that_there_are_two_and_write_no_more() {
        let (mut one, mut other) = (Machines::new("a".to_owned()), Machines::new("b".to_owned()));
        assert_eq!(look(&mut one, "a"), "a");
        assert_eq!(look(&mut other, "a"), "b", "written over what was there");
        other.establish();
        assert_eq!(look(&mut one, "b"), "a,b", "it is there, too");
        assert_eq!(look(&mut other, "a,b"), "a,b");
        assert_eq!(look(&mut one, "a,b"), "a,b");
        let problem = "agents on several machines call themselves node n1 (a and b): give each its own name by LB_NODE or --node, or stop \
                       one and restart the other";
        assert_eq!(
            [&one, &other].map(|machines| machines.problem("n1")),
            [Some(problem.to_owned()), Some(problem.to_owned())]
        );
    }

    #[test]
    fn the_one_that_is_left_is_alone_again_once_it_restarts() {
        let mut machines = Machines::new("a".to_owned());
        assert_eq!(look(&mut machines, "a,b"), "a");
        machines.establish();
        assert_eq!(look(&mut machines, "a"), "a");
        assert!(!machines.are_several());
    }

    #[test]
    fn an_edit_by_hand_is_undone() {
        let mut machines = Machines::new("a".to_owned());
        assert_eq!(look(&mut machines, "a"), "a");
        assert_eq!(look(&mut machines, ""), "a");
        assert!(!machines.are_several());
    }
}
