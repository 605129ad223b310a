//! Problems of a file, for people.

use std::fmt;

use super::yaml::Line;

/// One problem: where, what, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Line in the file, from 1; `None` when it concerns the file as a whole.
    pub line: Option<Line>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// All problems of one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems {
    file: String,
    problems: Vec<Problem>,
}

/// A file with more problems than this has one cause; the rest is counted.
const MAX_SHOWN: usize = 20;

impl Problems {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), problems: Vec::new() }
    }

    pub(super) fn add(&mut self, line: Option<Line>, what: String, remedy: &str) {
        self.problems.push(Problem { line, what, remedy: remedy.to_owned() });
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems, in the order of their lines.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.problems
    }

    /// The value, if there are no problems.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Self> {
        self.problems.sort_by_key(|problem| problem.line);
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, problems } = self;
        for (place, Problem { line, what, remedy }) in problems.iter().take(MAX_SHOWN).enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            let line = line.map_or_else(String::new, |line| format!(":{line}"));
            write!(f, "{separator}{file}{line}: {what}; {remedy}")?;
        }
        match problems.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{file}: and {more} more problems"),
        }
    }
}

impl std::error::Error for Problems {}
