//! A match of a script in a test: a clock that is a number, players that are numbers, effects as text.

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde_json::value::RawValue;

use super::{Allowance, Birth, LuaGame, Script, Sources};
use crate::games::{Effect, Game, GameCx};
use crate::ids::{MatchId, PlayerId};

pub(super) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(super) fn id(n: u128) -> PlayerId {
    PlayerId::from_u128(n)
}

pub(super) fn script(files: &[(&str, &str)], allowance: Allowance) -> Arc<Script> {
    Script::new("match.lua", Arc::new(Sources::from_texts(files.iter().copied()).unwrap()), allowance)
}

/// A script being played.
pub(super) struct Played {
    pub(super) game: LuaGame,
    pub(super) players: Vec<PlayerId>,
    pub(super) tick: u64,
    pub(super) effects: Vec<Effect>,
    rng: ChaCha8Rng,
}

impl Played {
    pub(super) fn new(text: &str) -> Self {
        Self::of(script(&[("match.lua", text)], Allowance::default()), 7)
    }

    pub(super) fn of(script: Arc<Script>, seed: u64) -> Self {
        let birth = Birth { match_id: MatchId::from_u128(1), seed, unix_us: 1_700_000_000_000_000 };
        let mut game = LuaGame::new(script, &raw(r#"{"rounds":3}"#), birth).unwrap();
        game.vote_templates(&Arc::default());
        Self { game, players: vec![], tick: 0, effects: vec![], rng: ChaCha8Rng::seed_from_u64(1) }
    }

    pub(super) fn with<T>(&mut self, call: impl FnOnce(&mut LuaGame, &mut GameCx<'_>) -> T) -> T {
        let mut cx = GameCx {
            match_id: MatchId::from_u128(1),
            tick: self.tick,
            elapsed_us: self.tick * 100_000,
            dt_us: 100_000,
            unix_us: 0,
            rng: &mut self.rng,
            players: &self.players,
            effects: &mut self.effects,
        };
        call(&mut self.game, &mut cx)
    }

    /// `Ok` or the reason of the refusal.
    pub(super) fn join(&mut self, n: u128, ctx: Option<&str>) -> Result<(), String> {
        let ctx = ctx.map(raw);
        self.players.push(id(n));
        let joined = self.with(|game, cx| game.join(cx, id(n), ctx.as_deref()));
        if joined.is_err() {
            self.players.pop();
        }
        joined.map_err(|refused| refused.reason)
    }

    pub(super) fn leave(&mut self, n: u128) {
        self.players.retain(|p| *p != id(n));
        self.with(|game, cx| game.leave(cx, id(n)));
    }

    pub(super) fn input(&mut self, n: u128, input: &str) {
        let input = raw(input);
        self.with(|game, cx| game.input(cx, id(n), &input));
    }

    pub(super) fn ticks(&mut self, count: u64) {
        for _ in 0..count {
            self.with(|game, cx| game.tick(cx));
            self.tick += 1;
        }
    }

    pub(super) fn view(&mut self, viewer: Option<u128>) -> String {
        let mut out = Vec::new();
        self.game.view(viewer.map(id), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Calls what neither a tick nor a player does: votes, a snapshot, a restore.
    pub(super) fn votes_and_snapshot(&mut self) {
        let result = raw("{}");
        self.with(|game, cx| {
            game.vote_requested(cx);
            game.vote_resolved(cx, "t", &result);
            game.vote_vetoed(cx, "t", id(1));
        });
        self.game.snapshot();
        self.game.restore(b"{}");
    }

    /// What was asked for since the last time, a word and its content each.
    pub(super) fn told(&mut self) -> Vec<String> {
        // Views have no way out of their own: what they left behind comes with the next call.
        self.with(|game, cx| game.hand_over(cx));
        std::mem::take(&mut self.effects).iter().map(said).collect()
    }
}

pub(super) fn said(effect: &Effect) -> String {
    let names = |ids: &[PlayerId]| ids.iter().map(|p| p.as_u128().to_string()).collect::<Vec<_>>().join(",");
    match effect {
        Effect::Broadcast { event, payload } => format!("broadcast {event} {}", payload.get()),
        Effect::Send { to, module, message } => format!("send {} {module} {}", to.as_u128(), message.get()),
        Effect::OpenVote(config) => format!("vote {}", config.get()),
        Effect::CancelVote(id) => format!("cancel {id}"),
        Effect::SetJoinable(open) => format!("joinable {open}"),
        Effect::Kick { player, reason } => format!("kick {} {reason}", player.as_u128()),
        Effect::AddBot { name } => format!("bot {name}"),
        Effect::RemoveBot(bot) => format!("unbot {}", bot.as_u128()),
        Effect::Backfill(n) => format!("backfill {n}"),
        Effect::Notify { to, notification } => format!("notify {} {}", names(to), notification.get()),
        Effect::Chat { channel, content, .. } => format!("chat {channel} {content}"),
        Effect::SetRoom { name, members } => format!("room {name} {}", names(members)),
        Effect::Log(line) => format!("log {line}"),
        Effect::Finish(result) => format!("finish {}", result.get()),
        Effect::LoadAll { owner } => format!("load all {}", names(owner.as_slice())),
        Effect::Load { owner, collection, key } => format!("load {} {collection}/{key}", names(owner.as_slice())),
        Effect::Store { owner, collection, key, value } => {
            format!("store {} {collection}/{key} {}", names(owner.as_slice()), value.get())
        }
        Effect::ScriptFault(fault) => format!(
            "fault {} {}:{} {}",
            fault.callback,
            fault.file,
            fault.line.map_or("?".into(), |l| l.to_string()),
            fault.message
        ),
    }
}
