//! What strangers read: the only home of message serde.

pub mod frame;

pub use frame::{Dialect, Frame};
