//! Who answered when, as a picture (SVG).

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::Context as _;

use super::{FaultSeen, silences};

/// The answers that a client heard during one fault.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    /// When, and from which node.
    pub answers: Vec<(Duration, String)>,
    /// When it was that the fault happened.
    pub fault_at: Duration,
    /// How long the client asked.
    pub len: Duration,
}

const LEFT: f64 = 220.0;
const WIDTH: f64 = 900.0;
const LANE: f64 = 64.0;
const ROW: f64 = 12.0;
const TOP: f64 = 50.0;
/// Nodes in order of their names; told apart without red and green.
const COLOURS: [&str; 3] = ["#0072b2", "#e69f00", "#8e5ea2"];
/// Answers closer together than this are drawn as one bar.
const JOINED: Duration = Duration::from_millis(8);

/// Writes one lane for each fault, in it one row for each node.
pub(super) fn write(path: &Path, faults: &[FaultSeen]) -> anyhow::Result<()> {
    let directory = path.parent().context("a path with a directory")?;
    fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    fs::write(path, draw(faults)?).with_context(|| format!("write {}", path.display()))
}

fn draw(faults: &[FaultSeen]) -> anyhow::Result<String> {
    let nodes = nodes(faults);
    let height = TOP + LANE * (0..faults.len()).map(|_| 1.0).sum::<f64>() + 30.0;
    let width = LEFT + WIDTH + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (node, colour) in nodes.iter().zip(COLOURS) {
        let x = LEFT
            + 90.0 * f64::from(u32::try_from(nodes.iter().position(|other| other == node).unwrap_or(0))?);
        writeln!(svg, "<rect x=\"{x}\" y=\"12\" width=\"14\" height=\"12\" fill=\"{colour}\"/>")?;
        writeln!(svg, "<text x=\"{}\" y=\"23\">{node} answers</text>", x + 18.0)?;
    }
    let mut top = TOP;
    for fault in faults {
        lane(&mut svg, fault, &nodes, top)?;
        top += LANE;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn nodes(faults: &[FaultSeen]) -> Vec<String> {
    let mut nodes: Vec<String> =
        faults.iter().flat_map(|fault| fault.timeline.answers.iter().map(|(_, node)| node.clone())).collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

fn lane(svg: &mut String, fault: &FaultSeen, nodes: &[String], top: f64) -> anyhow::Result<()> {
    let Lane { answers, fault_at, len } = &fault.timeline;
    let x = |at: Duration| LEFT + WIDTH * (at.as_secs_f64() / len.as_secs_f64()).min(1.0);
    writeln!(svg, "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}</text>", top + 14.0, fault.what)?;
    let summary = format!("{} silent, {} double", silences(&fault.silence_ms), fault.double_answers);
    writeln!(svg, "<text x=\"10\" y=\"{}\" fill=\"#555\">{summary}</text>", top + 30.0)?;
    let bottom = top + ROW * 3.0 + 6.0;
    writeln!(
        svg,
        "<line x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{}\" y2=\"{bottom}\" stroke=\"#bbb\"/>",
        LEFT + WIDTH
    )?;
    for (row, (node, colour)) in (0_u8..).zip(nodes.iter().zip(COLOURS)) {
        let y = top + ROW * f64::from(row);
        for (from, to) in bars(answers.iter().filter(|(_, by)| by == node).map(|&(at, _)| at)) {
            let (from, to) = (x(from), x(to));
            let width = (to - from).max(1.0);
            writeln!(
                svg,
                "<rect x=\"{from:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>",
                ROW - 2.0
            )?;
        }
    }
    let at = x(*fault_at);
    writeln!(
        svg,
        "<line x1=\"{at:.1}\" y1=\"{}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"black\" stroke-dasharray=\"3 2\"/>",
        top - 4.0
    )?;
    writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" fill=\"#555\">{} s</text>",
        LEFT + WIDTH - 30.0,
        bottom + 12.0,
        len.as_secs_f32()
    )?;
    Ok(())
}

/// Times that lie close together, as bars.
fn bars(times: impl Iterator<Item = Duration>) -> Vec<(Duration, Duration)> {
    let mut bars: Vec<(Duration, Duration)> = Vec::new();
    for at in times {
        match bars.last_mut() {
            Some((_, to)) if at.saturating_sub(*to) <= JOINED => *to = at,
            _ => bars.push((at, at)),
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_follow_closely_make_one_bar() {
        let ms = Duration::from_millis;
        let times = [0, 2, 4, 300, 302].map(ms);
        assert_eq!(bars(times.into_iter()), [(ms(0), ms(4)), (ms(300), ms(302))]);
    }
}
