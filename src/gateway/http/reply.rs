//! Answers: JSON when it went well, one row of the error table when it did not.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::value::RawValue;

use super::passwords::HashingBusy;
use crate::store::StoreError;
use crate::store::rows::BanRow;
use crate::wire::error::{Reason, Refusal};

/// What a handler answers.
pub type Answer = Result<HttpResponse, Refused>;

/// `200` with a JSON body.
pub fn ok(body: &impl Serialize) -> Answer {
    Ok(HttpResponse::Ok().json(body))
}

/// `200 {"success":true}`.
pub fn success() -> Answer {
    ok(&serde_json::json!({"success": true}))
}

/// A refusal on its way out: the status of its row, and `{"error":{..}}`.
#[derive(Debug)]
pub struct Refused(pub Refusal);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.reason.row().code)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/json");
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(seconds) = self.0.detail("retry_after").and_then(|detail| serde_json::to_string(detail).ok()) {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if matches!(self.status_code(), StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
            // The rest of the body may still be on its way, and is not read.
            response.force_close();
        }
        let mut response = response.body(self.0.http_body());
        // For whoever counts on the way out.
        response.extensions_mut().insert(self.0.reason);
        response
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self(reason.into())
    }
}

/// The same request may go well in a second.
fn busy() -> Refused {
    Reason::Busy.with("retry_after", 1).into()
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => busy(),
            StoreError::Closed => Reason::Draining.into(),
            // What exactly failed is in the log, and none of a stranger's business.
            StoreError::Failed(_) => Reason::Internal.into(),
        }
    }
}

impl From<HashingBusy> for Refused {
    fn from(_: HashingBusy) -> Self {
        busy()
    }
}

/// `auth.banned`, with the reason and when it ends.
pub fn banned(ban: BanRow) -> Refused {
    banned_refusal(ban).into()
}

/// The same, for a socket that is open.
pub fn banned_refusal(ban: BanRow) -> Refusal {
    let refusal = Reason::Banned.with("reason", ban.reason);
    match ban.until_unix_ms {
        Some(until) => refusal.with("until_ms", until),
        None => refusal,
    }
}

/// `rate_limited`, with when to come back.
pub fn rate_limited(retry_ms: u64) -> Refused {
    Reason::RateLimited.with("retry_ms", retry_ms).with("retry_after", retry_ms.div_ceil(1_000)).into()
}

/// What is wrong with each field, all of it at once.
#[derive(Debug, Default)]
pub struct Faults(Vec<(&'static str, Cow<'static, str>)>);

impl Faults {
    /// The value, or nothing and a fault noted.
    pub fn take<T>(&mut self, field: &'static str, read: Result<T, &'static str>) -> Option<T> {
        read.map_err(|fault| self.0.push((field, fault.into()))).ok()
    }

    /// `validation_failed` with every fault so far: `fields` is `{field: [what is wrong]}`.
    pub fn into_refused(self) -> Refused {
        let fields: std::collections::BTreeMap<_, _> =
            self.0.iter().map(|(field, fault)| (*field, [fault.as_ref()])).collect();
        let fields = serde_json::value::to_raw_value(&fields).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Reason::ValidationFailed.with("fields", fields).into()
    }
}
