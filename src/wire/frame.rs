//! The frame: one encoded message that many readers share, and the lane it waits in.
//!
//! Encoding happens once per frame, straight into bytes. The two dialects differ in one field (`sent_at`), so a second
//! buffer exists only for the few frames that carry it.

use bytestring::ByteString;

pub use crate::engine::sessions::{Lane, SlotKind};

/// Which form of the protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// The newest form: `sent_at` in unix milliseconds.
    #[default]
    Latest,
    /// The April-2026 documentation form: `sent_at` as ISO-8601 text.
    Seed202604,
}

impl Dialect {
    /// The dialect that `session.connect`, `/ws?dialect=` or the configuration names: `latest` or `2026-04`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "latest" => Some(Self::Latest),
            "2026-04" => Some(Self::Seed202604),
            _ => None,
        }
    }

    /// Its name; the inverse of [`Dialect::named`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Seed202604 => "2026-04",
        }
    }
}

/// One encoded message. Cloning copies two reference counts, never the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The text for clients of the latest dialect.
    pub latest: ByteString,
    /// The text for clients of the seed dialect, where it differs.
    pub seed: Option<ByteString>,
    /// How it waits in an outbox.
    pub lane: Lane,
}

impl Frame {
    /// The text for a client of this dialect.
    pub fn text(&self, dialect: Dialect) -> &ByteString {
        match (dialect, &self.seed) {
            (Dialect::Seed202604, Some(seed)) => seed,
            _ => &self.latest,
        }
    }

    /// The same frame on another lane.
    pub fn on(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }
}
