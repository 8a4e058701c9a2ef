//! Thin shells around the engine's values, and what they tell each other.

pub mod access;
pub mod channels;
pub mod clock;
pub mod connection;
pub mod directory;
pub mod lobby;
pub mod mail;
pub mod matches;
pub mod matchmaker;
pub mod meters;
pub mod notifications;
pub mod outlet;
pub mod overload;
pub mod presence;
pub mod realm;
pub mod sessions;
pub mod socket_metrics;
pub mod ticker;
pub mod votes;

pub use connection::{Bell, CloseCode, Closing, Connection, Cut, CutSocket, Wake};
pub use outlet::{Outgoing, Outlet, Resumed};
pub use socket_metrics::SocketMetrics;
