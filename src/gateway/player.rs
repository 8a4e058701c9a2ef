//! The brain of a player's socket: decodes what arrives, signs the client in, and hands everything else to its
//! session. It knows the wire and the store, and no game.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use actix::Addr;
use bytes::Bytes;
use bytestring::ByteString;

use super::pump::{Brain, End, InboundFault};
use crate::actors::access::{AccessDenied, verify_access_token};
use crate::actors::realm::Realm;
use crate::actors::sessions::{
    Begin, Inbound, Revoked, SessionActor, SignedInAgain, SocketBack, SocketGone, dialect_given_away,
};
use crate::actors::{CloseCode, Connection, Outlet};
use crate::ids::{PlayerId, SessionId};
use crate::limits::{PENDING_BYTES_MAX, PENDING_FRAMES_MAX};
use crate::store::rows::{AccessRow, BanRow, Family};
use crate::wire::frame::Lane;
use crate::wire::session::{Connect, Connected, Heartbeat, Resume};
use crate::wire::{self, Cid, ClientMsg, Dialect, Outbound, Reason, Refusal, Request};

/// The brain. Its state is shared with the look-up of a token, which comes back on the same thread.
pub struct PlayerBrain {
    inner: Rc<RefCell<Inner>>,
}

struct Inner {
    realm: Arc<Realm>,
    state: State,
    /// The client said over this connection which dialect it speaks: that counts for more than what its session knows.
    dialect_said: bool,
    /// It said so, gave it away, or the configuration or its session knows: nothing is guessed any more.
    dialect_fixed: bool,
    /// Tells this socket apart from the session's others.
    opened: u64,
}

enum State {
    /// Nobody yet.
    Stranger,
    /// A token is being looked up; what the client says meanwhile waits, with the moment it came.
    Checking(VecDeque<(ByteString, u64)>, Option<Box<SignedIn>>),
    /// Signed in.
    In(Box<SignedIn>),
}

struct SignedIn {
    player: PlayerId,
    session_id: SessionId,
    session: Addr<SessionActor>,
    family: Family,
}

impl PlayerBrain {
    /// A brain for a fresh connection; `dialect` is what the address or the configuration said.
    pub fn new(realm: Arc<Realm>, connection: &Arc<Connection>, dialect: Option<Dialect>) -> Self {
        let dialect_said = dialect.is_some();
        let dialect = dialect.or(realm.rules.dialect);
        if let Some(dialect) = dialect {
            connection.set_dialect(dialect);
        }
        let opened = realm.next_number();
        let inner = Inner { realm, state: State::Stranger, dialect_said, dialect_fixed: dialect.is_some(), opened };
        Self { inner: Rc::new(RefCell::new(inner)) }
    }
}

impl Inner {
    fn refuse(&self, connection: &Connection, cid: Option<&Cid>, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        self.realm.meters.refused(refusal.reason.row().code);
        // Counted in a session, and before one nothing counts.
        connection.outlet().push(&refusal.frame(cid, None));
    }

    fn session(&self) -> Option<&SignedIn> {
        match &self.state {
            State::In(signed_in) | State::Checking(_, Some(signed_in)) => Some(signed_in),
            _ => None,
        }
    }

    /// One message of the client, in its turn.
    fn message(&mut self, connection: &Arc<Connection>, text: &ByteString, received_ms: u64) -> Option<Ask> {
        let request = match wire::decode(text) {
            Ok(request) => request,
            Err(refused) => {
                // A stranger learns nothing about what would have been wrong with it.
                let framing = matches!(refused.refusal.reason, Reason::InvalidJson | Reason::InvalidMessage);
                let open_to_all = matches!(refused.about_type, Some("session.connect" | "session.heartbeat"));
                let known = self.session().is_some() || framing || open_to_all;
                let refusal = if known { refused.refusal } else { Reason::Unauthenticated.into() };
                self.refuse(connection, refused.cid.as_ref(), refusal);
                return None;
            }
        };
        match request {
            Request { cid, msg: ClientMsg::SessionConnect(connect), .. } => Some(Ask { cid, connect }),
            request => {
                let again = request.cid.is_some() && request.msg.has_counted_answer();
                let print = again.then(|| self.realm.fingerprint(text));
                self.pass(connection, request, received_ms, print);
                None
            }
        }
    }

    fn pass(&mut self, connection: &Arc<Connection>, request: Request, received_ms: u64, print: Option<u64>) {
        if !self.dialect_fixed
            && self.session().is_some()
            && let Some(dialect) = dialect_given_away(&request.msg)
        {
            connection.set_dialect(dialect);
            self.dialect_fixed = true;
            self.remember_dialect(connection);
        }
        let Some(signed_in) = self.session() else {
            if let Request { cid, msg: ClientMsg::SessionHeartbeat(_), .. } = &request {
                let pulse = Heartbeat { ts: self.realm.clock.unix_ms() };
                connection.outlet().push(&pulse.frame(cid.as_ref()));
            } else {
                self.refuse(connection, request.cid.as_ref(), Reason::Unauthenticated);
            }
            return;
        };
        let cid = request.cid.clone();
        match signed_in.session.try_send(Inbound { opened: self.opened, request, received_ms, print }) {
            Ok(()) => {}
            Err(actix::prelude::SendError::Full(_)) => self.refuse(connection, cid.as_ref(), Reason::Busy),
            Err(actix::prelude::SendError::Closed(_)) => {
                // The session ended under us, with its own farewell; nothing more can come of this socket.
                connection.close(CloseCode::Policy, Reason::SessionRevoked.row().word);
            }
        }
    }
}

/// A client wants to be signed in.
struct Ask {
    cid: Option<Cid>,
    connect: Connect,
}

/// Looks the token up and goes on when the store has answered.
fn check(inner: &Rc<RefCell<Inner>>, connection: &Arc<Connection>, mut ask: Ask) {
    let (answer, answered) = tokio::sync::oneshot::channel();
    {
        let mut this = inner.borrow_mut();
        let before = std::mem::replace(&mut this.state, State::Stranger);
        let signed_in = match before {
            State::In(signed_in) => Some(signed_in),
            State::Checking(_, signed_in) => signed_in,
            State::Stranger => None,
        };
        this.state = State::Checking(VecDeque::new(), signed_in);
        let now_ms = this.realm.clock.unix_ms();
        verify_access_token(&*this.realm.store, &ask.connect.token, now_ms, move |row| {
            let _ = answer.send(row);
        });
    }
    let (inner, connection) = (inner.clone(), connection.clone());
    actix::spawn(async move {
        let row = answered.await;
        if connection.is_ended() {
            // The client left while its token was looked up: a session begun now would have nobody to end it.
            return;
        }
        let mut this = inner.borrow_mut();
        let State::Checking(waiting, former) = std::mem::replace(&mut this.state, State::Stranger) else { return };
        let verdict = match row {
            Ok(Ok(row)) if this.realm.is_draining() && !this.is_here(row.player.id) => Err(Reason::Draining.into()),
            Ok(Ok(row)) if !this.has_room_for(row.player.id) => Err(Reason::CapacityReached.into()),
            Ok(Ok(row)) => Ok(row),
            Ok(Err(AccessDenied::Invalid)) => Err(Reason::InvalidToken.into()),
            Ok(Err(AccessDenied::Banned(ban))) => Err(banned(&ban)),
            Ok(Err(AccessDenied::Store(_))) | Err(_) => Err(Reason::Busy.into()),
        };
        match verdict {
            Ok(row) => {
                let token = std::mem::take(&mut ask.connect.token);
                this.sign_in(&connection, row, former, ask);
                this.check_again(&token);
            }
            Err(refusal) => {
                // A wrong token changes nothing: who was signed in still is, who was not may try again.
                this.state = former.map_or(State::Stranger, State::In);
                let row = refusal.reason.row();
                this.refuse(&connection, ask.cid.as_ref(), refusal);
                match row.closes {
                    Some(code) if code == CloseCode::Restart as u16 => connection.close(CloseCode::Restart, row.word),
                    Some(_) => connection.close(CloseCode::Policy, row.word),
                    None => {}
                }
            }
        }
        drop(this);
        for (text, received_ms) in waiting {
            hear(&inner, &connection, &text, received_ms);
        }
    });
}

/// What a banned player is told.
fn banned(ban: &BanRow) -> Refusal {
    let refusal = Reason::Banned.with("reason", ban.reason.clone());
    match ban.until_unix_ms {
        Some(until_ms) => refusal.with("until_ms", until_ms),
        None => refusal,
    }
}

/// Handles one message, or lets it wait for the token that is being looked up.
fn hear(inner: &Rc<RefCell<Inner>>, connection: &Arc<Connection>, text: &ByteString, received_ms: u64) {
    let mut this = inner.borrow_mut();
    if let State::Checking(waiting, _) = &mut this.state {
        let bytes: usize = waiting.iter().map(|(text, _)| text.len()).sum();
        if waiting.len() < PENDING_FRAMES_MAX && bytes + text.len() <= PENDING_BYTES_MAX {
            waiting.push_back((text.clone(), received_ms));
        } else {
            let cid = wire::envelope(text).ok().and_then(|envelope| envelope.cid);
            this.refuse(connection, cid.as_ref(), Reason::Busy);
        }
        return;
    }
    let ask = this.message(connection, text, received_ms);
    drop(this);
    if let Some(ask) = ask {
        check(inner, connection, ask);
    }
}

impl Inner {
    fn sign_in(&mut self, connection: &Arc<Connection>, row: AccessRow, former: Option<Box<SignedIn>>, ask: Ask) {
        let Ask { cid, connect } = ask;
        if let Some(dialect) = connect.dialect {
            connection.set_dialect(dialect);
            self.dialect_said = true;
            self.dialect_fixed = true;
        }
        let player = row.player.id;
        if let Some(mut former) = former {
            if former.player == player && former.session.connected() {
                // The same player again: only the token changes, and nobody hears anything twice.
                former.family = row.family;
                let outlet = connection.outlet();
                let before = outlet.wants_deltas();
                if connect.wire.is_some() {
                    outlet.set_wants_deltas(connect.wants_deltas());
                }
                let resync = outlet.wants_deltas() != before;
                former.session.do_send(SignedInAgain { family: row.family, resync });
                let connected = self.connected(player, former.session_id, outlet.wants_deltas(), true);
                outlet.push(&connected.frame(cid.as_ref()).on(Lane::Uncounted));
                self.remember_dialect(connection);
                self.state = State::In(former);
                return;
            }
            // Somebody else takes over the socket: the one before is without one now.
            former.session.do_send(SocketGone { opened: self.opened });
            self.opened = self.realm.next_number();
            let fresh = Outlet::new(Outlet::bounds(&self.realm.rules.limits), connection.metrics().clone());
            fresh.attach(connection);
        }
        connection.set_authenticated();
        let deltas = connect.wants_deltas();
        let resume = connect.resume.as_ref();
        let resumed = resume.and_then(|resume| self.resume(connection, &row, resume, deltas, cid.as_ref()));
        let (session_id, session) = match resumed {
            Some(resumed) => resumed,
            None => {
                let session_id = self.realm.make(SessionId::new);
                let outlet = connection.outlet();
                outlet.set_wants_deltas(deltas);
                outlet.begin(&self.connected(player, session_id, deltas, false).frame(cid.as_ref()));
                let session = SessionActor::begin(Begin {
                    realm: self.realm.clone(),
                    player,
                    session_id,
                    outlet,
                    connection: connection.clone(),
                    opened: self.opened,
                    family: row.family,
                    resume: connect.resume,
                });
                (session_id, session)
            }
        };
        self.remember_dialect(connection);
        self.state = State::In(Box::new(SignedIn { player, session_id, session, family: row.family }));
    }

    /// The session speaks the dialect of this connection from now on, if that is known.
    fn remember_dialect(&self, connection: &Connection) {
        connection.outlet().set_dialect(self.dialect_fixed.then(|| connection.dialect()));
    }

    /// Whether one player more is within the limit; whoever is here already is no one more.
    fn has_room_for(&self, player: PlayerId) -> bool {
        let max = self.realm.rules.limits.players_max as usize;
        self.realm.directory.sessions_live() < max || self.is_here(player)
    }

    /// Whether the player has a session or a seat: they come back, also to a server that lets nobody new in.
    fn is_here(&self, player: PlayerId) -> bool {
        let directory = &self.realm.directory;
        directory.member(player).is_some() || directory.seat(player).is_some()
    }

    /// Whoever is signed out or banned between the look at the token and the entry into the directory is found by
    /// neither; so the token is looked at once more, now that the session can be found.
    fn check_again(&self, token: &str) {
        let State::In(signed_in) = &self.state else { return };
        let (session, family) = (signed_in.session.clone(), signed_in.family);
        let now_ms = self.realm.clock.unix_ms();
        // `do_send` on purpose: it must not be lost.
        let end = move |refusal| session.do_send(Revoked { families: [family].into(), refusal });
        verify_access_token(&*self.realm.store, token, now_ms, move |row| match row {
            Err(AccessDenied::Invalid) => end(Reason::SessionRevoked.into()),
            Err(AccessDenied::Banned(ban)) => end(banned(&ban)),
            // A store too busy to say so leaves it at what it said a moment ago.
            Ok(_) | Err(AccessDenied::Store(_)) => {}
        });
    }

    fn connected(&self, player: PlayerId, session_id: SessionId, deltas: bool, resumed: bool) -> Connected {
        Connected::new(player, session_id, deltas, resumed, self.realm.clock.unix_ms())
    }

    /// Takes up the session the client had, if it is theirs, alive, and remembers what they missed.
    fn resume(
        &mut self,
        connection: &Arc<Connection>,
        row: &AccessRow,
        resume: &Resume,
        deltas: bool,
        cid: Option<&Cid>,
    ) -> Option<(SessionId, Addr<SessionActor>)> {
        let player = row.player.id;
        let member = self.realm.directory.member(player)?;
        if resume.session_id != Some(member.session_id) || !member.session.connected() {
            return None;
        }
        // Before anything is replayed; and also where it cannot be, since whoever asks for it is the same client.
        if !self.dialect_said
            && let Some(dialect) = member.outlet.dialect()
        {
            connection.set_dialect(dialect);
            self.dialect_fixed = true;
        }
        let connected = self.connected(player, member.session_id, deltas, true).frame(cid).on(Lane::Uncounted);
        let resumed = member.outlet.resume(connection, resume.received, &connected).ok()?;
        member.outlet.set_wants_deltas(deltas);
        if let Some(replaced) = resumed.replaced {
            replaced.close(CloseCode::Normal, "resumed_elsewhere");
        }
        let (opened, connection) = (self.opened, connection.clone());
        let (family, received) = (row.family, resume.received);
        member.session.do_send(SocketBack { opened, connection, family, received });
        Some((member.session_id, member.session))
    }
}

impl Brain for PlayerBrain {
    fn text(&mut self, connection: &Arc<Connection>, text: ByteString) {
        let received_ms = self.inner.borrow().realm.clock.now_ms();
        hear(&self.inner, connection, &text, received_ms);
    }

    fn binary(&mut self, connection: &Arc<Connection>, _: Bytes) {
        self.inner.borrow().refuse(connection, None, Reason::BinaryUplink);
    }

    fn fault(&mut self, connection: &Arc<Connection>, fault: InboundFault) {
        let this = self.inner.borrow();
        match fault {
            InboundFault::TooLarge(_) => {
                let max = u64::from(this.realm.rules.limits.frame_bytes_max);
                this.refuse(connection, None, Reason::PayloadTooLarge.with("bytes_max", max));
            }
            InboundFault::RateLimited { text, retry_ms } => {
                let cid = text.and_then(|text| wire::envelope(&text).ok().and_then(|envelope| envelope.cid));
                this.refuse(connection, cid.as_ref(), Reason::RateLimited.with("retry_ms", retry_ms));
            }
        }
    }

    fn closed(&mut self, _: &Arc<Connection>, _: End) {
        let this = self.inner.borrow();
        if let Some(signed_in) = this.session() {
            // `do_send` on purpose: once per socket, and a session must not miss it.
            signed_in.session.do_send(SocketGone { opened: this.opened });
        }
    }
}
