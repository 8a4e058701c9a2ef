//! Wires everything together: one call from a configuration to a running server, used by the command line, scenarios,
//! measurements and tests alike.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter};
use actix_web::dev::ServerHandle;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::{BoxFuture, FutureExt, ready};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use tokio::sync::Semaphore;

use crate::actors::clock::Clock;
use crate::actors::lobby::LobbyActor;
use crate::actors::matchmaker::MatchmakerActor;
use crate::actors::presence::PresenceActor;
use crate::actors::realm::{GameBuilder, MatchArbiter, Realm, Rules};
use crate::actors::sessions::Revoked;
use crate::actors::ticker::Ticker;
use crate::actors::{CloseCode, channels, overload};
use crate::config::{self, Config, DialectChoice, Origin, Origins, Reload};
use crate::engine::accounts::token_hash;
use crate::engine::modes::Mode;
use crate::engine::rate::Rate;
use crate::games::BuildError;
use crate::games::catalogue::Catalogue;
use crate::games::lua::{Birth, Watch, watch};
use crate::gateway::address;
use crate::gateway::echo::Echo;
use crate::gateway::gate::Gate;
use crate::gateway::http::{self, Ended, HttpRules, HttpState, Live, Passwords, Running};
use crate::gateway::listen;
use crate::gateway::player::PlayerBrain;
use crate::gateway::pump::SocketRules;
use crate::gateway::upgrade::upgrade;
use crate::ids::{MatchId, PlayerId};
use crate::store::rows::SignIn;
use crate::store::{SqliteStore, Store, StoreError, ask};
use crate::wire::{Dialect, Reason};

/// How many threads do what.
#[derive(Debug, Clone, Copy)]
pub struct Threads {
    /// HTTP workers: sockets and sessions live here.
    pub workers: usize,
    /// Match arbiters: matches, their votes and channels live here.
    pub arbiters: usize,
}

impl Default for Threads {
    /// One of each per core: a core's worker and arbiter take turns, and neither waits for the other. Workers speak HTTP;
    /// on the transport that can, players' sockets move to the arbiters.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { workers: cores, arbiters: cores }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its data folder.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// Its address, its timers or its threads.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A mode names a game that does not exist, or one that cannot be built with its options.
    #[error("{0}")]
    Game(String),
}

/// A running server.
pub struct Server {
    /// What its actors share.
    pub realm: Arc<Realm>,
    gate: Arc<Gate>,
    addr: SocketAddr,
    handle: ServerHandle,
    arbiters: Vec<Arbiter>,
    /// Watches the games folder until the server stops.
    watch: Option<Watch>,
}

/// Opens the games folder of a configuration and lays its modes under the configured ones.
///
/// # Errors
/// Every fault, a sentence each.
pub fn games(config: &mut Config, origins: &Origins) -> Result<Catalogue, StartError> {
    let say = |faults: Vec<crate::games::lua::Fault>| StartError::Game(sentences(&faults));
    let mut catalogue = Catalogue::open(Path::new(&config.server.games), (&config.scripts).into()).map_err(say)?;
    let said = |path: &str| origins.of(path) != Origin::Default;
    catalogue.configure(&mut config.modes, &Config::default().modes, &said).map_err(say)?;
    for (name, template) in catalogue.vote_templates() {
        config.vote_templates.entry(name).or_insert(template);
    }
    config.recheck(origins).map_err(|faults| StartError::Game(sentences(&faults)))?;
    for warning in &catalogue.warnings {
        tracing::warn!("{warning}");
    }
    Ok(catalogue)
}

/// Lays the modes of the games folder under the configured ones, and says everything that is wrong with the games:
/// scripts that do not load, games that do not exist, and options that a game refuses. What is wrong with the rest is not
/// looked at.
pub fn try_games(config: &mut Config, origins: &Origins) -> Vec<config::Fault> {
    let in_folder = |fault: &crate::games::lua::Fault| config::Fault {
        path: "server.games".into(),
        origin: origins.of("server.games"),
        message: fault.to_string(),
    };
    let mut catalogue = match Catalogue::open(Path::new(&config.server.games), (&config.scripts).into()) {
        Ok(catalogue) => catalogue,
        Err(faults) => return faults.iter().map(in_folder).collect(),
    };
    let said = |path: &str| origins.of(path) != Origin::Default;
    let mut scripts = catalogue.configure(&mut config.modes, &Config::default().modes, &said).err().unwrap_or_default();
    for (name, template) in catalogue.vote_templates() {
        config.vote_templates.entry(name).or_insert(template);
    }
    let tried = |mode: &Mode| match mode.game.strip_prefix("lua:") {
        Some(file) if !scripts.is_empty() => {
            let wrong = scripts.iter().find(|fault| fault.file == file);
            wrong.map_or(Ok(()), |fault| Err(("game", fault.to_string())))
        }
        _ => {
            let birth = Birth::trial(0, Clock.unix_us());
            let key = |why: &str| match why {
                _ if !catalogue.knows(&mode.game) => "game",
                _ if why.starts_with("reconnect.") => "reconnect",
                _ => "game_options",
            };
            catalogue.build(mode, birth).map(drop).map_err(|BuildError(why)| (key(&why), why))
        }
    };
    let mut faults = config.try_games(origins, &tried);
    // What no mode of the configuration names is wrong in the folder itself.
    let named = |file: &str| config.modes.values().any(|mode| mode.game.strip_prefix("lua:") == Some(file));
    scripts.retain(|fault| !named(&fault.file));
    faults.extend(scripts.iter().map(in_folder));
    faults
}

fn sentences<T: ToString>(faults: &[T]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Starts a server; it accepts connections when this returns. Must be called on an actix system.
///
/// # Errors
/// [`StartError`].
pub async fn start(config: Config, threads: Threads) -> Result<Server, StartError> {
    start_configured(config, &Origins::default(), threads).await
}

/// As [`start`], and lets operators see where each value of the configuration came from.
///
/// # Errors
/// [`StartError`].
pub async fn start_configured(mut config: Config, origins: &Origins, threads: Threads) -> Result<Server, StartError> {
    let written = config.vote_templates.keys().cloned().collect();
    let catalogue = Arc::new(games(&mut config, origins)?);
    config.server.guests = config.server.guests.or(catalogue.guest_auth);
    let scripts = catalogue.clone();
    let built: Arc<GameBuilder> = Arc::new(move |mode, birth| scripts.build(mode, birth));
    let reload = (config.server.reload == Reload::On && catalogue.has_scripts()).then(|| config.clone());
    let mut server = start_with(config, origins, threads, built).await?;
    if let Some(config) = reload {
        server.watch = watch_scripts(&server.realm, catalogue, config, origins.clone(), written);
    }
    Ok(server)
}

/// Gives running matches what their author saves, and matches that begin later the new rules of their mode. Vote
/// templates that the configuration has `written` stay as it says.
fn watch_scripts(
    realm: &Arc<Realm>,
    catalogue: Arc<Catalogue>,
    config: Config,
    origins: Origins,
    written: HashSet<String>,
) -> Option<Watch> {
    let realm = realm.clone();
    let folder = catalogue.folder().to_owned();
    let changed = move || {
        let Some(fresh) = catalogue.refresh() else { return };
        for fault in &fresh.faults {
            tracing::warn!("{fault}; what played before plays on");
        }
        for warning in &fresh.warnings {
            tracing::warn!("{warning}");
        }
        let templates = fresh.vote_templates.into_iter().filter(|(name, _)| !written.contains(name));
        realm.set_vote_templates(templates);
        for (name, mode) in fresh.modes {
            let mut tried = config.clone();
            tried.vote_templates = (*realm.vote_templates()).clone();
            tried.modes.insert(name.clone(), mode.clone());
            let begins = |()| catalogue.build(&mode, Birth::trial(0, Clock.unix_us())).map_err(|BuildError(why)| why);
            match tried.recheck(&origins).map_err(|faults| sentences(&faults)).and_then(begins) {
                Ok(_) => realm.set_mode(&name, mode),
                Err(why) => tracing::warn!("{why}; the mode stays as it was"),
            }
        }
        // Said only where it is so: a refused save has its own line.
        match (fresh.faults.is_empty(), fresh.taken.is_empty()) {
            (true, _) => tracing::info!("games reloaded"),
            (false, false) => tracing::info!("reloaded {}", fresh.taken.join(", ")),
            (false, true) => {}
        }
    };
    watch(&folder, changed).map_err(|error| tracing::warn!(%error, "the games folder is not watched")).ok()
}

/// As [`start`], with games built by `games` instead of from the configuration's folder.
///
/// # Errors
/// [`StartError`].
pub async fn start_with(
    config: Config,
    origins: &Origins,
    threads: Threads,
    games: Arc<GameBuilder>,
) -> Result<Server, StartError> {
    for (name, mode) in &config.modes {
        let tried = games(mode, Birth::trial(0, Clock.unix_us()));
        tried.map_err(|BuildError(why)| StartError::Game(format!("modes.{name}: {why}")))?;
    }
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&config.server.data)?);
    let mut arbiters = Vec::new();
    let mut match_arbiters = Vec::new();
    for _ in 0..threads.arbiters.max(1) {
        let arbiter = Arbiter::new();
        let turns = Arc::new(Semaphore::new(1));
        let ticker = start_ticker(&arbiter, turns.clone()).await?;
        match_arbiters.push(MatchArbiter::new(arbiter.handle(), ticker, turns));
        arbiters.push(arbiter);
    }
    let rng = ChaCha8Rng::from_rng(&mut rand::rng());
    let modes = config.modes.iter().map(|(name, mode)| (name.as_str().into(), Arc::new(mode.clone()))).collect();
    let realm = Arc::new(Realm::new(rules(&config), store.clone(), games, modes, match_arbiters, rng));
    realm.set_vote_templates(config.vote_templates.clone());

    // The queue has a thread of its own: a long look at a long queue must not make a match late.
    let queue = Arbiter::new();
    let (for_matchmaker, for_lobby) = (realm.clone(), realm.clone());
    let matchmaker = MatchmakerActor::start_in_arbiter(&queue.handle(), move |_| MatchmakerActor::new(for_matchmaker));
    let lobby = LobbyActor::start_in_arbiter(&queue.handle(), move |_| LobbyActor::new(for_lobby));
    realm.set_queue(matchmaker, lobby);
    let for_presence = realm.clone();
    let presence = PresenceActor::start_in_arbiter(&queue.handle(), move |_| PresenceActor::new(for_presence));
    realm.set_presence(presence);
    arbiters.push(queue);

    // Players' sockets live beside their matches: what a tick says is sent by the thread that said it.
    let homes = realm.match_threads().cloned().collect();
    let gate = Gate::new(&config.limits, &config.server.allowed_origins, config.server.transport, homes);
    let proxies = config.server.trusted_proxies.clone();
    let trusts_proxy: Arc<dyn Fn(IpAddr) -> bool + Send + Sync> =
        Arc::new(move |ip| proxies.iter().any(|network| network.contains(ip)));
    let http_rules = HttpRules {
        access_token_ms: u64::from(config.server.access_token_s) * 1_000,
        allowed_origins: config.server.allowed_origins.clone(),
        trusts_proxy: trusts_proxy.clone(),
        rates: (&config.limits).into(),
        public_channels: public_channels(&config),
        guests: config.server.guests.unwrap_or(true),
    };
    let live = Arc::new(LiveRealm(realm.clone()));
    let running = Running {
        realm: realm.clone(),
        sockets: gate.metrics().clone(),
        ops_token: config.server.ops_token.as_ref().map(|token| token_hash(token.reveal())),
        config: config
            .flat()
            .into_iter()
            .map(|(path, value)| {
                let origin = origins.of(&path).to_string();
                (path, value, origin)
            })
            .collect(),
        started_unix_ms: realm.clock.unix_ms(),
    };
    remember(&realm).await?;
    actix::spawn(sweep(realm.clone()));
    actix::spawn(overload::watch(realm.clone()));
    let state = HttpState::new(store, http_rules, http::Clock::system(), live, Passwords::start()?);
    let state = state.with_running(running);
    let state = web::Data::new(state);
    let sockets = web::Data::new(Sockets {
        realm: realm.clone(),
        gate: gate.clone(),
        rules: SocketRules::players(gate.limits()),
        trusts_proxy,
    });
    let with_echo = config.server.echo;
    let (addrs, server) = listen::serve(&gate, config.server.listen, threads.workers.max(1), move |app| {
        app.app_data(state.clone()).app_data(sockets.clone()).route("/ws", web::get().to(player_socket));
        if with_echo {
            app.route("/ws/echo", web::get().to(echo_socket));
        }
        app.configure(http::configure);
    })?;
    let addr = addrs.first().copied().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let handle = server.handle();
    actix::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(Server { realm, gate, addr, handle, arbiters, watch: None })
}

impl Server {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What its sockets have done.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Drains and stops: readiness goes, no match begins and nobody new comes in, running ones have `patience` to end, and
    /// their players come back as ever if their connection is lost; then every socket is closed with 1012, matches end,
    /// and everything acknowledged is on disk.
    pub async fn stop(mut self, patience: Duration) {
        self.watch = None;
        self.realm.drain();
        let deadline = tokio::time::Instant::now() + patience;
        while self.realm.directory.matches_live() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for card in self.realm.directory.cards() {
            card.addr.do_send(crate::actors::matches::Command::End("server_restart".into()));
        }
        // Matches and votes write their records before their players go.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        while self.realm.directory.matches_live() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Until now whoever belongs to a match that was still played could come back to it.
        self.gate.drain();
        self.gate.close_all(CloseCode::Restart, "server_restart");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
        while self.gate.metrics().open() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.handle.stop(false).await;
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        self.realm.store.close();
    }
}

/// What was left behind by the process before: the matches it was playing; and what operators decided then and that
/// actors obey: mutes and rooms.
async fn remember(realm: &Arc<Realm>) -> Result<(), StartError> {
    let interrupted = ask(|done| realm.store.end_interrupted(realm.clock.unix_ms(), done)).await?;
    if interrupted > 0 {
        tracing::warn!(interrupted, "the process before this one ended while these matches were running");
    }
    for mute in ask(|done| realm.store.active_mutes(realm.clock.unix_ms(), done)).await? {
        realm.directory.mute(mute);
    }
    channels::remember_rooms(realm).await?;
    Ok(())
}

/// Forgets tokens, bans and mutes that have run out, once a minute: they are refused anyway, this keeps the file small.
async fn sweep(realm: Arc<Realm>) {
    let mut every = tokio::time::interval(Duration::from_secs(60));
    loop {
        every.tick().await;
        if let Err(error) = ask(|done| realm.store.sweep(realm.clock.unix_ms(), done)).await {
            tracing::warn!(%error, "what has run out could not be forgotten");
        }
    }
}

async fn start_ticker(arbiter: &Arbiter, turns: Arc<Semaphore>) -> Result<Addr<Ticker>, StartError> {
    let (started, starting) = tokio::sync::oneshot::channel();
    // The timer must be made on the thread that waits for it.
    arbiter.spawn(async move {
        let _ = started.send(Ticker::new(Clock, turns).map(Actor::start));
    });
    let gone = || std::io::Error::other("a match arbiter ended before it began");
    Ok(starting.await.map_err(|_| gone())??)
}

fn rules(config: &Config) -> Rules {
    Rules {
        limits: config.limits.clone(),
        dev_errors: config.server.dev_errors,
        motions: config.motions.clone(),
        chat_open: config.chat.open.iter().cloned().collect(),
        chat_global: config.chat.global.iter().cloned().collect(),
        chat_slow_mode_s: config.chat.slow_mode_s,
        chat_rate_each: Rate::per_second(config.chat.per_player_per_s, config.chat.per_player_burst),
        chat_history: config.chat.history as usize,
        dialect: match config.server.dialect {
            DialectChoice::PerConnection => None,
            DialectChoice::Latest => Some(Dialect::Latest),
            DialectChoice::Seed => Some(Dialect::Seed202604),
        },
        resume_grace_s: config.server.resume_grace_s,
        presence: config.presence.enabled,
    }
}

fn public_channels(config: &Config) -> Vec<String> {
    let global = config.chat.global.iter().map(|name| format!("global:{name}"));
    config.chat.open.iter().cloned().chain(global).collect()
}

/// What the socket routes are given.
struct Sockets {
    realm: Arc<Realm>,
    gate: Arc<Gate>,
    rules: SocketRules,
    trusts_proxy: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl Sockets {
    fn client(&self, request: &HttpRequest) -> IpAddr {
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        address::client_address(peer, request.headers(), |ip| (self.trusts_proxy)(ip))
    }
}

/// `?dialect=` of the socket's address.
#[derive(serde::Deserialize)]
struct SocketQuery {
    dialect: Option<String>,
}

async fn player_socket(
    request: HttpRequest,
    payload: web::Payload,
    query: Result<web::Query<SocketQuery>, actix_web::Error>,
    sockets: web::Data<Sockets>,
) -> HttpResponse {
    let dialect = query.ok().and_then(|query| Dialect::named(query.dialect.as_deref()?));
    let peer = sockets.client(&request);
    let realm = sockets.realm.clone();
    let response = upgrade(&request, payload, &sockets.gate, peer, sockets.rules, move |connection| {
        PlayerBrain::new(realm, connection, dialect)
    });
    if let Some(reason) = response.extensions().get::<Reason>() {
        sockets.realm.meters.refused(reason.row().code);
    }
    response
}

async fn echo_socket(request: HttpRequest, payload: web::Payload, sockets: web::Data<Sockets>) -> HttpResponse {
    let peer = sockets.client(&request);
    upgrade(&request, payload, &sockets.gate, peer, Echo::rules(), |_| Echo)
}

/// What HTTP asks of the actors, answered from the directory.
struct LiveRealm(Arc<Realm>);

impl Live for LiveRealm {
    fn revoked(&self, ended: &[SignIn], why: Ended) {
        let reason = if why == Ended::Banned { Reason::Banned } else { Reason::SessionRevoked };
        for sign_in in ended {
            if let Some(member) = self.0.directory.member(sign_in.player_id) {
                let families = ended.iter().map(|sign_in| sign_in.family).collect();
                // `do_send` on purpose: once per revocation, and it must not be lost.
                member.session.do_send(Revoked { families, refusal: reason.into() });
            }
        }
    }

    fn is_member(&self, player: PlayerId, channel_id: &str) -> BoxFuture<'static, bool> {
        ready(channels::may_join(&self.0, player, channel_id).is_ok()).boxed()
    }

    fn was_in_match(&self, player: PlayerId, match_id: MatchId) -> BoxFuture<'static, bool> {
        ready(self.0.was_in_match(player, match_id)).boxed()
    }

    fn is_listed(&self, match_id: MatchId) -> bool {
        self.0.directory.card(match_id).is_some_and(|card| card.listed)
    }

    fn is_ready(&self) -> bool {
        !self.0.is_draining()
    }
}

/// A server on threads of its own: for the demo, scenarios, measurements and tests.
pub struct Background {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What its actors share.
    pub realm: Arc<Realm>,
    /// Its sockets' gate.
    pub gate: Arc<Gate>,
    /// Takes how long running matches get to end.
    stop: Option<tokio::sync::oneshot::Sender<Duration>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Starts a server on threads of its own, all of them on `core` where one is named, and waits until it accepts.
///
/// # Errors
/// [`StartError`].
pub fn in_background(config: Config, threads: Threads, core: Option<usize>) -> Result<Background, StartError> {
    background(core, move || start(config, threads))
}

/// As [`in_background`], with games built by `games`.
///
/// # Errors
/// [`StartError`].
pub fn in_background_with(config: Config, threads: Threads, games: Arc<GameBuilder>) -> Result<Background, StartError> {
    background(None, move || async move { start_with(config, &Origins::default(), threads, games).await })
}

fn background<F>(core: Option<usize>, begin: impl FnOnce() -> F + Send + 'static) -> Result<Background, StartError>
where
    F: Future<Output = Result<Server, StartError>>,
{
    let (started, starting) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("tessera-server".into()).spawn(move || {
        if let Some(core) = core {
            // Threads inherit this, so it holds for every worker and arbiter.
            pin_to(core);
        }
        actix_web::rt::System::new().block_on(async move {
            match begin().await {
                Ok(server) => {
                    let _ = started.send(Ok((server.addr, server.realm.clone(), server.gate.clone())));
                    let patience = stopped.await.unwrap_or_default();
                    server.stop(patience).await;
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        });
    })?;
    let gone = || std::io::Error::other("the server's thread ended before it began");
    let (addr, realm, gate) = starting.recv().map_err(|_| gone())??;
    Ok(Background { addr, realm, gate, stop: Some(stop), thread: Some(thread) })
}

impl Background {
    /// Begins to stop as [`Server::stop`] does; dropping it waits for the end.
    pub fn begin_to_stop(&mut self, patience: Duration) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(patience);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.begin_to_stop(Duration::ZERO);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps this thread, and those it starts from now on, on one core; false where the machine does not do that.
pub fn pin_to(core: usize) -> bool {
    #[cfg(target_os = "linux")]
    {
        let mut cores = rustix::thread::CpuSet::new();
        cores.set(core);
        rustix::thread::sched_setaffinity(None, &cores).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = core;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::directory::VotePlace;
    use crate::actors::matches::Command;
    use crate::actors::realm::MatchOrder;
    use crate::actors::votes::Break;
    use crate::engine::votes::recount::recount;
    use crate::store::ask;

    /// The fault behind it: the players had a result that no record knew of.
    #[test]
    fn a_vote_that_dies_is_on_record_as_cancelled() {
        let mut config = Config::default();
        config.server.listen = ([127, 0, 0, 1], 0).into();
        config.server.data = ":memory:".into();
        let server = in_background(config, Threads { workers: 1, arbiters: 1 }, None).expect("the server starts");
        let realm = server.realm.clone();
        actix_web::rt::System::new().block_on(async move {
            let order = MatchOrder {
                mode: "bench".into(),
                private: false,
                matched: Vec::new(),
                bots: 2,
                promised: 0,
                queued: None,
                insists: true,
            };
            let card = realm.start_match(order).expect("it starts");
            let vote =
                serde_json::value::to_raw_value(&serde_json::json!({"options": ["a", "b"], "window_ms": 60_000}));
            let vote = vote.expect("JSON");
            // Refused until the match runs.
            let vote_id = loop {
                let (answer, answered) = tokio::sync::oneshot::channel();
                card.addr.do_send(Command::OpenVote(vote.clone(), answer));
                if let Ok(vote_id) = answered.await.expect("an answer") {
                    break vote_id;
                }
            };
            let Some(VotePlace::Open(_, addr)) = realm.directory.vote(&vote_id) else { panic!("it is open") };
            addr.do_send(Break);
            let row = loop {
                if let Some(row) = ask(|done| realm.store.vote(vote_id.clone(), done)).await.expect("the store answers")
                {
                    break row;
                }
            };
            let said: serde_json::Value = serde_json::from_str(&row.record).expect("JSON");
            assert_eq!(
                (row.status.as_str(), &said["status"], &said["reason"]),
                ("cancelled", &"cancelled".into(), &"failed".into())
            );
            // What was cast until then is not lost with it.
            let audit = ask(|done| realm.store.vote_audit(vote_id.clone(), done)).await.expect("the store answers");
            let audit = audit.expect("an audit");
            assert!(recount(&audit).is_ok(), "{audit}");
            // The match goes on without it.
            assert!(card.addr.connected());
            assert_eq!(realm.meters.votes_died.load(std::sync::atomic::Ordering::Relaxed), 1);
        });
    }
}
