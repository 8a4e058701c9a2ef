//! PrefLib's preference files: `# KEY: value` lines, then `count: 1,2,{3,4}` with options from 1, best first.
//!
//! `.soc` and `.soi` hold strict orders, `.toc` and `.toi` orders with ties, `.cat` categories, best first: there the
//! first category is what a voter approves, and the categories in order are a ranking with ties.

use indicatif::ProgressBar;

use super::{Election, Fault, lines, name, options_len, push};
use crate::engine::votes::{Ballot, BallotKind, OptionIx, Profile};

pub(super) fn read(text: &str, progress: &ProgressBar) -> Result<Election, Fault> {
    let mut head = Head::default();
    let mut orders: Option<Profile> = None;
    let mut approvals: Option<Profile> = None;
    for (number, line) in lines(text, progress) {
        let fault = |why: String| Fault::Line(number, why);
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(entry) = line.strip_prefix('#') {
            head.entry(entry.trim(), number)?;
            continue;
        }
        let options =
            head.options.ok_or_else(|| fault("expected # NUMBER ALTERNATIVES before the first row".into()))?;
        let (count, order) = line.split_once(':').ok_or_else(|| fault("expected count: option,option,..".into()))?;
        let count: u64 =
            count.trim().parse().map_err(|_| fault(format!("expected a whole count, got {:?}", count.trim())))?;
        let tiers = tiers(order, options).map_err(fault)?;
        if head.categories {
            let approved = tiers.first().cloned().unwrap_or_default();
            let profile = approvals.get_or_insert_with(|| Profile::new(BallotKind::Approvals, options));
            push(profile, &Ballot::Approvals(approved), count).map_err(fault)?;
        }
        let profile = orders.get_or_insert_with(|| Profile::new(BallotKind::Ranking, options));
        push(profile, &Ballot::Ranking(tiers), count).map_err(fault)?;
    }
    let options = head.options.ok_or_else(|| Fault::Content("expected # NUMBER ALTERNATIVES".into()))?;
    let orders = orders.unwrap_or_else(|| Profile::new(BallotKind::Ranking, options));
    Ok(Election {
        title: name(&head.title)?,
        options: head.names.iter().map(|option| name(option)).collect::<Result<_, _>>()?,
        numbers: (0..options).collect(),
        profiles: approvals.into_iter().chain([orders]).collect(),
        seats: None,
        max_score: None,
    })
}

/// What the lines that begin with `#` say.
#[derive(Default)]
struct Head {
    title: String,
    options: Option<usize>,
    names: Vec<String>,
    categories: bool,
}

impl Head {
    fn entry(&mut self, entry: &str, line: usize) -> Result<(), Fault> {
        let Some((key, value)) = entry.split_once(':') else { return Ok(()) };
        let (key, value) = (key.trim(), value.trim());
        let fault = |why: String| Fault::Line(line, why);
        match key {
            "TITLE" => self.title = value.to_owned(),
            "DATA TYPE" => self.categories = value == "cat",
            "NUMBER CATEGORIES" => self.categories = true,
            "NUMBER ALTERNATIVES" => {
                let number =
                    value.parse().map_err(|_| fault(format!("expected a number of options, got {value:?}")))?;
                if self.options.is_some() {
                    return Err(fault("NUMBER ALTERNATIVES is said twice".into()));
                }
                self.options = Some(options_len(number)?);
                self.names = (1..=number).map(|option| option.to_string()).collect();
            }
            _ => {
                if let Some(number) = key.strip_prefix("ALTERNATIVE NAME ") {
                    let place = number.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                    let slot = place.and_then(|place| self.names.get_mut(place));
                    *slot.ok_or_else(|| fault(format!("there is no option {number} to name")))? = value.to_owned();
                }
            }
        }
        Ok(())
    }
}

/// `1,{2,3},4` with options from 1. An empty pair of braces is a tier without options.
fn tiers(order: &str, options: usize) -> Result<Vec<Vec<OptionIx>>, String> {
    let mut tiers: Vec<Vec<OptionIx>> = Vec::new();
    let mut rest = order.trim();
    while !rest.is_empty() {
        let (tier, after) = match rest.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or("a brace is never closed")?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        let one = |word: &str| match word.trim().parse::<usize>() {
            Ok(number) if (1..=options).contains(&number) => Ok((number - 1) as OptionIx),
            _ => Err(format!("expected an option from 1 to {options}, got {:?}", word.trim())),
        };
        let tier = tier.trim();
        tiers.push(if tier.is_empty() { Vec::new() } else { tier.split(',').map(one).collect::<Result<_, _>>()? });
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) if next.trim().is_empty() => return Err("expected an option after the last comma".into()),
            Some(next) => next.trim_start(),
            None if after.is_empty() => after,
            None => return Err(format!("expected a comma, got {:?}", after.chars().next().unwrap_or_default())),
        };
        // Every tier but the empty ones names an option, and nobody needs many empty ones.
        if tiers.len() > 2 * options {
            return Err(format!("expected at most {options} ranks"));
        }
    }
    Ok(tiers)
}

#[cfg(test)]
mod tests {
    use crate::cli::tally::read::tests::shown;

    const HEAD: &str = "# FILE NAME: x\n# TITLE: t\n# NUMBER ALTERNATIVES: 4\n# ALTERNATIVE NAME 1: a\n# ALTERNATIVE NAME 2: b: B\n# NUMBER VOTERS: 9\n";

    #[test]
    fn orders_ties_and_categories_are_read() {
        let cases = [
            ("x.soi", "3: 4,2\n1: \n", "a b: B 3 4\n3x [[3], [1]]\n1x nothing"),
            ("x.toc", "2: 1,{2, 3},4\n", "a b: B 3 4\n2x [[0], [1, 2], [3]]"),
            (
                "x.cat",
                "# NUMBER CATEGORIES: 2\n2: {1,2},{3,4}\n1: {},{4}\n1: 3\n",
                "a b: B 3 4\n2x approves [0, 1]\n1x nothing\n1x approves [2]\n2x [[0, 1], [2, 3]]\n1x [[3]]\n1x [[2]]",
            ),
        ];
        for (name, rows, expected) in cases {
            assert_eq!(shown(name, &format!("{HEAD}{rows}")), expected, "{name} {rows:?}");
        }
    }

    #[test]
    fn faults_have_a_line() {
        let cases = [
            ("3: 5\n", "line 7: expected an option from 1 to 4, got \"5\""),
            ("3: 1,1\n", "line 7: option 0 is named more than once"),
            ("3: {1,2\n", "line 7: a brace is never closed"),
            ("3: {1}2\n", "line 7: expected a comma, got '2'"),
            ("3: 1,\n", "line 7: expected an option after the last comma"),
            ("-3: 1\n", "line 7: expected a whole count, got \"-3\""),
            ("hello\n", "line 7: expected count: option,option,.."),
            ("# ALTERNATIVE NAME 9: z\n", "line 7: there is no option 9 to name"),
            ("3: {},{},{},{},{},{},{},{},{},1\n", "line 7: expected at most 4 ranks"),
        ];
        for (rows, expected) in cases {
            assert_eq!(shown("x.soc", &format!("{HEAD}{rows}")), expected, "{rows:?}");
        }
        assert_eq!(shown("x.soc", "1: 1\n"), "line 1: expected # NUMBER ALTERNATIVES before the first row");
        assert_eq!(shown("x.soc", ""), "expected # NUMBER ALTERNATIVES");
        assert_eq!(shown("x.soc", "# NUMBER ALTERNATIVES: 99999999999\n"), "more than 1024 options");
    }
}
