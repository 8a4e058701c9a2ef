//! What every handler is given, and the seam to what lives in actors.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::{BoxFuture, FutureExt, ready};
use parking_lot::Mutex;

use super::passwords::Passwords;
use crate::actors::SocketMetrics;
use crate::actors::realm::Realm;
use crate::engine::rate::{Budgets, Rate};
use crate::ids::{MatchId, PlayerId};
use crate::limits::{AUTH_BURST, Limits};
use crate::store::Store;
use crate::store::rows::SignIn;
use crate::wire::Reason;

/// What every handler is given: one per server, shared by its workers.
pub struct HttpState {
    /// What outlives the process.
    pub store: Arc<dyn Store>,
    /// What the operator decided.
    pub rules: HttpRules,
    /// The time.
    pub clock: Clock,
    /// What lives in actors.
    pub live: Arc<dyn Live>,
    /// The hashing threads.
    pub passwords: Passwords,
    pub(super) running: Option<Running>,
    pub(super) budgets: AddressBudgets,
}

/// The server around it: what routes over live matches, the queue and the operators' side need.
pub struct Running {
    /// What its actors share.
    pub realm: Arc<Realm>,
    /// What its sockets did.
    pub sockets: Arc<SocketMetrics>,
    /// Hash of the operators' token; `None` switches their side off.
    pub ops_token: Option<[u8; 32]>,
    /// Every effective value of the configuration, by path: the value as text and where it came from.
    pub config: Vec<(String, String, String)>,
    /// When the server started, unix milliseconds.
    pub started_unix_ms: u64,
}

impl HttpState {
    /// A state with full budgets for everybody.
    pub fn new(
        store: Arc<dyn Store>,
        rules: HttpRules,
        clock: Clock,
        live: Arc<dyn Live>,
        passwords: Passwords,
    ) -> Self {
        let budgets = AddressBudgets::new(rules.rates);
        Self { store, rules, clock, live, passwords, running: None, budgets }
    }

    /// The same state with a whole server behind it; without one, what lives is answered `not_supported`.
    pub fn with_running(self, running: Running) -> Self {
        Self { running: Some(running), ..self }
    }

    pub(super) fn running(&self) -> Result<&Running, Reason> {
        self.running.as_ref().ok_or(Reason::NotSupported)
    }
}

/// What the operator decided about HTTP.
#[derive(Clone)]
pub struct HttpRules {
    /// Milliseconds an access token lives.
    pub access_token_ms: u64,
    /// Origins that browsers may call from; `*` allows any.
    pub allowed_origins: Vec<String>,
    /// Whether a peer is a proxy whose `X-Forwarded-For` is believed.
    pub trusts_proxy: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// How often one address may call.
    pub rates: HttpRates,
    /// Channels that anybody signed in may read.
    pub public_channels: Vec<String>,
    /// Whether guests are let in.
    pub guests: bool,
}

/// How often one address may call, per second; 0 does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpRates {
    /// Registrations, in bursts of [`AUTH_BURST`].
    pub registers_per_s: u32,
    /// Other authentication calls, in bursts of [`AUTH_BURST`].
    pub auths_per_s: u32,
    /// Everything else, a second's worth at once.
    pub api_per_s: u32,
}

impl From<&Limits> for HttpRates {
    fn from(limits: &Limits) -> Self {
        Self { registers_per_s: limits.registers_per_s, auths_per_s: limits.auths_per_s, api_per_s: limits.api_per_s }
    }
}

/// Three budgets per address.
pub(super) struct AddressBudgets {
    pub(super) register: Mutex<Budgets<IpAddr>>,
    pub(super) auth: Mutex<Budgets<IpAddr>>,
    pub(super) api: Mutex<Budgets<IpAddr>>,
}

impl AddressBudgets {
    fn new(rates: HttpRates) -> Self {
        let budget = |per_s, burst| Mutex::new(Budgets::new(Rate::per_second(per_s, burst)));
        Self {
            register: budget(rates.registers_per_s, AUTH_BURST),
            auth: budget(rates.auths_per_s, AUTH_BURST),
            api: budget(rates.api_per_s, rates.api_per_s),
        }
    }
}

/// One reading of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never steps: for rates.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970: for what is stored and shown.
    pub unix_ms: u64,
}

/// Where handlers read the time. Tests hand in one they set.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// A clock that says what `read` says.
    pub fn new(read: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The machine's clock.
    pub fn system() -> Self {
        let start = Instant::now();
        Self::new(move || Now {
            monotonic_ms: start.elapsed().as_millis() as u64,
            unix_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
        })
    }

    /// Now.
    pub fn now(&self) -> Now {
        (self.0)()
    }
}

/// Why sign-ins ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The player signed out.
    SignedOut,
    /// A refresh token came twice: somebody else holds a copy.
    TokenReused,
    /// The player claimed their guest account from another sign-in.
    Claimed,
    /// An operator banned the player.
    Banned,
}

/// What HTTP asks of the actors. The default answers are those of a server on which nothing lives.
pub trait Live: Send + Sync + 'static {
    /// These sign-ins are revoked: their sockets close now. Must not block.
    fn revoked(&self, _ended: &[SignIn], _why: Ended) {}

    /// Whether the player may read that channel by being a member now.
    fn is_member(&self, _player: PlayerId, _channel_id: &str) -> BoxFuture<'static, bool> {
        ready(false).boxed()
    }

    /// Whether the player has or had a seat in that running match, or watches it.
    fn was_in_match(&self, _player: PlayerId, _match_id: MatchId) -> BoxFuture<'static, bool> {
        ready(false).boxed()
    }

    /// Whether that match is played now and `match.list` shows it.
    fn is_listed(&self, _match_id: MatchId) -> bool {
        false
    }

    /// Whether new clients should come here: false while starting and draining.
    fn is_ready(&self) -> bool {
        true
    }
}

/// Nothing lives here: for tests of what needs only the store.
pub struct NothingLive;

impl Live for NothingLive {}
