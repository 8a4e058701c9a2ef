//! What a game asks for, carried out.

use std::sync::atomic::Ordering::Relaxed;

use actix::prelude::*;
use serde_json::value::RawValue;

use super::{JudgeChat, MatchActor, says};
use crate::actors::{channels, notifications};
use crate::engine::chat::Place;
use crate::games::{Effect, ScriptFault, Stored};
use crate::ids::PlayerId;
use crate::limits::scripts::STORED_AHEAD_MAX;
use crate::limits::{EVENT_BYTES_MAX, ROOM_MEMBERS_MAX, SCRIPT_FAULTS_KEPT_MAX};
use crate::store::rows::KvRow;
use crate::wire::notices::{ModuleError, ModuleMessage};
use crate::wire::{Frame, Outbound, Refusal};

impl MatchActor {
    pub(super) fn effect(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        let done = match effect {
            Effect::Broadcast { event, payload } => match says::event_frame(&event, &payload) {
                Ok(frame) => {
                    self.push_everyone(&frame);
                    true
                }
                Err(fault) => {
                    tracing::warn!(match_id = %self.stage.id, mode = %self.stage.mode_name, event, %fault, "a game's event was not sent");
                    false
                }
            },
            Effect::Send { to, module, message } => match self.members.get(&to) {
                Some(member) if message.get().len() <= EVENT_BYTES_MAX => {
                    member.outlet.push(&ModuleMessage { module: module.into(), message }.push());
                    true
                }
                _ => false,
            },
            Effect::OpenVote(config) => match self.open_vote(&config, ctx) {
                Ok(_) => true,
                Err(faults) => {
                    self.refuse_vote(&config, &faults);
                    false
                }
            },
            Effect::CancelVote(vote_id) => match self.votes.get(&vote_id) {
                Some(vote) => {
                    vote.cancel("game");
                    true
                }
                None => false,
            },
            Effect::Kick { player, reason } => {
                let here = self.stage.roster.is_seated(player) || self.stage.roster.is_spectator(player);
                if here {
                    self.tell_kicked(player, &reason);
                    // Out is out: without this, whoever was voted out would walk in again.
                    self.stage.roster.bar(player);
                    self.leave(player, Some("kicked"), ctx);
                }
                here
            }
            Effect::AddBot { name } => {
                let added = self.add_bot(Some(&name));
                self.start_if_enough(ctx);
                added
            }
            Effect::RemoveBot(bot) => {
                let is_bot = self.stage.roster.seats().iter().any(|seat| seat.player == bot && seat.bot);
                if is_bot {
                    self.leave(bot, None, ctx);
                }
                is_bot
            }
            Effect::Chat { channel, content, place } => match channels::announce(&self.realm, &channel, &content, None)
            {
                Ok(()) => true,
                Err(refusal) => {
                    self.refuse_line(&channel, place.as_deref(), &refusal);
                    false
                }
            },
            Effect::SetRoom { name, members } => {
                let valid = Place::room(&name).is_ok() && members.len() <= ROOM_MEMBERS_MAX;
                if valid {
                    let (realm, match_id) = (self.realm.clone(), self.stage.id);
                    let room = format!("room:{name}");
                    let number = realm.next_number();
                    realm.directory.ask_room(&room.as_str().into(), number);
                    // It waits for the store, and nobody waits for it.
                    actix::spawn(async move {
                        let members = members.into_iter().collect();
                        if let Err(refusal) = channels::set_room_asked(&realm, &room, members, number).await
                            && let Some(refused) = realm.meters.rows_lost.add(realm.clock.now_ms())
                        {
                            let why = refusal.reason.row().message;
                            tracing::error!(%match_id, room, why, refused, "a game's room could not be set");
                        }
                    });
                }
                valid
            }
            Effect::Notify { to, notification } => notifications::notify(&self.realm, &to, &notification),
            Effect::Backfill(seats) => {
                let takes = self.takes_from_queue();
                if takes {
                    self.wanted = Some(seats);
                    self.ask_for_players();
                } else {
                    // Its author learns it here; of a private match the only door is the code.
                    tracing::warn!(
                        match_id = %self.stage.id, mode = %self.stage.mode_name,
                        "a game asked the queue for players in vain: its mode does not backfill, or the match is private"
                    );
                }
                takes
            }
            Effect::Log(line) => {
                tracing::info!(match_id = %self.stage.id, mode = %self.stage.mode_name, "game: {line}");
                true
            }
            Effect::Load { owner, collection, key } => {
                self.load(owner, collection, key, ctx);
                true
            }
            Effect::LoadAll { owner } => {
                self.load_all(owner, ctx);
                true
            }
            Effect::Store { owner, collection, key, value } => {
                let row = KvRow { key, value: value.get().into(), updated_unix_ms: self.realm.clock.unix_ms() };
                let (match_id, realm) = (self.stage.id, self.realm.clone());
                self.realm.store.kv_put(
                    scope(&self.stage.mode_name, owner, &collection),
                    row,
                    Box::new(move |stored| {
                        if let Err(error) = stored
                            && let Some(refused) = realm.meters.rows_lost.add(realm.clock.now_ms())
                        {
                            tracing::error!(%match_id, %error, refused, "a game's value could not be stored");
                        }
                    }),
                );
                true
            }
            Effect::ScriptFault(fault) => {
                if self.realm.rules.dev_errors {
                    self.tell_fault(&fault);
                }
                let ScriptFault { callback, file, line, message, traceback, over_budget, suppressed, .. } = &*fault;
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                tracing::warn!(
                    match_id = %self.stage.id, mode = %self.stage.mode_name, over_budget, suppressed,
                    "{file}{line}: {callback}: {message}\n{traceback}"
                );
                self.faults.push_back(*fault);
                while self.faults.len() > SCRIPT_FAULTS_KEPT_MAX {
                    self.faults.pop_front();
                }
                true
            }
            Effect::SetJoinable(_) | Effect::Finish(_) => true,
        };
        if !done {
            self.meters.effects_refused.fetch_add(1, Relaxed);
        }
        self.update_card();
    }

    /// Tells a game's author that a line was not said. The channel is named, as the line may have said it in a variable.
    fn refuse_line(&mut self, channel: &str, place: Option<&str>, refusal: &Refusal) {
        let problem = refusal.reason.row().message;
        let why = format!("channel \"{channel}\": {problem}");
        if !self.stage.chat_refused(place, &why, self.realm.clock.unix_us()) {
            tracing::warn!(match_id = %self.stage.id, mode = %self.stage.mode_name, why, "a game's line was not said");
        }
    }

    /// Tells a script's failure to the player whose message it was, or to everyone where it was nobody's.
    fn tell_fault(&self, fault: &ScriptFault) {
        let told = ModuleError {
            module: "lua".into(),
            callback: fault.callback.into(),
            script: fault.file.clone(),
            line: fault.line,
            message: fault.message.clone(),
        };
        match fault.player {
            None => self.push_everyone(&told.push()),
            Some(player) => {
                // Whoever was not let in for it is no member.
                let member = self.members.get(&player).cloned().or_else(|| self.realm.directory.member(player));
                if let Some(member) = member {
                    member.outlet.push(&told.push());
                }
            }
        }
    }

    /// Whoever is shown out learns why.
    pub(super) fn tell_kicked(&self, player: PlayerId, reason: &str) {
        let told = serde_json::json!({"match_id": self.stage.id, "reason": reason});
        if let (Some(member), Some(frame)) = (self.members.get(&player), own_event("kicked", &told)) {
            member.outlet.push(&frame);
        }
    }

    /// Reads a stored value; the game hears of it in some later turn.
    pub(super) fn load(&self, owner: Option<PlayerId>, collection: String, key: String, ctx: &Context<Self>) {
        let me = ctx.address();
        self.realm.store.kv_get(
            scope(&self.stage.mode_name, owner, &collection),
            key.clone(),
            Box::new(move |found| {
                let value = found.ok().flatten().and_then(|row| String::from_utf8(row.value).ok());
                // Bounded by what the game asked for; a match that is gone needs no answer.
                me.do_send(Loaded { owner, collection, key, value });
            }),
        );
    }

    fn load_all(&self, owner: Option<PlayerId>, ctx: &Context<Self>) {
        let me = ctx.address();
        let most = STORED_AHEAD_MAX;
        self.realm.store.kv_within(
            scopes(&self.stage.mode_name, owner),
            most as u32 + 1,
            Box::new(move |found| {
                let values = found.ok().filter(|found| found.len() <= most).map(|found| {
                    let stored = |(collection, row): (String, KvRow)| {
                        let value = RawValue::from_string(String::from_utf8(row.value).ok()?).ok()?;
                        Some(Stored { collection, key: row.key, value })
                    };
                    found.into_iter().filter_map(stored).collect()
                });
                // Bounded by what the game asked for; a match that is gone needs no answer.
                me.do_send(LoadedAll { owner, values });
            }),
        );
    }

    /// Seats a bot, under the name the game `asked` for or its next one; false when there is no seat for it.
    pub(super) fn add_bot(&mut self, asked: Option<&str>) -> bool {
        let (realm, clock) = (&self.realm, self.realm.clock);
        let make_id = |name: &str| realm.make(|_, rng| PlayerId::bot(name, rng));
        let Ok(bot) = self.stage.join_bot(asked, make_id, clock.now_us(), clock.unix_us()) else { return false };
        self.push_everyone(&self.player_joined(bot));
        self.update_card();
        true
    }
}

/// Where a game's stored values live: apart by mode, and by player where they are one's own.
fn scope(mode: &str, owner: Option<PlayerId>, collection: &str) -> String {
    scopes(mode, owner) + collection
}

/// What the places of all its collections begin with.
fn scopes(mode: &str, owner: Option<PlayerId>) -> String {
    match owner {
        Some(player) => format!("player:{player}:{mode}:"),
        None => format!("game:{mode}:"),
    }
}

/// All values of one owner that a game asked for.
#[derive(Message)]
#[rtype(result = "()")]
struct LoadedAll {
    owner: Option<PlayerId>,
    values: Option<Vec<Stored>>,
}

impl Handler<LoadedAll> for MatchActor {
    type Result = ();

    fn handle(&mut self, LoadedAll { owner, values }: LoadedAll, ctx: &mut Context<Self>) {
        // A game may be made anew for it.
        self.in_turn(ctx, move |this, ctx| {
            this.stage.loaded_all(owner, values, this.realm.clock.unix_us());
            this.carry_out(ctx);
        });
    }
}

/// A value that a game asked for.
#[derive(Message)]
#[rtype(result = "()")]
struct Loaded {
    owner: Option<PlayerId>,
    collection: String,
    key: String,
    value: Option<String>,
}

impl Handler<Loaded> for MatchActor {
    type Result = ();

    fn handle(&mut self, loaded: Loaded, ctx: &mut Context<Self>) {
        let Loaded { owner, collection, key, value } = loaded;
        let value = value.and_then(|text| RawValue::from_string(text).ok());
        self.stage.loaded(owner, &collection, &key, value.as_deref(), self.realm.clock.unix_us());
        self.carry_out(ctx);
    }
}

/// An event of the server's own that is not one of the protocol's: clients read it as a game's.
pub(super) fn own_event(leaf: &str, payload: &serde_json::Value) -> Option<Frame> {
    serde_json::value::to_raw_value(payload).ok().and_then(|payload| says::event_frame(leaf, &payload).ok())
}

impl Handler<JudgeChat> for MatchActor {
    type Result = ();

    fn handle(&mut self, JudgeChat { sender, text, judged }: JudgeChat, ctx: &mut Context<Self>) {
        self.in_turn(ctx, move |this, _| judged.answer(this.stage.judge_chat(sender, &text)));
    }
}
