//! A tally that is kept while ballots come and go, and is the same function as the final count.
//!
//! A method says what it needs to remember of the ballots ([`Summary`]); adding and removing a ballot touches only
//! that, and the winner is worked out of it when somebody asks. Counting a whole profile goes the same way.

use super::ballot::{Ballot, BallotFault, BallotKind, check_named};
use super::count::{Count, CountRules};
use super::profile::{Profile, Row, pack};

/// What a method remembers of the ballots it has seen.
pub(super) trait Summary: Send + Sized + 'static {
    /// Before the first ballot.
    fn empty(rules: &CountRules) -> Self;

    /// One more ballot of this weight.
    fn add(&mut self, rules: &CountRules, row: Row<'_>, weight: u128);

    /// One ballot less. The caller has added it before.
    fn remove(&mut self, rules: &CountRules, row: Row<'_>, weight: u128);

    /// What it all comes to.
    fn count(&self, rules: &CountRules) -> Count;

    /// Everything in a profile at once, for methods that know a faster way.
    fn of(rules: &CountRules, profile: &Profile) -> Self {
        let mut summary = Self::empty(rules);
        for (row, weight) in profile.rows() {
            summary.add(rules, row, weight);
        }
        summary
    }
}

/// A tally in play. Only ballots that were added may be removed; a revote removes the old one and adds the new one.
pub trait LiveTally: Send {
    /// Counts one more ballot, `weight` times.
    ///
    /// # Errors
    /// Unknown and repeated options and shapes of another kind; the tally is then unchanged.
    fn add(&mut self, ballot: &Ballot, weight: u64) -> Result<(), BallotFault>;

    /// Takes back a ballot that was added with the same weight.
    ///
    /// # Errors
    /// As [`Self::add`].
    fn remove(&mut self, ballot: &Ballot, weight: u64) -> Result<(), BallotFault>;

    /// The count as it stands: equal to counting all ballots afresh.
    fn snapshot(&self) -> Count;
}

struct Live<S> {
    rules: CountRules,
    summary: S,
    marks: Vec<u16>,
    points: Vec<u32>,
}

impl<S: Summary> Live<S> {
    /// Checks a ballot and hands its row over. What is packed already is not packed again: a choice is a row of one, and
    /// to a summary of approvals or scores a ballot's own list is as good as a sorted copy of it. Only rankings are
    /// compared by their packed form.
    fn with_row(
        &mut self,
        ballot: &Ballot,
        change: impl FnOnce(&mut S, &CountRules, Row<'_>),
    ) -> Result<(), BallotFault> {
        let options = self.rules.options.len();
        match (ballot, self.rules.method.ballot) {
            (Ballot::Choice(option), kind) if kind != BallotKind::Scores => {
                if usize::from(*option) >= options {
                    return Err(BallotFault::UnknownOption(usize::from(*option)));
                }
                change(&mut self.summary, &self.rules, Row::packed(&[*option], &[]));
            }
            (Ballot::Approvals(marks), BallotKind::Approvals) => {
                check_named(marks, options)?;
                change(&mut self.summary, &self.rules, Row::packed(marks, &[]));
            }
            (Ballot::Scores(scores), BallotKind::Scores) if scores.len() == options => {
                change(&mut self.summary, &self.rules, Row::packed(&[], scores));
            }
            (_, kind) => {
                self.marks.clear();
                self.points.clear();
                pack(ballot, kind, options, &mut self.marks, &mut self.points)?;
                change(&mut self.summary, &self.rules, Row::packed(&self.marks, &self.points));
            }
        }
        Ok(())
    }
}

impl<S: Summary> LiveTally for Live<S> {
    fn add(&mut self, ballot: &Ballot, weight: u64) -> Result<(), BallotFault> {
        self.with_row(ballot, |summary, rules, row| summary.add(rules, row, u128::from(weight)))
    }

    fn remove(&mut self, ballot: &Ballot, weight: u64) -> Result<(), BallotFault> {
        self.with_row(ballot, |summary, rules, row| summary.remove(rules, row, u128::from(weight)))
    }

    fn snapshot(&self) -> Count {
        self.summary.count(&self.rules)
    }
}

/// A method's `live` column.
pub(super) fn live<S: Summary>(rules: &CountRules) -> Box<dyn LiveTally> {
    let summary = S::empty(rules);
    Box::new(Live { rules: rules.clone(), summary, marks: Vec::new(), points: Vec::new() })
}

/// A method's `count` column.
pub(super) fn count<S: Summary>(rules: &CountRules, profile: &Profile) -> Count {
    S::of(rules, profile).count(rules)
}
