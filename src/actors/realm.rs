//! What every actor of one server is handed: the clock, the rules, the directory, the store and the way to start a
//! match. Nothing in here waits for anybody.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use actix::dev::channel;
use actix::prelude::SendError;
use actix::{Addr, ArbiterHandle, Context};
use parking_lot::{Mutex, RwLock};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::channels::{ChannelActor, ChatCommand};
use super::clock::Clock;
use super::directory::{CardState, Directory, MatchCard, Member};
use super::lobby::LobbyActor;
use super::mail::Mail;
use super::matches::{MatchActor, Open, QueuedGroup};
use super::matchmaker::{Hold, MatchmakerActor, ModeChanged};
use super::meters::Meters;
use super::overload::Pressure;
use super::presence::PresenceActor;
use super::ticker::{Pace, Ticker};
use crate::engine::matches::Phase;
use crate::engine::modes::{Mode, Private};
use crate::engine::rate::Rate;
use crate::engine::votes::config::Templates;
use crate::games::lua::Birth;
use crate::games::{BuildError, Game};
use crate::ids::{ChannelId, MatchId, PlayerId};
use crate::limits::{CHANNELS_MAX, Limits};
use crate::store::Store;
use crate::wire::Dialect;

/// Letters of a join code: none that look like another.
const JOIN_CODE_LETTERS: &[u8] = b"ABCDEFGHJKMNPQRSTUVWXYZ23456789";
/// Letters in a join code: 31^8 is 8.5e11, out of reach of guessing at ten joins a minute.
const JOIN_CODE_LEN: usize = 8;

/// Builds the game of a mode on the thread that will play it: a script's machine never changes threads.
pub type GameBuilder = dyn Fn(&Mode, Birth) -> Result<Box<dyn Game>, BuildError> + Send + Sync;

/// The rules of a server, read once from its configuration.
pub struct Rules {
    /// Every bound that an operator may move.
    pub limits: Limits,
    /// Whether a player whose message makes a script fail is told how.
    pub dev_errors: bool,
    /// `[motions.NAME]`, each a JSON object.
    pub motions: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// Unprefixed channels that anyone may join.
    pub chat_open: HashSet<String>,
    /// Names behind `global:`.
    pub chat_global: HashSet<String>,
    /// Seconds between two messages of one player in one channel.
    pub chat_slow_mode_s: u32,
    /// Messages and edits of one player in one channel.
    pub chat_rate_each: Rate,
    /// Messages of history a channel keeps at hand.
    pub chat_history: usize,
    /// The dialect of connections that do not say; `None` decides per connection.
    pub dialect: Option<Dialect>,
    /// Seconds a session without a socket lives.
    pub resume_grace_s: u32,
    /// Whether presence is kept and told.
    pub presence: bool,
}

/// One thread that plays matches, and its ticker.
pub struct MatchArbiter {
    /// Where matches are started.
    pub handle: ArbiterHandle,
    /// Who tells them when to tick.
    pub ticker: Addr<Ticker>,
    /// Whose turn it is to take long: to be made, to tick slowly, or to do slowly what comes between ticks.
    turns: Arc<Semaphore>,
}

impl MatchArbiter {
    /// The thread behind `handle`, whose matches `ticker` wakes; both keep to the same `turns`, of which there is one.
    pub fn new(handle: ArbiterHandle, ticker: Addr<Ticker>, turns: Arc<Semaphore>) -> Self {
        Self { handle, ticker, turns }
    }

    /// Starts the match that `make` makes, on this thread and in its turn: between any two matches that are made, those
    /// that play may tick. A queue that pairs hundreds at once would otherwise make them all before the next tick, and a
    /// script takes a while to be read.
    fn start_match(&self, make: impl FnOnce(Pace) -> MatchActor + Send + 'static) -> Addr<MatchActor> {
        let (letters, inbox) = channel::channel(crate::limits::MAILBOX_MESSAGES_MAX);
        let turns = self.turns.clone();
        self.handle.spawn(async move {
            // Never closed.
            let Ok(_turn) = turns.acquire().await else { return };
            let pace = Pace::new(turns.clone());
            // The thread looks at its timer before it comes back here.
            tokio::task::yield_now().await;
            actix::spawn(Context::with_receiver(inbox).into_future(make(pace)));
        });
        Addr::new(letters)
    }
}

/// What every actor is handed.
pub struct Realm {
    /// The clock.
    pub clock: Clock,
    /// The rules.
    pub rules: Rules,
    /// Who is where.
    pub directory: Directory,
    /// What the server knows of itself.
    pub meters: Meters,
    /// What is shed while it has more to do than it can.
    pub pressure: Pressure,
    /// What outlives it.
    pub store: Arc<dyn Store>,
    games: Arc<GameBuilder>,
    /// Every mode by name; a script that changes changes its modes for matches that begin from then on.
    modes: RwLock<BTreeMap<Arc<str>, Arc<Mode>>>,
    /// Templates by name; a script that changes changes its own, for votes that open from then on.
    vote_templates: RwLock<Arc<Templates>>,
    arbiters: Vec<MatchArbiter>,
    next_arbiter: AtomicUsize,
    matchmaker: OnceLock<Mail<MatchmakerActor>>,
    lobby: OnceLock<Mail<LobbyActor>>,
    presence: OnceLock<Mail<PresenceActor>>,
    rng: Mutex<ChaCha8Rng>,
    numbers: AtomicU64,
    draining: AtomicBool,
    /// The queue found no place for a match, and waits for one that ends.
    queue_waits: AtomicBool,
    prints: RandomState,
}

/// What a new match is to be.
pub struct MatchOrder {
    /// The mode's name.
    pub mode: Arc<str>,
    /// Behind a join code.
    pub private: bool,
    /// Who is seated from the start, in order: the group a queue made.
    pub matched: Vec<Member>,
    /// Bots to seat after them.
    pub bots: u32,
    /// Seats promised to joins that are on their way.
    pub promised: u32,
    /// The tickets it comes from, if a queue made it.
    pub queued: Option<QueuedGroup>,
    /// An operator wants it: it is opened whatever the load.
    pub insists: bool,
}

/// Why no match was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMatch {
    /// No such mode.
    UnknownMode,
    /// As many matches live as the server allows.
    Capacity,
    /// The server has more to do than it can.
    Overloaded,
    /// The server is going down.
    Draining,
    /// One of those to be seated has a seat elsewhere.
    SeatTaken(PlayerId),
}

impl Realm {
    /// A realm over these arbiters; the queue's actors are set once they run.
    pub fn new(
        rules: Rules,
        store: Arc<dyn Store>,
        games: Arc<GameBuilder>,
        modes: BTreeMap<Arc<str>, Arc<Mode>>,
        arbiters: Vec<MatchArbiter>,
        rng: ChaCha8Rng,
    ) -> Self {
        assert!(!arbiters.is_empty(), "a server plays on at least one arbiter");
        Self {
            clock: Clock,
            rules,
            directory: Directory::default(),
            meters: Meters::default(),
            pressure: Pressure::default(),
            store,
            games,
            modes: RwLock::new(modes),
            vote_templates: RwLock::default(),
            arbiters,
            next_arbiter: AtomicUsize::new(0),
            matchmaker: OnceLock::new(),
            lobby: OnceLock::new(),
            presence: OnceLock::new(),
            rng: Mutex::new(rng),
            numbers: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            queue_waits: AtomicBool::new(false),
            prints: RandomState::new(),
        }
    }

    /// Names the actors that pair tickets and find matches. Once, before the first connection.
    pub fn set_queue(&self, matchmaker: Addr<MatchmakerActor>, lobby: Addr<LobbyActor>) {
        let set = self.matchmaker.set(Mail::new(matchmaker)).is_ok() && self.lobby.set(Mail::new(lobby)).is_ok();
        assert!(set, "the queue is set once");
    }

    /// Who pairs tickets.
    pub fn matchmaker(&self) -> &Mail<MatchmakerActor> {
        self.matchmaker.get().expect("the queue is set before the first connection")
    }

    /// Who finds or creates matches, one request after the other.
    pub fn lobby(&self) -> &Mail<LobbyActor> {
        self.lobby.get().expect("the queue is set before the first connection")
    }

    /// Names the actor that keeps presence. Once, before the first connection.
    pub fn set_presence(&self, presence: Addr<PresenceActor>) {
        assert!(self.presence.set(Mail::new(presence)).is_ok(), "presence is set once");
    }

    /// Who knows who is online.
    pub fn presence(&self) -> &Mail<PresenceActor> {
        self.presence.get().expect("presence is set before the first connection")
    }

    /// Makes an id (or anything else) from the clock and the server's random source.
    pub fn make<T>(&self, make: impl FnOnce(u64, &mut ChaCha8Rng) -> T) -> T {
        make(self.clock.unix_ms(), &mut self.rng.lock())
    }

    /// A number that no other call gets.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A number that equal texts share and that nobody outside can foresee.
    pub fn fingerprint(&self, text: &str) -> u64 {
        self.prints.hash_one(text)
    }

    /// The mode of that name.
    pub fn mode(&self, name: &str) -> Option<(Arc<str>, Arc<Mode>)> {
        self.modes.read().get_key_value(name).map(|(name, mode)| (name.clone(), mode.clone()))
    }

    /// Every mode, by name.
    pub fn modes(&self) -> Vec<(Arc<str>, Arc<Mode>)> {
        self.modes.read().iter().map(|(name, mode)| (name.clone(), mode.clone())).collect()
    }

    /// Matches of this mode that begin from now on play by these rules, and its queue gathers them so.
    pub fn set_mode(&self, name: &str, mode: Mode) {
        let (name, mode) = (Arc::<str>::from(name), Arc::new(mode));
        self.modes.write().insert(name.clone(), mode);
        // `do_send` on purpose: an author's word.
        self.matchmaker().do_send(ModeChanged(name));
    }

    /// Vote templates by name.
    pub fn vote_templates(&self) -> Arc<Templates> {
        self.vote_templates.read().clone()
    }

    /// Votes that open from now on know these templates too.
    pub fn set_vote_templates(&self, templates: impl IntoIterator<Item = (String, Map<String, Value>)>) {
        Arc::make_mut(&mut self.vote_templates.write()).extend(templates);
    }

    /// From now on no match begins.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the server is going down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Builds a mode's game, on the thread that will play it.
    pub fn build_game(&self, mode: &Mode, match_id: MatchId, seed: u64) -> Result<Box<dyn Game>, BuildError> {
        (self.games)(mode, Birth { match_id, seed, unix_us: self.clock.unix_us() })
    }

    /// The threads that play matches.
    pub fn match_threads(&self) -> impl Iterator<Item = &ArbiterHandle> {
        self.arbiters.iter().map(|arbiter| &arbiter.handle)
    }

    /// Whether a match that nobody insists on could begin now. Where there are as many as there may be, the queue is told
    /// when one is over.
    pub fn may_start_matches(&self) -> bool {
        let has_place = || self.directory.has_place_for_match(self.rules.limits.matches_max);
        if has_place() {
            return self.pressure.load().takes_matches();
        }
        self.queue_waits.store(true, Ordering::SeqCst);
        // The last one may have ended between the two.
        if has_place() {
            self.match_over();
        }
        false
    }

    /// A match is over, or did not begin: the queue goes on if it waits for that.
    pub fn match_over(&self) {
        if self.queue_waits.swap(false, Ordering::SeqCst) {
            // `do_send` on purpose: once each time that the queue found no place.
            self.matchmaker().do_send(Hold(false));
        }
    }

    /// Starts a match on the next arbiter and shows it in the directory.
    pub fn start_match(self: &Arc<Self>, order: MatchOrder) -> Result<Arc<MatchCard>, NoMatch> {
        let (mode_name, mode) = self.mode(&order.mode).ok_or(NoMatch::UnknownMode)?;
        if self.is_draining() {
            return Err(NoMatch::Draining);
        }
        if !order.insists && !self.pressure.load().takes_matches() {
            self.pressure.matches_refused.fetch_add(1, Ordering::Relaxed);
            return Err(NoMatch::Overloaded);
        }
        if !self.directory.admit_match(self.rules.limits.matches_max) {
            return Err(NoMatch::Capacity);
        }
        let private = order.private || mode.private == Private::Always;
        let (match_id, seed, join_code) =
            self.make(|now_ms, rng| (MatchId::new(now_ms, rng), rng.next_u64(), private.then(|| join_code(rng))));
        // Claimed before the match begins: nobody is told of one that lacks somebody.
        let claimed = order.matched.iter().map(|member| member.player);
        if let Some(taken) = claimed.clone().find(|player| self.directory.claim_seat(*player, match_id).is_err()) {
            claimed.for_each(|player| self.directory.release_seat(player, match_id));
            self.directory.dismiss_match();
            self.match_over();
            return Err(NoMatch::SeatTaken(taken));
        }
        let arbiter = &self.arbiters[self.next_arbiter.fetch_add(1, Ordering::Relaxed) % self.arbiters.len()];
        let (realm, ticker, name) = (self.clone(), arbiter.ticker.clone(), mode_name.clone());
        let players_max = mode.players.max;
        let listed = mode.listed && !private;
        let addr = arbiter.start_match(move |pace| MatchActor::new(realm, ticker, pace, match_id, name, mode, seed));
        let card = Arc::new(MatchCard {
            match_id,
            mode: mode_name,
            players_max,
            listed,
            join_code,
            created_ms: self.clock.unix_ms(),
            state: Mutex::new(CardState { phase: Phase::Waiting, players: 0, joinable: true }),
            seated: Mutex::default(),
            promised: order.promised.into(),
            inputs: Mutex::default(),
            addr: Mail::new(addr),
        });
        // Known before it opens: whoever hears of it must find it, and it must not end before it was shown.
        self.directory.add_match(card.clone());
        // `do_send` on purpose: once per match, and it must not be lost.
        card.addr.do_send(Open { card: card.clone(), matched: order.matched, bots: order.bots, queued: order.queued });
        Ok(card)
    }

    /// Tells the channel of that (checked) name something; it is started on first use, on the arbiter its name hashes to.
    pub fn tell_channel(
        self: &Arc<Self>,
        channel: &ChannelId,
        command: ChatCommand,
    ) -> Result<(), SendError<ChatCommand>> {
        self.directory.tell_or_start_channel(channel, command, CHANNELS_MAX, || {
            let at = channel.bytes().fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
            let (realm, name) = (self.clone(), channel.clone());
            // Its mailbox has room from the first moment: whoever starts it may have more to say than actix would hold.
            let (letters, inbox) = channel::channel(crate::limits::MAILBOX_MESSAGES_MAX);
            self.arbiters[at % self.arbiters.len()].handle.spawn_fn(move || {
                actix::spawn(Context::with_receiver(inbox).into_future(ChannelActor::new(realm, name)));
            });
            Addr::new(letters)
        })
    }

    /// Whether `player` may read what was said and voted in a running match: they watch it, or have or had a seat in it.
    pub fn was_in_match(&self, player: PlayerId, match_id: MatchId) -> bool {
        let had_seat = |card: Arc<MatchCard>| card.seated.lock().contains(&player);
        self.is_in_match(player, match_id) || self.directory.card(match_id).is_some_and(had_seat)
    }

    /// Whether `player` may be in a `match:` channel: seated or watching there.
    pub fn is_in_match(&self, player: PlayerId, match_id: MatchId) -> bool {
        self.directory.seat(player) == Some(match_id)
    }
}

fn join_code(rng: &mut impl Rng) -> Arc<str> {
    let letter = |_| char::from(JOIN_CODE_LETTERS[rng.random_range(0..JOIN_CODE_LETTERS.len())]);
    (0..JOIN_CODE_LEN).map(letter).collect::<String>().into()
}
