//! Where strangers' bytes come in: sockets and HTTP.
//!
//! In the order of a socket's life: the [`gate`] admits it, the [`guard`] reads its frames, the [`ws`] pump moves them
//! between its brain and its outlet, and the [`sentinel`] watches it from outside.

pub mod address;
pub mod echo;
pub mod gate;
pub mod guard;
pub mod http;
pub mod player;
pub mod sentinel;
pub mod ws;
