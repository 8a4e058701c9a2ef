//! The sections that belong to no other part of the code: `[server]`, `[chat]` and `[presence]`.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats::{self, Network};
use super::secret::Secret;
use crate::limits::{CHANNEL_MESSAGES_PER_PLAYER_BURST, CHANNEL_MESSAGES_PER_PLAYER_PER_S};

/// Where the server listens, what it keeps, and whom it trusts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port to accept connections on; port 0 takes a free one. Flag `--listen`.
    #[serde(deserialize_with = "formats::listen")]
    #[schemars(with = "String", extend("format" = "listen-address"))]
    pub listen: SocketAddr,
    /// Folder of the database; `:memory:` keeps nothing. Flag `--data`.
    #[schemars(length(min = 1))]
    pub data: String,
    /// Folder of Lua games. Flag `--games`.
    #[schemars(length(min = 1))]
    pub games: String,
    /// Whether a script that is saved reaches running matches; `off` for production.
    pub reload: Reload,
    /// For development: players whose input or join makes a script fail are told how (`module.error`). It shows them
    /// the script's insides.
    pub dev_errors: bool,
    /// Whether players may come as guests; unset, as the games folder says (`guest_auth`), and where that is silent, yes.
    pub guests: Option<bool>,
    /// Origins that browsers may connect from, such as `https://play.example`; `*` allows any; none configured
    /// allows any socket and no cross-origin request.
    #[schemars(extend("items" = formats::text("origin")))]
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed: addresses or networks such as `10.0.0.0/8`.
    #[schemars(with = "Vec<String>", extend("items" = formats::text("network")))]
    pub trusted_proxies: Vec<Network>,
    /// Which dialect of the wire clients speak that do not say.
    pub dialect: DialectChoice,
    /// Seconds an access token lives.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub access_token_s: u32,
    /// File that holds the operators' token; empty and no `TESSERA__SERVER__OPS_TOKEN`: the operator API is off.
    pub ops_token_file: String,
    /// The operators' token itself.
    #[serde(skip)]
    pub ops_token: Option<Secret>,
    /// Seconds a session outlives its socket.
    #[schemars(range(max = 86_400))]
    pub resume_grace_s: u32,
    /// Test aid: `/ws/echo` runs the same socket code with an echo brain, for messages of any kind up to 16 MiB. It has
    /// no budgets: neither messages per second nor connections per address are counted there.
    pub echo: bool,
    /// What carries the sockets: `raw`, or `actors`, which needs two and a half times the memory. Behaviour is the same.
    pub transport: Transport,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8084)),
            data: "./tessera-data".into(),
            games: "./games".into(),
            reload: Reload::On,
            dev_errors: false,
            guests: None,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            dialect: DialectChoice::PerConnection,
            access_token_s: 900,
            ops_token_file: String::new(),
            ops_token: None,
            resume_grace_s: 60,
            echo: false,
            transport: Transport::Raw,
        }
    }
}

/// Whether a script that is saved reaches running matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// The games folder is watched: a good file replaces the functions at the next tick, a bad one is reported.
    On,
    /// Scripts stay as they were at the start.
    Off,
}

/// Which dialect of the wire clients speak that do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DialectChoice {
    /// Decided for each connection by what it does.
    #[serde(rename = "")]
    PerConnection,
    /// The April-2026 documentation form.
    #[serde(rename = "2026-04")]
    Seed,
    /// The newest form.
    #[serde(rename = "latest")]
    Latest,
}

/// What carries the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// An actor of actix-web-actors per connection.
    Actors,
    /// A task per connection that owns its TCP stream.
    Raw,
}

/// Chat channels and their habits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Chat {
    /// Channels without a prefix that anyone signed in may join.
    #[schemars(extend("items" = formats::text("channel-name")))]
    pub open: Vec<String>,
    /// Names behind `global:`.
    #[schemars(extend("items" = formats::text("channel-name")))]
    pub global: Vec<String>,
    /// Seconds a player waits between two messages in one channel; 0 does not wait.
    #[schemars(range(max = 86_400))]
    pub slow_mode_s: u32,
    /// Messages and edits per second that one player may put into one channel; 0 does not count them. What all players
    /// together may put into it is counted apart.
    pub per_player_per_s: u32,
    /// How many of them at once.
    #[schemars(range(min = 1))]
    pub per_player_burst: u32,
    /// Messages a channel remembers and shows to whoever joins.
    #[schemars(range(max = 10_000))]
    pub history: u32,
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            open: vec!["lobby".into()],
            global: Vec::new(),
            slow_mode_s: 0,
            per_player_per_s: CHANNEL_MESSAGES_PER_PLAYER_PER_S,
            per_player_burst: CHANNEL_MESSAGES_PER_PLAYER_BURST,
            history: 200,
        }
    }
}

/// `[presence]`: who sees who is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Presence {
    /// Whether presence is kept and told. Without, nobody is shown to anybody, and `presence.update` is answered as ever.
    pub enabled: bool,
}

impl Default for Presence {
    fn default() -> Self {
        Self { enabled: true }
    }
}
