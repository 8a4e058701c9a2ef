//! The query string of a request.

use actix_web::HttpRequest;
use actix_web::web::Query;

use super::reply::Refused;
use crate::limits::{MODE_BYTES_MAX, ROWS_DEFAULT, ROWS_MAX};
use crate::wire::error::{Reason, Refusal};

/// The parameters of a request, first one wins.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query string; one that cannot be decoded has no parameters.
    pub(super) fn of(req: &HttpRequest) -> Self {
        Self(
            Query::<Vec<(String, String)>>::from_query(req.query_string())
                .map_or_else(|_| Vec::new(), Query::into_inner),
        )
    }

    /// A parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// `mode`, by the rule of `match.list`.
    pub(super) fn mode(&self) -> Result<Option<String>, Refused> {
        match self.get("mode") {
            Some(mode) if mode.len() > MODE_BYTES_MAX => Err(Reason::InvalidModeFilter.into()),
            mode => Ok(mode.map(str::to_owned)),
        }
    }

    /// `limit`: 50 unless given, cut to 1 to 200; `invalid_field` when it is no whole number.
    pub(super) fn limit(&self) -> Result<u32, Refused> {
        let Some(text) = self.get("limit") else { return Ok(ROWS_DEFAULT) };
        let number: i64 = text.parse().map_err(|_| Refusal::invalid("limit", "a whole number from 1 to 200"))?;
        Ok(u32::try_from(number.clamp(1, i64::from(ROWS_MAX))).unwrap_or(ROWS_MAX))
    }

    /// `true` or `false`; `invalid_field` when it is neither.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Refusal::invalid(name, "true or false").into()),
        }
    }
}
