//! Scripted games: a match written in one Lua file, hosted as one more [`Game`](super::Game).
//!
//! [`discover`] reads a games folder into modes, [`LuaGame`] plays one match of a script. A script is a guest: it
//! sees its own folder and the `game` table, every call into it is metered ([`Allowance`]), and whatever it does ends
//! as an [`Effect`](super::Effect), a fault for its author, or the end of its own match.
//!
//! In the order of reading:

mod play;

mod bots;
mod calls;
mod facts;
mod filter;
mod renew;

mod api;
mod clock;
mod convert;
mod host;
mod phases;
mod rations;

mod budget;
mod guard;
mod heap;
mod pattern;
mod purse;
mod sandbox;
mod strings;

mod check;
mod discover;
mod globals;
mod pace;
mod reload;
mod report;
mod script;

pub use budget::Allowance;
pub use check::{Checked, TICKS as CHECK_TICKS, check, check_with};
pub use discover::{Games, NOT_A_MATCH, ScriptMode, discover, discover_with, read_mode, read_what_works};
pub use host::Birth;
pub use play::{LuaGame, ScriptError};
pub use reload::{Watch, watch};
pub use report::Fault;
pub use script::{Script, Sources};

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod metatables;
#[cfg(test)]
mod neighbours;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod told;
