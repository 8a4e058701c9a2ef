//! Who calls: the Bearer access token of a request.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use tokio::sync::oneshot;

use super::reply::{Refused, banned};
use super::state::HttpState;
use crate::actors::access::{AccessDenied, verify_access_token};
use crate::ids::PlayerId;
use crate::store::rows::{Family, PlayerRow};
use crate::wire::error::Reason;

/// A signed-in player. A handler that takes one is not reached by anybody else.
#[derive(Debug)]
pub struct Caller {
    /// Who.
    pub player: PlayerRow,
    /// By which sign-in.
    pub family: Family,
}

impl Caller {
    /// The player's id.
    pub fn id(&self) -> PlayerId {
        self.player.id
    }
}

impl FromRequest for Caller {
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refused>>>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = bearer(req).map(str::to_owned);
        let state = req.app_data::<web::Data<HttpState>>().cloned();
        Box::pin(async move {
            let (Some(state), Some(token)) = (state, token) else { return Err(Reason::Unauthenticated.into()) };
            let (tell, told) = oneshot::channel();
            verify_access_token(&*state.store, &token, state.clock.now().unix_ms, move |verdict| {
                let _ = tell.send(verdict);
            });
            match told.await {
                Ok(Ok(row)) => Ok(Self { player: row.player, family: row.family }),
                Ok(Err(AccessDenied::Invalid)) => Err(Reason::InvalidToken.into()),
                Ok(Err(AccessDenied::Banned(ban))) => Err(banned(ban)),
                Ok(Err(AccessDenied::Store(error))) => Err(error.into()),
                Err(_) => Err(Reason::Internal.into()),
            }
        })
    }
}

/// The token of `Authorization: Bearer <token>`.
pub(super) fn bearer(req: &HttpRequest) -> Option<&str> {
    let (scheme, token) = req.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
