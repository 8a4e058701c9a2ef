//! What operators may do with a match, and how they see it.

use actix::prelude::*;

use super::effects::own_event;
use super::{Command, MatchActor};
use crate::engine::modes::Json;
use crate::games::Effect;

impl Handler<Command> for MatchActor {
    type Result = ();

    fn handle(&mut self, command: Command, ctx: &mut Context<Self>) {
        self.in_turn(ctx, move |this, ctx| this.obey(command, ctx));
    }
}

impl MatchActor {
    fn obey(&mut self, command: Command, ctx: &mut Context<Self>) {
        match command {
            Command::End(status) => {
                self.stage.cancel(&status);
                self.carry_out(ctx);
            }
            Command::Pause(answer) => {
                if self.stage.pause(self.realm.clock.now_us()) {
                    for vote in self.votes.values() {
                        vote.pause();
                    }
                    self.hold_graces(ctx);
                    self.tell_held("paused");
                    self.update_card();
                    self.ask_for_players();
                }
                let _ = answer.send(self.stage.phase());
            }
            Command::Resume(answer) => {
                if self.stage.resume(self.realm.clock.now_us()) {
                    for vote in self.votes.values() {
                        vote.resume();
                    }
                    self.resume_graces(ctx);
                    self.tell_held("resumed");
                    self.update_card();
                    self.ask_for_players();
                }
                let _ = answer.send(self.stage.phase());
            }
            Command::SetJoinable(joinable) => {
                self.stage.set_joinable(joinable);
                self.update_card();
                self.look_at_door();
            }
            Command::Kick(player, reason) => {
                self.effect(Effect::Kick { player, reason }, ctx);
            }
            Command::GrantVeto(player, tokens) => self.stage.roster.veto_tokens.grant(player, tokens),
            Command::OpenVote(config, answer) => {
                let _ = answer.send(self.open_vote(&config, ctx));
            }
            Command::Describe(answer) => {
                let _ = answer.send(self.describe());
            }
        }
    }

    /// Tells everybody that nothing moves from now on, or that it goes on: a match that stands still looks like a broken one.
    fn tell_held(&self, what: &str) {
        if let Some(frame) = own_event(what, &serde_json::json!({"match_id": self.stage.id})) {
            self.push_everyone(&frame);
        }
    }

    /// The match as an operator sees it, JSON text.
    fn describe(&mut self) -> String {
        let state = self.shared_view().and_then(|text| serde_json::from_str::<Json>(text).ok());
        let (inputs_waiting, inputs_dropped) = self.card.as_ref().map_or((0, 0), |card| {
            let inputs = card.inputs.lock();
            (inputs.len(), inputs.dropped())
        });
        let roster = &self.stage.roster;
        let players: Vec<_> = roster
            .seats()
            .iter()
            .map(|seat| {
                serde_json::json!({
                    "player_id": seat.player, "bot": seat.bot, "name": self.stage.bot_name(seat.player), "present": seat.present,
                    "team": seat.team,
                    "veto_tokens": roster.veto_tokens.left(seat.player),
                })
            })
            .collect();
        serde_json::json!({
            "match_id": self.stage.id,
            "mode": *self.stage.mode_name,
            "status": self.stage.phase().word(),
            "tick": self.stage.tick(),
            "tick_hz": self.stage.mode.tick_hz,
            "joinable": self.stage.joinable(),
            "players": players,
            "spectators": roster.spectators(),
            "lateness": self.own.summary(),
            "skipped": self.stage.skipped(),
            "queues": {"inputs": inputs_waiting},
            "inputs_dropped": inputs_dropped,
            "votes": self.votes.keys().collect::<Vec<_>>(),
            "script_faults": self
                .faults
                .iter()
                .map(|fault| serde_json::json!({
                    "callback": fault.callback, "file": fault.file, "line": fault.line, "message": fault.message,
                    "traceback": fault.traceback, "over_budget": fault.over_budget,
                }))
                .collect::<Vec<_>>(),
            "state": state,
        })
        .to_string()
    }
}
