//! `--all-methods`: the same ballots counted every way they can be, and where the ways disagree.

use std::io::{self, Write};

use super::print::{list, outcome};
use super::read::Election;
use super::settings::Settings;
use crate::engine::votes::count::Matrix;
use crate::engine::votes::{BallotKind, Count, CountRules, CountStatus, METHODS, OptionIx, Profile};

/// Options and rows up to which every option is taken out once to look for spoilers.
const SPOILER_OPTIONS_MAX: usize = 24;
const SPOILER_ROWS_MAX: usize = 200_000;

/// One method's answer.
pub struct Answer {
    /// The rules it was counted by.
    pub rules: CountRules,
    /// The count.
    pub count: Count,
    ballots: Profile,
}

/// Every method that can hear these ballots, in the order of METHODS.
pub fn answers(election: &Election, settings: &Settings) -> Vec<Answer> {
    let mut answers = Vec::new();
    for method in METHODS {
        let rules = settings.rules(method, election, true);
        // weighted is plurality once the weights are in the ballots; a motion needs its own options.
        if method.name == "weighted" || !method.check(&rules).is_empty() {
            continue;
        }
        if let Some(ballots) = election.ballots(method.ballot) {
            let count = method.count(&rules, &ballots);
            answers.push(Answer { rules, count, ballots });
        }
    }
    answers
}

/// What the answers disagree about, a sentence each.
pub fn disagreements(election: &Election, answers: &[Answer]) -> Vec<String> {
    let mut said = Vec::new();
    let single: Vec<&Answer> = answers.iter().filter(|answer| answer.rules.seats == 1).collect();
    let Some(first) = single.first() else { return said };
    let rules = &first.rules;
    let name = |option: OptionIx| rules.options[usize::from(option)].as_str();
    let methods = |chosen: &dyn Fn(&Answer) -> bool| -> Vec<&str> {
        single.iter().filter(|answer| chosen(answer)).map(|answer| answer.rules.method.name).collect()
    };

    let mut camps: Vec<(Vec<OptionIx>, Vec<&str>)> = Vec::new();
    for answer in single.iter().filter(|answer| answer.count.status != CountStatus::NoVotes) {
        match camps.iter_mut().find(|(winners, _)| *winners == answer.count.winners) {
            Some((_, camp)) => camp.push(answer.rules.method.name),
            None => camps.push((answer.count.winners.clone(), vec![answer.rules.method.name])),
        }
    }
    if camps.len() > 1 {
        let camps: Vec<String> =
            camps.iter().map(|(winners, camp)| format!("{} by {}", list(rules, winners), camp.join(", "))).collect();
        said.push(format!("The methods disagree: {}.", camps.join("; ")));
    } else if let Some((winners, _)) = camps.first() {
        said.push(format!("All methods agree on {}.", list(rules, winners)));
    }

    if let Some(ranked) = election.profiles.iter().find(|profile| profile.kind() == BallotKind::Ranking) {
        let matrix = Matrix::of(ranked);
        if let Some(winner) = matrix.condorcet_winner() {
            let losing = methods(&|answer| {
                answer.count.status == CountStatus::Decided && !answer.count.winners.contains(&winner)
            });
            if !losing.is_empty() {
                said.push(format!("Condorcet winner {} loses by {}.", name(winner), losing.join(", ")));
            }
        }
        if let Some(loser) = matrix.condorcet_loser() {
            let electing = methods(&|answer| answer.count.winners == [loser]);
            if !electing.is_empty() {
                said.push(format!("Condorcet loser {} is elected by {}.", name(loser), electing.join(", ")));
            }
        }
        if matrix.condorcet_winner().is_none() && matrix.size() > 1 && ranked.marked_weight() > 0 {
            said.push(format!(
                "No Condorcet winner: the smallest unbeaten circle is {}.",
                list(rules, &matrix.smith_set())
            ));
        }
    }
    for answer in &single {
        if answer.count.status == CountStatus::Tie {
            said.push(format!("Tie by {}: {}.", answer.rules.method.name, list(rules, &answer.count.winners)));
        }
        said.extend(spoilers(answer));
    }
    said
}

/// Options that do not win, and whose absence would change who does.
fn spoilers(answer: &Answer) -> Vec<String> {
    let Answer { rules, count, ballots } = answer;
    let options = rules.options.len();
    let [winner] = count.winners.as_slice() else { return Vec::new() };
    if count.status != CountStatus::Decided || !(3..=SPOILER_OPTIONS_MAX).contains(&options) {
        return Vec::new();
    }
    // Choices say nothing about who would have been second: nobody can be taken out of them.
    if ballots.kind() == BallotKind::Choice || ballots.rows_len() > SPOILER_ROWS_MAX {
        return Vec::new();
    }
    let mut said = Vec::new();
    for gone in (0..options).filter(|&gone| gone != usize::from(*winner)) {
        let kept: Vec<usize> = (0..options).filter(|&option| option != gone).collect();
        let mut fewer = rules.clone();
        fewer.options = kept.iter().map(|&option| rules.options[option].clone()).collect();
        let again = rules.method.count(&fewer, &ballots.restricted(&kept));
        let winners: Vec<usize> = again.winners.iter().map(|&option| kept[usize::from(option)]).collect();
        if again.status == CountStatus::Decided && winners != [usize::from(*winner)] {
            let instead: Vec<OptionIx> = winners.into_iter().map(|option| option as OptionIx).collect();
            said.push(format!(
                "Spoiler by {}: without {}, {} would win instead of {}.",
                rules.method.name,
                rules.options[gone],
                list(rules, &instead),
                list(rules, &count.winners)
            ));
        }
    }
    said
}

/// The answers side by side, and what they disagree about.
pub fn print(out: &mut impl Write, election: &Election, answers: &[Answer]) -> io::Result<()> {
    if !election.title.is_empty() {
        writeln!(out, "{}", election.title)?;
    }
    let width = answers.iter().map(|answer| answer.rules.method.name.len()).max().unwrap_or(0);
    for answer in answers {
        let seats = if answer.rules.seats > 1 { format!(" ({} seats)", answer.rules.seats) } else { String::new() };
        let broken = if answer.count.tie_broken() { " A tie was broken on the way." } else { "" };
        writeln!(
            out,
            "  {:width$}  {}{seats}{broken}",
            answer.rules.method.name,
            outcome(&answer.rules, &answer.count)
        )?;
    }
    writeln!(out)?;
    for line in disagreements(election, answers) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
