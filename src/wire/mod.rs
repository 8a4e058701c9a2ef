//! What strangers read: the only home of message serde.
//!
//! Read in this order: a [`frame`] is one encoded message; [`error`] is the closed table of refusals; [`messages`] lists
//! every message of either direction, one line each; the nouns ([`session`], [`mod@matches`], [`matchmaking`], [`chat`],
//! [`votes`], [`presence`], [`notices`], [`rpc`]) hold their fields; [`decode()`] turns text into a message for the
//! server, [`client`] for everything that talks to one.
//!
//! Field names are a promise to clients that already exist. A struct here has its fields in the order they are written.

pub mod chat;
pub mod client;
pub mod decode;
pub mod error;
pub mod frame;
pub mod matches;
pub mod matchmaking;
pub mod messages;
pub mod notices;
pub mod presence;
pub mod rpc;
mod scan;
pub mod session;
pub mod time;
pub mod votes;

pub use decode::{Envelope, Refused, Request, decode, envelope};
pub use error::{Detail, Reason, Refusal};
pub use frame::{Cid, Dialect, Frame, Outbound};
pub use messages::{ClientMsg, MESSAGES, ServerMsg};
