//! Votes in play, told as stories with a clock that the test sets.

mod configs;
mod drafts;
mod faults;
mod integrity;
mod recounts;
mod rules;
mod windows;

use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::Hash;
use super::input::BallotInput;
use super::pools::Weigh;
use super::told::{Closed, VoteEffect};
use super::vote::{Viewer, Vote, VoteOpen};
use super::{CastOk, CastRefusal, Fault, VoteConfig};
use crate::ids::PlayerId;

/// When every story begins, on the monotonic clock and in unix time.
const START_MS: u64 = 1_000;
const START_UNIX_MS: u64 = 1_700_000_000_000;

/// Player number `n`; 1 to 9 are seated, 11 and up are spectators.
fn id(n: u8) -> PlayerId {
    PlayerId::from_u128(u128::from(n))
}

/// A vote, the time, and what it said since it was last asked.
struct Play {
    vote: Vote,
    now_ms: u64,
    said: Vec<VoteEffect>,
}

/// What a vote is opened with unless a test says otherwise: players 1 to `players`, all present.
fn opening(config: Value, players: u8) -> Result<VoteOpen, Vec<Fault>> {
    let config = VoteConfig::from_json(&config.to_string(), &Default::default())?;
    let eligible: Vec<_> = (1..=players).map(id).collect();
    Ok(VoteOpen {
        config,
        vote_id: "v1".parse().unwrap(),
        match_id: None,
        seed: [7; 32],
        secret: [9; 32],
        present: eligible.clone(),
        eligible,
        spectators: [11, 12, 13].map(id).to_vec(),
        teams: [(1, vec![id(1), id(2)]), (2, vec![id(3), id(4)])].into(),
        weigh: Weigh::default(),
        called_by: None,
        args: None,
        now_ms: START_MS,
        unix_ms: START_UNIX_MS,
    })
}

/// The options a, b, c beside `config`.
fn abc(mut config: Value) -> Value {
    config["options"] = json!(["a", "b", "c"]);
    config
}

impl Play {
    fn open(config: Value, players: u8) -> Self {
        Self::opened(opening(config, players).unwrap())
    }

    fn opened(open: VoteOpen) -> Self {
        let (vote, said) = Vote::open(open).unwrap();
        Self { vote, now_ms: START_MS, said }
    }

    /// Sets the clock to `ms` after the start and lets the vote do what is due, step by step as an actor would.
    fn at(&mut self, ms: u64) -> &mut Self {
        let then = START_MS + ms;
        while let Some(due) = self.vote.next_deadline_ms().filter(|due| *due <= then) {
            self.now_ms = self.now_ms.max(due);
            self.vote.poll(self.now_ms, &mut self.said);
            assert_ne!(self.vote.next_deadline_ms(), Some(due), "polled at {due} and still due");
        }
        self.now_ms = then;
        self
    }

    fn cast_as(&mut self, player: u8, cid: Option<&str>, ballot: Value) -> Result<CastOk, CastRefusal> {
        let input = BallotInput::deserialize(ballot).unwrap();
        self.vote.cast(id(player), cid, input, self.now_ms, self.now_ms, &mut self.said)
    }

    fn cast(&mut self, player: u8, ballot: impl Into<Value>) -> Result<CastOk, CastRefusal> {
        self.cast_as(player, None, ballot.into())
    }

    /// Casts one choice each: `"1a 2b"` is a by player 1 and b by player 2.
    fn casts(&mut self, script: &str) -> &mut Self {
        for word in script.split_whitespace() {
            let at = word.find(|c: char| !c.is_ascii_digit()).unwrap();
            let (player, option) = word.split_at(at);
            self.cast(player.parse().unwrap(), option).unwrap_or_else(|refusal| panic!("{word}: {refusal}"));
        }
        self
    }

    fn leave(&mut self, player: u8) -> &mut Self {
        self.vote.player_left(id(player), self.now_ms, &mut self.said);
        self
    }

    fn join(&mut self, player: u8) -> &mut Self {
        self.vote.player_joined(id(player), self.now_ms, &mut self.said);
        self
    }

    fn pause(&mut self) -> &mut Self {
        self.vote.pause(self.now_ms, &mut self.said);
        self
    }

    fn resume(&mut self) -> &mut Self {
        self.vote.resume(self.now_ms, &mut self.said);
        self
    }

    /// The names of what was said since the last time, results with their status.
    fn told(&mut self) -> Vec<String> {
        let name = |effect: VoteEffect| match effect {
            VoteEffect::Started(_) => "start".to_owned(),
            VoteEffect::Tally(tally) => format!("tally {}", tally.total_votes),
            VoteEffect::Deadline(moved) => format!("deadline {} {}", moved.reason, moved.time_remaining_ms),
            VoteEffect::Turn(turn) => format!("turn {}", turn.turn),
            VoteEffect::Closed(closed) => {
                let status = serde_json::to_value(closed.result.status).unwrap();
                format!("{} {}", status.as_str().unwrap(), closed.result.winners.join("+"))
            }
            VoteEffect::Vetoed(_) => "vetoed".to_owned(),
        };
        std::mem::take(&mut self.said).into_iter().map(name).collect()
    }

    /// Lets the clock run until the vote is over; its last words.
    fn close(&mut self) -> Closed {
        self.at(10 * 24 * 3_600 * 1_000);
        self.closed()
    }

    fn closed(&mut self) -> Closed {
        let closed = self.said.iter().find_map(|effect| match effect {
            VoteEffect::Closed(closed) => Some((**closed).clone()),
            _ => None,
        });
        closed.unwrap_or_else(|| panic!("still open"))
    }

    /// The payload of `match.vote_result`, as a client reads it.
    fn result(&mut self) -> Value {
        serde_json::from_str(&self.close().payload).unwrap()
    }

    fn view(&self, player: u8) -> Value {
        serde_json::to_value(self.vote.view(Viewer::Member(id(player)), self.now_ms)).unwrap()
    }
}

fn reason(answer: Result<CastOk, CastRefusal>) -> &'static str {
    answer.map_or_else(|refusal| refusal.reason(), |_| "ok")
}

fn hex(hash: Hash) -> String {
    hash.to_string()
}
