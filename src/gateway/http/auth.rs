//! `/api/v1/auth`: register, login, refresh, logout, guest, guest/upgrade.

use actix_web::http::Method;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use rand::Rng;
use serde::Serialize;

use super::body::Fields;
use super::caller::{Caller, bearer};
use super::front_door::address_of;
use super::path;
use super::reply::{Answer, Faults, Refused, banned, ok, success};
use super::state::{Ended, HttpState};
use crate::engine::accounts::{Device, DeviceFault, Token, Username, display_name, password, same_secret, token_hash};
use crate::ids::PlayerId;
use crate::limits::REFRESH_TOKEN_DAYS;
use crate::store::ask;
use crate::store::rows::*;
use crate::wire::error::Reason;

type State = web::Data<HttpState>;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    path(cfg, "/auth/register", [(Method::POST, web::to(register))]);
    path(cfg, "/auth/login", [(Method::POST, web::to(login))]);
    path(cfg, "/auth/refresh", [(Method::POST, web::to(refresh))]);
    path(cfg, "/auth/logout", [(Method::POST, web::to(logout))]);
    path(cfg, "/auth/guest", [(Method::POST, web::to(guest))]);
    path(cfg, "/auth/guest/upgrade", [(Method::POST, web::to(upgrade))]);
}

/// What a sign-in answers. `session_token` is the access token again, under the name that old clients read.
#[derive(Serialize)]
struct SignedIn<'a> {
    player_id: PlayerId,
    access_token: &'a str,
    refresh_token: &'a str,
    session_token: &'a str,
    username: &'a str,
    /// Said of guests, every time: whether this is the first sign-in of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    guest: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    upgraded: bool,
}

impl<'a> SignedIn<'a> {
    fn new(player_id: PlayerId, username: &'a str, pair: &'a Pair) -> Self {
        Self {
            player_id,
            access_token: &pair.access.text,
            refresh_token: &pair.refresh.text,
            session_token: &pair.access.text,
            username,
            created: None,
            guest: false,
            upgraded: false,
        }
    }
}

/// Two fresh tokens, as they are handed out and as they are kept.
struct Pair {
    access: Token,
    refresh: Token,
    kept: TokenPair,
}

impl Pair {
    fn new(state: &HttpState, now_unix_ms: u64) -> Self {
        let mut rng = rand::rng();
        let (access, refresh) = (Token::new(&mut rng), Token::new(&mut rng));
        let kept = TokenPair {
            access: access.hash,
            access_expires_unix_ms: now_unix_ms + state.rules.access_token_ms,
            refresh: refresh.hash,
            refresh_expires_unix_ms: now_unix_ms + REFRESH_TOKEN_DAYS * 24 * 3_600 * 1_000,
        };
        Self { access, refresh, kept }
    }

    /// As the first pair of a new sign-in.
    fn of_new_sign_in(&self, player_id: PlayerId, now_unix_ms: u64) -> NewTokens {
        self.of_sign_in(SignIn { player_id, family: random() }, now_unix_ms)
    }

    fn of_sign_in(&self, whose: SignIn, now_unix_ms: u64) -> NewTokens {
        NewTokens {
            player_id: whose.player_id,
            family: whose.family,
            pair: self.kept.clone(),
            issued_unix_ms: now_unix_ms,
        }
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A name and a password that somebody wants, both acceptable; otherwise every fault of both.
struct Wanted {
    username: Username,
    password: String,
    display_name: Option<String>,
}

impl Wanted {
    fn read(fields: &Fields) -> Result<Self, Refused> {
        let (name, secret) = (fields.text("username")?, fields.text("password")?);
        let shown = fields.text_if_any("display_name")?;
        let mut faults = Faults::default();
        let username = faults.take("username", Username::parse(name));
        let password = faults.take("password", password(secret));
        let display_name = faults.take("display_name", shown.map(display_name).transpose());
        match (username, password, display_name) {
            (Some(username), Some(password), Some(display_name)) => Ok(Self { username, password, display_name }),
            _ => Err(faults.into_refused()),
        }
    }
}

async fn register(state: State, payload: Payload) -> Answer {
    let wanted = Wanted::read(&Fields::read(payload).await?)?;
    refuse_taken(&state, &wanted.username).await?;
    let password_hash = state.passwords.hash(wanted.password, random()).await?;
    let now_unix_ms = state.clock.now().unix_ms;
    let id = PlayerId::new(now_unix_ms, &mut rand::rng());
    let pair = Pair::new(&state, now_unix_ms);
    let player = NewPlayer {
        id,
        display_name: wanted.display_name.unwrap_or_else(|| wanted.username.shown.clone()),
        username: wanted.username.shown.clone(),
        username_key: wanted.username.key,
        skeleton: wanted.username.skeleton,
        password_hash: Some(password_hash),
        created_unix_ms: now_unix_ms,
    };
    let tokens = pair.of_new_sign_in(id, now_unix_ms);
    created(ask(|done| state.store.create_player(player, tokens, done)).await?)?;
    ok(&SignedIn::new(id, &wanted.username.shown, &pair))
}

/// A cheap look before the expensive hash; the store decides later, for good.
async fn refuse_taken(state: &State, username: &Username) -> Result<(), Refused> {
    let key = username.key.clone();
    match ask(|done| state.store.player_by_username(key, done)).await? {
        Some(_) => Err(Reason::UsernameTaken.into()),
        None => Ok(()),
    }
}

fn created(creation: Creation) -> Result<(), Refused> {
    match creation {
        Creation::Created => Ok(()),
        Creation::UsernameTaken => Err(Reason::UsernameTaken.into()),
        Creation::LookAlike => Err(Reason::UsernameTaken.with("problem", "look_alike").into()),
        Creation::NotAGuest => Err(Reason::GuestNotUnclaimed.into()),
        Creation::DeviceTaken => Err(Reason::Internal.into()),
    }
}

async fn login(state: State, payload: Payload) -> Answer {
    let fields = Fields::read(payload).await?;
    let (name, secret) = (fields.text("username")?, fields.text("password")?);
    let key = Username::key_of(name);
    let player = ask(|done| state.store.player_by_username(key, done)).await?;
    // Unknown names, guests and impossible passwords take the same path and as long as a wrong password.
    let known = player.as_ref().and_then(|row| row.password_hash.clone());
    let possible = password(secret).ok();
    let is_possible = possible.is_some();
    let is_right = state.passwords.verify(possible.unwrap_or_default(), known).await? && is_possible;
    let Some(player) = player.filter(|_| is_right) else { return Err(Reason::InvalidCredentials.into()) };
    let pair = sign_in(&state, player.id).await?;
    ok(&SignedIn::new(player.id, &player.username, &pair))
}

/// Hands out tokens for a new sign-in, unless the player is banned. Asked after the secret was right, so that nobody
/// else learns who is banned.
async fn sign_in(state: &State, id: PlayerId) -> Result<Pair, Refused> {
    let now_unix_ms = state.clock.now().unix_ms;
    let pair = Pair::new(state, now_unix_ms);
    let tokens = pair.of_new_sign_in(id, now_unix_ms);
    match ask(|done| state.store.issue_tokens(tokens, done)).await? {
        Issue::Issued => Ok(pair),
        Issue::Banned(ban) => Err(banned(ban)),
    }
}

async fn refresh(state: State, req: HttpRequest, payload: Payload) -> Answer {
    let fields = Fields::read(payload).await?;
    let presented = token_hash(fields.text("refresh_token")?);
    let now_unix_ms = state.clock.now().unix_ms;
    let pair = Pair::new(&state, now_unix_ms);
    let rotate = Rotate { presented, now_unix_ms, next: pair.kept.clone() };
    match ask(|done| state.store.rotate_refresh(rotate, done)).await? {
        Rotation::Rotated(whose) => ok(&serde_json::json!({
            "player_id": whose.player_id,
            "access_token": pair.access.text,
            "refresh_token": pair.refresh.text,
            "session_token": pair.access.text,
        })),
        Rotation::Reused(whose) => {
            let from = address_of(&req);
            tracing::warn!(player_id = %whose.player_id, %from, "a refresh token came twice; its family is revoked");
            state.live.revoked(&[whose], Ended::TokenReused);
            Err(Reason::InvalidRefreshToken.into())
        }
        Rotation::Banned(ban) => Err(banned(ban)),
        Rotation::Expired | Rotation::Unknown => Err(Reason::InvalidRefreshToken.into()),
    }
}

/// Ends the sign-ins of the access token in the header and of the refresh token in the body, whichever is there. Says
/// nothing about which of them was any good; only a store that cannot do it now is told.
async fn logout(state: State, req: HttpRequest, payload: Payload) -> Answer {
    let in_header = bearer(&req).map(|token| Revoke::Access(token_hash(token)));
    let fields = Fields::read_or_empty(payload).await.unwrap_or_default();
    let in_body = fields.text("refresh_token").ok().map(|token| Revoke::Refresh(token_hash(token)));
    for what in in_body.into_iter().chain(in_header) {
        let ended = ask(|done| state.store.revoke(what, done)).await?;
        state.live.revoked(&ended, Ended::SignedOut);
    }
    success()
}

/// How often a guest's creation is tried: a device that signs in twice at once makes one of the two find the other's
/// player, and a random name that looks like another one is replaced.
const GUEST_TRIES: usize = 3;

async fn guest(state: State, payload: Payload) -> Answer {
    if !state.rules.guests {
        return Err(Reason::GuestDisabled.into());
    }
    let fields = Fields::read(payload).await?;
    let device =
        Device::parse(fields.text("device_id")?, fields.text("device_secret")?).map_err(|fault| match fault {
            DeviceFault::Id => Reason::GuestInvalidDevice,
            DeviceFault::Secret => Reason::GuestWeakSecret,
        })?;
    for _ in 0..GUEST_TRIES {
        let answer = match ask(|done| state.store.device(device.device, done)).await? {
            Some(known) => Some(resume_guest(&state, &device, &known).await?),
            None => create_guest(&state, &device).await?,
        };
        if let Some(answer) = answer {
            return Ok(answer);
        }
    }
    Err(Reason::Busy.into())
}

async fn resume_guest(state: &State, device: &Device, known: &DeviceRow) -> Answer {
    if !same_secret(&device.secret, &known.secret) {
        return Err(Reason::GuestWrongSecret.into());
    }
    let pair = sign_in(state, known.player_id).await?;
    // Looked at when the tokens are there: an upgrade before that shows here, and one after it revokes them itself.
    let Some(player) = ask(|done| state.store.player(known.player_id, done)).await? else {
        return Err(Reason::Internal.into());
    };
    if !player.guest {
        ask(|done| state.store.revoke(Revoke::Access(pair.access.hash), done)).await?;
        return Err(Reason::GuestUpgraded.into());
    }
    ok(&SignedIn { created: Some(false), guest: true, ..SignedIn::new(player.id, &player.username, &pair) })
}

/// None when another request was faster or the name is unlucky: look again.
async fn create_guest(state: &State, device: &Device) -> Result<Option<HttpResponse>, Refused> {
    let now_unix_ms = state.clock.now().unix_ms;
    let id = PlayerId::new(now_unix_ms, &mut rand::rng());
    let username = Username::of_guest(&mut rand::rng());
    let pair = Pair::new(state, now_unix_ms);
    let player = NewPlayer {
        id,
        username: username.shown.clone(),
        username_key: username.key,
        skeleton: username.skeleton,
        display_name: username.shown.clone(),
        password_hash: None,
        created_unix_ms: now_unix_ms,
    };
    let row = DeviceRow { device: device.device, secret: device.secret, player_id: id };
    let tokens = pair.of_new_sign_in(id, now_unix_ms);
    match ask(|done| state.store.create_guest(player, row, tokens, done)).await? {
        Creation::Created => {
            let signed_in = SignedIn { created: Some(true), guest: true, ..SignedIn::new(id, &username.shown, &pair) };
            ok(&signed_in).map(Some)
        }
        Creation::DeviceTaken | Creation::UsernameTaken | Creation::LookAlike => Ok(None),
        Creation::NotAGuest => Err(Reason::Internal.into()),
    }
}

async fn upgrade(state: State, caller: Caller, payload: Payload) -> Answer {
    let wanted = Wanted::read(&Fields::read(payload).await?)?;
    if !caller.player.guest {
        return Err(Reason::GuestNotUnclaimed.into());
    }
    refuse_taken(&state, &wanted.username).await?;
    let password_hash = state.passwords.hash(wanted.password, random()).await?;
    let now_unix_ms = state.clock.now().unix_ms;
    let pair = Pair::new(&state, now_unix_ms);
    // A guest who chose no display name shows the new username; one who did keeps it.
    let kept_name = (caller.player.display_name != caller.player.username).then(|| caller.player.display_name.clone());
    let claim = Claim {
        player_id: caller.id(),
        display_name: wanted.display_name.or(kept_name).unwrap_or_else(|| wanted.username.shown.clone()),
        username: wanted.username.shown.clone(),
        username_key: wanted.username.key,
        skeleton: wanted.username.skeleton,
        password_hash,
    };
    // The sign-in that claims goes on, sockets and all; any other held by whoever knew the device's secret ends.
    let own = SignIn { player_id: caller.id(), family: caller.family };
    let tokens = pair.of_sign_in(own, now_unix_ms);
    let (creation, ended) = ask(|done| state.store.claim_guest(claim, tokens, done)).await?;
    created(creation)?;
    let others: Vec<_> = ended.into_iter().filter(|sign_in| *sign_in != own).collect();
    state.live.revoked(&others, Ended::Claimed);
    ok(&SignedIn { upgraded: true, ..SignedIn::new(caller.id(), &wanted.username.shown, &pair) })
}
