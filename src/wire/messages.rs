//! Every message of either direction, one line each.
//!
//! A new message is its struct in the file of its noun and its line here. A line marked `later` is known and answered
//! `not_supported` until what it asks for exists.

use serde::Serialize;
use serde_json::value::RawValue;

use super::decode::Fields;
use super::error::Refusal;
use super::frame::{Cid, Frame, Outbound};
use super::{chat, client, matches, matchmaking, notices, presence, rpc, session, votes};

/// What a client says: one struct per message type, whose fields are the payload.
pub(super) trait Inbound: Serialize + Sized {
    /// Reads the payload; says what is missing or wrong, and what was expected.
    fn read(cid: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal>;
}

/// One line of [`MESSAGES`].
pub struct MessageRow {
    /// The `type`.
    pub name: &'static str,
    /// Whether this build serves it; if not, the answer is `not_supported`.
    pub served: bool,
    /// What it is for.
    pub about: &'static str,
    read: fn(Option<&Cid>, &Fields<'_>) -> Result<ClientMsg, Refusal>,
}

impl MessageRow {
    pub(super) fn read(&self, cid: Option<&Cid>, fields: &Fields<'_>) -> Result<ClientMsg, Refusal> {
        (self.read)(cid, fields)
    }
}

impl std::fmt::Debug for MessageRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! client_messages {
    ($($variant:ident($payload:ty) $name:literal $served:ident $about:literal;)+) => {
        /// Everything a client may ask.
        #[derive(Debug, Clone)]
        pub enum ClientMsg {
            $(#[doc = concat!("`", $name, "`: ", $about)] $variant($payload),)+
        }

        /// Every message a client may send.
        pub static MESSAGES: &[MessageRow] = &[
            $(MessageRow {
                name: $name,
                served: client_messages!(@ $served),
                about: $about,
                read: |cid, fields| <$payload>::read(cid, fields).map(ClientMsg::$variant),
            },)+
        ];

        impl ClientMsg {
            /// Its `type`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(ClientMsg::$variant(_) => $name,)+
                }
            }

            /// The text a client sends: the inverse of [`decode`](super::decode()). `seq` numbers an input.
            pub fn encode(&self, cid: Option<&Cid>, seq: Option<u64>) -> String {
                match self {
                    $(ClientMsg::$variant(payload) => client::encode($name, cid, seq, payload),)+
                }
            }
        }
    };
    (@ served) => { true };
    (@ later) => { false };
}

client_messages! {
    SessionConnect(session::Connect) "session.connect" served "signs in, resumes";
    SessionHeartbeat(session::Nothing) "session.heartbeat" served "asks the server's clock";
    MatchList(matches::List) "match.list" served "lists live matches";
    MatchCreate(matches::Create) "match.create" served "opens a match of one's own";
    MatchFindOrCreate(matches::FindOrCreate) "match.find_or_create" served "joins any open match of a mode, or a new one";
    MatchJoin(matches::Join) "match.join" served "joins one match, to play or to watch";
    MatchInput(matches::Input) "match.input" served "plays";
    MatchResync(session::Nothing) "match.resync" served "has the next state shown whole";
    MatchLeave(session::Nothing) "match.leave" served "gives up the seat";
    MatchmakerAdd(matchmaking::Add) "matchmaker.add" served "queues";
    MatchmakerRemove(matchmaking::Remove) "matchmaker.remove" served "withdraws a ticket";
    ChatJoin(chat::Join) "chat.join" served "hears a channel";
    ChatLeave(chat::Leave) "chat.leave" served "hears it no longer";
    ChatSend(chat::Send) "chat.send" served "says something in it";
    ChatEdit(chat::Edit) "chat.edit" served "says it differently";
    ChatDelete(chat::Delete) "chat.delete" served "takes it back";
    ChatTyping(chat::Typing) "chat.typing" served "is writing";
    DmSend(chat::DmSend) "dm.send" served "writes to one player";
    VoteCast(votes::Cast) "vote.cast" served "casts or changes a ballot";
    VoteVeto(votes::Veto) "vote.veto" served "spends a veto";
    VoteCall(votes::Call) "vote.call" served "raises a motion";
    VoteVerify(votes::Verify) "vote.verify" served "asks for the proof of a cast";
    PresenceUpdate(presence::Update) "presence.update" served "sets one's status";
    PresenceSubscribe(presence::Subscribe) "presence.subscribe" served "follows players";
    PresenceUnsubscribe(presence::Unsubscribe) "presence.unsubscribe" served "follows them no longer";
    RpcCall(rpc::Call) "rpc.call" later "calls a method of a game or an extension";
}

impl ClientMsg {
    /// Whether it has an answer that a resume counts, and so can be known as answered when it is sent again. The others
    /// are heard as often as they come: the next input takes the place of the one before, and a pulse is a pulse.
    pub fn has_counted_answer(&self) -> bool {
        !matches!(self, Self::SessionHeartbeat(_) | Self::MatchInput(_) | Self::MatchResync(_) | Self::ChatTyping(_))
    }
}

macro_rules! server_messages {
    ($($variant:ident($payload:ty) $name:literal;)+) => {
        /// Everything the server may say, as a client reads it.
        #[derive(Debug, Clone)]
        pub enum ServerMsg {
            $(#[doc = concat!("`", $name, "`")] $variant($payload),)+
            /// `match.state`: whatever the game's view wrote.
            MatchState(Box<RawValue>),
            /// `match.<leaf>`: a game's own event.
            Event {
                /// The leaf.
                leaf: String,
                /// The payload.
                payload: Box<RawValue>,
            },
            /// A type that this build does not know: clients must let it pass.
            Unknown {
                /// The type.
                kind: String,
                /// The payload.
                payload: Box<RawValue>,
            },
        }

        /// The types of all frames with a payload of their own, in the order of the table.
        pub const PUSHES: &[&str] = &[$($name),+];

        impl ServerMsg {
            /// Reads a payload by its type.
            pub(super) fn read(kind: &str, payload: &RawValue) -> Result<Self, serde_json::Error> {
                Ok(match kind {
                    $($name => ServerMsg::$variant(serde_json::from_str(payload.get())?),)+
                    "match.state" => ServerMsg::MatchState(payload.to_owned()),
                    _ => match kind.strip_prefix("match.") {
                        Some(leaf) if matches::is_leaf(leaf) => {
                            ServerMsg::Event { leaf: leaf.to_owned(), payload: payload.to_owned() }
                        }
                        _ => ServerMsg::Unknown { kind: kind.to_owned(), payload: payload.to_owned() },
                    },
                })
            }

            /// Its `type`.
            pub fn kind(&self) -> String {
                match self {
                    $(ServerMsg::$variant(_) => $name.to_owned(),)+
                    ServerMsg::MatchState(_) => "match.state".to_owned(),
                    ServerMsg::Event { leaf, .. } => format!("match.{leaf}"),
                    ServerMsg::Unknown { kind, .. } => kind.clone(),
                }
            }

            /// Encodes it again as the server would have: decoding and encoding are inverses, and tests hold them to it.
            pub fn encode(&self, cid: Option<&Cid>) -> String {
                match self {
                    $(ServerMsg::$variant(payload) => client::encode($name, cid, None, payload),)+
                    ServerMsg::MatchState(payload)
                    | ServerMsg::Event { payload, .. }
                    | ServerMsg::Unknown { payload, .. } => client::encode(&self.kind(), cid, None, payload),
                }
            }

            /// The frame the server sends for it, with its lane; `None` for what has no struct of its own.
            pub fn frame(&self, cid: Option<&Cid>) -> Option<Frame> {
                match self {
                    $(ServerMsg::$variant(payload) => {
                        let frame = payload.frame(cid);
                        // One struct serves both names of the same news.
                        Some(if <$payload>::KIND == $name { frame } else { super::frame::encode($name, cid, payload) })
                    })+
                    _ => None,
                }
            }
        }
    };
}

server_messages! {
    SessionConnected(session::Connected) "session.connected";
    SessionHeartbeat(session::Heartbeat) "session.heartbeat";
    SessionSnapshot(session::Snapshot) "session.snapshot";
    Error(session::Error) "error";
    MatchList(matches::Listing) "match.list";
    MatchJoined(matches::Joined) "match.joined";
    MatchLeft(matches::Left) "match.left";
    MatchAck(matches::Ack) "match.ack";
    MatchMatched(matches::Matched) "match.matched";
    MatchmakerMatched(matches::Matched) "matchmaker.matched";
    MatchStarted(matches::Started) "match.started";
    MatchFinished(matches::Finished) "match.finished";
    PlayerJoined(matches::PlayerJoined) "match.player_joined";
    PlayerLeft(matches::PlayerLeft) "match.player_left";
    PlayerDisconnected(matches::PlayerDisconnected) "match.player_disconnected";
    PlayerResumed(matches::PlayerResumed) "match.player_resumed";
    MatchmakerQueued(matchmaking::Queued) "matchmaker.queued";
    MatchmakerRemoved(matchmaking::Removed) "matchmaker.removed";
    MatchmakerStatus(matchmaking::Status) "matchmaker.status";
    MatchmakerExpired(matchmaking::Expired) "match.matchmaker_expired";
    MatchmakerFailed(matchmaking::Failed) "match.matchmaker_failed";
    VoteStart(votes::Start) "match.vote_start";
    VoteTally(votes::Tally) "match.vote_tally";
    VoteResult(votes::Outcome) "match.vote_result";
    VoteDeadline(votes::Deadline) "match.vote_deadline";
    VoteTurn(votes::Turn) "match.vote_turn";
    VoteVetoed(votes::Vetoed) "match.vote_vetoed";
    VoteCastOk(votes::CastOk) "vote.cast_ok";
    VoteVetoOk(votes::VetoOk) "vote.veto_ok";
    VoteCalled(votes::Called) "vote.called";
    VoteProof(votes::Proof) "vote.proof";
    ChatJoined(chat::Joined) "chat.joined";
    ChatLeft(chat::Left) "chat.left";
    ChatSent(chat::Sent) "chat.sent";
    ChatMessage(chat::Message) "chat.message";
    ChatUpdated(chat::Updated) "chat.updated";
    ChatDeleted(chat::Deleted) "chat.deleted";
    ChatTyping(chat::IsTyping) "chat.typing";
    DmSent(chat::DmSent) "dm.sent";
    DmMessage(chat::DmMessage) "dm.message";
    PresenceUpdated(presence::Updated) "presence.updated";
    PresenceChanged(presence::Changed) "presence.changed";
    PresenceSnapshot(presence::Snapshot) "presence.snapshot";
    NotificationNew(notices::Notification) "notification.new";
    ModuleMessage(notices::ModuleMessage) "module.message";
    ModuleError(notices::ModuleError) "module.error";
    ServerLag(notices::Lag) "server.lag";
    RpcOk(rpc::Answered) "rpc.ok";
    RpcError(rpc::Failed) "rpc.error";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for (n, row) in MESSAGES.iter().enumerate() {
            assert!(MESSAGES[..n].iter().all(|other| other.name != row.name), "{row:?}");
        }
        for (n, name) in PUSHES.iter().enumerate() {
            assert!(!PUSHES[..n].contains(name), "{name}");
        }
    }

    /// A game must not be able to forge what the server itself says under `match.`.
    #[test]
    fn our_own_leaves_are_reserved() {
        for leaf in PUSHES.iter().filter_map(|kind| kind.strip_prefix("match.")) {
            assert!(matches::RESERVED_LEAVES.contains(&leaf), "{leaf}");
        }
    }
}
