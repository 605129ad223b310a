//! What was measured, with limits and a verdict.

use std::fmt;

use anyhow::ensure;
use serde::Serialize;

/// What a figure has to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Something to compare with.
    None,
}

impl Limit {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::None => true,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(formatter, "at most {most}"),
            Self::AtLeast(least) => write!(formatter, "at least {least}"),
            Self::None => formatter.write_str("to compare"),
        }
    }
}

/// The unit of one figure divided by another.
pub const RATIO: &str = "x";

/// One figure.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    limit: Limit,
    ok: bool,
}

/// The figures of a run.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    all: Vec<Figure>,
    is_quiet: bool,
}

impl Figures {
    /// None yet. Unless `is_quiet` each is printed as it comes.
    #[must_use]
    pub const fn new(is_quiet: bool) -> Self {
        Self { all: Vec::new(), is_quiet }
    }

    /// Adds one.
    pub fn add(&mut self, what: impl Into<String>, value: f64, unit: &'static str, limit: Limit) {
        let figure = Figure { what: what.into(), value, unit, limit, ok: limit.holds(value) };
        if !self.is_quiet {
            println!("{}", line(&figure));
        }
        self.all.push(figure);
    }

    /// Says what is being done.
    pub fn say(&self, text: &str) {
        if !self.is_quiet {
            println!("\n{text}");
        }
    }

    /// The verdict over all of them, or, for machines, all of them as JSON.
    ///
    /// # Errors
    /// When one misses its limit.
    pub fn conclude(&self) -> anyhow::Result<()> {
        let Self { all, is_quiet } = self;
        if *is_quiet {
            println!("{}", serde_json::to_string_pretty(all)?);
        }
        let missed: Vec<&str> =
            all.iter().filter(|figure| !figure.ok).map(|figure| figure.what.as_str()).collect();
        ensure!(
            missed.is_empty(),
            "{} of {} figures miss their limit: {}",
            missed.len(),
            all.len(),
            missed.join("; ")
        );
        Ok(())
    }
}

fn line(Figure { what, value, unit, limit, ok }: &Figure) -> String {
    let verdict = if *ok { "ok  " } else { "MISS" };
    let decimals = if *unit == RATIO { 3 } else { 1 };
    format!("  {verdict}  {what:<62} {value:>10.decimals$} {unit:<4}  {limit}")
}

/// The value that `percent` of all values do not exceed (nearest rank); 50 is the median.
///
/// # Panics
/// Without values.
#[must_use]
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([50, 99, 100].map(|percent| percentile(&values, percent)), [50.0, 99.0, 100.0]);
        assert_eq!(percentile(&[7.0], 50), 7.0);
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 50), 2.0);
    }

    #[test]
    fn a_figure_that_misses_its_limit_fails_the_run() {
        let mut figures = Figures::new(true);
        figures.add("fits", 1.0, "ms", Limit::AtMost(1.0));
        assert!(figures.conclude().is_ok());
        figures.add("is too small", 0.9, "x", Limit::AtLeast(1.0));
        let error = figures.conclude().expect_err("a miss").to_string();
        assert_eq!(error, "1 of 2 figures miss their limit: is too small");
    }
}
