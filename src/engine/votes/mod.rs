//! Votes: how a group decides, as plain values.
//!
//! Read in this order: a [`ballot`] is what one voter says; [`profile`] holds many of them; [`count`] names the rules
//! of a count and everything it answers; [`ties`] is the one place where equals are told apart; [`methods`] has one
//! file per way to count and one row per file in [`METHODS`]; [`live`] keeps a tally while ballots come and go.
//!
//! Integers decide everywhere, floats never do. Up to here nothing knows a clock or a player.
//!
//! What a vote is while it is open builds on top: [`config`] is what it is told, [`cast`] turns what a client sent into
//! a ballot, [`window`] is its clock, [`coalesce`] its restraint, [`veto`] the tokens of its match, [`draft`] its turns,
//! [`motions`] what players may call;
//! [`vote`] is the vote itself and [`told`] what it says. At the close [`absent`] and [`pools`] gather what counts,
//! [`result`] says what came out, [`frustration`] remembers who lost, [`parts`] are what a record is written from, and
//! [`audit`], [`record`] and [`recount`] let anybody check it.

pub mod absent;
pub mod audit;
pub mod ballot;
mod board;
pub mod cast;
pub mod coalesce;
pub mod config;
pub mod count;
pub mod draft;
pub mod frustration;
pub mod input;
pub mod live;
pub mod methods;
pub mod motions;
pub mod pairwise;
pub mod parts;
pub mod pools;
pub mod profile;
pub mod record;
pub mod recount;
pub mod result;
pub mod ties;
pub mod told;
pub mod veto;
pub mod vote;
pub mod window;

pub use ballot::{Ballot, BallotFault, BallotKind, OptionIx};
pub use config::{Fault, Templates, VoteConfig};
pub use count::{Count, CountRules, CountStatus};
pub use input::{BallotEntry, BallotInput};
pub use live::LiveTally;
pub use methods::{METHODS, Method, method};
pub use profile::Profile;
pub use ties::TieBreak;
pub use vote::{CastOk, CastRefusal, Vote, VoteOpen};

#[cfg(test)]
mod tests;
