//! The body of a request: one JSON object under a limit, read by the same rules as a frame of the socket.

use std::time::Duration;

use actix_web::web::Payload;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::reply::Refused;
use crate::limits;
use crate::wire::decode::check_json;
use crate::wire::error::{Reason, Refusal};

/// The members of a request's object.
#[derive(Debug, Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads the body: `payload_too_large`, `invalid_json` or `invalid_payload` when it is not one.
    pub async fn read(payload: Payload) -> Result<Self, Refused> {
        Self::read_up_to(limits::HTTP_BODY_BYTES_MAX, payload).await
    }

    /// As [`Self::read`], where what is named needs another bound.
    pub async fn read_up_to(bytes_max: usize, payload: Payload) -> Result<Self, Refused> {
        Self::parse(&bytes(bytes_max, payload).await?)
    }

    /// Reads the body; none at all is an object without members.
    pub async fn read_or_empty(payload: Payload) -> Result<Self, Refused> {
        match bytes(limits::HTTP_BODY_BYTES_MAX, payload).await? {
            empty if empty.is_empty() => Ok(Self::default()),
            bytes => Self::parse(&bytes),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let text = std::str::from_utf8(bytes).map_err(|_| Reason::InvalidJson)?;
        check_json(text)?;
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(Reason::InvalidPayload.into()),
            Err(_) => Err(Reason::InvalidJson.into()),
        }
    }

    /// The whole object as a type; a refusal names the field that is missing or wrong, and says what belongs there. For
    /// operators, who write by hand and may be told in our own words (details.problem).
    pub fn typed<T: DeserializeOwned>(self) -> Result<T, Refused> {
        let Self(members) = self;
        let whole = Value::Object(members);
        let error = match T::deserialize(&whole) {
            Ok(read) => return Ok(read),
            Err(error) => error.to_string(),
        };
        if let Some(field) = missing_in(&error) {
            return Err(Refusal::missing(field.to_owned()).into());
        }
        // The error does not say which field it is about: it is the first that does not do even alone.
        let fails = |(name, value): &(&String, &Value)| {
            let alone = Value::Object(Map::from_iter([((*name).clone(), (*value).clone())]));
            T::deserialize(&alone).is_err_and(|error| missing_in(&error.to_string()).is_none())
        };
        let expected = match error.split_once("expected ").map_or(&*error, |(_, expected)| expected) {
            // The one name of a type in there that is only ours.
            "u32" => "a whole number from 0 to 4294967295".to_owned(),
            expected => expected.to_owned(),
        };
        let refusal = match whole.as_object().into_iter().flatten().find(fails) {
            Some((field, _)) => Refusal::invalid(field.clone(), expected),
            None => Reason::InvalidField.with("expected", expected),
        };
        Err(refusal.with("problem", error).into())
    }

    /// The whole object as JSON text.
    pub fn into_json(self) -> Result<Box<RawValue>, Refused> {
        serde_json::value::to_raw_value(&self.0).map_err(|_| Reason::InvalidJson.into())
    }

    /// A text that must be there.
    pub fn text(&self, name: &'static str) -> Result<&str, Refused> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Refusal::invalid(name, "a string").into()),
            None => Err(Refusal::missing(name).into()),
        }
    }

    /// A text that may be missing or null.
    pub fn text_if_any(&self, name: &'static str) -> Result<Option<&str>, Refused> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }
}

/// The field that serde misses.
fn missing_in(problem: &str) -> Option<&str> {
    problem.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
}

/// The whole body, waited for no longer and read no further than the limits.
async fn bytes(bytes_max: usize, payload: Payload) -> Result<Vec<u8>, Refused> {
    let wait = Duration::from_millis(limits::HTTP_BODY_WAIT_MS);
    tokio::time::timeout(wait, all(bytes_max, payload)).await.unwrap_or_else(|_| Err(Reason::RequestTimeout.into()))
}

async fn all(bytes_max: usize, mut payload: Payload) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        // The client broke off: nobody will read the answer.
        let chunk = chunk.map_err(|_| Reason::InvalidJson)?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(Reason::PayloadTooLarge.with("bytes_max", bytes_max as u64).into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
