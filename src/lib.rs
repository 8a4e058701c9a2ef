//! Tessera: an actor-model, authoritative match and vote server.
//!
//! One story, from top to bottom:
//!
//! ```text
//! bytes -> gateway (frame limits, rate) -> wire (Head{cid,type,raw} -> ClientMsg) -> SessionActor (who are you?)
//!       -> MatchActor / ChannelActor / MatchmakerActor (owner of the thing)  -> VoteActor
//!       -> engine value changes and says what should happen -> one encoded Frame -> outboxes -> sockets
//! ```
//!
//! Invariants that hold everywhere (`tests/architecture.rs` checks the ones a machine can):
//!
//! - `engine/` is pure: no actix, no tokio, no clock, no global rng, no IO, no log. Time and randomness are handed in.
//! - Identity always comes from the session, never from a payload.
//! - An actor never waits for another actor's answer on a path that a player can trigger.
//! - Every queue has a bound, and the bound its policy, in [`limits`].
//! - `actix_web_actors` is named in `gateway/ws.rs` alone.
#![deny(unsafe_code)]

pub mod actors;
pub mod bench;
pub mod cli;
pub mod client;
pub mod config;
pub mod durations;
pub mod engine;
pub mod games;
pub mod gateway;
pub mod html;
pub mod ids;
pub mod limits;
pub mod scenario;
pub mod server;
pub mod store;
pub mod wire;
