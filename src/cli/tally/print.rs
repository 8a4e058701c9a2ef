//! The count as a table that people can read: who won, what everybody has, and every round with bars.

use std::io::{self, Write};

use super::read::Election;
use crate::engine::votes::count::{Evidence, TieEvent, TieFor};
use crate::engine::votes::{Count, CountRules, CountStatus, OptionIx};

/// Cells that a full bar is wide.
const BAR_CELLS: u128 = 30;

/// Options up to which a pairwise matrix is still readable in a terminal.
const MATRIX_OPTIONS_MAX: usize = 12;

/// Prints the whole story of a count.
pub fn print(
    out: &mut impl Write,
    rules: &CountRules,
    election: &Election,
    count: &Count,
    cast: u128,
) -> io::Result<()> {
    let title = if election.title.is_empty() { "Election" } else { &election.title };
    writeln!(out, "{title}")?;
    let seats = if rules.seats > 1 { format!(", {} seats", rules.seats) } else { String::new() };
    writeln!(
        out,
        "{} ballots, {} options{seats}, counted by {}: {}\n",
        cast,
        rules.options.len(),
        rules.method.name,
        rules.method.about
    )?;
    writeln!(out, "{}\n", outcome(rules, count))?;
    print_scores(out, rules, count)?;
    for (at, round) in count.rounds.iter().enumerate() {
        print_round(out, rules, count, at)?;
        debug_assert_eq!(round.tally.len(), rules.options.len());
    }
    print_matrix(out, rules, count)?;
    print_evidence(out, rules, count)?;
    for tie in &count.tie_events {
        writeln!(out, "{}", tie_line(rules, tie))?;
    }
    Ok(())
}

/// The result in one sentence.
pub fn outcome(rules: &CountRules, count: &Count) -> String {
    let names = list(rules, &count.winners);
    match (count.status, count.winners.len()) {
        (CountStatus::NoVotes, _) => "Nobody wins: no ballot speaks for anybody.".into(),
        (CountStatus::Decided, 1) => format!("{names} wins."),
        (CountStatus::Decided, _) => format!("{names} are elected."),
        (CountStatus::Tie, _) => match count.tie_events.iter().find(|tie| tie.by.is_none()) {
            // Everybody still standing could win, and what keeps them from it is a tie among a few.
            Some(tie) if tie.about != TieFor::Win => {
                let round = tie.round.map_or(String::new(), |round| format!(" in round {}", round + 1));
                let tied = list(rules, &tie.tied);
                format!(
                    "Left open{round}: {tied} are level, and no tie_break says who goes on. {names} could still win."
                )
            }
            _ => format!("A tie that no rule breaks, between {names}."),
        },
    }
}

/// One tie as a sentence.
pub fn tie_line(rules: &CountRules, tie: &TieEvent) -> String {
    let what = match tie.about {
        TieFor::Win => "for the win",
        TieFor::Elimination => "for elimination",
        TieFor::Order => "for whose surplus goes first",
        TieFor::Runoff => "for a place in the run-off",
        TieFor::Lock => "for whose majority is locked",
    };
    let round = tie.round.map_or(String::new(), |round| format!(" in round {}", round + 1));
    let tied = list(rules, &tie.tied);
    match tie.by {
        Some(by) => format!("Tie {what}{round} between {tied}: {} favours {}.", by.name(), list(rules, &tie.favoured)),
        None => format!("Tie {what}{round} between {tied}: left open."),
    }
}

/// Names in a row, as one says them.
pub fn list(rules: &CountRules, options: &[OptionIx]) -> String {
    let names: Vec<&str> = options.iter().map(|&option| name(rules, option)).collect();
    match names.as_slice() {
        [] => "nobody".into(),
        [one] => (*one).into(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn name(rules: &CountRules, option: OptionIx) -> &str {
    &rules.options[usize::from(option)]
}

/// A scaled number with the decimals it has.
pub fn decimal(number: u128, scale: u32) -> String {
    let (whole, rest) = (number / u128::from(scale), number % u128::from(scale));
    if rest == 0 {
        return whole.to_string();
    }
    let digits = scale.ilog10() as usize;
    format!("{whole}.{rest:0digits$}").trim_end_matches('0').to_owned()
}

/// Hundredths of a share as text, rounded down; only for looking at.
pub fn percent(part: u128, whole: u128) -> String {
    if whole == 0 {
        return String::new();
    }
    let hundredths = part.saturating_mul(10_000) / whole;
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

fn bar(part: u128, whole: u128) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part.saturating_mul(BAR_CELLS * 8)).checked_div(whole).unwrap_or(0).min(BAR_CELLS * 8) as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// The widest name, in characters, so that columns stand below each other.
fn width(rules: &CountRules) -> usize {
    rules.options.iter().map(|option| option.chars().count()).max().unwrap_or(0).clamp(9, 40)
}

fn cut(name: &str) -> String {
    if name.chars().count() <= 40 { name.into() } else { name.chars().take(39).chain(['…']).collect() }
}

/// What the sums of a method are called.
pub fn score_name(rules: &CountRules) -> &'static str {
    match rules.method.name {
        "approval" => "approvals",
        "weighted" => "weight",
        "ranked" | "stv" => "first preferences",
        "borda" => "points, doubled",
        "schulze" | "ranked_pairs" => "rivals beaten",
        "minimax" => "worst defeat",
        "copeland" => "duels, won counting 2 and level 1",
        "score" | "star" => "sum of scores",
        _ => "votes",
    }
}

fn print_scores(out: &mut impl Write, rules: &CountRules, count: &Count) -> io::Result<()> {
    let mut order: Vec<usize> = (0..count.scores.len()).collect();
    let best_first = rules.method.name != "minimax";
    order.sort_by_key(|&option| {
        let score = count.scores[option];
        let won = count.winners.contains(&(option as OptionIx));
        (!won, if best_first { u128::MAX - score } else { score })
    });
    let most = count.scores.iter().max().copied().unwrap_or(0);
    let width = width(rules);
    let digits = most.to_string().len();
    writeln!(out, "  {:width$}  {}", "", score_name(rules))?;
    for option in order {
        let mark = if count.winners.contains(&(option as OptionIx)) { '*' } else { ' ' };
        let score = count.scores[option];
        let name = cut(&rules.options[option]);
        writeln!(out, "{mark} {name:width$}  {score:>digits$}  {}", bar(score, most))?;
    }
    writeln!(out)
}

fn print_round(out: &mut impl Write, rules: &CountRules, count: &Count, at: usize) -> io::Result<()> {
    let round = &count.rounds[at];
    let quota = count.quota.filter(|_| at == 0).map_or(String::new(), |quota| format!(", quota {quota}"));
    writeln!(out, "Round {}{quota}", at + 1)?;
    let continuing: u128 = round.tally.iter().flatten().sum();
    let mut standing: Vec<(usize, u128)> =
        round.tally.iter().enumerate().filter_map(|(option, held)| held.map(|held| (option, held))).collect();
    standing.sort_by_key(|&(option, held)| (std::cmp::Reverse(held), option));
    let most = standing.first().map_or(0, |&(_, held)| held);
    let (width, digits) = (width(rules), decimal(most, count.scale).len().max(round_digits(count)));
    for (option, held) in standing {
        let fate = fate(count, at, option as OptionIx);
        let line = format!(
            "  {:width$}  {:>digits$}  {:>7}  {:30} {fate}",
            cut(&rules.options[option]),
            decimal(held, count.scale),
            percent(held, continuing),
            bar(held, most),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    if round.exhausted > 0 {
        writeln!(out, "  {:width$}  {:>digits$}", "exhausted", decimal(round.exhausted, count.scale))?;
    }
    for transfer in &round.transfers {
        let to = transfer.to.map_or("nobody", |to| name(rules, to));
        writeln!(out, "    {} -> {to}: {}", name(rules, transfer.from), decimal(transfer.amount, count.scale))?;
    }
    writeln!(out)
}

/// Digits that the longest tally of any round takes.
fn round_digits(count: &Count) -> usize {
    let tallies = count.rounds.iter().flat_map(|round| round.tally.iter().flatten());
    tallies.map(|&held| decimal(held, count.scale).len()).max().unwrap_or(0)
}

/// What became of an option in a round, in a word.
pub fn fate(count: &Count, at: usize, option: OptionIx) -> &'static str {
    let round = &count.rounds[at];
    if round.elected.contains(&option) {
        "elected"
    } else if round.eliminated.contains(&option) {
        "eliminated"
    } else if count.rounds[..at].iter().any(|earlier| earlier.elected.contains(&option)) {
        "is in"
    } else {
        ""
    }
}

fn print_matrix(out: &mut impl Write, rules: &CountRules, count: &Count) -> io::Result<()> {
    let Some(matrix) = &count.matrix else { return Ok(()) };
    let size = matrix.size();
    if size > MATRIX_OPTIONS_MAX {
        return writeln!(out, "{size} options are too many for a matrix here; --json and --html have it.\n");
    }
    let most = (0..size).flat_map(|a| matrix.row(a).iter().copied()).max().unwrap_or(0);
    let cell = most.to_string().len().max(3);
    let width = width(rules);
    writeln!(out, "How many rank the one on the left above the one on top (* where they are more)")?;
    let heads: Vec<String> = (0..size).map(|option| format!("{:>cell$} ", format!("[{}]", option + 1))).collect();
    writeln!(out, "  {:width$}      {}", "", heads.concat().trim_end())?;
    for a in 0..size {
        let row: Vec<String> = (0..size)
            .map(|b| match (a == b, matrix.beats(a, b)) {
                (true, _) => format!("{:>cell$} ", "-"),
                (false, true) => format!("{:>cell$}*", matrix.get(a, b)),
                (false, false) => format!("{:>cell$} ", matrix.get(a, b)),
            })
            .collect();
        writeln!(out, "  {:width$} {:>4} {}", cut(&rules.options[a]), format!("[{}]", a + 1), row.concat().trim_end())?;
    }
    if let Some(winner) = matrix.condorcet_winner() {
        writeln!(out, "{} beats every other head to head.", name(rules, winner))?;
    } else if size > 1 {
        writeln!(
            out,
            "Nobody beats every other head to head; the smallest unbeaten circle is {}.",
            list(rules, &matrix.smith_set())
        )?;
    }
    writeln!(out)
}

fn print_evidence(out: &mut impl Write, rules: &CountRules, count: &Count) -> io::Result<()> {
    match &count.evidence {
        // The paths are a matrix again; what they say is in the scores.
        Evidence::None | Evidence::Paths(_) => return Ok(()),
        Evidence::Locked(locks) => {
            writeln!(out, "Majorities, the clearest first")?;
            for lock in locks.iter().take(60) {
                let fate = if lock.locked { "locked" } else { "passed over, it would close a circle" };
                writeln!(
                    out,
                    "  {} over {}: {} ({fate})",
                    name(rules, lock.winner),
                    name(rules, lock.loser),
                    lock.strength
                )?;
            }
            if locks.len() > 60 {
                writeln!(out, "  and {} more; --json has them", locks.len() - 60)?;
            }
        }
        Evidence::Runoff { finalists: [a, b], preferred: [for_a, for_b] } => {
            writeln!(out, "Run-off: {for_a} prefer {}, {for_b} prefer {}", name(rules, *a), name(rules, *b))?;
        }
        Evidence::Motion { yes, of, threshold_bp } => {
            let needs = percent(u128::from(*threshold_bp), 10_000);
            writeln!(out, "{yes} of {of} say yes ({}), {needs} are needed", percent(*yes, *of))?;
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_the_decimals_they_have() {
        assert_eq!([decimal(7, 1), decimal(250_000, 100_000), decimal(33_333, 100_000)], ["7", "2.5", "0.33333"]);
        assert_eq!([percent(1, 3), percent(3, 3), percent(1, 0)], ["33.33%", "100.00%", ""]);
        assert_eq!(bar(1, 2).chars().count(), 15);
        assert_eq!(bar(0, 0), "");
    }
}
