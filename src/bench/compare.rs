//! Two reports side by side: what moved by more than the rounds of either differ among themselves.

use std::fmt::Write;

use super::figures::Better;
use super::print::{duration, number};
use super::result::{FORMAT, Outcome, Report, Spread};

/// A difference smaller than this part of the older median is noise, however calm the rounds were.
const NOISE: f64 = 0.02;

/// Which way a number moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The better way, beyond noise.
    Better,
    /// The worse way, beyond noise.
    Worse,
    /// It is neither better nor worse, but it moved beyond noise.
    Moved,
    /// Not beyond noise.
    Same,
}

/// One number of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Of whom, and in which case.
    pub of: String,
    /// Which number.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// In the first.
    pub before: Spread,
    /// In the second.
    pub after: Spread,
    /// What came of it.
    pub verdict: Verdict,
}

/// What two reports come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// What was different about the two measurements themselves.
    pub differences: Vec<String>,
    /// Every number that both have.
    pub changes: Vec<Change>,
}

/// Holds two reports against each other.
///
/// # Errors
/// When there is nothing to compare: another form, another shape, no case in common.
pub fn compare(before: &Report, after: &Report) -> Result<Comparison, String> {
    for report in [before, after] {
        if report.format != FORMAT {
            return Err(format!("expected a report of form {FORMAT}, found {}", report.format));
        }
    }
    if before.shape != after.shape {
        return Err(format!("expected two of the same shape, found {} and {}", before.shape, after.shape));
    }
    let mut found = Comparison { differences: differences(before, after), changes: Vec::new() };
    for old in &before.results {
        let same = |new: &&Outcome| new.subject == old.subject && new.case == old.case;
        if let Some(new) = after.results.iter().find(same) {
            changes(&mut found.changes, old, new);
        }
    }
    if found.changes.is_empty() {
        return Err("the two have no case in common".into());
    }
    Ok(found)
}

fn differences(before: &Report, after: &Report) -> Vec<String> {
    let mut different = Vec::new();
    let mut hold = |name: &str, before: String, after: String| {
        if before != after {
            different.push(format!("{name}: {before} -> {after}"));
        }
    };
    let commit = |report: &Report| report.commit.clone().unwrap_or_else(|| "unknown".into());
    hold("commit", commit(before), commit(after));
    hold("build", before.build.clone(), after.build.clone());
    hold("processor", before.machine.cpu.clone(), after.machine.cpu.clone());
    hold("cores", before.machine.cores.to_string(), after.machine.cores.to_string());
    hold("system", before.machine.system.clone(), after.machine.system.clone());
    hold("placed", before.placed.clone(), after.placed.clone());
    hold("rounds", before.rounds.to_string(), after.rounds.to_string());
    hold("seconds", before.measured_s.to_string(), after.measured_s.to_string());
    hold("settings", before.settings.to_string(), after.settings.to_string());
    for report in [before, after] {
        if report.rounds < 3 {
            different.push(format!("{} rounds say little about noise: measure with 3 or more", report.rounds));
        }
    }
    different
}

fn changes(into: &mut Vec<Change>, old: &Outcome, new: &Outcome) {
    let of = format!("{}, {}", old.subject, old.case);
    for figure in &old.figures {
        let Some(other) = new.figures.iter().find(|other| other.name == figure.name) else { continue };
        into.push(Change {
            of: of.clone(),
            name: figure.name.clone(),
            unit: figure.unit.clone(),
            verdict: verdict(&figure.seen, &other.seen, figure.better),
            before: figure.seen.clone(),
            after: other.seen.clone(),
        });
    }
    for latency in &old.latencies {
        let Some(other) = new.latencies.iter().find(|other| other.name == latency.name) else { continue };
        let quantiles = [
            ("p50", &latency.p50, &other.p50),
            ("p99", &latency.p99, &other.p99),
            ("p99.9", &latency.p999, &other.p999),
        ];
        for (quantile, before, after) in quantiles {
            into.push(Change {
                of: of.clone(),
                name: format!("{} {quantile}", latency.name),
                unit: "us".into(),
                verdict: verdict(before, after, Better::Lower),
                before: before.clone(),
                after: after.clone(),
            });
        }
    }
    let refused = |outcome: &Outcome| Spread::of(vec![outcome.counts.refusals() as f64]);
    let (before, after) = (refused(old), refused(new));
    // No refusal is noise.
    let verdict = match after.median.total_cmp(&before.median) {
        std::cmp::Ordering::Less => Verdict::Better,
        std::cmp::Ordering::Equal => Verdict::Same,
        std::cmp::Ordering::Greater => Verdict::Worse,
    };
    into.push(Change { of, name: "refusals".into(), unit: String::new(), before, after, verdict });
}

/// Beyond noise is: no round of one lies among the rounds of the other, and the medians are further apart than the
/// rounds of either.
fn verdict(before: &Spread, after: &Spread, better: Better) -> Verdict {
    let apart = (after.median - before.median).abs();
    let widest = (before.max - before.min).max(after.max - after.min);
    let overlap = before.min <= after.max && after.min <= before.max;
    if overlap || apart <= widest || apart <= NOISE * before.median.abs() {
        return Verdict::Same;
    }
    match (better, after.median > before.median) {
        (Better::Neither, _) => Verdict::Moved,
        (Better::Higher, true) | (Better::Lower, false) => Verdict::Better,
        (Better::Higher, false) | (Better::Lower, true) => Verdict::Worse,
    }
}

impl Comparison {
    /// Whether anything became worse beyond noise.
    pub fn is_worse(&self) -> bool {
        self.changes.iter().any(|change| change.verdict == Verdict::Worse)
    }

    /// For people: what moved, case by case.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for difference in &self.differences {
            let _ = writeln!(out, "  {difference}");
        }
        let mut last = "";
        for change in self.changes.iter().filter(|change| change.verdict != Verdict::Same) {
            if change.of != last {
                let _ = writeln!(out, "\n  {}", change.of);
                last = &change.of;
            }
            let word = match change.verdict {
                Verdict::Better => "better",
                Verdict::Worse => "WORSE",
                Verdict::Moved | Verdict::Same => "moved",
            };
            let say = |value: f64| match change.unit.as_str() {
                "us" => duration(value),
                "" => number(value),
                unit => format!("{} {unit}", number(value)),
            };
            let (before, after) = (&change.before, &change.after);
            let percent = match before.median {
                0.0 => String::new(),
                median => format!(" ({:+.1} %)", (after.median / median - 1.0) * 100.0),
            };
            let _ = writeln!(
                out,
                "    {word:<6}  {}: {} -> {}{percent}   [{} .. {}] -> [{} .. {}]",
                change.name,
                say(before.median),
                say(after.median),
                say(before.min),
                say(before.max),
                say(after.min),
                say(after.max)
            );
        }
        let count = |verdict| self.changes.iter().filter(|change| change.verdict == verdict).count();
        let _ = writeln!(
            out,
            "\n  {} better, {} worse, {} moved, {} within noise",
            count(Verdict::Better),
            count(Verdict::Worse),
            count(Verdict::Moved),
            count(Verdict::Same)
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_the_spread_of_the_rounds_has_moved() {
        for (before, after, better, expected) in [
            ([10.0, 11.0, 12.0], [14.5, 15.0, 15.5], Better::Higher, Verdict::Better),
            ([10.0, 11.0, 12.0], [14.5, 15.0, 15.5], Better::Lower, Verdict::Worse),
            ([10.0, 11.0, 12.0], [14.5, 15.0, 15.5], Better::Neither, Verdict::Moved),
            // A round of one lies among those of the other.
            ([10.0, 11.0, 12.0], [11.9, 15.0, 15.5], Better::Higher, Verdict::Same),
            // Apart, but by less than the rounds of one differ.
            ([10.0, 11.0, 14.0], [14.1, 14.2, 14.3], Better::Higher, Verdict::Same),
            // Apart, but by next to nothing.
            ([100.0, 100.0, 100.0], [101.0, 101.0, 101.0], Better::Lower, Verdict::Same),
        ] {
            let (before, after) = (Spread::of(before.to_vec()), Spread::of(after.to_vec()));
            assert_eq!(verdict(&before, &after, better), expected, "{before:?} {after:?} {better:?}");
        }
    }
}
