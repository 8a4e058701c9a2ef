//! Whether an access token opens the door: the one answer for sockets and for HTTP.

use crate::engine::accounts::{is_live, token_hash};
use crate::store::rows::{AccessRow, BanRow};
use crate::store::{Store, StoreError};

/// Why an access token does not open the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessDenied {
    /// Nobody was given it, it was revoked, or it has run out.
    Invalid,
    /// Its player is banned.
    Banned(BanRow),
    /// The store could not say.
    Store(StoreError),
}

/// Looks an access token up and tells `done` who came. Never blocks; `done` runs on a thread of the store, or at once
/// when the store is busy, so an actor's `done` sends the actor a message and nothing more. `now_unix_ms` is when the
/// token was presented.
pub fn verify_access_token(
    store: &dyn Store,
    token: &str,
    now_unix_ms: u64,
    done: impl FnOnce(Result<AccessRow, AccessDenied>) + Send + 'static,
) {
    store.access_token(
        token_hash(token),
        Box::new(move |found| {
            done(match found {
                Err(error) => Err(AccessDenied::Store(error)),
                Ok(None) => Err(AccessDenied::Invalid),
                Ok(Some(row)) if !is_live(row.expires_unix_ms, now_unix_ms) => Err(AccessDenied::Invalid),
                Ok(Some(row)) => match row.player.ban.clone() {
                    Some(ban) if ban.holds(now_unix_ms) => Err(AccessDenied::Banned(ban)),
                    // It is from before a ban that has run out, and that made it worthless.
                    Some(_) => Err(AccessDenied::Invalid),
                    None => Ok(row),
                },
            });
        }),
    );
}
