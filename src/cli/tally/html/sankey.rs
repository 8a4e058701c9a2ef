//! How ballots moved from round to round, as bands between columns.

use std::fmt::Write;

use super::{colour, label, share};
use crate::engine::votes::count::Round;
use crate::engine::votes::{Count, CountRules};

/// Pixels of a column, of all ballots, and between two options.
const COLUMN: f64 = 12.0;
const HIGH: f64 = 380.0;
const GAP: f64 = 5.0;
/// Pixels beside the columns, for names.
const MARGIN: f64 = 150.0;

/// Pixels from one column to the next: as many as fit the page, and never so few that bands become walls.
fn step(columns: usize) -> f64 {
    (560.0 / columns.saturating_sub(1).max(1) as f64).clamp(70.0, 150.0)
}

/// An option in a column, and how much of its height bands that come and bands that go have taken.
#[derive(Clone, Copy)]
struct Node {
    y: f64,
    high: f64,
    came: f64,
    went: f64,
}

/// The rounds of a count from left to right.
pub fn picture(rules: &CountRules, count: &Count) -> String {
    let options = rules.options.len();
    let total = count.rounds.iter().map(ballots).max().unwrap_or(0);
    // The order of the first round holds for all: bands then cross only where ballots cross.
    let mut order: Vec<usize> = (0..options).collect();
    order.sort_by_key(|&option| std::cmp::Reverse(count.rounds.first().and_then(|round| round.tally[option])));
    order.push(options);

    let mut columns: Vec<Vec<Option<Node>>> = count.rounds.iter().map(|round| column(round, &order, total)).collect();
    let step = step(columns.len());
    let width = 2.0 * MARGIN + step * (columns.len() - 1) as f64 + COLUMN;
    let height = HIGH + GAP * (options + 1) as f64 + 24.0;
    let mut svg = format!("<div class=\"wide\"><svg width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">");
    for (at, round) in count.rounds.iter().enumerate() {
        let x = MARGIN + step * at as f64;
        if let Some((here, next)) =
            columns[at..].split_first_mut().and_then(|(here, rest)| Some((here, rest.first_mut()?)))
        {
            for (from, to, amount) in flows(round, &order) {
                let (Some(a), Some(b)) = (here[from].as_mut(), next[to].as_mut()) else { continue };
                band(&mut svg, x + COLUMN, a, x + step, b, HIGH * share(amount, total), from, from == options);
            }
        }
        nodes(&mut svg, rules, count, at, x, &columns[at]);
    }
    svg.push_str("</svg></div>");
    svg
}

fn ballots(round: &Round) -> u128 {
    round.tally.iter().flatten().sum::<u128>() + round.exhausted
}

/// Where each option stands in a round's column; what is exhausted stands last.
fn column(round: &Round, order: &[usize], total: u128) -> Vec<Option<Node>> {
    let mut nodes = vec![None; order.len()];
    let mut y = 20.0;
    for &option in order {
        let held = match round.tally.get(option) {
            Some(held) => *held,
            None => (round.exhausted > 0).then_some(round.exhausted),
        };
        if let Some(held) = held {
            let high = HIGH * share(held, total);
            nodes[option] = Some(Node { y, high, came: 0.0, went: 0.0 });
            y += high + GAP;
        }
    }
    nodes
}

/// What goes from where to where after a round, in the order of the columns. The last place is the exhausted.
fn flows(round: &Round, order: &[usize]) -> Vec<(usize, usize, u128)> {
    let options = round.tally.len();
    let mut flows: Vec<(usize, usize, u128)> = Vec::new();
    for &from in order {
        if from == options {
            flows.push((from, from, round.exhausted));
            continue;
        }
        let Some(held) = round.tally[from] else { continue };
        let mut leaving: Vec<(usize, usize, u128)> = round
            .transfers
            .iter()
            .filter(|transfer| usize::from(transfer.from) == from)
            .map(|transfer| (from, transfer.to.map_or(options, usize::from), transfer.amount))
            .collect();
        let left: u128 = leaving.iter().map(|flow| flow.2).sum();
        leaving.push((from, from, held.saturating_sub(left)));
        leaving.sort_by_key(|flow| order.iter().position(|&option| option == flow.1));
        flows.extend(leaving);
    }
    flows.retain(|flow| flow.2 > 0);
    flows
}

#[expect(clippy::too_many_arguments, reason = "two ends of two coordinates each, and a look")]
fn band(svg: &mut String, x1: f64, a: &mut Node, x2: f64, b: &mut Node, high: f64, option: usize, grey: bool) {
    let (y1, y2) = (a.y + a.went, b.y + b.came);
    a.went += high;
    b.came += high;
    let middle = (x1 + x2) / 2.0;
    let fill = if grey { "#8884".to_owned() } else { colour(option) };
    let _ = write!(
        svg,
        "<path class=\"flow\" fill=\"{fill}\" fill-opacity=\".35\" d=\"M{x1:.1} {y1:.1}C{middle:.1} {y1:.1} {middle:.1} \
         {y2:.1} {x2:.1} {y2:.1}v{high:.1}C{middle:.1} {:.1} {middle:.1} {:.1} {x1:.1} {:.1}z\"/>",
        y2 + high,
        y1 + high,
        y1 + high,
    );
}

fn nodes(svg: &mut String, rules: &CountRules, count: &Count, at: usize, x: f64, column: &[Option<Node>]) {
    let options = rules.options.len();
    let last = at + 1 == count.rounds.len();
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"12\" text-anchor=\"middle\" class=\"dim\">{}</text>",
        x + COLUMN / 2.0,
        at + 1
    );
    for (option, node) in column.iter().enumerate().filter_map(|(option, node)| Some((option, (*node)?))) {
        let fill = if option == options { "#888".to_owned() } else { colour(option) };
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{COLUMN}\" height=\"{:.1}\" fill=\"{fill}\"/>",
            node.y,
            node.high.max(1.0)
        );
    }
    if at > 0 && !last {
        return;
    }
    // Names stand at both ends, as many as fit below each other.
    let mut by_place: Vec<(usize, Node)> =
        column.iter().enumerate().filter_map(|(option, node)| Some((option, (*node)?))).collect();
    by_place.sort_by(|a, b| a.1.y.total_cmp(&b.1.y));
    let mut below = f64::MIN;
    for (option, node) in by_place {
        let y = node.y + node.high / 2.0 + 4.0;
        if y < below + 12.0 {
            continue;
        }
        below = y;
        let name = if option == options { "exhausted".to_owned() } else { label(rules, option, 20) };
        let (x, anchor) = if last { (x + COLUMN + 6.0, "start") } else { (x - 6.0, "end") };
        let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{name}</text>");
    }
}
