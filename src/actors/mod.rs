//! Thin shells around the engine's values, and what they tell each other.

pub mod access;
pub mod connection;
pub mod outlet;
pub mod socket_metrics;

pub use connection::{CloseCode, Closing, Connection, Cut, CutSocket, Wake};
pub use outlet::{Outlet, Resumed};
pub use socket_metrics::SocketMetrics;
