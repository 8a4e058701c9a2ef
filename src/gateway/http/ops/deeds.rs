//! What an operator may do. Each deed is written to the audit trail first and done then: a deed without its line cannot
//! happen, a line whose deed was refused is followed by one that says so.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::actors::channels;
use crate::actors::directory::{MatchCard, VotePlace};
use crate::actors::lobby::unknown_mode;
use crate::actors::matches::Command;
use crate::actors::notifications::notify_and_tell;
use crate::actors::realm::MatchOrder;
use crate::actors::sessions::{EndSession, refusal_of};
use crate::actors::votes::Oversee;
use crate::engine::chat::{Place, is_plain};
use crate::engine::matches::Phase;
use crate::engine::modes::Json;
use crate::gateway::http::body::Fields;
use crate::gateway::http::front_door::address_of;
use crate::gateway::http::reply::{Answer, Refused, banned_refusal, success};
use crate::gateway::http::state::HttpState;
use crate::ids::{MatchId, PlayerId, VoteId};
use crate::limits::{
    NOTICE_BYTES_MAX, NOTICE_TYPE_BYTES_MAX, OPS_TEXT_BYTES_MAX, ROOM_BODY_BYTES_MAX, ROOM_MEMBERS_MAX,
};
use crate::store::ask;
use crate::store::rows::{AuditRow, BanRow, MuteRow};
use crate::wire::error::{Reason, Refusal};

type State = web::Data<HttpState>;

/// Writes down what is about to be done, does it, and writes down when it was refused.
pub(super) async fn deed(
    state: &State,
    req: &HttpRequest,
    action: &'static str,
    target: impl ToString,
    details: &impl Serialize,
    act: impl Future<Output = Answer>,
) -> Answer {
    let line = |details: Value| AuditRow {
        unix_ms: state.clock.now().unix_ms,
        address: address_of(req).to_string(),
        action: action.into(),
        target: target.to_string(),
        details: details.to_string(),
    };
    let asked = serde_json::to_value(details).unwrap_or_default();
    ask(|done| state.store.audit(line(asked), done)).await?;
    let answer = act.await;
    if let Err(Refused(refusal)) = &answer {
        let refused = line(json!({"refused": refusal.reason.row().code}));
        ask(|done| state.store.audit(refused, done)).await?;
    }
    answer
}

fn short(text: String, field: &'static str) -> Result<String, Refused> {
    match text.len() <= OPS_TEXT_BYTES_MAX && !text.trim().is_empty() {
        true => Ok(text),
        false => Err(Refusal::invalid(field, "a text of 1 to 2000 bytes").into()),
    }
}

/// As [`short`], for what is shown to the player in a client's own words.
fn shown(text: String, field: &'static str) -> Result<String, Refused> {
    match is_plain(&text) {
        true => short(text, field),
        false => Err(Refusal::invalid(field, "a text without control or bidi characters").into()),
    }
}

fn created(body: Value) -> Answer {
    Ok(HttpResponse::Created().json(body))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateMatch {
    mode: String,
    #[serde(default)]
    players: Vec<PlayerId>,
    #[serde(default)]
    private: bool,
}

/// A match of a mode; the players, who must be online and in no match, are seated in this order.
pub(super) async fn create_match(state: State, req: HttpRequest, payload: Payload) -> Answer {
    let order: CreateMatch = Fields::read(payload).await?.typed()?;
    deed(&state, &req, "match.create", &order.mode, &order, async {
        let realm = &state.running()?.realm;
        let (mode, rules) = realm.mode(&order.mode).ok_or_else(|| unknown_mode(realm, |_| true))?;
        if order.players.len() > rules.players.max as usize {
            return Err(Refusal::invalid("players", "no more players than the mode has seats").into());
        }
        let mut matched = Vec::with_capacity(order.players.len());
        for player in &order.players {
            let is_free = realm.directory.is_connected(*player) && realm.directory.seat(*player).is_none();
            let member = realm.directory.member(*player).filter(|_| is_free);
            let repeated = matched.iter().any(|known: &crate::actors::directory::Member| known.player == *player);
            let Some(member) = member.filter(|_| !repeated) else {
                return Err(Reason::PartyMemberUnavailable.with("player_id", player.to_string()).into());
            };
            matched.push(member);
        }
        let order =
            MatchOrder { mode, private: order.private, matched, bots: 0, promised: 0, queued: None, insists: true };
        let card = realm.start_match(order).map_err(refusal_of)?;
        created(json!({"match_id": card.match_id, "join_code": card.join_code.as_deref()}))
    })
    .await
}

/// The live match of that id.
fn live_match(state: &State, id: &str) -> Result<Arc<MatchCard>, Refused> {
    let id: MatchId = id.parse().map_err(|_| Reason::MatchNotFound)?;
    Ok(state.running()?.realm.directory.card(id).ok_or(Reason::MatchNotFound)?)
}

fn tell_match(card: &MatchCard, command: Command) -> Result<(), Refused> {
    card.addr.try_send(command).map_err(|_| Reason::Busy.into())
}

/// Ends a match with a `cancelled` result.
pub(super) async fn end_match(state: State, req: HttpRequest, id: web::Path<String>) -> Answer {
    deed(&state, &req, "match.end", &id, &json!({}), async {
        tell_match(&*live_match(&state, &id)?, Command::End("cancelled".into()))?;
        success()
    })
    .await
}

/// Whether the match is where it was told to be; only one that ticks can be held.
async fn stands(told: oneshot::Receiver<Phase>, wanted: Phase) -> Answer {
    match told.await {
        Ok(phase) if phase == wanted => success(),
        Ok(Phase::Waiting) => Err(Reason::MatchNotStarted.into()),
        _ => Err(Reason::MatchNotFound.into()),
    }
}

/// Stops a match's clock, and that of its votes.
pub(super) async fn pause_match(state: State, req: HttpRequest, id: web::Path<String>) -> Answer {
    deed(&state, &req, "match.pause", &id, &json!({}), async {
        let (tell, told) = oneshot::channel();
        tell_match(&*live_match(&state, &id)?, Command::Pause(tell))?;
        stands(told, Phase::Paused).await
    })
    .await
}

/// Lets a paused match go on.
pub(super) async fn resume_match(state: State, req: HttpRequest, id: web::Path<String>) -> Answer {
    deed(&state, &req, "match.resume", &id, &json!({}), async {
        let (tell, told) = oneshot::channel();
        tell_match(&*live_match(&state, &id)?, Command::Resume(tell))?;
        stands(told, Phase::Running).await
    })
    .await
}

/// Opens a vote in a match, or says everything that is wrong with its configuration.
pub(super) async fn open_vote(state: State, req: HttpRequest, id: web::Path<String>, payload: Payload) -> Answer {
    let config = Fields::read(payload).await?.into_json()?;
    deed(&state, &req, "vote.open", &id, &config.clone(), async {
        let (tell, told) = oneshot::channel();
        tell_match(&*live_match(&state, &id)?, Command::OpenVote(config, tell))?;
        match told.await {
            Ok(Ok(vote_id)) => created(json!({"vote_id": vote_id})),
            Ok(Err(faults)) => {
                let faults = serde_json::value::to_raw_value(&faults).map_err(|_| Reason::Internal)?;
                Err(Reason::InvalidVote.with("faults", faults).into())
            }
            Err(_) => Err(Reason::MatchNotFound.into()),
        }
    })
    .await
}

/// Calls an open vote off; its result says `cancelled`.
pub(super) async fn cancel_vote(state: State, req: HttpRequest, id: web::Path<String>) -> Answer {
    deed(&state, &req, "vote.cancel", &id, &json!({}), async {
        let id: VoteId = id.parse().map_err(|_| Reason::VoteNotOnRecord)?;
        match state.running()?.realm.directory.vote(&id) {
            Some(VotePlace::Open(_, addr)) => {
                addr.try_send(Oversee::Cancel("operator".into())).map_err(|_| Reason::Busy)?;
                success()
            }
            Some(VotePlace::Closed(_)) => Err(Reason::VoteClosed.into()),
            None if ask(|done| state.store.vote(id, done)).await?.is_some() => Err(Reason::VoteClosed.into()),
            None => Err(Reason::VoteNotOnRecord.into()),
        }
    })
    .await
}

fn player_id(text: &str) -> Result<PlayerId, Refused> {
    text.parse().map_err(|_| Reason::PlayerNotFound.into())
}

async fn only_known(state: &State, id: PlayerId) -> Result<(), Refused> {
    match ask(|done| state.store.player(id, done)).await? {
        Some(_) => Ok(()),
        None => Err(Reason::PlayerNotFound.into()),
    }
}

/// Ends a player's session, seat and all; whether there was one.
fn end_session(state: &State, id: PlayerId, refusal: Refusal) -> Result<bool, Refused> {
    let Some(member) = state.running()?.realm.directory.member(id) else { return Ok(false) };
    // `do_send` on purpose: an operator's word must not be lost to a mailbox that its player keeps full.
    member.session.do_send(EndSession { refusal: Some(refusal), give_up: true, heir: None });
    Ok(true)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kick {
    #[serde(default)]
    reason: String,
}

/// Ends a player's session; they may come back.
pub(super) async fn kick(state: State, req: HttpRequest, id: web::Path<String>, payload: Payload) -> Answer {
    let kick: Kick = Fields::read_or_empty(payload).await?.typed()?;
    deed(&state, &req, "player.kick", &id, &kick, async {
        if !is_plain(&kick.reason) {
            return Err(Refusal::invalid("reason", "a text without control or bidi characters").into());
        }
        let reason = kick.reason.chars().take(256).collect::<String>();
        let id = player_id(&id)?;
        if end_session(&state, id, Reason::Kicked.with("reason", reason))? {
            return success();
        }
        only_known(&state, id).await?;
        Err(Reason::PlayerOffline.into())
    })
    .await
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ban {
    reason: String,
    #[serde(default)]
    seconds: Option<u32>,
}

/// Bans a player for a time or for good: their tokens are worth nothing, their session ends now.
pub(super) async fn ban(state: State, req: HttpRequest, id: web::Path<String>, payload: Payload) -> Answer {
    let ban: Ban = Fields::read(payload).await?.typed()?;
    deed(&state, &req, "player.ban", &id, &ban, async {
        let id = player_id(&id)?;
        let now_unix_ms = state.clock.now().unix_ms;
        let row = BanRow {
            player_id: id,
            reason: shown(ban.reason.clone(), "reason")?,
            until_unix_ms: ban.seconds.map(|seconds| now_unix_ms + u64::from(seconds) * 1_000),
            created_unix_ms: now_unix_ms,
        };
        let written = row.clone();
        if ask(|done| state.store.ban(written, done)).await?.is_none() {
            return Err(Reason::PlayerNotFound.into());
        }
        end_session(&state, id, banned_refusal(row))?;
        success()
    })
    .await
}

/// Lifts a ban, if there is one.
pub(super) async fn unban(state: State, req: HttpRequest, id: web::Path<String>) -> Answer {
    deed(&state, &req, "player.unban", &id, &json!({}), async {
        let id = player_id(&id)?;
        only_known(&state, id).await?;
        ask(|done| state.store.unban(id, done)).await?;
        success()
    })
    .await
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mute {
    seconds: u32,
    #[serde(default)]
    channel_id: Option<String>,
    reason: String,
}

/// Mutes a player in one channel or everywhere, from now on and across restarts. 0 seconds lift it.
pub(super) async fn mute(state: State, req: HttpRequest, id: web::Path<String>, payload: Payload) -> Answer {
    let mute: Mute = Fields::read(payload).await?.typed()?;
    deed(&state, &req, "player.mute", &id, &mute, async {
        let id = player_id(&id)?;
        only_known(&state, id).await?;
        let realm = &state.running()?.realm;
        let possible = |channel| channels::is_channel_id(realm, channel);
        if mute.seconds > 0 && !mute.channel_id.as_deref().is_none_or(possible) {
            // Else it would look done, and silence nobody. A channel that was open once still has its mutes lifted.
            return Err(Reason::InvalidChannelId.into());
        }
        let row = MuteRow {
            player_id: id,
            channel_id: mute.channel_id.clone(),
            reason: shown(mute.reason.clone(), "reason")?,
            // Lifted means lifted, whoever's clock is a millisecond behind.
            until_unix_ms: match mute.seconds {
                0 => 0,
                seconds => state.clock.now().unix_ms + u64::from(seconds) * 1_000,
            },
        };
        let written = row.clone();
        ask(|done| state.store.mute(written, done)).await?;
        realm.directory.mute(row);
        success()
    })
    .await
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notice {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    content: Value,
}

/// Stores a notification for a player and pushes it if they are online.
pub(super) async fn notify_player(state: State, req: HttpRequest, id: web::Path<String>, payload: Payload) -> Answer {
    let notice: Notice = Fields::read(payload).await?.typed()?;
    deed(&state, &req, "player.notify", &id, &notice, async {
        let id = player_id(&id)?;
        if notice.kind.is_empty() || notice.kind.len() > NOTICE_TYPE_BYTES_MAX || !is_plain(&notice.kind) {
            return Err(Refusal::invalid("type", "a text of 1 to 64 bytes without control or bidi characters").into());
        }
        if notice.subject.len() > OPS_TEXT_BYTES_MAX || !is_plain(&notice.subject) {
            let wanted = "a text of at most 2000 bytes without control or bidi characters";
            return Err(Refusal::invalid("subject", wanted).into());
        }
        if notice.content.to_string().len() > NOTICE_BYTES_MAX {
            return Err(Refusal::invalid("content", "at most 16384 bytes of JSON").into());
        }
        only_known(&state, id).await?;
        let notice = serde_json::value::to_raw_value(&notice).map_err(|_| Reason::Internal)?;
        leave(&state, &[id], &notice).await
    })
    .await
}

/// Leaves a notification for each of `to`; answered when the store has it, since whoever is told so relies on it.
async fn leave(state: &State, to: &[PlayerId], notice: &Json) -> Answer {
    let realm = &state.running()?.realm;
    ask(|done| {
        // It is one: it was put together here.
        notify_and_tell(realm, to, notice, done);
    })
    .await?;
    success()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantVeto {
    match_id: MatchId,
    tokens: u32,
}

/// Gives a seated player veto tokens.
pub(super) async fn grant_veto(state: State, req: HttpRequest, id: web::Path<String>, payload: Payload) -> Answer {
    let grant: GrantVeto = Fields::read(payload).await?.typed()?;
    deed(&state, &req, "player.grant_veto", &id, &grant, async {
        let id = player_id(&id)?;
        let directory = &state.running()?.realm.directory;
        let card = directory.card(grant.match_id).ok_or(Reason::MatchNotFound)?;
        if directory.seat(id) != Some(grant.match_id) {
            return Err(Reason::NotInMatch.into());
        }
        tell_match(&card, Command::GrantVeto(id, grant.tokens))?;
        success()
    })
    .await
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Room {
    members: HashSet<PlayerId>,
}

/// Sets who belongs to `room:<name>`; whoever no longer does hears no more of it.
pub(super) async fn set_room(state: State, req: HttpRequest, name: web::Path<String>, payload: Payload) -> Answer {
    let room: Room = Fields::read_up_to(ROOM_BODY_BYTES_MAX, payload).await?.typed()?;
    deed(&state, &req, "room.set", &name, &room, async {
        // Else it would look done, and nobody could ever join it.
        if Place::room(&name).is_err() {
            let rule = "1 to 64 bytes in Unicode's normal form C without spaces, `:`, control characters or such as turn \
                        the direction of text";
            return Err(Refusal::invalid("name", rule).into());
        }
        if room.members.len() > ROOM_MEMBERS_MAX {
            return Err(Refusal::invalid("members", "at most 10000 player ids").into());
        }
        channels::set_room(&state.running()?.realm, &format!("room:{name}"), room.members.clone()).await?;
        success()
    })
    .await
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Announce {
    content: String,
    #[serde(default)]
    channel_id: Option<String>,
}

/// Says something as `server` in a channel, or as a notification to everyone online.
pub(super) async fn announce(state: State, req: HttpRequest, payload: Payload) -> Answer {
    let announce: Announce = Fields::read(payload).await?.typed()?;
    let target = announce.channel_id.clone().unwrap_or_else(|| "everyone".into());
    deed(&state, &req, "announce", target, &announce, async {
        let realm = &state.running()?.realm;
        // The rules for what players say: one that turns the direction of text would do so in every client.
        let content = channels::clean(&short(announce.content.clone(), "content")?)?;
        match &announce.channel_id {
            Some(channel) => {
                let (tell, told) = oneshot::channel();
                let told_it: channels::Moderated = Box::new(move |outcome| drop(tell.send(outcome)));
                channels::announce(realm, channel, &content, Some(told_it))?;
                told.await.map_err(|_| Reason::Busy)??;
                success()
            }
            None => {
                let online: Vec<_> = realm.directory.members().iter().map(|member| member.player).collect();
                let notice = json!({"type": "announcement", "subject": "", "content": content});
                let notice = serde_json::value::to_raw_value(&notice).map_err(|_| Reason::Internal)?;
                leave(&state, &online, &notice).await
            }
        }
    })
    .await
}
