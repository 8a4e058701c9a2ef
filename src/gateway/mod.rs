//! Where strangers' bytes come in: sockets and HTTP.
//!
//! In the order of a socket's life: [`listen`] accepts it, the [`gate`] admits it, [`upgrade`] makes it a socket, the
//! [`guard`] reads its frames, the [`pump`] has them heard and says what waits in its outlet, one of two transports
//! moves the bytes ([`ws`] by actors, [`raw`] by tasks), and the [`sentinel`] watches it from outside.

pub mod address;
pub mod echo;
pub mod gate;
pub mod guard;
pub mod http;
pub mod listen;
pub mod player;
pub mod pump;
mod raw;
pub mod sentinel;
pub mod upgrade;
mod ws;
