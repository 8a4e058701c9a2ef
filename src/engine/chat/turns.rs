//! One thing at a time: what somebody asks is done and answered in the order in which it was asked, though some of it
//! has to wait for a store or for a judge, and some could be refused at once.
//!
//! A client that has one correlation id for everything, or none, tells answers apart by their order alone: a refusal
//! that overtakes the answer before it would be taken for that one's.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What each asker has asked and not been answered. Askers of whom nothing waits cost nothing.
#[derive(Debug)]
pub struct Turns<K, C> {
    waiting_max: usize,
    askers: HashMap<K, Asker<C>>,
}

#[derive(Debug)]
struct Asker<C> {
    at_work: bool,
    waiting: VecDeque<C>,
}

impl<K: Hash + Eq, C> Turns<K, C> {
    /// With room for so many of one asker's that wait.
    pub fn new(waiting_max: usize) -> Self {
        Self { waiting_max, askers: HashMap::new() }
    }

    /// Takes a place in line, to be called up by [`Self::next`]. Gives back what finds no room; what `must` not be lost
    /// always does.
    pub fn ask(&mut self, who: K, what: C, must: bool) -> Result<(), C> {
        let waiting_max = self.waiting_max;
        let asker = self.askers.entry(who).or_insert_with(|| Asker { at_work: false, waiting: VecDeque::new() });
        if !must && asker.waiting.len() >= waiting_max {
            return Err(what);
        }
        asker.waiting.push_back(what);
        Ok(())
    }

    /// What is to be done now, unless something of theirs is being done already.
    pub fn next(&mut self, who: &K) -> Option<C> {
        let asker = self.askers.get_mut(who).filter(|asker| !asker.at_work)?;
        let next = asker.waiting.pop_front();
        if next.is_none() {
            self.askers.remove(who);
        }
        next
    }

    /// What was called up last is not done yet: what else they asked waits until [`Self::end`].
    pub fn begin(&mut self, who: K) {
        let asker = self.askers.entry(who).or_insert_with(|| Asker { at_work: true, waiting: VecDeque::new() });
        asker.at_work = true;
    }

    /// It is done and answered.
    pub fn end(&mut self, who: &K) {
        if let Some(asker) = self.askers.get_mut(who) {
            asker.at_work = false;
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.askers.is_empty()
    }
}

/// Answers that leave in the order in which they were asked for, whoever has theirs ready first. What is asked goes to
/// those who do it at once: none of them waits for another, only the answers do.
#[derive(Debug)]
pub struct InOrder<A> {
    waiting_max: usize,
    /// The number of the first that waits.
    first: u64,
    waiting: VecDeque<Option<A>>,
}

impl<A> InOrder<A> {
    /// With room for so many that wait.
    pub fn new(waiting_max: usize) -> Self {
        Self { waiting_max, first: 0, waiting: VecDeque::new() }
    }

    /// A place in line for the answer to what is asked now; none where too many wait.
    pub fn ask(&mut self) -> Option<u64> {
        if self.waiting.len() >= self.waiting_max {
            return None;
        }
        self.waiting.push_back(None);
        Some(self.first + self.waiting.len() as u64 - 1)
    }

    /// The answer for that place; what can leave now is what [`Self::pop`] gives.
    pub fn answer(&mut self, place: u64, answer: A) {
        let at = place.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(waiting) = at.and_then(|at| self.waiting.get_mut(at)) {
            *waiting = Some(answer);
        }
    }

    /// The next answer, unless it is not there yet.
    pub fn pop(&mut self) -> Option<A> {
        let answer = self.waiting.front_mut()?.take()?;
        self.waiting.pop_front();
        self.first += 1;
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_in_the_order_of_asking() {
        let mut answers = InOrder::new(3);
        let leave = |answers: &mut InOrder<char>| -> String { std::iter::from_fn(|| answers.pop()).collect() };
        let [a, b, c] = ['a', 'b', 'c'].map(|_| answers.ask().expect("there is room"));
        assert_eq!(answers.ask(), None, "three wait");
        answers.answer(b, 'b');
        assert_eq!(leave(&mut answers), "");
        answers.answer(a, 'a');
        assert_eq!(leave(&mut answers), "ab");
        answers.answer(a, 'x');
        let d = answers.ask().expect("there is room again");
        answers.answer(d, 'd');
        assert_eq!(leave(&mut answers), "");
        answers.answer(c, 'c');
        assert_eq!(leave(&mut answers), "cd");
    }

    /// Asks and ends as the script says: a word asks (in capitals, what takes until `!`), and is seen when it is done.
    fn run(script: &str) -> String {
        let mut turns = Turns::new(2);
        let mut seen = Vec::new();
        for word in script.split(' ') {
            let (who, what) = word.split_at(1);
            match what {
                "!" => turns.end(&who),
                _ => {
                    if let Err(what) = turns.ask(who, what, what.starts_with("must")) {
                        seen.push(format!("{who}{what}?"));
                    }
                }
            }
            while let Some(what) = turns.next(&who) {
                seen.push(format!("{who}{what}"));
                if what.chars().any(char::is_uppercase) {
                    turns.begin(who);
                }
            }
        }
        seen.push(if turns.is_empty() { "empty".into() } else { "busy".to_string() });
        seen.join(" ")
    }

    #[test]
    fn each_is_done_when_the_one_before_is() {
        for (script, seen) in [
            ("ax ay", "ax ay empty"),
            ("aX ay", "aX busy"),
            ("aX ay az a!", "aX ay az empty"),
            ("aX aY az a! a!", "aX aY az empty"),
            // Nobody waits for anybody else.
            ("aX bx ay bY by a! b!", "aX bx bY ay by empty"),
            // Two wait; a third does not, unless it must.
            ("aX ay az av amust a!", "aX av? ay az amust empty"),
            ("a! ax", "ax empty"),
        ] {
            assert_eq!(run(script), seen, "{script}");
        }
    }
}
