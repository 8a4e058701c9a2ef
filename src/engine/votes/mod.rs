//! Votes: how a group decides, as plain values.
//!
//! Read in this order: a [`ballot`] is what one voter says; [`profile`] holds many of them; [`count`] names the rules
//! of a count and everything it answers; [`ties`] is the one place where equals are told apart; [`methods`] has one
//! file per way to count and one row per file in [`METHODS`]; [`live`] keeps a tally while ballots come and go.
//!
//! Integers decide everywhere, floats never do. Nothing here knows a clock or a player: what a vote is while it is
//! open (windows, revotes, who may cast) builds on top of this.

pub mod ballot;
pub mod count;
pub mod input;
pub mod live;
pub mod methods;
pub mod pairwise;
pub mod profile;
pub mod ties;

pub use ballot::{Ballot, BallotFault, BallotKind, OptionIx};
pub use count::{Count, CountRules, CountStatus};
pub use input::{BallotEntry, BallotInput};
pub use live::LiveTally;
pub use methods::{METHODS, Method, method};
pub use profile::Profile;
pub use ties::TieBreak;
