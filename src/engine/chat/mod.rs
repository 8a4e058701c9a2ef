//! Chat: where something may be said, what may be said, and one channel as a value.
//!
//! | file | is about |
//! |---|---|
//! | `places.rs` | channel ids: `match:<id>`, `room:<name>`, `dm:<lo>:<hi>`, `global:<name>`, open names; who may enter |
//! | `content.rs` | 1 to 2000 bytes, NFC, no control or bidi characters, not blank; the word filter's hook |
//! | `channel.rs` | members, history, slow mode, mutes, edits, typing |
//! | `paces.rs` | what a channel that nobody is in leaves behind, so that slow mode is not escaped by leaving |
//! | `turns.rs` | answers in the order of what was asked |
//!
//! Nothing here stores or sends. A message is admitted, then stored by whoever owns the channel, then said: what a
//! member has read is on disk.

mod channel;
#[cfg(test)]
mod channel_tests;
mod content;
mod paces;
mod places;
mod turns;

pub use channel::{ChangeRefused, Channel, ChannelRules, Editor, Line, Pace, SayRefused, Sender};
pub use content::{Content, ContentRefused, Filter, FilterVerdict, is_plain};
pub use paces::Paces;
pub use places::{Door, InvalidChannelId, Place, Places, is_name};
pub use turns::{InOrder, Turns};
