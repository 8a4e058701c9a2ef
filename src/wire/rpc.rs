//! Remote calls: one message for every method that an extension or a game declares.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::decode::{Fields, as_raw, as_text};
use super::error::{Reason, Refusal};
use super::frame::{Cid, Outbound};
use super::messages::Inbound;
use super::session::ErrorObject;

/// The version of the payload that this server speaks.
pub const PROTOCOL: u32 = 1;

/// `rpc.call`.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Always [`PROTOCOL`].
    pub protocol: u32,
    /// Which method.
    pub method: String,
    /// Its arguments, an object.
    pub params: Box<RawValue>,
}

impl Inbound for Call {
    /// The only message whose `cid` is checked: without one its reply means nothing.
    fn read(cid: Option<&Cid>, fields: &Fields<'_>) -> Result<Self, Refusal> {
        let cid = cid.and_then(|cid| as_text(cid.as_json()));
        let fits = |cid: &String| (1..=64).contains(&cid.len()) && cid.bytes().all(|b| (0x20..0x7f).contains(&b));
        if !cid.as_ref().is_some_and(fits) {
            return Err(Reason::RpcInvalidCid.into());
        }
        fields.whole()?;
        let supported = || {
            let list = as_raw(&format!("[{PROTOCOL}]"));
            list.map_or(Reason::RpcUnsupportedProtocol.into(), |list| {
                Reason::RpcUnsupportedProtocol.with("supported", list)
            })
        };
        if fields.get("protocol").and_then(|protocol| protocol.parse().ok()) != Some(PROTOCOL) {
            return Err(supported());
        }
        let method = fields.text("method")?;
        let params = match fields.get("params") {
            None => as_raw("{}"),
            Some(params) => as_raw(params).filter(|params| params.get().starts_with('{')),
        };
        Ok(Self { protocol: PROTOCOL, method, params: params.ok_or(Reason::RpcInvalidParams)? })
    }
}

/// `rpc.ok`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answered {
    /// Always an object.
    pub result: Box<RawValue>,
}

impl Outbound for Answered {
    const KIND: &'static str = "rpc.ok";
}

/// `rpc.error`. See [`Refusal::rpc_frame`] for how the server writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failed {
    /// The error object alone.
    pub error: ErrorObject,
}

impl Outbound for Failed {
    const KIND: &'static str = "rpc.error";
}
